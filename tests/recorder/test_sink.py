"""services.recorder.sink: tap to file, and credit back."""

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from mcap.reader import make_reader

from reafference import codec, plain
from reafference.errors import BadFrame, SequenceGap
from reafference.frames import Clock
from reafference.testing import HandClock
from services.recorder import mend, store
from services.recorder import sink as sink_module
from services.recorder.reader import Run
from services.recorder.sink import Sink, broken_off_summary
from services.recorder.store import RECORDING
from tests.recorder.tape import Tape, give, record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock(monkeypatch):
    hands = HandClock(1)
    monkeypatch.setattr(sink_module, "time", hands)
    return hands


def steps_in(path, copy):
    """How many complete steps a file holds at this moment, read without its recorder."""
    shutil.copyfile(path, copy)
    if copy.stat().st_size == 0:
        return 0
    mend.mend(copy)
    with copy.open("rb") as file:
        messages = make_reader(file, validate_crcs=True).iter_messages(topics=["engine/clock"])
        return len(list(messages))


# --- credit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 3, 16, 64])
def test_nothing_is_acknowledged_before_it_is_in_the_file(tmp_path, clock, window):
    tape, sink = Tape(camera=window == 16), Sink(tmp_path, window)
    give(sink, [tape.start()])
    credits = []
    for step in range(40):
        give(sink, tape.step())
        clock.advance_s(0.03)
        credit = sink.credit()
        there = steps_in(tmp_path / RECORDING, tmp_path / "copy")
        assert there == sink.acknowledged
        if credit is not None:
            assert credit.step == step == there - 1
            assert credit.bytes_written == (tmp_path / RECORDING).stat().st_size
            credits.append(credit.step)
    assert len(credits) >= 40 // max(window, 7)
    assert all(later > earlier for earlier, later in itertools.pairwise(credits))


def test_credit_comes_at_the_latest_after_a_quarter_of_the_window(tmp_path, clock):
    tape, sink = Tape(camera=False), Sink(tmp_path, 20)
    give(sink, [tape.start()])
    for _ in range(4):
        give(sink, tape.step())
        assert sink.credit() is None
    give(sink, tape.step())
    assert sink.credit().step == 4
    assert sink.credit() is None


def test_credit_comes_at_the_latest_after_a_while(tmp_path, clock):
    tape, sink = Tape(camera=False), Sink(tmp_path, 1000)
    give(sink, [tape.start(), *tape.step()])
    assert sink.credit() is None
    assert 0 < sink.wait_ms() <= 200
    clock.advance_s(0.2)
    assert sink.wait_ms() == 0
    assert sink.credit().step == 0
    assert sink.wait_ms() == 250


def test_credit_comes_when_much_is_pending(tmp_path, clock):
    tape, sink = Tape(noise=sink_module.FLUSH_BYTES), Sink(tmp_path, 1000)
    give(sink, [tape.start(), *tape.step()])
    assert sink.credit().step == 0


def test_a_step_that_is_not_complete_gets_no_credit(tmp_path, clock):
    tape, sink = Tape(camera=False), Sink(tmp_path, 1)
    frames = [tape.start(), *tape.step()]
    give(sink, frames[:3] + frames[4:])
    clock.advance_s(10)
    assert sink.credit() is None
    give(sink, [frames[3]])
    assert sink.credit().step == 0


# --- order and gaps -------------------------------------------------------------------------------------------------


def test_a_mark_before_its_frames_makes_the_same_file(tmp_path, clock):
    files = []
    for name, late in (("a", False), ("b", True)):
        (tmp_path / name).mkdir()
        tape, sink = Tape(), Sink(tmp_path / name, 4)
        give(sink, [tape.start()])
        for _ in range(6):
            *frames, mark = tape.step()
            give(sink, [mark, *reversed(frames)] if late else [*frames, mark])
        give(sink, [tape.stop()])
        sink.finish()
        found = store.read(tmp_path / name / RECORDING)
        files.append([(topic, plain.dump(codec.decode(packed.parts()).frame)) for topic, packed in found])
    assert files[0] == files[1]


def test_a_gap_is_said_and_what_comes_after_it_is_still_taken(tmp_path, clock):
    tape, sink = Tape(camera=False), Sink(tmp_path, 1)
    give(sink, [tape.start(), *tape.step()])
    assert sink.credit().step == 0
    frames = tape.step()
    with pytest.raises(SequenceGap, match="got brain/sinks number 2 where 1 was due"):
        give(sink, [tape.stream("brain/sinks", 2)])
    give(sink, frames)
    assert sink.credit().step == 1


def test_a_missing_step_is_no_recording(tmp_path, clock):
    tape, sink = Tape(camera=False), Sink(tmp_path, 1)
    give(sink, [tape.start()])
    tape.steps = 1
    with pytest.raises(BadFrame, match="the commit mark of step 1 came where step 0 was due"):
        give(sink, tape.step())


def test_what_is_no_frame_is_said(tmp_path, clock):
    sink = Sink(tmp_path, 1)
    with pytest.raises(BadFrame):
        sink.take([b"r/brain/sinks/", b"no header"])
    with pytest.raises(BadFrame, match="not a topic"):
        sink.take([b"no topic", Tape().start().header])


# --- the end --------------------------------------------------------------------------------------------------------


def test_the_end_is_settled_when_everything_it_lists_has_come(tmp_path, clock):
    tape, sink = Tape(camera=False), Sink(tmp_path, 1)
    give(sink, [tape.start()])
    assert not sink.stopped
    frames = [*tape.step(), tape.stop()]
    give(sink, [frame for frame in frames if b"/sinks/" not in frame.topic])
    assert sink.stopped
    assert not sink.settled
    give(sink, [frame for frame in frames if b"/sinks/" in frame.topic])
    assert sink.settled


def test_finishing_writes_what_is_left_and_the_summary(tmp_path, clock):
    tape, sink = Tape(camera=False), Sink(tmp_path, 1000)
    give(sink, [tape.start()])
    for _ in range(3):
        give(sink, tape.step())
    give(sink, [tape.stop()])
    sink.finish()
    assert sink.acknowledged == 3
    run = Run(tmp_path)
    assert (run.steps, run.stop.outcome) == (3, "finished")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["experiment"], summary["outcome"], summary["steps"]) == ("tape", "finished", 3)
    assert summary["digest"] == run.stop.digest
    assert summary["peak_rss_mb"]["recorder"] > 1
    assert summary["recording"]["complete_steps"] == 3
    assert summary["recording"]["bytes"] == (tmp_path / RECORDING).stat().st_size
    assert summary["recording"]["messages"] == 1 + 3 * 8 + 1
    sink.finish()  # once more does no harm


def test_a_run_that_never_began_leaves_nothing(tmp_path, clock):
    tape, sink = Tape(), Sink(tmp_path, 4)
    give(sink, [tape.frame("engine/state", Clock(step=0, t_ns=0, seqs={}))])
    sink.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_broke_off_is_told_as_such(tmp_path, clock):
    tape, sink = Tape(camera=False), Sink(tmp_path, 4)
    give(sink, [tape.start(), *tape.step(), *tape.step(), *tape.streams()])
    sink.finish(cause=sink.broken_off("engine", "the engine has been silent for 10 s"))
    summary = store.read_summary(tmp_path)
    assert (summary["outcome"], summary["code"], summary["service"]) == ("fault", "peer_lost", "engine")
    assert (summary["steps"], summary["simulated_s"], summary["exit_status"]) == (2, 0.04, 5)
    run = Run(tmp_path)
    assert run.stop is None
    assert run.steps == 2


def test_the_summary_of_a_killed_recorder_can_be_made_from_its_recording(tmp_path, clock):
    record(tmp_path, 10, flush_every=2, camera=False)
    path = tmp_path / RECORDING
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run = Run(tmp_path)
    summary = broken_off_summary(run)
    assert 0 < run.steps < 10
    assert (summary["outcome"], summary["text"], summary["steps"]) == ("fault", "the recorder was lost", run.steps)
    assert summary["recording"]["complete_steps"] == run.steps


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 3 MB, and what the recorder has to be told to believe it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = [shutil.which("mount") or "false", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield folder, ["2000000"]  # not ours to mount: let the system refuse larger files instead
        return
    try:
        yield folder, []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder, noise, *limit):
    command = [sys.executable, "-m", "tests.recorder.disk_full", str(folder), str(noise), *limit]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    return json.loads(done.stdout)


def check_full(folder, said):
    """What was acknowledged is there, and the index too."""
    assert len(said["raised"]) == 1
    assert not said["late"]
    ((acknowledged, text),) = said["raised"]
    assert acknowledged >= 10
    assert said["acknowledged"] == acknowledged + 1
    assert f"there is no space left for {folder / RECORDING}: the run was stopped" in text
    assert text.endswith(f"it holds every step up to {acknowledged}")
    assert not mend.mend(folder / RECORDING)
    run = Run(folder)
    assert run.steps >= acknowledged + 1
    assert len(run.series("brain/sinks", "voltage")[0]) == run.steps
    with (folder / RECORDING).open("rb") as file:
        assert make_reader(file, validate_crcs=True).get_summary().statistics.chunk_count >= 10
    assert not (folder / ".reserve").exists()


def test_a_full_disk_keeps_every_acknowledged_step_and_the_index(small_disk):
    folder, limit = small_disk
    said = fill(folder, 20_000, *limit)
    check_full(folder, said)
    summary = store.read_summary(folder)
    assert summary["recording"]["complete_steps"] == said["acknowledged"]


def test_a_file_that_may_not_grow_is_a_full_disk_too(tmp_path):
    said = fill(tmp_path, 50_000, "1500000")
    check_full(tmp_path, said)


def test_frames_after_the_end_are_dropped_but_the_outcome_is_kept(tmp_path, clock):
    tape, sink = Tape(camera=False), Sink(tmp_path, 1)
    give(sink, [tape.start(), *tape.step()])
    sink.finish()
    size = (tmp_path / RECORDING).stat().st_size
    give(sink, [*tape.step(), tape.stop()])
    assert sink.credit() is None
    sink.write_summary()
    assert (tmp_path / RECORDING).stat().st_size == size
    assert store.read_summary(tmp_path)["outcome"] == "finished"


def test_frames_of_the_run_before_are_left_out(tmp_path):
    old, tape = Tape(camera=False), Tape(camera=False)
    sink = Sink(tmp_path, 4, run="beef")
    give(sink, [old.start(), *old.step()])
    assert (sink.acknowledged, sink.stopped) == (0, False)
    with mock.patch("tests.recorder.tape.RUN", "beef"):
        give(sink, [tape.start(), *tape.step(), tape.stop()])
    sink.finish()
    assert (Run(tmp_path).start.run, Run(tmp_path).steps) == ("beef", 1)
