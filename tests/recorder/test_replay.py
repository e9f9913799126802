"""services.recorder.replay: frames of a recorded run, given out again from any moment on."""

import io
import json
import os
import struct
import subprocess
import sys

import pytest

from reafference import codec
from reafference.errors import BadExperiment
from services.recorder.reader import Run
from services.recorder.replay import Wishes, give_out, steps_since
from services.recorder.sink import Sink
from services.recorder.store import read, recording_of
from tests.recorder.tape import DT_NS, RUN, Tape, give, record

PATIENCE_S = 60


def batches(data):
    """(mark, parts of each frame) of what was written."""
    found = []
    while data:
        (length,) = struct.unpack_from(">I", data)
        found.append(codec.open_batch(data[4 : 4 + length]))
        data = data[4 + length :]
    return found


def given_out(folder, *wishes):
    """All that is written for these wishes, and the end of them."""
    source, hand = os.pipe()
    out = io.BytesIO()
    try:
        for wish in wishes:
            os.write(hand, wish if isinstance(wish, bytes) else json.dumps(wish).encode() + b"\n")
        os.close(hand)
        give_out(Run(folder), Wishes(source), out)
    finally:
        os.close(source)
    return batches(out.getvalue())


def topics(frames):
    return [parts[0].decode() for parts in frames]


def steps_in(found):
    return [codec.place(parts[-1]).step for parts in found]


def test_the_last_mark_and_what_is_kept_come_first(tmp_path):
    record(tmp_path, 6)
    (zero, first), (end, nothing) = given_out(tmp_path)
    assert (zero, end, nothing) == (0, 0, [])
    assert topics(first) == [f"{RUN}/engine/clock/", f"{RUN}/run/start/", f"{RUN}/run/stop/"]
    assert codec.place(first[0]).t_ns == 6 * DT_NS


def test_each_step_comes_whole_with_its_mark_as_the_last(tmp_path):
    record(tmp_path, 12)
    steps = [codec.open_batch(codec.batch(0, step))[1] for step in steps_since(Run(tmp_path), 4 * DT_NS)]
    assert steps_in(steps) == list(range(4, 12))
    for step in steps:
        assert topics(step)[-1] == f"{RUN}/engine/clock/"
        assert {codec.place(parts).step for parts in step} == {codec.place(step[-1]).step}


def test_frames_are_those_of_the_file_byte_by_byte(tmp_path):
    record(tmp_path, 7)
    steps = [codec.open_batch(codec.batch(0, step))[1] for step in steps_since(Run(tmp_path), 0)]
    got = [(parts[0], parts[1:]) for step in steps for parts in step]
    wire = [(f"{RUN}/{topic}/".encode(), [bytes(part) for part in packed.parts()[1:]])
            for topic, packed in read(recording_of(tmp_path)) if not topic.startswith("run/")]  # fmt: skip
    assert got == wire


def test_frames_of_a_step_without_a_mark_do_not_come(tmp_path):
    tape, sink = Tape(), Sink(tmp_path, 4)
    give(sink, [tape.start(), *tape.step(), *tape.step(), *tape.streams()])
    sink.finish()
    assert len(list(steps_since(Run(tmp_path), 0))) == 2


def test_between_two_marks_the_step_that_ends_next_is_the_first(tmp_path):
    record(tmp_path, 5)
    steps = [codec.open_batch(codec.batch(0, step))[1] for step in steps_since(Run(tmp_path), 2 * DT_NS + 1)]
    assert steps_in(steps) == [2, 3, 4]


def test_of_several_wishes_the_newest_counts():
    source, hand = os.pipe()
    try:
        os.write(hand, b'{"mark": 1, "since_ns": 0}\n{"mark": 2, "since_ns": 40}\n')
        found = Wishes(source).newest()
        assert (found.mark, found.since_ns) == (2, 40)
    finally:
        os.close(hand)
        os.close(source)


@pytest.mark.parametrize("line", [b"go\n", b"[]\n", b'{"mark": 1}\n', b'{"mark": "x", "since_ns": 0}\n'])
def test_a_wish_that_cannot_be_understood_is_refused(tmp_path, line):
    source, hand = os.pipe()
    try:
        os.write(hand, line)
        with pytest.raises(BadExperiment, match="is no wish"):
            Wishes(source).newest()
    finally:
        os.close(hand)
        os.close(source)


def test_a_recording_without_a_complete_step_cannot_be_played(tmp_path):
    tape, sink = Tape(), Sink(tmp_path, 4)
    give(sink, [tape.start(), *tape.streams()])
    sink.finish()
    with pytest.raises(BadExperiment, match="no complete step"):
        given_out(tmp_path)


@pytest.fixture
def tool(tmp_path):
    """The tool at work on a recording that does not fit into a pipe."""
    record(tmp_path, 60)
    command = [sys.executable, "-m", "services.recorder", "frames", str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    process.kill()
    process.wait(PATIENCE_S)
    process.stdin.close()
    process.stdout.close()


def wish(tool, **more):
    tool.stdin.write(json.dumps(more).encode() + b"\n")
    tool.stdin.flush()


def next_batch(tool):
    (length,) = struct.unpack(">I", tool.stdout.read(4))
    return codec.open_batch(tool.stdout.read(length))


def all_of(tool, mark):
    """The steps of this wish; those of the wishes before are passed over."""
    found = []
    while True:
        number, frames = next_batch(tool)
        if number == mark and not frames:
            return found
        if number == mark:
            found.append(frames)


def test_a_wish_in_the_middle_breaks_off_the_one_before(tool):
    all_of(tool, 0)
    wish(tool, mark=1, since_ns=0)
    assert next_batch(tool)[0] == 1
    wish(tool, mark=2, since_ns=57 * DT_NS)
    assert steps_in(all_of(tool, 2)) == [57, 58, 59]
    wish(tool, mark=3, since_ns=58 * DT_NS)
    assert steps_in(all_of(tool, 3)) == [58, 59]


def test_the_tool_ends_when_there_are_no_more_wishes(tool):
    all_of(tool, 0)
    tool.stdin.close()
    assert tool.wait(PATIENCE_S) == 0


def test_the_tool_ends_when_nobody_reads_any_more(tool):
    wish(tool, mark=1, since_ns=0)
    tool.stdout.close()
    assert tool.wait(PATIENCE_S) == 0
