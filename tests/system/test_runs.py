"""Runs that go well: what they leave behind, and that they can be repeated."""

import csv
import json

import h5py
import numpy as np
import reaf

from reafference.client import Monitor
from reafference.clock import Deadline
from reafference.frames import Clock, Stream

SHORT = (reaf.MOUSE, *reaf.SMALL, "--steps", "20")
KEYS = ("step_ms", "brain_run_ms", "brain_readout_ms", "body_ms", "transfer_ms", "overhead_ms")


def test_the_same_seed_gives_the_same_digest_and_another_seed_another(tmp_path):
    digests = []
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        (tmp_path / name).mkdir()
        result = reaf.run(tmp_path / name, *SHORT, "--seed", seed)
        assert result.status == 0, result.said
        digests.append(result.summary["digest"])
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 64


def test_the_digest_does_not_depend_on_recording(session, tmp_path):
    recorded = reaf.run(tmp_path, *SHORT).summary
    session.start(
        "run", *SHORT, "--set", "record.enabled=false", "--out", "bare", "--json", "bare.json", "--no-overview"
    )
    result = session.finish()
    assert result.status == 0, result.said
    bare = json.loads((tmp_path / "bare.json").read_text())
    assert bare["digest"] == recorded["digest"]
    assert not (tmp_path / "bare" / "recording.mcap").exists()


def test_the_json_summary_has_what_scripts_rely_on(session, tmp_path):
    session.start("run", *SHORT, "--threads", "1", "--json", "out.json", "--out", "out", "--no-overview")
    assert session.finish().status == 0
    found = json.loads((tmp_path / "out.json").read_text())
    for key in KEYS:
        assert found[key].keys() == {"median", "p99", "mean"}
        assert found[key]["median"] > 0
    assert found["steps"] == 20
    assert found["real_time_factor"] > 0
    assert found["neurons"] == 1143  # M1 at 0.02 mm2, by the table's rule
    assert found["synapses"] > 100_000
    assert found["peak_rss_mb"].keys() == {"engine", "brain", "body", "recorder", "gateway"}
    assert min(found["peak_rss_mb"].values()) > 10
    assert "tip_y_mm_at_1.0_s" in found["measures"]
    # The overhead is what is left of a step when the longer of the two simulators is taken away.
    whole = found["step_ms"]["mean"]
    longer = max(found["brain_run_ms"]["mean"], found["body_ms"]["mean"])
    assert found["overhead_ms"]["mean"] <= whole - longer + 1e-5  # each is rounded to 1e-6


def test_the_profile_has_the_columns_of_the_published_one(tmp_path):
    result = reaf.run(tmp_path, *SHORT)
    with (result.folder / "profile.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"robot_step", "brain_step", "brain_refresh", "cle_step"} <= rows[0].keys()
    assert len(rows) == 20
    for row in rows:
        assert 0 < float(row["robot_step"]) < float(row["cle_step"])
        assert 0 < float(row["brain_step"]) < float(row["brain_refresh"]) < float(row["cle_step"])


def test_a_recording_is_exactly_what_was_simulated_and_can_be_exported(tmp_path):
    result = reaf.run(tmp_path, *SHORT)
    assert reaf.tool(tmp_path, "verify", "out").returncode == 0
    exported = reaf.tool(tmp_path, "export", "out")
    assert exported.returncode == 0, exported.stderr
    folder = result.folder / "export"
    names = {path.name for path in folder.iterdir()}
    assert {"spikes.csv", "sinks.csv", "joints.csv", "muscles.csv", "profile.csv", "run.h5"} <= names
    with (folder / "sinks.csv").open() as file:
        sinks = list(csv.DictReader(file))
    assert len(sinks) == 20
    assert {"motor_M1_L1_ENGC_mV", "readout_M1_L1_SBC_mV"} <= set(sinks[0])
    with h5py.File(folder / "run.h5") as book:
        voltages = book["brain/sinks/readout"]
        assert voltages.shape == (20, 18)
        assert book["brain/sinks/motor"].shape == (20, 1)
        assert voltages.attrs["unit"] == "mV"
        column = [float(row["readout_M1_L1_SBC_mV"]) for row in sinks]
        assert np.array_equal(voltages[:, 0], column)
        times = book["brain/spikes/time_ns"][:]
        assert np.all(np.diff(times) >= 0)
        assert np.all((times > 0) & (times <= 400_000_000))
        with (folder / "spikes.csv").open() as file:
            assert sum(1 for _ in file) - 1 == len(times)


def test_the_picture_is_drawn(session, tmp_path):
    session.start("run", *SHORT, "--out", "out")
    assert session.finish().status == 0
    picture = (tmp_path / "out" / "overview.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 50_000


def test_each_value_acts_exactly_one_step_later_in_both_directions(session, tmp_path):
    """The drive of step n is what the functions returned after step n-1; the excitation likewise."""
    result = reaf.run(tmp_path, reaf.MOUSE, *reaf.SMALL, "--steps", "40")
    assert reaf.tool(tmp_path, "export", "out").returncode == 0
    with h5py.File(result.folder / "export" / "run.h5") as book:
        drive = book["engine/inputs/brain/drive"][:, 0]
        voltage = book["brain/sinks/motor"][:, 0]
        excitation = book["engine/inputs/body/excitation"][:, 1]
        used = book["body/muscles/excitation"][:, 1]
    assert np.flatnonzero(drive)[0] == 25
    expected = np.clip(voltage[:-1] / 2, 0, 1)
    assert np.array_equal(excitation[6:], expected[5:])
    # What the muscle says it was given in a step is what was sent for that step.
    assert np.array_equal(used, excitation)


def test_a_monitor_sees_the_run_on_the_bus(session):
    session.start("run", reaf.MOUSE, *reaf.SMALL, "--steps", "200", "--out", "out", "--no-overview")
    steps, marks = [], []
    with Monitor(f"ipc://{session.wires()}/bus-out", ("brain/sinks", "engine/clock")) as monitor:
        for received in monitor.frames(Deadline.after_s(60)):
            if isinstance(received.frame, Stream):
                steps.append(received.frame.step)
                assert received.frame.arrays["readout"].shape == (18,)
                assert received.frame.arrays["motor"].shape == (1,)
            if isinstance(received.frame, Clock):
                marks.append(received.frame.step)
                if received.frame.step == 199:
                    break
        assert not monitor.missed
    assert session.finish().status == 0
    assert steps == sorted(steps)
    assert marks[-1] == 199
    assert len(steps) > 100


def test_a_paced_run_takes_as_long_as_it_simulates(tmp_path):
    experiment = tmp_path / "spin"
    experiment.mkdir()
    (experiment / "experiment.toml").write_text(
        '[experiment]\nname = "spin"\nsteps = 100\npace = 1.0\n[body]\nmodel = "mouse_forelimb"\n'
    )
    result = reaf.run(tmp_path, experiment)
    assert result.status == 0, result.said
    summary = result.summary
    # Never faster than the clock; how much slower a busy machine is nobody can promise.
    assert summary["step_ms"]["mean"] >= 19.9
    assert summary["pace_wait_ms"]["median"] > 0


def test_the_vehicle_finds_the_red_screen_and_stays_where_there_is_none(tmp_path):
    for name, red in (("red", "left"), ("blue", "none")):
        (tmp_path / name).mkdir()
        result = reaf.run(tmp_path / name, reaf.HUSKY, "--set", f"red_screen={red}", timeout_s=200)
        assert result.status == 0, result.said
        measures = result.summary["measures"]
        if red == "left":
            assert measures["y_m"] < -1.2  # the left screen stands at y = -2.46
        else:
            assert np.hypot(measures["x_m"], measures["y_m"]) < 0.5


def test_the_doctor_finds_everything_here():
    found = reaf.tool(reaf.EXPERIMENTS, "doctor")
    assert found.returncode == 0, found.stdout
    for word in ("Python", "cores", "NEST", "PyBullet", "MPI"):
        assert word in found.stdout
