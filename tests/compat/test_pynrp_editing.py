"""The published client of the Virtual Coach against a real server: functions and brains."""

import json
import time

import httpx
import pytest

from tests.gateway.doors import Door
from tests.gateway.runs import uploaded

from .coach_experiments import BRAIN, MACHINE, NET, played

PATIENCE_S = 120


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("coach") / "home", places=2) as opened:
        yield opened


class TestEditing:
    def test_functions_are_read_changed_added_deleted_and_saved(self, door):
        limb = uploaded(door.otto, name="edited")
        found = played(
            door,
            """
            with stopping(vc.launch_experiment(limb)) as sim:
                sim.print_transfer_functions()
                sim.start()
                source = sim.get_transfer_function("hold")
                sim.edit_transfer_function("hold", source.replace("FACTOR * params.strength", "0.75"))
                assert sim.get_state() == "started"
                sim.add_transfer_function('''@transfer(writes="body.Humerus1")
            def third(t):
                return 0.125
            ''')
                sim.delete_transfer_function("tell")
                tell(third=sim.get_transfer_function("third"), state=sim.get_state())
                tell(unknown=[refused(sim.get_transfer_function, "no"), refused(sim.delete_transfer_function, "no")])
                sim.save_transfer_functions()
                sim.pause()
                sim.edit_transfer_function("third", sim.get_transfer_function("third").replace("0.125", "0.25"))
                assert sim.get_state() == "paused"
            """,
            limb=limb,
        )
        assert found.printed.splitlines()[:2] == ["tell", "hold"]
        assert found.found["state"] == "started"
        assert all(found.found["unknown"])
        text = (door.storage.folder(limb) / "transfer.py").read_text()
        assert "return 0.75" in text
        assert "def third" in text
        assert "return 0.125" in text
        assert "def tell" not in text

    @pytest.mark.parametrize("flaw", ["def hold(:", "@transfer(writes='body.Nowhere')\ndef hold():\n    return 1\n"])
    def test_a_flawed_function_is_refused_and_the_old_one_runs_on(self, door, flaw):
        limb = uploaded(door.otto, name="flawed")
        found = played(
            door,
            """
            with stopping(vc.launch_experiment(limb)) as sim:
                sim.start()
                source = sim.get_transfer_function("hold")
                raised = refused(sim.edit_transfer_function, "hold", flaw)
                added = refused(sim.add_transfer_function, flaw.replace("hold", "further"))
                tell(raised=raised, added=added, state=sim.get_state())
                tell(same=source == sim.get_transfer_function("hold"))
                sim.print_transfer_functions()
                url, head = sim._Simulation__sim_url, {"Authorization": "Bearer " + PASSWORD}
                answer = requests.put(url + "/transfer-functions/hold", data=flaw, headers=head)
                tell(status=answer.status_code, detail=answer.json()["detail"], line=answer.json()["line"])
            """,
            limb=limb,
            flaw=flaw,
        )
        said = found.found
        assert "400" in said["raised"]
        assert "400" in said["added"]
        assert said["state"] == "paused"
        assert said["same"] is True
        assert "further" not in found.printed.split("FOUND")[1]
        assert said["status"] == 400
        assert said["line"] == 1
        assert "Nowhere" in said["detail"] or "invalid syntax" in said["detail"]

    def test_functions_are_switched_off_and_on(self, door):
        limb = uploaded(door.otto, name="switched")
        made = door.otto.post("/simulations", json={"experiment": limb}).json()
        simulation = door.gateway.simulations.get(made["id"])
        head = {"Authorization": f"Bearer {door.secrets['otto']}"}
        url = f"{door.url}/coach/localhost/simulation/{made['id'][1:]}"
        try:
            with httpx.Client(headers=head, timeout=60) as otto:
                otto.put(f"{url}/state", json={"state": "paused"})
                deadline = time.monotonic() + PATIENCE_S
                while not simulation.status.built:
                    assert not simulation.status.ended
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                assert otto.get(f"{url}/transfer-functions").json()["active"] == {"tell": True, "hold": True}
                assert otto.put(f"{url}/transfer-functions/hold/activation/false").status_code == 200
                assert otto.get(f"{url}/transfer-functions").json()["active"]["hold"] is False
                assert otto.put(f"{url}/transfer-functions/hold/activation/true").status_code == 200
                assert otto.get(f"{url}/transfer-functions").json()["active"]["hold"] is True
                assert otto.put(f"{url}/transfer-functions/hold/activation/perhaps").status_code == 400
                assert otto.put(f"{url}/transfer-functions/no/activation/true").status_code == 404
        finally:
            door.otto.put(f"/simulations/{made['id']}/state", json={"state": "stopped"})

    def test_state_machines_are_kept_with_the_experiment(self, door):
        net = uploaded(door.otto, NET, name="machines")
        found = played(
            door,
            """
            with stopping(vc.launch_experiment(net)) as sim:
                sim.print_state_machines()
                sim.add_state_machine("second", "x = 1\\n")
                sim.edit_state_machine("seek", sim.get_state_machine("seek") + "# more\\n")
                sim.add_state_machine("third", "x = 3\\n")
                sim.delete_state_machine("third")
                sim.save_state_machines()
                tell(texts=[sim.get_state_machine("seek"), sim.get_state_machine("second")])
                tell(unknown=refused(sim.get_state_machine, "third"))
            """,
            net=net,
        )
        assert found.found["texts"] == [MACHINE + "# more\n", "x = 1\n"]
        assert found.found["unknown"]
        folder = door.storage.folder(net) / "state_machines"
        assert {file.name for file in folder.iterdir()} == {"seek.py", "second.py"}
        warnings = door.gateway.simulations.all()[0].status.warnings
        assert any("state machines" in text and "seek" in text for text in warnings)

    def test_brain_and_populations_are_read_changed_and_saved(self, door):
        net = uploaded(door.otto, NET, name="brains")
        found = played(
            door,
            """
            with stopping(vc.launch_experiment(net)) as sim:
                sim.start()
                tell(brain=sim.get_brain(), populations=sim.get_populations())
                sim.edit_brain(sim.get_brain().replace("cells=8", "cells=12"))
                tell(state=sim.get_state(), edited=sim.get_brain(), same=sim.get_populations())
                raised = refused(sim.edit_brain, "def build(:")
                tell(raised=raised, kept=sim.get_brain(), paused=sim.get_state())
                wish = {"sensors": {"from": 0, "to": 5, "step": 1}, "motor": [8, 10], "one": 11,
                        "even": {"from": 0, "to": 12, "step": 2}}
                sim.edit_populations(wish)
                tell(after=sim.get_populations())
                tell(outside=refused(sim.edit_populations, {"sensors": {"from": 0, "to": 500, "step": 1}}))
                tell(still=sim.get_populations())
                sim.save_brain()
            """,
            net=net,
        ).found
        slices = {"sensors": {"from": 0, "to": 5, "step": 1}, "actors": {"from": 5, "to": 8, "step": 1}}
        assert found["brain"] == BRAIN
        assert found["populations"] == found["same"] == slices
        assert found["state"] == "started"
        assert "cells=12" in found["edited"]
        assert "400" in found["raised"]
        assert found["kept"] == found["edited"]
        assert found["paused"] == "paused"
        after = {
            "sensors": slices["sensors"],
            "motor": [8, 10],
            "one": [11],
            "even": {"from": 0, "to": 12, "step": 2},
        }
        assert found["after"] == found["still"] == after
        assert found["outside"]
        folder = door.storage.folder(net)
        assert "cells=12" in (folder / "brain.py").read_text()
        assert 'motor = "circuit[8] + circuit[10]"' in (folder / "experiment.toml").read_text()

    def test_a_brain_that_is_a_model_is_told_of_and_left(self, door):
        found = played(
            door,
            """
            husky = vc.clone_experiment_to_storage("braitenberg_husky")
            with stopping(vc.launch_experiment(husky)) as sim:
                tell(brain=sim.get_brain(), populations=sim.get_populations())
                sim.edit_brain(sim.get_brain())
                sim.save_brain()
                sim.save_world()
            tell(husky=husky)
            """,
        ).found
        assert "braitenberg" in found["brain"]
        assert found["populations"]
        folder = door.storage.folder(found["husky"])
        assert 'model = "braitenberg"' in (folder / "experiment.toml").read_text()
        assert json.loads((folder / "world.json").read_text())
