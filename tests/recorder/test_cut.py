"""services.recorder.cut: stretches of a recording as one of their own."""

import threading

import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.recorder.cut import Stretch, cut, stretches_in
from services.recorder.reader import Run
from services.recorder.sink import Sink
from services.recorder.store import read_summary
from services.recorder.tools import main
from tests.recorder.tape import DT_NS, Tape, give, record


@pytest.fixture
def folders(tmp_path):
    """An empty folder for a recording, and one for what is cut from it."""
    whole, made = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    made.mkdir()
    return whole, made


def steps_in(folder):
    return [sample.step for sample in Run(folder).samples(["body/joints"])]


def test_steps_that_end_within_a_stretch_are_kept(folders):
    whole, made = folders
    record(whole, 20)
    stretches = [Stretch(2 * DT_NS, 5 * DT_NS), Stretch(10 * DT_NS, 11 * DT_NS)]
    assert cut(whole, stretches, made) == 4
    assert steps_in(made) == [2, 3, 4, 10]
    former_run, part = Run(whole), Run(made)
    assert (part.start.run, part.stop.steps) == (former_run.start.run, 20)
    times, values = part.series("body/joints", "position")
    former_times, former = former_run.series("body/joints", "position")
    assert np.array_equal(values, former[[2, 3, 4, 10]])
    assert np.array_equal(times, former_times[[2, 3, 4, 10]])
    summary = read_summary(made)
    assert (summary["steps"], summary["digest"]) == (4, "")
    assert summary["stretches_s"] == [[0.04, 0.1], [0.2, 0.22]]


def test_what_is_still_being_recorded_is_waited_for(folders):
    whole, made = folders
    tape, sink = Tape(), Sink(whole, window_steps=4)
    give(sink, [tape.start()])

    def go_on(steps):
        for _ in range(steps):
            give(sink, tape.step())
            sink.credit()

    go_on(10)
    thread = threading.Timer(0.3, go_on, [10])
    thread.start()
    try:
        assert cut(whole, [Stretch(8 * DT_NS, 14 * DT_NS)], made) == 6
    finally:
        thread.join()
        sink.finish()
    assert steps_in(made) == [8, 9, 10, 11, 12, 13]


def test_a_stretch_without_a_step_leaves_no_recording(folders):
    whole, made = folders
    record(whole, 5)
    with pytest.raises(BadExperiment, match="no step of the run"):
        cut(whole, [Stretch(2 * DT_NS, 2 * DT_NS + 1)], made)
    assert list(made.iterdir()) == []


@pytest.mark.parametrize("text", ["", "1", "1:2:3", "a:b", "3:3", "4:3"])
def test_what_is_no_stretch_is_refused(text):
    with pytest.raises(BadExperiment, match=r"stretch"):
        stretches_in(text)


def test_the_tool_adds_the_tables(folders, capsys):
    whole, made = folders
    record(whole, 8)
    asked = ["cut", str(whole), f"--stretches=0:{3 * DT_NS}", "--out", str(made)]
    assert main(asked) == 0
    assert "3 steps" in capsys.readouterr().out
    assert len((made / "export" / "joints.csv").read_text().splitlines()) == 4
    assert main(["cut", str(whole), "--stretches=0:1"]) != 0
