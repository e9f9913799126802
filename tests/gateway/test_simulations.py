"""Simulations through the door: launched, steered, edited, ended. Every one of them is real."""

import contextlib
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from .doors import Door
from .runs import LIMB, PATIENCE_S, TRANSFER, Run, uploaded

BROKEN = '@transfer(writes="body.Foot1")\ndef hold(params):\n    return params.strength +\n'


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("home"), places=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def limb(door):
    return uploaded(door.otto)


@pytest.fixture(scope="module")
def shared(door, limb):
    """One for the tests that leave it as they find it."""
    with Run(door.otto, limb) as run:
        yield run.built()


@pytest.fixture
def run(door, limb):
    with Run(door.otto, limb) as made:
        yield made.built()


@pytest.fixture(scope="module")
def husky(door):
    return door.otto.post("/experiments", json={"source": "braitenberg_husky"}).json()["id"]


def processes_of(run, door):
    """The pids of a simulation's services, by name, from the environment they were started with."""
    wires = f"REAF_WIRES={door.gateway.simulations.get(run.id).wires}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wires in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                found[words[2].decode().removeprefix("services.")] = int(folder.name)
    return found


class TestLife:
    def test_it_is_built_started_paused_stepped_and_stopped(self, door, limb):
        with Run(door.otto, limb, name="mine") as run:
            assert run.launched["state"] == "created"
            assert (run.launched["owner"], run.launched["name"]) == ("otto", "mine")
            run.built()
            now = run.get()
            assert (now["state"], now["step"], now["started_at"], now["dt_s"]) == ("paused", 0, None, 0.02)
            assert run.put("/state", state="started").json()["state"] == "started"
            assert run.put("/state", state="started").status_code == 200
            moved = run.until(lambda now: now["step"] >= 10)
            assert moved["t_s"] == pytest.approx(moved["step"] * 0.02)
            paused = run.put("/state", state="paused").json()
            assert (paused["state"], paused["started_at"] is not None) == ("paused", True)
            stepped = run.post("/step").json()
            assert (stepped["state"], stepped["step"]) == ("paused", paused["step"] + 1)
            stopped = run.put("/state", state="stopped").json()
            assert (stopped["state"], stopped["outcome"], stopped["problem"]) == ("stopped", "stopped", None)
            late = run.put("/state", state="started")
            assert (late.status_code, late.json()["code"]) == (409, "out_of_order")
        recordings = door.otto.get(f"/experiments/{limb}/recordings").json()
        assert run.get()["recording"] in [one["id"] for one in recordings]
        assert run.request("DELETE").status_code == 204
        assert run.request("GET").status_code == 404

    def test_one_that_runs_cannot_be_deleted(self, shared):
        assert shared.request("DELETE").status_code == 409

    def test_the_real_time_factor_follows_the_pace(self, run):
        run.put("/state", state="started")
        now = run.until(lambda now: now["real_s"] > 2.5 and now["real_time_factor"] > 0.3)
        assert now["real_time_factor"] < 1.1
        assert now["spent_s"]["body"] > 0
        assert set(now["function_s"]) == {"hold", "tell"}

    def test_a_step_in_progress_can_be_given_up(self, run):
        run.put("/state", state="started")
        assert run.post("/cancel").json()["state"] == "stopped"

    def test_it_may_start_at_once_and_record_nothing(self, door, limb):
        with Run(door.otto, limb, start=True, record=False, steps=3) as run:
            ended = run.ended()
            assert (ended["outcome"], ended["step"], ended["recorded_bytes"]) == ("finished", 3, 0)
            assert run.request("GET", "/data.csv", params={"stream": "body/tip"}).status_code == 404


class TestLaunch:
    def test_an_unknown_experiment_is_not_found(self, door):
        answer = door.otto.post("/simulations", json={"experiment": "limb-77"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    def test_a_strange_wish_is_invalid(self, door, limb):
        for wish in ({"ranks": 0}, {"seed": -1}, {"limit": {"s": -1}}, {"colour": "red"}, {"limit": {"s": 0.0301}}):
            assert door.otto.post("/simulations", json={"experiment": limb, **wish}).status_code == 422

    def test_an_unknown_key_fails_with_the_sentence_of_the_engine(self, door, limb):
        with Run(door.otto, limb, set={"experiment.colour": "red"}) as run:
            ended = run.ended()
        assert (ended["state"], ended["outcome"]) == ("failed", "fault")
        assert "colour" in ended["problem"]["detail"]

    def test_a_broken_script_fails_with_its_line(self, door):
        files = LIMB | {"transfer.py": TRANSFER.replace("return 0.5", "return 0.5 +")}
        with Run(door.otto, uploaded(door.otto, files, "broken")) as run:
            problem = run.ended()["problem"]
        assert (problem["file"], problem["line"], problem["source"]) == ("transfer.py", 16, "transfer function")

    def test_somebody_elses_experiment_cannot_be_launched(self, door, limb):
        assert door.olga.post("/simulations", json={"experiment": limb}).status_code == 403

    def test_of_two_launches_for_one_place_one_is_told_who_has_it(self, tmp_path):
        with Door(tmp_path / "home") as door:
            experiments = {name: uploaded(getattr(door, name)) for name in ("otto", "olga")}
            answers = []

            def launch(name):
                answers.append(getattr(door, name).post("/simulations", json={"experiment": experiments[name]}))

            threads = [threading.Thread(target=launch, args=(name,)) for name in experiments]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            made, refused = sorted(answers, key=lambda answer: answer.status_code)
            assert (made.status_code, refused.status_code, refused.json()["code"]) == (201, 409, "busy")
            assert made.json()["owner"] in refused.json()["detail"]
            assert len(door.ada.get("/simulations").json()) == 1


class TestRights:
    def test_who_does_not_own_it_may_watch_and_not_steer(self, door, shared):
        path = f"/simulations/{shared.id}"
        for name in ("olga", "vera"):
            person = getattr(door, name)
            assert person.get(path).status_code == 200
            assert person.put(f"{path}/state", json={"state": "stopped"}).status_code == 403
            assert person.post(f"{path}/transfer-functions", json={"source": "x"}).status_code == 403
        assert shared.get()["state"] == "paused"
        assert door.ada.post(f"{path}/step").status_code == 200


class TestLimit:
    def test_a_limit_ends_it_and_an_extension_lets_it_go_on(self, door, limb):
        with Run(door.otto, limb, limit={"kind": "simulated", "s": 10.0}, pace=0) as run:
            run.built()
            assert run.get()["limit"] == {"kind": "simulated", "s": 10.0, "left_s": 10.0}
            run.put("/limit", simulated_s=0.1)
            assert run.put("/limit", extend_s=0.1).json()["s"] == pytest.approx(0.2)
            run.put("/state", state="started")
            ended = run.ended()
            assert (ended["outcome"], ended["t_s"]) == ("finished", pytest.approx(0.2))

    def test_a_limit_of_real_time_ends_it(self, door, limb):
        with Run(door.otto, limb, limit={"kind": "real", "s": 0.5}, start=True) as run:
            ended = run.ended()
        assert (ended["outcome"], ended["limit"]["kind"]) == ("finished", "real")
        assert ended["real_s"] >= 0.5
        assert 0 < ended["t_s"] <= ended["real_s"] + 0.1

    def test_two_limits_at_once_are_invalid(self, shared):
        assert shared.put("/limit", simulated_s=1, real_s=1).status_code == 422
        assert shared.put("/limit").status_code == 422


class TestReset:
    def test_a_full_reset_begins_another_run(self, run):
        run.put("/state", state="started")
        before = run.until(lambda now: now["step"] > 2)
        now = run.post("/reset", what="full").json()
        assert (now["state"], now["step"], now["id"]) == ("paused", 0, run.id)
        assert now["run"] != before["run"]
        assert now["recording"] != before["recording"]
        run.put("/state", state="started")
        assert run.until(lambda now: now["step"] > 2)["state"] == "started"

    def test_body_and_world_are_put_back_and_the_clock_goes_on(self, run):
        run.put("/state", state="started")
        run.until(lambda now: now["step"] > 2)
        for what in ("body", "world"):
            now = run.post("/reset", what=what).json()
            assert now["state"] == "paused"
            assert now["step"] > 2

    def test_there_is_no_brain_to_be_reset(self, shared):
        answer = shared.post("/reset", what="brain")
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_experiment")
        assert shared.post("/reset", what="soul").status_code == 422


class TestFunctions:
    def test_they_are_told_in_the_order_of_calling(self, shared):
        first, second = shared.get("/transfer-functions")
        assert (first["name"], first["priority"], first["saved"]) == ("tell", 1, True)
        assert (second["name"], second["writes"]) == ("hold", ["body.excitation.Foot1"])
        assert second["source"].startswith("@transfer(")
        assert second["line"] == 8
        assert shared.get("/transfer-functions/hold") == second
        assert shared.request("GET", "/transfer-functions/hald").json()["detail"].endswith("(did you mean 'hold'?)")

    def test_a_replaced_function_acts_and_is_saved_with_the_rest_untouched(self, door, run, limb):
        try:
            source = '@transfer(writes="body.Foot1")\ndef hold(params):\n    return 0.75 * FACTOR'
            run.request("PUT", "/transfer-functions/hold", json={"source": source})
            hold = run.functions()["hold"]
            assert (hold["source"].strip(), hold["saved"], hold["problem"]) == (source, False, None)
            assert hold["changed"]["by"] == "otto"
            for _ in range(3):
                run.post("/step")
            muscles = run.request("GET", "/data.csv", params={"stream": "body/muscles"})
            assert muscles.status_code == 200
            assert run.post("/transfer-functions/save").json() == {"file": "transfer.py", "changed": True}
            assert run.functions()["hold"]["saved"] is True
            text = door.otto.get(f"/experiments/{limb}/files/transfer.py").text
            assert text == TRANSFER.replace("return FACTOR * params.strength", "return 0.75 * FACTOR")
        finally:
            door.otto.put(f"/experiments/{limb}/files/transfer.py", content=TRANSFER.encode())

    def test_a_broken_function_shows_its_line_and_the_rest_goes_on(self, run):
        answer = run.request("PUT", "/transfer-functions/hold", json={"source": BROKEN})
        assert answer.status_code == 200
        problem = run.functions()["hold"]["problem"]
        assert (problem["type"], problem["line"]) == ("compile", 3)
        assert run.post("/transfer-functions/save").status_code == 422
        assert run.post("/step").json()["state"] == "paused"
        assert run.functions()["tell"]["problem"] is None
        mended = BROKEN.replace(" +\n", "\n")
        assert run.request("PUT", "/transfer-functions/hold", json={"source": mended}).status_code == 200
        assert run.functions()["hold"]["problem"] is None

    def test_they_are_added_ordered_switched_and_deleted(self, run):
        source = '@transfer(writes="body.Radius1")\ndef third(t):\n    return 0.1\n'
        assert run.post("/transfer-functions", source=source).status_code == 201
        run.put("/transfer-functions/order", names=["third", "hold", "tell"])
        assert list(run.functions()) == ["third", "hold", "tell"]
        run.put("/transfer-functions/tell/priority", priority=100)
        assert next(iter(run.functions())) == "tell"
        run.put("/transfer-functions/third/active", active=False)
        assert run.functions()["third"]["active"] is False
        assert run.request("DELETE", "/transfer-functions/third").status_code == 200
        assert set(run.functions()) == {"hold", "tell"}
        assert run.request("DELETE", "/transfer-functions/third").status_code in (404, 422)

    def test_parameters_are_changed_while_it_runs(self, run):
        assert run.get("/parameters") == {"strength": 0.25}
        assert run.request("PATCH", "/parameters", json={"strength": 0.5}).json() == {"strength": 0.5}
        deadline = time.monotonic() + 5
        while run.get("/parameters") != {"strength": 0.5}:
            assert time.monotonic() < deadline
        run.post("/reset", what="full")
        assert run.get("/parameters") == {"strength": 0.5}


class TestBody:
    def test_it_is_pushed_and_loaded(self, run):
        scene = run.get("/body")
        link, joint = scene["pushable"][0], scene["loadable"][0]
        assert run.post("/body/push", link=link, force_N=[0.0, 0.1, 0.0], duration_s=0.1).status_code == 204
        assert run.put("/body/load", **{joint: 0.001}).status_code == 204
        assert run.get("/body")["loads"][joint] == 0.001
        assert run.post("/body/push", link="tail", force_N=[0, 0, 0], duration_s=0.1).status_code == 422
        assert run.post("/body/push", link=link, force_N=[0, 0], duration_s=0.1).status_code == 422
        by = {(edit["what"], edit["by"]) for edit in run.get("/history")["edits"]}
        assert {("push", "otto"), ("load", "otto")} <= by

    def test_there_is_no_brain_to_ask(self, shared):
        assert shared.request("GET", "/brain/positions").status_code == 422
        assert shared.get("/brain")["model"] is None


class TestWritten:
    def test_what_is_recorded_can_be_read_while_it_runs(self, run):
        run.put("/state", state="started")
        run.until(lambda now: now["step"] > 60)
        answer = run.request("GET", "/data.csv", params={"stream": "body/tip", "since_s": 0.4})
        lines = answer.text.splitlines()
        assert lines[0] == "step,t_s,position_x_m,position_y_m,position_z_m"
        assert lines[1].startswith("19,0.4,")
        assert len(lines) > 20
        missing = run.request("GET", "/data.csv", params={"stream": "body/tap"})
        assert (missing.status_code, "did you mean 'body/tip'?" in missing.json()["detail"]) == (404, True)

    def test_what_functions_say_is_kept(self, run):
        for _ in range(3):
            run.post("/step")
        deadline = time.monotonic() + 5
        while not (said := [one for one in run.get("/history")["messages"] if one["function"] == "tell"]):
            assert time.monotonic() < deadline
        assert said[0]["text"].startswith("step ")
        assert said[0]["severity"] == "info"

    def test_logs_of_services_can_be_read_during_and_after(self, run):
        assert "state" in run.request("GET", "/log/engine").text
        assert run.request("GET", "/log/kitchen").status_code == 404
        assert run.request("GET", "/log/..%2Fengine").status_code == 404
        run.put("/state", state="stopped")
        run.until(lambda now: now["ended_at"])
        deadline = time.monotonic() + 20
        while run.request("GET", "/log/engine").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


class TestBrain:
    def test_a_brain_is_asked_changed_and_saved(self, door, husky):
        with Run(door.otto, husky, record=False) as run:
            run.built()
            brain = run.get("/brain", kernel=True)
            assert (brain["model"], brain["populations"]["neurons"]["size"]) == ("braitenberg", 8)
            assert brain["kernel"]["processes"] == 1
            positions = run.get("/brain/positions", most=100)["populations"]["neurons"]
            assert len(positions["ids"]) == len(positions["positions_mm"]) == 8
            path = "/populations/neurons/parameters"
            threshold = run.get(path, names="V_th,C_m")
            assert set(threshold) == {"V_th", "C_m"}
            assert run.request("PATCH", path, json={"V_th": -49.5}).status_code == 204
            assert set(run.get(path, names="V_th")["V_th"]) == {-49.5}
            assert run.request("PATCH", path, json={"V_thh": -49.5}).status_code == 422
            assert (
                run.post("/edits", to="brain", what="silence", arguments={"population": "neurons"}).status_code == 200
            )
            named = {"eyes": "neurons[0] + neurons[1]"}
            assert run.put("/populations", populations=named).json()["selections"] == named
            assert run.post("/brain/save").json()["changed"] is True
            text = door.otto.get(f"/experiments/{husky}/files/experiment.toml").text
            assert 'eyes = "neurons[0] + neurons[1]"' in text
            broken = run.put("/brain", source="def build(:\n    pass\n")
            assert (broken.status_code, broken.json()["line"]) == (422, 1)
            assert run.post("/step").json()["state"] == "paused"

    def test_a_killed_brain_halts_it(self, door, husky):
        with Run(door.otto, husky, record=False) as run:
            run.built()
            run.put("/state", state="started")
            os.kill(processes_of(run, door)["brain"], signal.SIGKILL)
            ended = run.ended()
            assert (ended["state"], ended["outcome"]) == ("halted", "fault")
            assert ended["problem"]["source"] == "brain"
            # Who is first: the launcher, that knows the signal, or the engine, that cannot send the next step.
            assert re.search(r"SIGKILL|not connected", ended["problem"]["detail"])
            assert run.put("/state", state="stopped").json()["state"] == "stopped"

    def test_a_killed_engine_halts_it_and_leaves_nothing_behind(self, door, limb):
        with Run(door.otto, limb) as run:
            run.built()
            run.put("/state", state="started")
            pids = processes_of(run, door)
            assert set(pids) >= {"engine", "body", "recorder"}
            os.kill(pids["engine"], signal.SIGKILL)
            ended = run.ended()
            assert (ended["state"], ended["problem"]["code"]) == ("halted", "peer_lost")
            deadline = time.monotonic() + PATIENCE_S
            while any(Path(f"/proc/{pid}").exists() for pid in pids.values()):
                assert time.monotonic() < deadline
                time.sleep(0.05)
