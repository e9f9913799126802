"""The published client of the Virtual Coach against a real server: simulations from launch to end."""

import pstats
import time

import httpx
import pytest

from tests.gateway.doors import Door
from tests.gateway.runs import PATIENCE_S, uploaded

from .coach_experiments import BRAIN, HALTING, NET, SHORT, held, played


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("coach") / "home", places=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def net(door):
    return uploaded(door.otto, NET, name="net")


class TestControl:
    def test_it_is_launched_paused_started_and_stopped(self, door, net):
        found = played(
            door,
            """
            seen = []
            with stopping(vc.launch_experiment(net)) as sim:
                sim.register_status_callback(seen.append)
                sim.register_status_callback(seen.append)
                states = [sim.get_state()]
                for act in (sim.start, sim.start, sim.pause, sim.pause, sim.start):
                    act()
                    states.append(sim.get_state())
                until(lambda: seen and seen[-1]["simulationTime"] > 1.5)
            until(lambda: seen[-1]["state"] == "stopped")
            states.append(sim.get_state())
            sim.stop()
            time.sleep(1.5)
            tell(states=states, seen=seen, again=refused(sim.start), reuse=refused(sim.launch, net, "", "x", None))
            """,
            net=net,
        ).found
        assert found["states"] == ["paused", "started", "started", "paused", "paused", "started", "stopped"]
        seen = found["seen"]
        assert [one["state"] for one in seen].count("stopped") == 1
        assert seen[-1]["state"] == "stopped"
        times = [one["simulationTime"] for one in seen]
        assert times == sorted(times)
        last = seen[-1]
        assert 1.5 < last["simulationTime"] <= last["realTime"] + 0.5
        assert last["timeout"] == pytest.approx(2000 - last["simulationTime"])
        assert set(last["transferFunctionsElapsedTime"]) == {"contract"}
        assert last["brainsimElapsedTime"] > 0
        assert last["robotsimElapsedTime"] > 0
        assert "400" in found["again"]
        assert "already created" in found["reuse"]
        assert held(door) == 0

    def test_robot_and_brain_are_reset(self, door, net):
        found = played(
            door,
            """
            with stopping(vc.launch_experiment(net)) as sim:
                sim.start()
                time.sleep(0.5)
                for kind in ("robot_pose", "brain", "brain", "robot_pose"):
                    sim.reset(kind)
                    assert sim.get_state() == "paused"
                    sim.start()
                refusals = [refused(sim.reset, kind) for kind in ("full", "world", "nothing")]
                states = [sim.get_state()]
                url = sim._Simulation__sim_url
                for kind in (1, 2, 7):
                    body, head = {"resetType": kind}, {"Authorization": "Bearer " + PASSWORD}
                    states.append(requests.put(f"{url}/{net}/reset", json=body, headers=head).status_code)
                tell(refusals=refusals, states=states, now=sim.get_state())
            """,
            net=net,
        ).found
        assert all(found["refusals"])
        assert found["states"] == ["started", 200, 200, 400]
        assert found["now"] == "paused"

    def test_two_simulations_on_two_servers_tell_of_themselves_only(self, door, net):
        found = played(
            door,
            """
            one, two = [], []
            first = vc.launch_experiment(net)
            second = vc.launch_experiment(net)
            first.register_status_callback(one.append)
            second.register_status_callback(two.append)
            with stopping(first), stopping(second):
                third = refused(vc.launch_experiment, net)
                busy = refused(vc.launch_experiment, net, "localhost-2")
                first.start()
                until(lambda: one and one[-1]["simulationTime"] > 0.5)
                until(lambda: two)
            until(lambda: one[-1]["state"] == two[-1]["state"] == "stopped")
            tell(third=third, busy=busy, two=[said["simulationTime"] for said in two])
            tell(free=vc.print_available_servers())
            """,
            net=net,
        ).found
        assert "No available servers" in found["third"]
        assert "invalid or unavailable" in found["busy"]
        assert set(found["two"]) == {0.0}
        assert found["free"] == ["localhost", "localhost-2"]

    def test_the_last_word_of_a_run_that_breaks_is_halted(self, door):
        found = played(
            door,
            """
            seen = []
            sim = vc.launch_experiment(halting)
            sim.register_status_callback(seen.append)
            sim.start()
            until(lambda: seen and seen[-1]["state"] == "halted")
            tell(state=sim.get_state(), start=refused(sim.start))
            sim.stop()
            tell(stopped=sim.get_state())
            """,
            halting=uploaded(door.otto, HALTING, name="halting"),
        )
        assert found.found == {"state": "halted", "start": found.found["start"], "stopped": "stopped"}
        assert "400" in found.found["start"]
        assert "There was a Runtime error resulting from the Transfer Function" in found.logged
        assert "division by zero" in found.logged

    def test_a_brain_in_two_processes(self, door, net):
        played(
            door,
            """
            with stopping(vc.launch_experiment(net, brain_processes=2)) as sim:
                sim.start()
                time.sleep(0.5)
            """,
            net=net,
        )
        newest = door.gateway.simulations.all()[0]
        assert newest.launched["ranks"] == 2
        assert newest.status.as_map()["facts"]["processes"] == 2


class TestLaunching:
    def test_what_cannot_be_built_says_why_and_leaves_the_server_free(self, door):
        broken = uploaded(door.otto, NET | {"brain.py": "def build():\n    return nothing\n"}, name="broken")
        found = played(
            door,
            """
            tell(raised=refused(vc.launch_experiment, broken))
            head = {"Authorization": "Bearer " + PASSWORD}
            info = requests.get(URL + "/proxy/server/localhost", headers=head)
            url = info.json()["gzweb"]["nrp-services"] + "/simulation"
            answer = requests.post(url, json={"experimentID": broken}, headers=head)
            tell(status=answer.status_code, answer=answer.json())
            """,
            broken=broken,
        ).found
        assert "launch failed" in found["raised"]
        assert found["status"] == 400
        assert "NameError" in found["answer"]["detail"]
        assert (found["answer"]["file"], found["answer"]["line"]) == ("brain.py", 2)
        assert held(door) == 0

    def test_whoever_hangs_up_while_it_is_loaded_leaves_nothing(self, door):
        slow = uploaded(door.otto, NET | {"brain.py": f"import time\n\ntime.sleep(300)\n{BRAIN}"}, name="slow")
        head = {"Authorization": f"Bearer {door.secrets['otto']}"}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{door.url}/coach/localhost/simulation", json={"experimentID": slow}, headers=head, timeout=2)
        simulation = door.gateway.simulations.all()[0]
        end = time.monotonic() + PATIENCE_S
        while simulation.occupies:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert simulation.status.state == "stopped"
        assert held(door) == 0

    def test_a_template_is_launched_as_it_is_by_the_same_clone(self, door):
        before = door.storage.ids()
        played(
            door,
            """
            for _ in range(2):
                with stopping(vc.launch_experiment("braitenberg_husky", cloned=False)) as sim:
                    sim.start()
            """,
        )
        (clone,) = set(door.storage.ids()) - set(before)
        assert door.storage.about(clone).template == "braitenberg_husky"

    def test_python_s_own_profile_is_left_in_the_run(self, door, tmp_path):
        found = played(
            door,
            """
            seen = []
            sim = vc.launch_experiment(short, profiler="cprofile")
            sim.register_status_callback(seen.append)
            sim.start()
            until(lambda: seen and seen[-1]["state"] == "stopped")
            open(path, "wb").write(vc.get_last_run_file(short, "profiler", "cle_nest_stats_0.pstats"))
            """,
            short=uploaded(door.otto, SHORT, name="short"),
            path=str(tmp_path / "stats"),
        )
        assert found.status == 0
        functions = {name for _, _, name in pstats.Stats(str(tmp_path / "stats")).stats}
        assert {"tell", "hold"} <= functions

    def test_who_does_not_own_it_may_look_and_not_touch(self, door, net):
        made = door.otto.post("/simulations", json={"experiment": net}).json()
        url = f"{door.url}/coach/localhost/simulation/{made['id'][1:]}"
        try:
            with httpx.Client(headers={"Authorization": f"Bearer {door.secrets['olga']}"}) as olga:
                assert olga.get(f"{url}/state").status_code == 200
                assert olga.put(f"{url}/state", json={"state": "stopped"}).status_code == 403
                assert olga.post(f"{url}/transfer-functions", content="def f(): pass").status_code == 403
                assert olga.post(f"{url}/recorder/start").status_code == 403
                launch = f"{door.url}/coach/localhost-2/simulation"
                assert olga.post(launch, json={"experimentID": net}).status_code == 403
                assert olga.get(f"{door.url}/coach/elsewhere/simulation").status_code == 404
                assert olga.get(f"{door.url}/coach/localhost/simulation/99/state").status_code == 404
            with httpx.Client(headers={"Authorization": f"Bearer {door.secrets['vera']}"}) as vera:
                assert vera.get(f"{door.url}/coach/localhost/simulation").status_code == 200
                assert vera.put(f"{url}/state", json={"state": "stopped"}).status_code == 403
            assert httpx.get(f"{url}/state").status_code == 401
        finally:
            door.otto.put(f"/simulations/{made['id']}/state", json={"state": "stopped"})
