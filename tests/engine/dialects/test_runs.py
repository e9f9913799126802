"""Published functions in whole runs: an engine, a real brain and a real body on real wires."""

import contextlib
import csv
import subprocess
import sys

import pytest

from reafference.frames import Welcome
from tests.engine.dialects.stand import written
from tests.engine.operators import in_state
from tests.engine.simulators import House
from tests.engine.test_steering import held

DRIVE = """
@nrp.MapSpikeSource("source", nrp.brain.relays[0], nrp.poisson, weight=1.0)
@nrp.MapCSVRecorder("kept", filename="kept.csv", headers=["t", "rate"])
@nrp.MapCSVRecorder("erased", filename="erased.csv", headers=["t"], erase_on_reset=True)
@nrp.MapVariable("calls", initial_value=0)
@nrp.MapVariable("all", initial_value=0, scope=nrp.GLOBAL)
@nrp.Robot2Neuron()
def drive(t, source, kept, erased, calls, all):
    calls.value += 1
    all.value += 1
    source.rate = 100.0
    kept.record_entry(t, source.rate)
    erased.record_entry(calls.value + all.value)
"""
COUNT = """
@nrp.MapSpikeSink("sink", nrp.brain.relays[{place}], nrp.spike_recorder)
@nrp.MapCSVRecorder("file", filename="{name}.csv", headers=["t", "spikes"])
@nrp.Neuron2Robot()
def {name}(t, sink, file):
    file.record_entry(t, len(sink.times))
"""


@pytest.fixture
def house(tmp_path):
    written(tmp_path, {"drive.py": DRIVE, "count.py": COUNT.format(name="count", place=0)})
    text = (tmp_path / "experiment.toml").read_text().replace("steps = 1000", "steps = 10")
    (tmp_path / "experiment.toml").write_text(text)
    return House(tmp_path, {})


@contextlib.contextmanager
def services(house):
    """Brain and body as they are started by a launcher, which end with the run."""
    commands = [[sys.executable, "-m", f"services.{name}"] for name in ("brain", "body")]
    started = [subprocess.Popen(command, env=house.environment, stderr=subprocess.DEVNULL) for command in commands]
    try:
        yield
        assert [process.wait(60) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
            process.wait()


def run(house, talk=None, **more):
    """A whole run, with a person who is asked before its first step; the last document."""
    with services(house):
        return house.run(**more) if talk is None else held(house, talk)


def rows(house, name, out="run"):
    with (house.folder / out / "csv" / f"{name}.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_csv_files_stand_in_the_folder_of_the_run(house):
    stop = run(house)
    assert (stop.outcome, stop.facts["switched_off"], stop.messages) == ("finished", [], ())
    kept = rows(house, "kept")
    assert kept[:2] == [["t", "rate"], ["0.0", "100.0"]]
    assert [float(row[0]) for row in kept[1:]] == pytest.approx([n * 0.02 for n in range(11)])
    assert sum(int(row[1]) for row in rows(house, "count")[1:]) > 5


def test_two_runs_are_the_same_to_the_last_bit(house):
    assert run(house).digest == run(house, out="again").digest != ""
    assert rows(house, "count") == rows(house, "count", "again")


def test_a_reset_keeps_files_or_erases_them_and_begins_variables_anew(house):
    def talk(operator):
        operator.step(3)
        operator.operator.order("reset", "", "full")
        operator.until(lambda frame: isinstance(frame, Welcome))
        operator.until(in_state("ready"))

    run(house, talk)
    first, second = rows(house, "kept"), rows(house, "kept", "run-2")
    assert len(first) == 5
    assert second[0] == ["t", "rate", "Simulation_reset"]
    assert second[1:5] == [[*row, ""] for row in first[1:]]
    assert second[5] == ["0.0", "100.0", "RESET"]
    assert {row[2] for row in second[6:]} == {""}
    assert len(second) == 1 + 4 + 11
    assert rows(house, "erased", "run-2") == [["t"], *([str(2 * n)] for n in range(1, 12))]


def test_a_function_with_new_devices_is_added_to_a_run_and_its_answer_says_how_that_went(house):
    found = {}

    def talk(operator):
        operator.step(2)
        answer = operator.edit("add_function", source=COUNT.format(name="more", place=1))
        found["more"] = next(one for one in answer["functions"] if one["name"] == "more")
        answer = operator.edit("add_function", source=DRIVE.replace("relays[0]", "relays[1]").replace("drive", "other"))
        found["other"] = next(one for one in answer["functions"] if one["name"] == "other")
        bad = DRIVE.replace("relays[0]", "nobody").replace("drive", "lost")
        answer = operator.edit("add_function", source=bad)
        found["lost"] = next(one for one in answer["functions"] if one["name"] == "lost")
        operator.step(1)
        found["functions"] = operator.functions()
        operator.edit("delete_function", name="other")

    stop = run(house, talk)
    assert found["more"]["problem"] is None
    assert found["other"]["problem"] is None
    assert "the name of a population" in found["lost"]["problem"]["text"]
    assert found["functions"]["more"]["problem"] is None
    assert stop.facts["switched_off"] == ["lost"]
    spikes = [int(row[1]) for row in rows(house, "more")[1:]]
    assert len(spikes) == 8
    assert spikes[2] >= 0
    assert sum(spikes[3:]) == 0


def test_in_the_middle_of_a_step_of_the_brain_a_new_device_has_to_wait(house):
    text = (house.folder / "experiment.toml").read_text().replace("[brain]", "[brain]\nstep_ms = 40.0")
    (house.folder / "experiment.toml").write_text(text)
    found = {}

    def talk(operator):
        operator.step(1)
        answer = operator.edit("add_function", source=COUNT.format(name="more", place=0))
        found["before"] = next(one for one in answer["functions"] if one["name"] == "more")
        operator.step(1)
        found["after"] = operator.functions()["more"]

    stop = run(house, talk)
    assert "are not in the brain yet" in found["before"]["problem"]["text"]
    assert found["after"]["problem"] is None
    assert stop.facts["switched_off"] == []
    more, count = rows(house, "more")[2:], rows(house, "count")
    assert len(more) == 7
    assert more == count[-7:]


def test_what_was_added_is_there_after_a_reset_too(house):
    def talk(operator):
        operator.step(1)
        operator.edit("add_function", source=COUNT.format(name="more", place=0))
        operator.operator.order("reset", "", "full")
        operator.until(lambda frame: isinstance(frame, Welcome))
        operator.until(in_state("ready"))

    stop = run(house, talk)
    assert stop.facts["switched_off"] == []
    # It counts what the other one counts; the first call came before the brain had its device again.
    more, count = rows(house, "more", "run-2"), rows(house, "count", "run-2")
    assert [row[1] for row in more[-9:]] == [row[1] for row in count[-9:]]


def test_a_function_that_fails_halts_a_run_that_asks_for_it(house):
    (house.folder / "count.py").write_text(COUNT.format(name="count", place=0).replace("len(", "lne("))
    text = (house.folder / "experiment.toml").read_text().replace("steps = 10", 'steps = 10\non_error = "halt"')
    (house.folder / "experiment.toml").write_text(text)
    stop = run(house)
    assert stop.outcome == "halted"
    assert "name 'lne' is not defined" in stop.text
    assert "count.py, line 6" in stop.text


def test_a_population_that_is_not_there_is_told_with_the_function_that_names_it(house):
    (house.folder / "count.py").write_text(COUNT.format(name="count", place=0).replace("relays", "relay"))
    stop = run(house)
    assert stop.outcome == "fault"
    assert "did you mean 'relays'?" in stop.text
    assert "it is the device 'sink' of the transfer function 'count'" in stop.text


def test_state_machines_are_kept_and_a_message_says_that_they_do_not_run(house):
    (house.folder / "state_machines").mkdir()
    (house.folder / "state_machines" / "lights.py").write_text("import smach_ros\n")
    stop = run(house)
    (message,) = stop.messages
    assert "state_machines/lights.py" in message["text"]
    assert message["severity"] == "warning"
