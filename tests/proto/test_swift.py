"""reafference.swift: takes the frames of a step, and nothing that the codec itself would not take."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reafference import codec, plain, swift
from reafference.codec import INLINE_BELOW, Received, encode
from reafference.frames import KINDS, Beat, StepDone, StepGrant, Stream
from tests.proto import strategies

STEP_PATH = (Stream, StepGrant, StepDone)


def swiftly(parts):
    return swift.decode(parts[1], list(parts[2:]), codec.DTYPES)


def in_words(parts):
    with mock.patch.object(swift, "decode", return_value=None):
        return codec.decode(parts)


@pytest.mark.parametrize("kind", STEP_PATH, ids=lambda kind: kind.kind)
@settings(max_examples=60)
@given(data=st.data())
def test_the_frames_of_a_step_are_taken_and_mean_the_same_both_ways(kind, data):
    with mock.patch.object(codec, "INLINE_BELOW", data.draw(st.sampled_from([1, 16, INLINE_BELOW]))):
        parts = encode(data.draw(strategies.frames(kind)), run="7f3a", src="brain", seq=4).parts()
    head, frame = swiftly(parts)
    slowly = in_words(parts)
    assert codec.Envelope(*head) == slowly.envelope
    assert plain.dump(frame) == plain.dump(slowly.frame)
    assert type(frame) is kind


def test_other_kinds_are_left_to_the_codec():
    assert swiftly(encode(Beat(number=4), run="7f3a", src="engine").parts()) is None


@settings(max_examples=400)
@given(data=st.data())
def test_of_damaged_frames_it_takes_none_that_the_codec_would_refuse(data):
    kind = data.draw(st.sampled_from(STEP_PATH))
    parts = encode(data.draw(strategies.frames(kind)), run="7f3a", src="brain").parts()
    header = bytearray(parts[1])
    for _ in range(data.draw(st.integers(1, 3))):
        header[data.draw(st.integers(0, len(header) - 1))] = data.draw(st.integers(0, 255))
    parts[1] = bytes(header)
    quickly = swiftly(parts)
    if quickly is not None:
        slowly = in_words(parts)
        assert Received(parts[0], codec.Envelope(*quickly[0]), plain.dump(quickly[1])) == slowly._replace(
            frame=plain.dump(slowly.frame)
        )


def test_received_arrays_are_read_only_even_where_the_buffer_is_not():
    packed = encode(Stream(step=0, t_ns=0, arrays={"picture": np.zeros(INLINE_BELOW)}), run="7f3a", src="body")
    _, frame = swift.decode(packed.header, [bytearray(packed.large[0])], codec.DTYPES)
    assert not frame.arrays["picture"].flags.writeable


def test_every_kind_of_the_step_path_is_a_kind_of_the_protocol():
    assert {kind.kind for kind in STEP_PATH} <= set(KINDS)
