"""A launched run is steered from another process: reset, edited on schedule, given up with Ctrl-C."""

import signal
import time
from pathlib import Path

import pytest
import reaf

from reafference.client import Operator
from reafference.clock import Deadline
from reafference.frames import RunStop, StateNote
from reafference.sockets import Waiting, Wires
from services.recorder.reader import Run
from services.recorder.verify import verify
from tests import mpiexec

STEPS = 60
PATIENCE_S = 60


@pytest.fixture
def operator(session):
    """An operator of the run that the session has started."""
    with Wires() as wires:

        def join():
            return Operator(wires, f"ipc://{session.wires()}/step", "person")

        yield join


def hear(operator, wanted):
    """Wait for a frame of which `wanted` is true."""
    waiting, deadline = Waiting(operator), Deadline.after_s(PATIENCE_S)
    while not deadline.passed():
        for frame in operator.arrived():
            if wanted(frame):
                return frame
        waiting.until(100)
    raise AssertionError("it never came")


def moving(frame):
    return isinstance(frame, StateNote) and frame.state == "running" and frame.step >= 5


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=mpiexec.ranks_wanted())])
def test_the_run_after_a_full_reset_equals_the_first_twice_in_a_row(session, operator, tmp_path, ranks):
    (tmp_path / "straight").mkdir()
    mouse = (reaf.MOUSE, *reaf.SMALL, "--steps", str(STEPS), "--ranks", str(ranks))
    straight = reaf.run(tmp_path / "straight", *mouse).summary
    session.start("run", *mouse, "--out", "out", "--no-overview")
    person = operator()
    for _ in range(2):
        hear(person, moving)
        person.reset(patience_s=PATIENCE_S)
        person.order("start")
    stop = hear(person, lambda frame: isinstance(frame, RunStop) and frame.outcome != "reset")
    result = session.finish()
    assert result.status == 0, result.said
    assert (stop.outcome, stop.digest) == ("finished", straight["digest"])
    folders = [Path(f"{result.folder}{ending}") for ending in ("", "-2", "-3")]
    runs = [Run(folder) for folder in folders]
    assert [run.stop.outcome for run in runs] == ["reset", "reset", "finished"]
    assert all(verify(run).good for run in runs)
    assert (folders[2] / "logs" / "brain.log").exists()
    said = " ".join(result.said.split())
    assert said.count("reset: another run of the experiment goes into") == 2


def test_the_body_is_reset_on_schedule_while_the_brain_goes_on(tmp_path):
    entry = '\n[[schedule]]\nat_s = 0.6\nto = "body"\nwhat = "reset"\n'
    experiment = reaf.copy_of(reaf.MOUSE, tmp_path)
    before = reaf.run(tmp_path, experiment, *reaf.SMALL, "--steps", str(STEPS))
    (experiment / "experiment.toml").write_text((experiment / "experiment.toml").read_text() + entry)
    (tmp_path / "reset").mkdir()
    after = reaf.run(tmp_path / "reset", experiment, *reaf.SMALL, "--steps", str(STEPS))
    assert (before.status, after.status) == (0, 0), after.said
    plain, reset = Run(before.folder), Run(after.folder)
    assert verify(reset).good
    assert [(change.step, change.by, change.what) for change in reset.changes] == [(30, "schedule", "reset")]
    (_, straight), (times, again) = (run.series("body/joints", "position") for run in (plain, reset))
    assert len(times) == STEPS
    assert (straight[:30] == again[:30]).all()
    assert not (straight[30:] == again[30:]).all()


def test_a_second_ctrl_c_gives_the_step_up_and_a_third_is_not_needed(session, operator):
    session.start("run", reaf.MOUSE, *reaf.SMALL, "--steps", "100000", "--out", "out", "--no-overview")
    hear(operator(), moving)
    session.kill(signal.SIGINT)
    time.sleep(0.02)
    session.kill(signal.SIGINT)
    result = session.finish(timeout_s=30)
    assert result.status == 130
    assert "stopped by Ctrl-C after" in result.said
    assert result.summary["outcome"] == "stopped"
