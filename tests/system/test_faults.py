"""Services are killed, stopped and told to end in mid-run: the run ends soon, says why, and loses nothing."""

import json
import os
import signal
import time
from datetime import datetime

import pytest
import reaf
from mcap.reader import make_reader

from reafference import codec
from reafference.client import Monitor
from reafference.clock import Deadline
from reafference.frames import Clock, StateNote

LONG = (reaf.MOUSE, *reaf.SMALL, "--steps", "100000", "--out", "out", "--no-overview")


def begin(session, *more):
    """Start a run that would go on for long; returns when it is well under way."""
    session.start("run", *LONG, *more)
    with Monitor(f"ipc://{session.wires()}/bus-out", ("engine/state",)) as monitor:
        return well_under_way(monitor)


def well_under_way(monitor, steps=30):
    for received in monitor.frames(Deadline.after_s(60)):
        note = received.frame
        if isinstance(note, StateNote) and note.state == "running" and note.recorded >= steps:
            return note.recorded
    raise AssertionError("the run did not get under way")


def recorded_steps(folder):
    """How many steps a stock reader finds complete in the recording."""
    with (folder / "recording.mcap").open("rb") as file:
        messages = make_reader(file).iter_messages(topics=["engine/clock"])
        marks = [codec.decode(codec.split(b"-/engine/clock/", m.data).parts()).frame for _, _, m in messages]
    assert [mark.step for mark in marks if isinstance(mark, Clock)] == list(range(len(marks)))
    return len(marks)


def run_ended_at(folder):
    """When the engine says that the run ended, in seconds since 1970."""
    said = (folder / "logs" / "engine.log").read_text().splitlines()
    end = next(json.loads(line) for line in said if '"run ended"' in line)
    return datetime.fromisoformat(end["timestamp"]).timestamp()


@pytest.mark.parametrize("service", ["brain", "body", "recorder", "engine"])
def test_a_killed_service_ends_the_run_within_five_seconds(session, service):
    acknowledged = begin(session)
    os.kill(session.pid_of(f"services.{service}"), signal.SIGKILL)
    killed_at, killed = time.time(), time.monotonic()
    result = session.finish(timeout_s=30)
    # What follows the end of the run takes as long as the machine takes to mend a file and to end processes.
    assert time.monotonic() - killed < 20.0
    if service != "engine":
        assert run_ended_at(result.folder) - killed_at < 5.0
    assert result.status == 5
    steps = recorded_steps(result.folder)
    assert steps > acknowledged
    last_line = result.said.strip().splitlines()[-1]
    assert f"the {service} was lost in step " in last_line, result.said
    said_step = int(last_line.split("in step ")[1].split(":")[0])
    # What was granted but not acknowledged may be missing from the file, no more than the recorder's window.
    assert steps <= said_step + 1 <= steps + 65
    assert result.summary["outcome"] == "fault"


def test_a_silent_service_is_found_by_its_pulse(session):
    begin(session)
    os.kill(session.pid_of("services.body"), signal.SIGSTOP)
    result = session.finish(timeout_s=30)
    assert result.status == 5
    assert "the body was lost in step" in result.said


def test_a_service_that_is_told_to_end_says_so(session):
    begin(session)
    os.kill(session.pid_of("services.brain"), signal.SIGTERM)
    result = session.finish(timeout_s=30)
    assert result.status == 5
    assert "the brain was told to end" in result.said


def test_the_run_survives_its_gateway(session):
    session.start("run", reaf.MOUSE, *reaf.SMALL, "--steps", "300", "--out", "out", "--no-overview")
    with Monitor(f"ipc://{session.wires()}/bus-out", ("engine/state",)) as monitor:
        well_under_way(monitor)
    os.kill(session.pid_of("services.gateway"), signal.SIGKILL)
    result = session.finish()
    assert result.status == 0, result.said
    assert result.summary["steps"] == 300


def test_nothing_is_left_when_the_launcher_is_killed(session):
    begin(session)
    os.kill(session.pid_of("services.engine.launch"), signal.SIGKILL)
    until = time.monotonic() + 15
    while session.processes() and time.monotonic() < until:
        time.sleep(0.1)
    result = session.finish(timeout_s=15)
    assert result.status != 0


def test_nothing_is_left_when_reaf_itself_is_killed(session):
    begin(session)
    session.kill(signal.SIGKILL)
    until = time.monotonic() + 15
    while session.processes() and time.monotonic() < until:
        time.sleep(0.1)
    assert not session.processes()


def test_ctrl_c_stops_cleanly(session):
    begin(session)
    session.kill(signal.SIGINT)
    result = session.finish(timeout_s=30)
    assert result.status == 130
    assert "stopped by Ctrl-C after" in result.said
    assert result.summary["outcome"] == "stopped"
    assert recorded_steps(result.folder) == result.summary["steps"]
    verdict = reaf.tool(session.cwd, "verify", "out")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_ctrl_c_while_the_network_is_being_built_leaves_nothing(session):
    session.start("run", reaf.MOUSE, "--set", "area_mm2=0.3", "--out", "out", "--no-overview")
    session.pid_of("services.brain")
    time.sleep(2.0)
    session.kill(signal.SIGINT)
    result = session.finish(timeout_s=30)
    assert result.status == 130
    assert not (result.folder / "recording.mcap").exists()


def test_a_monitor_that_never_reads_changes_nothing(session, tmp_path):
    undisturbed = reaf.run(tmp_path, reaf.MOUSE, *reaf.SMALL, "--steps", "400")
    undisturbed.folder.rename(tmp_path / "undisturbed")
    session.start("run", reaf.MOUSE, *reaf.SMALL, "--steps", "400", "--out", "out", "--no-overview")
    with Monitor(f"ipc://{session.wires()}/bus-out") as stuck:
        result = session.finish()
        assert stuck.next(Deadline.after_s(1)) is not None  # it was connected all the time
    assert result.status == 0, result.said
    before = json.loads((tmp_path / "undisturbed" / "summary.json").read_text())
    assert result.summary["digest"] == before["digest"]


def test_a_slow_recorder_slows_the_run_and_loses_nothing(session):
    session.start("run", *LONG, "--set", "record.window_steps=2")
    with Monitor(f"ipc://{session.wires()}/bus-out", ("engine/state",)) as monitor:
        recorded = well_under_way(monitor, 20)
        recorder = session.pid_of("services.recorder")
        # It works for a small part of the time, but never sleeps long enough to be taken for dead.
        for _ in range(8):
            os.kill(recorder, signal.SIGSTOP)
            time.sleep(0.6)
            for received in monitor.latest().values():
                recorded = max(recorded, received.frame.recorded)
            os.kill(recorder, signal.SIGCONT)
            recorded = well_under_way(monitor, recorded + 1)
    session.kill(signal.SIGINT)
    result = session.finish()
    assert result.status == 130, result.said
    assert result.summary["outcome"] == "stopped"
    assert recorded_steps(result.folder) == result.summary["steps"]
    assert reaf.tool(session.cwd, "verify", "out").returncode == 0
    waited = [line.split(",") for line in (result.folder / "profile.csv").read_text().splitlines()]
    column = waited[0].index("credit_wait")
    assert max(float(row[column]) for row in waited[1:]) > 0.2
