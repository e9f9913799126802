"""Experiments of the Neurorobotics Platform 3 as zip files: imported, and run without a change."""

import json

import pytest

from tests import mpiexec
from tests.gateway.doors import Door
from tests.gateway.runs import Run
from tests.system import reaf

from . import coach
from .published import ARM, FORELIMB, HUSKY, columns, texts, zipped


def mean(values):
    return sum(values) / len(values)


@pytest.fixture(scope="module")
def forelimb(tmp_path_factory):
    """The forelimb after `reaf import` of its zip file and `reaf run`: what import said, and the result."""
    folder = tmp_path_factory.mktemp("forelimb")
    (folder / "forelimb.zip").write_bytes(zipped(FORELIMB, "forelimb_devices"))
    told = reaf.tool(folder, "import", "forelimb.zip", "--to", "mine")
    assert told.returncode == 0, told.stderr
    return told, reaf.run(folder, "mine")


@pytest.fixture(scope="module")
def devices(forelimb):
    """What its functions have written of each device, from 0.2 s on, when read-outs have settled."""
    table = columns(forelimb[1].folder / "csv" / "devices.csv")
    kept = [place for place, t in enumerate(table["time"]) if t > 0.2]
    return {name: [values[place] for place in kept] for name, values in table.items()}


def test_import_leaves_the_published_files_as_they_are(forelimb):
    _, result = forelimb
    made = result.folder.parent / "mine"
    for path, data in texts(FORELIMB).items():
        assert (made / path).read_bytes() == data
    assert {"experiment.toml", "state_machines"} <= {path.name for path in made.iterdir()}


def test_import_says_what_is_other_than_it_was(forelimb):
    told, _ = forelimb
    words = told.stdout + told.stderr
    for part in ("PyBullet instead of opensim", "state machines are kept, and not run: state_machines/guide.py"):
        assert part in " ".join(words.split())


def test_it_runs_to_its_timeout_without_a_mistake(forelimb):
    _, result = forelimb
    assert result.status == 0, result.said
    assert (result.summary["steps"], result.summary["outcome"]) == (50, "finished")
    assert "flawed" not in result.said
    warnings = [line for line in result.said.splitlines() if line.startswith("warning")]
    assert warnings
    assert all("state machines are kept" in line for line in warnings)


@pytest.mark.parametrize(
    ("device", "expected", "tolerance"),
    [
        ("noise", 100.0, 5.0),  # Poisson at 100 Hz, 20 trains
        ("beat", 20.0, 2.0),  # fixed frequency at 20 Hz
        ("steady", 63.0, 2.0),  # 500 pA: a period of 2 ms + 10 ms ln 4
        ("wave", 61.0, 5.0),
        ("shaky", 63.0, 5.0),
        ("off", 0.0, 0.0),
        ("alpha", 1.087, 0.1),  # 2 spikes per ms of 10 pA, each of 10 e 2 10 / 1000 mV ms
        ("exp", 0.2, 0.02),  # each of 10 0.5 20 / 1000 mV ms
    ],
)
def test_each_device_reads_what_its_formula_says(devices, device, expected, tolerance):
    assert mean(devices[device]) == pytest.approx(expected, abs=tolerance)


def test_two_spikes_that_were_injected_are_seen_one_step_later(devices):
    seen = [(round(t, 3), count) for t, count in zip(devices["time"], devices["taps"], strict=True) if count]
    assert seen == [(0.52, 2.0)]
    assert sum(devices["spiked"]) == 1


def test_a_muscle_pulls_and_a_joint_turns(forelimb):
    limb = columns(forelimb[1].folder / "csv" / "limb.csv")
    assert limb["time"][0] == pytest.approx(0.02)  # before the body has sent anything there is nothing to record
    assert max(limb["force"]) > 10 * limb["force"][0]
    assert abs(limb["elbow"][-1] - limb["elbow"][0]) > 0.1


def test_what_functions_log_is_told(forelimb):
    assert "pulling at 0.52" in forelimb[1].said


def test_the_husky_goes_through_the_door(tmp_path):
    with Door(tmp_path / "home") as door:
        data = zipped(HUSKY)
        answer = door.otto.post("/experiments/upload", content=data)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert (made["title"], made["limit"]) == ("Husky searches a screen", {"kind": "simulated", "s": 2.0})
        assert "<physicsEngine>: the body moves in PyBullet instead of ode" in made["remarks"]
        assert made["facts"]["functions"] == 4
        checked = door.otto.post(f"/experiments/{made['id']}/check").json()
        assert checked == {"problems": []}
        with Run(door.otto, made["id"]) as run:
            run.built()
            functions = run.functions()
            assert {name: one["active"] for name, one in functions.items()} == {
                "look": True,
                "drive": True,
                "note_track": True,
                "spin_forever": False,
            }
            run.put("/state", state="started")
            ended = run.written()
            assert ended["state"] == "stopped", ended
        recording = next((door.home / "experiments" / made["id"] / "recordings").iterdir())
        track = columns(recording / "csv" / "track.csv")
        assert len(track["t"]) == 100
        # Nothing is red, so that one cell drums and turns the robot, which begins at half a turn.
        assert abs(track["turn"][0]) == pytest.approx(1.0, abs=1e-3)
        assert abs(track["turn"][-1]) < 0.99
        assert json.loads((recording / "summary.json").read_text())["switched_off"] == ["spin_forever"]


def test_a_robot_in_the_zip_file_follows_its_topics(tmp_path):
    (tmp_path / "arm.zip").write_bytes(zipped(ARM, "own_arm"))
    assert reaf.tool(tmp_path, "import", "arm.zip").returncode == 0
    result = reaf.run(tmp_path, "arm")
    assert result.status == 0, result.said
    assert result.summary["switched_off"] == []
    angles = columns(result.folder / "csv" / "angles.csv")
    assert angles["shoulder"][-1] == pytest.approx(-0.3, abs=0.01)
    assert angles["elbow"][0] == pytest.approx(0.0, abs=0.02)
    assert angles["elbow"][-1] > 0.1


def test_the_published_client_imports_and_runs_it(tmp_path):
    (tmp_path / "forelimb.zip").write_bytes(zipped(FORELIMB, "forelimb_devices"))
    with Door(tmp_path / "home") as door:
        found = coach.run(
            door,
            """
            import threading
            name = vc.import_experiment(packed).json()["destFolderName"]
            over = threading.Event()
            sim = vc.launch_experiment(name)
            sim.register_status_callback(lambda said: said.get("state") in ("stopped", "halted") and over.set())
            tell(name=name, brain=sim.get_brain(), populations=sim.get_populations())
            sim.start()
            tell(ended=over.wait(200))
            tell(table=vc.get_last_run_file(name, "csv", "devices.csv").decode())
            """,
            packed=str(tmp_path / "forelimb.zip"),
        ).found
    assert found["name"].startswith("forelimb_devices")
    assert found["brain"] == (FORELIMB / "relay_brain.py").read_text()
    assert found["populations"]["noisy"] == {"from": 0, "to": 20, "step": 1}
    assert found["populations"]["alternate"] == {"from": 20, "to": 24, "step": 2}
    assert found["ended"]
    assert len(found["table"].splitlines()) == 52  # a head, a row for each of 50 steps, and one before the first


@mpiexec.ranks_wanted()
def test_a_pynn_brain_runs_alike_on_two_processes(tmp_path):
    (tmp_path / "husky.zip").write_bytes(zipped(HUSKY))
    told = reaf.tool(tmp_path, "import", "husky.zip")
    assert told.returncode == 0, told.stderr
    digests = []
    for name, how in (("one", ("--threads", "2")), ("two", ("--ranks", "2"))):
        (tmp_path / name).mkdir()
        result = reaf.run(tmp_path / name, tmp_path / "husky", "--steps", "15", *how)
        assert result.status == 0, result.said
        digests.append(result.summary["digest"])
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("search.bibi", b"<bibi><brainModel><file>none.py</file></brainModel></bibi>", "the brain script 'none.py'"),
        ("search.bibi", b"<!DOCTYPE a [<!ENTITY b 'c'>]><bibi/>", "document types and entities are not read"),
        ("search.bibi", b"<bibi/>", "names neither a brain nor a robot"),
        ("experiment_configuration.exc", b"<ExD>", "experiment_configuration.exc, line 1: this is not XML"),
    ],
)
def test_what_cannot_be_imported_is_told_and_leaves_nothing(tmp_path, path, text, words):
    with Door(tmp_path / "home") as door:
        before = door.tree()
        answer = door.otto.post("/experiments/upload", content=zipped(HUSKY, **{path: text}))
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
        assert door.tree() == before
    (tmp_path / "husky.zip").write_bytes(zipped(HUSKY, **{path: text}))
    told = reaf.tool(tmp_path, "import", "husky.zip")
    assert told.returncode == 2
    assert words in told.stderr
    assert not (tmp_path / "husky").exists()


def test_who_runs_a_published_folder_is_told_to_import_it(tmp_path):
    result = reaf.run(tmp_path, FORELIMB)
    assert result.status == 2
    assert f"reaf import {FORELIMB}" in " ".join(result.said.split())


def test_a_folder_is_completed_in_its_place_once(tmp_path):
    for path, data in texts(HUSKY).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    assert reaf.tool(tmp_path, "import", ".").returncode == 0
    assert (tmp_path / "experiment.toml").is_file()
    again = reaf.tool(tmp_path, "import", ".")
    assert again.returncode == 2
    assert "has an experiment.toml already" in again.stderr
