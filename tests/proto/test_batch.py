"""Frames in a batch, as they go through a WebSocket, and where a frame belongs."""

import msgpack
import numpy as np
import pytest

from reafference import codec
from reafference.errors import BadFrame
from reafference.frames import Message, StateNote, Stream


def parts(frame, seq=3):
    packed = codec.encode(frame, run="7f3a", src="body", seq=seq, topic=b"7f3a/body/tip/")
    return [bytes(part) for part in packed.parts()]


SMALL = parts(Stream(step=4, t_ns=100, arrays={"position": np.arange(3.0)}))
LARGE = parts(Stream(step=5, t_ns=120, arrays={"image": np.zeros(200_000, np.uint8)}))
TEXT = parts(Message(step=6, source="x", type="runtime", text="µ"))


def test_a_batch_is_a_number_and_the_parts_of_each_frame():
    batch = codec.batch(17, [codec.bound(frame) for frame in (SMALL, LARGE, TEXT)])
    assert msgpack.unpackb(batch, raw=False) == [17, SMALL, LARGE, TEXT]
    assert codec.open_batch(batch) == (17, [SMALL, LARGE, TEXT])


def test_a_large_part_may_be_a_view():
    packed = codec.encode(Stream(step=0, t_ns=0, arrays={"a": np.zeros(100_000)}), run="r", src="s", topic=b"r/s/a/")
    assert codec.open_batch(codec.batch(1, [codec.bound(packed.parts())]))[1][0][2] == bytes(800_000)


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", msgpack.packb(1), msgpack.packb([]), msgpack.packb([1, 2]), b"\x92\x01"]
)
def test_what_is_no_batch_is_a_bad_frame(data):
    with pytest.raises(BadFrame):
        codec.open_batch(data)


def test_the_place_of_a_frame_is_read_without_its_arrays():
    assert codec.place(LARGE) == codec.Place("7f3a", "body", "stream", 3, 5, 120)
    assert codec.place(parts(StateNote(step=2, t_ns=9, state="running"))).kind == "state"


@pytest.mark.parametrize("broken", [[], [b"x"], [b"x", b"\xc1"], [b"x", msgpack.packb([1])], [b"x", msgpack.packb({})]])
def test_what_has_no_place_is_a_bad_frame(broken):
    with pytest.raises(BadFrame):
        codec.place(broken)
