"""A server whose simulations run at stands: as in containers, but here all are processes of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from reafference import keys
from tests.gateway.runs import LIMB, TOML, Run, uploaded
from tests.gateway.watching import Listener
from tests.stands import StandSet, descendants

PATIENCE_S = 60
# At the pace of the clock it goes on for 24 s: long enough for a server to be started again on a busy machine.
STEPS = 1200
SHORT = {**LIMB, "experiment.toml": TOML.replace("steps = 100000", f"steps = {STEPS}")}
AT_ONCE = {"start": True, "pace": 0}


class Server:
    """`reaf serve` beside stands; it can be killed and started again at the same home."""

    def __init__(self, stands, home, *more):
        self.stands, self.home, self.more = stands, home, more
        self.token = ""
        self.start()

    def start(self):
        command = [sys.executable, "-m", "services.gateway", "--serve", "--home", str(self.home), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--recordings", str(self.home.parent / "recordings"), *self.more],
            env={**os.environ, **(self.stands.environ if self.stands else {}), "REAF_PARENT_PID": str(os.getpid())},
            stdout=subprocess.PIPE,
            text=True,
        )
        told = json.loads(self.process.stdout.readline())
        self.url, self.token = told["url"], told["token"] or self.token
        self.client = httpx.Client(
            base_url=self.url + "api", headers={"Authorization": f"Bearer {self.token}"}, timeout=PATIENCE_S
        )

    def end(self, number=signal.SIGTERM):
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.stdout.close()
        return self.process.returncode

    def again(self, run, number):
        """End it and start it again; the same run, as the new one knows it."""
        self.end(number)
        self.start()
        run.client = self.client
        return run


@pytest.fixture
def stands(tmp_path):
    with StandSet(tmp_path / "stands") as made:
        yield made


@pytest.fixture
def server(stands, tmp_path):
    made = Server(stands, tmp_path / "home")
    yield made
    made.end()


def digest_of(recording):
    return json.loads((recording / "summary.json").read_text())["digest"]


def free(server):
    """Wait until nothing of a run is left."""
    end = time.monotonic() + PATIENCE_S
    while server.client.get("/servers").json()[0]["busy"]:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The digest of SHORT, run by a server without stands."""
    folder = tmp_path_factory.mktemp("undisturbed")
    made = Server(None, folder / "home")
    try:
        run = Run(made.client, uploaded(made.client, SHORT), **AT_ONCE)
        now = run.ended()
        assert now["outcome"] == "finished", now
        free(made)
        return digest_of(folder / "recordings" / run.experiment / now["recording"])
    finally:
        made.end()


def test_a_run_at_stands_is_the_same_run(server, stands, undisturbed):
    run = Run(server.client, uploaded(server.client, SHORT), **AT_ONCE)
    now = run.ended()
    assert (now["outcome"], now["step"]) == ("finished", STEPS), now
    free(server)
    assert digest_of(server.home.parent / "recordings" / run.experiment / now["recording"]) == undisturbed
    assert not (server.home / "experiments" / run.experiment / "recordings").exists()
    stands.until_quiet()
    assert not list(stands.folder.glob("wires-*"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_goes_on_while_the_server_is_started_again(server, stands, undisturbed, number):
    run = Run(server.client, uploaded(server.client, SHORT), start=True)
    before = run.until(lambda now: now["step"] > 20)
    server.again(run, number)
    now = run.until(lambda now: now["step"] > before["step"])
    for key in ("run", "recording", "created_at", "experiment", "owner", "name", "launched", "title"):
        assert now[key] == before[key], key
    assert now["state"] == "started"
    run.until(lambda now: now["real_time_factor"] > 0)
    assert run.functions().keys() == {"hold", "tell"}
    with Listener(server.url, run.id, server.token) as one:
        one.subscribe("run/start", "engine/functions", "engine/log", "body/joints", "engine/clock")
        one.until(lambda: {"run/start", "engine/functions", "engine/log"} <= set(one.topics()))
        seen = len(one.of("body/joints"))
        one.until(lambda: len(one.of("body/joints")) > seen + 3)
    now = run.ended()
    assert (now["outcome"], now["step"]) == ("finished", STEPS), now
    free(server)
    recording = server.home.parent / "recordings" / run.experiment / now["recording"]
    assert digest_of(recording) == undisturbed
    verified = subprocess.run(
        [sys.executable, "-m", "services.recorder", "verify", str(recording)], capture_output=True, text=True
    )
    assert f"all {STEPS} steps are recorded exactly as they were simulated" in verified.stdout
    stands.until_quiet()


def test_a_new_server_can_do_all_that_the_old_one_could(server):
    run = Run(server.client, uploaded(server.client), start=True)
    run.until(lambda now: now["step"] > 5)
    assert run.request("PATCH", "/parameters", json={"strength": 0.75}).status_code == 200
    server.again(run, signal.SIGKILL)
    run.until(lambda now: now["state"] == "started" and now["step"] > 5)
    run.until(lambda now: run.request("GET", "/transfer-functions").status_code == 200)
    assert run.get("/parameters")["strength"] == 0.75
    assert run.put("/state", state="paused").json()["state"] == "paused"
    source = run.functions()["hold"]["source"].replace("FACTOR *", "2 * FACTOR *")
    assert run.put("/transfer-functions/hold", source=source).status_code == 200
    assert run.put("/state", state="started").json()["state"] == "started"
    busy = server.client.post("/simulations", json={"experiment": run.experiment})
    assert busy.status_code == 409
    assert run.put("/state", state="stopped").json()["state"] == "stopped"
    run.until(lambda now: now["ended_at"])
    second = Run(server.client, run.experiment)
    assert second.id != run.id
    with second:
        second.built()


def test_a_run_that_ended_while_nobody_listened_is_told_of(server, stands):
    run = Run(server.client, uploaded(server.client, SHORT), start=True, pace=3)
    run.until(lambda now: now["state"] == "started")
    server.end(signal.SIGKILL)
    stands.until_quiet()
    server.start()
    run.client = server.client
    now = run.until(lambda now: now["ended_at"])
    assert (now["state"], now["outcome"], now["problem"]) == ("stopped", "finished", None)
    assert server.client.get(f"/experiments/{run.experiment}/recordings").json()[0]["id"] == now["recording"]


def test_a_stand_that_is_killed_is_named_and_the_next_launch_works(server, stands):
    run = Run(server.client, uploaded(server.client), start=True)
    run.until(lambda now: now["step"] > 5)
    stands.kill("body")
    now = run.ended()
    assert now["state"] == "halted"
    assert now["problem"]["code"] == "peer_lost"
    assert "the stand of the body" in now["problem"]["detail"], now["problem"]
    run.until(lambda now: now["ended_at"])
    refused = Run(server.client, run.experiment)
    now = refused.ended()
    assert now["state"] == "failed"
    assert "the stand of the body" in now["problem"]["detail"]
    assert "does not answer" in now["problem"]["detail"]
    stands.start("body")
    with Run(server.client, run.experiment, start=True) as third:
        third.until(lambda now: now["step"] > 5)


def test_the_engine_s_stand_killed_ends_the_run_and_the_next_launch_works(server, stands):
    run = Run(server.client, uploaded(server.client), start=True)
    run.until(lambda now: now["step"] > 5)
    stands.kill("engine")
    now = run.ended()
    assert now["state"] == "halted"
    assert "the stand of the engine" in now["problem"]["detail"], now["problem"]
    stands.start("engine")
    stands.until_quiet()
    run.until(lambda now: now["ended_at"])
    with Run(server.client, run.experiment, start=True) as second:
        second.until(lambda now: now["step"] > 5)


def test_a_stand_that_hangs_is_found_out(server, stands):
    stands.processes["recorder"].send_signal(signal.SIGSTOP)
    began = time.monotonic()
    now = Run(server.client, uploaded(server.client)).ended()
    assert time.monotonic() - began < PATIENCE_S
    assert "the stand of the recorder" in now["problem"]["detail"]
    stands.processes["recorder"].send_signal(signal.SIGCONT)


def test_the_server_serves_while_stands_are_missing(tmp_path):
    with StandSet(tmp_path / "stands", ("engine",)) as stands:
        server = Server(stands, tmp_path / "home")
        try:
            experiment = uploaded(server.client)
            assert server.client.get("/experiments").json()[0]["id"] == experiment
            now = Run(server.client, experiment).ended()
            assert "does not answer: No such file or directory" in now["problem"]["detail"]
            told = server.client.get("/servers").json()[0]
            assert "body" in told["text"], told
        finally:
            server.end()


def test_rooms_are_asked_at_their_stands(server, stands):
    run = Run(server.client, uploaded(server.client, SHORT), **AT_ONCE)
    now = run.ended()
    free(server)
    place = f"/experiments/{run.experiment}"
    checked = server.client.post(f"{place}/check")
    assert checked.status_code == 200, checked.text
    assert checked.json()["problems"] == []
    exported = server.client.post(f"{place}/recordings/{now['recording']}/export").json()
    assert any(file["path"].endswith("joints.csv") for file in exported["files"])
    with Listener(server.url, "", server.token, path=f"{place[1:]}/recordings/{now['recording']}") as one:
        one.subscribe("body/joints")
        one.say(do="play")
        one.until(lambda: one.of("body/joints"))
    stands.until_quiet()
    stands.kill("engine")
    refused = server.client.post(f"{place}/check")
    assert refused.status_code == 503
    assert "the stand of the engine" in refused.json()["detail"]


def test_a_brain_elsewhere_comes_by_the_doors_with_its_keys(tmp_path):
    """As in a cluster job: the brain alone has a stand, and reaches the others by tcp."""
    doors = {"REAF_DOORS": "tcp://127.0.0.1", "REAF_KEYS": str(tmp_path / "keys")}
    keys.make(tmp_path / "keys", ranks=1)
    with StandSet(tmp_path / "stands", ("brain",)) as stands:
        stands.environ = {"REAF_STANDS": str(stands.folder), **doors}
        server = Server(stands, tmp_path / "home")
        try:
            experiment = server.client.post("/experiments", json={"source": "mouse_reach"}).json()["id"]
            wish = {"set": {"area_mm2": 0.02}, "steps": 20, "start": True}
            run = Run(server.client, experiment, **{**wish, "start": False}).built()
            brain, *_ = descendants(stands.processes["brain"].pid)
            assert b"REAF_WIRES=tcp://127.0.0.1:" in Path(f"/proc/{brain}/environ").read_bytes()
            with Listener(server.url, run.id, server.token) as one:
                one.subscribe("run/start", "brain/sinks", "run/stop")
                run.put("/state", state="started")
                now = run.ended()
                assert now["outcome"] == "finished", now
                one.until(lambda: one.of("run/stop"))
                assert one.of("brain/sinks")  # what the brain publishes comes by the gateway's own door
            free(server)
            recording = tmp_path / "recordings" / experiment / now["recording"]
            far = digest_of(recording)
        finally:
            server.end()
    near = Server(None, tmp_path / "other")
    try:
        run = Run(near.client, near.client.post("/experiments", json={"source": "mouse_reach"}).json()["id"], **wish)
        now = run.ended()
        free(near)
        assert digest_of(tmp_path / "recordings" / run.experiment / now["recording"]) == far
    finally:
        near.end()
