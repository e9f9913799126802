"""reafference.codec: frames to parts and back, and everything that is not a frame."""

import contextlib
from unittest import mock

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reafference import codec, plain
from reafference.codec import INLINE_BELOW, decode, encode
from reafference.errors import BadFrame, ReafferenceError, UnknownKind, WrongVersion
from reafference.frames import KINDS, PROTOCOL, Beat, Halted, Hello, Packed, StepDone, StepGrant, Stream
from tests.proto import golden, strategies

MAJOR, MINOR = PROTOCOL


def stream(**arrays):
    return Stream(step=3, t_ns=80, arrays=arrays)


def sent(frame, topic=b"run/brain/sinks/"):
    return encode(frame, run="run", src="brain", seq=5, topic=topic)


def received(packed):
    return decode(packed.parts()).frame


# --- there and back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=40)
@given(data=st.data())
def test_every_frame_comes_back_as_it_was_sent(kind, data):
    frame = data.draw(strategies.frames(KINDS[kind]))
    with mock.patch.object(codec, "INLINE_BELOW", data.draw(st.sampled_from([1, 16, INLINE_BELOW]))):
        back = received(encode(frame, run="run", src="me"))
    assert type(back) is type(frame)
    assert plain.dump(back) == plain.dump(frame)


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_the_envelope_says_who_when_and_which(seq, number):
    with mock.patch.object(codec.time, "time_ns", return_value=77):
        got = decode(encode(Beat(number=number), run="7f3a", src="engine", seq=seq, topic=b"beat").parts())
    assert got == codec.Received(b"beat", codec.Envelope("7f3a", "engine", seq, 77, PROTOCOL), Beat(number=number))


def test_part_0_is_the_kind_where_no_topic_is_given():
    assert encode(Beat(number=1), run="-", src="me").topic == b"beat"


def test_step_and_time_stand_in_the_header_and_the_rest_in_the_body():
    done = StepDone(step=7, t_ns=160, busy_ns=3, timing={"run": 2}, seqs={"sinks": 7}, outputs=())
    header = msgpack.unpackb(encode(done, run="r", src="brain").header)
    assert (header["step"], header["t_ns"]) == (7, 160)
    assert header["body"] == {"busy_ns": 3, "timing": {"run": 2}, "seqs": {"sinks": 7}, "outputs": []}


@pytest.mark.parametrize(
    ("size", "parts"), [(0, 2), (1, 2), (INLINE_BELOW - 1, 2), (INLINE_BELOW, 3), (INLINE_BELOW + 1, 3)]
)
def test_arrays_ride_in_the_header_below_64_kib_and_as_parts_above(size, parts):
    array = np.arange(size, dtype=np.uint8)
    packed = sent(stream(image=array))
    assert len(packed.parts()) == parts
    assert np.array_equal(received(packed).arrays["image"], array)


def test_large_and_small_arrays_keep_their_order_and_content():
    arrays = {
        "a": np.full((256, 256), 7, np.uint8),
        "b": np.arange(3.0),
        "c": np.arange(INLINE_BELOW // 4, dtype=np.float32),
        "d": np.array(True),
        "e": np.arange(INLINE_BELOW, dtype=np.int64).reshape(-1, 8),
    }
    back = received(sent(stream(**arrays))).arrays
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)


def test_received_arrays_are_read_only_whichever_way_they_came():
    back = received(sent(stream(small=np.zeros(2), large=np.zeros(INLINE_BELOW)))).arrays
    assert not back["small"].flags.writeable
    assert not back["large"].flags.writeable


def test_a_large_array_belongs_to_the_wire_once_it_is_sent():
    small, large = np.zeros(2), np.zeros(INLINE_BELOW)
    sent(stream(small=small, large=large))
    assert small.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        large[0] = 1


@pytest.mark.parametrize("size", [10, 400])
def test_arrays_that_are_not_contiguous_are_sent_as_what_they_show(size):
    table = np.arange(size * size, dtype=np.float64).reshape(size, size)
    back = received(sent(stream(turned=table.T, every=table[::2, ::3]))).arrays
    assert np.array_equal(back["turned"], table.T)
    assert np.array_equal(back["every"], table[::2, ::3])


@pytest.mark.parametrize("value", [["x"], [1j], [None], [np.datetime64("2026-01-01")], np.zeros(2, ">f8"), [b"x"]])
def test_an_array_of_an_unlisted_dtype_is_not_sent(value):
    with pytest.raises(BadFrame, match="array 'odd' has dtype"):
        sent(stream(odd=np.array(value)))


def test_several_packed_streams_with_several_large_parts_ride_in_one_frame():
    def packed(first, count):
        arrays = {f"a{i}": np.full(INLINE_BELOW, first + i, np.uint8) for i in range(count)}
        return sent(stream(**arrays, small=np.arange(3)), b"run/brain/s%d/" % first)

    outputs = (packed(10, 3), packed(20, 0), packed(30, 2))
    done = StepDone(step=0, t_ns=0, busy_ns=0, timing={}, seqs={}, outputs=outputs)
    parts = encode(done, run="run", src="brain").parts()
    assert len(parts) == 2 + 5
    for mine, its in zip(outputs, received(Packed(parts[0], parts[1], tuple(parts[2:]))).outputs, strict=True):
        assert [bytes(part) for part in its.parts()] == [bytes(part) for part in mine.parts()]
        assert plain.dump(received(its)) == plain.dump(received(mine))


@given(strategies.frames(Stream))
def test_a_frame_joined_into_one_blob_splits_into_the_same_parts(frame):
    with mock.patch.object(codec, "INLINE_BELOW", 16):
        packed = sent(frame)
    back = codec.split(packed.topic, codec.join(packed))
    assert [bytes(part) for part in back.parts()] == [bytes(part) for part in packed.parts()]


def test_frames_without_arrays_join_to_their_header():
    packed = encode(Hello(name="brain", role="participant"), run="-", src="brain")
    assert codec.join(packed) == packed.header
    assert codec.split(packed.topic, packed.header) == packed


# --- versions -----------------------------------------------------------------------------------------


def parts_of(frame=None, **changes):
    """A frame whose header was tampered with; None takes a key away."""
    packed = sent(frame or stream(a=np.arange(2.0)))
    header = msgpack.unpackb(packed.header) | changes
    header = {key: value for key, value in header.items() if value is not None}
    return [packed.topic, msgpack.packb(header), *packed.large]


def test_an_older_major_is_refused_and_the_sender_is_to_be_upgraded():
    with pytest.raises(WrongVersion) as caught:
        decode(parts_of(v=[MAJOR - 1, 9]))
    assert str(caught.value) == (
        f"'brain' speaks protocol {MAJOR - 1}.9, this side speaks {MAJOR}.{MINOR}: upgrade the sender"
    )


def test_a_newer_major_is_refused_and_this_side_is_to_be_upgraded():
    with pytest.raises(WrongVersion, match=f"speaks protocol {MAJOR + 1}.0, .*: upgrade this side"):
        decode(parts_of(v=[MAJOR + 1, 0]))


def test_another_major_is_told_so_even_if_all_else_is_spelt_differently():
    with pytest.raises(WrongVersion):
        decode(parts_of(v=[MAJOR + 1, 0], kind=None, run=None, seq="seven", sent_ns=None))


def test_a_newer_minor_is_understood_as_far_as_possible():
    frame = Hello(name="brain", role="participant")
    parts = parts_of(frame, v=[MAJOR, MINOR + 1], mood="good")
    header = msgpack.unpackb(parts[1])
    header["body"] |= {"favourite_colour": "blue", "step": None} | header["body"]
    got = decode([parts[0], msgpack.packb(header | {"body": header["body"]})])
    assert got.frame == frame
    assert got.envelope.version == (MAJOR, MINOR + 1)


def test_a_kind_of_a_newer_minor_is_unknown_and_said_to_be():
    with pytest.raises(UnknownKind, match=rf"brain sent a 'teleport' frame.*protocol {MAJOR}\.{MINOR}"):
        decode(parts_of(kind="teleport"))


# --- what is not a frame ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"step"],
        [b"step", b""],
        [b"step", b"\xc1"],
        [b"step", msgpack.packb([1, 2])],
        [b"step", msgpack.packb("text")],
        [b"step", msgpack.packb({1: 2})],
        [b"step", msgpack.packb({})],
        [b"step", msgpack.packb({"v": "1.0"})],
        [b"step", msgpack.packb({"v": [1]})],
        [b"step", msgpack.packb({"v": [1, "0"]})],
        [b"step", msgpack.packb({"v": list(PROTOCOL)})],
        [b"step", msgpack.packb({"a": msgpack.ExtType(4, b"x")})],
        [b"step", b"\x91" * 2000],
        [b"x"] * (codec.MAX_PARTS + 1),
    ],
    ids=lambda parts: str(parts[1:2])[:30],
)
def test_parts_that_are_no_frame_are_refused(parts):
    with pytest.raises(BadFrame):
        decode(parts)


@pytest.mark.parametrize("key", ["run", "src", "seq", "sent_ns", "kind", "step", "t_ns"])
@pytest.mark.parametrize("value", [None, [], {}, b"bytes", 0.5, True])
def test_a_header_key_of_another_type_is_refused(key, value):
    with pytest.raises(BadFrame, match=repr(key)):
        decode(parts_of(**{key: value}))


def test_a_truncated_header_is_refused_wherever_it_was_cut():
    packed = sent(stream(a=np.arange(5.0)))
    for cut in range(len(packed.header)):
        with pytest.raises(BadFrame):
            decode([packed.topic, packed.header[:cut]])


def test_bytes_behind_a_header_are_refused():
    packed = sent(stream(a=np.arange(5.0)))
    with pytest.raises(BadFrame):
        decode([packed.topic, packed.header + b"\x00"])


@pytest.mark.parametrize(
    "row",
    [
        ["a", "<f8", [2]],
        ["a", "<f8", [2], bytes(16), 0],
        [1, "<f8", [2], bytes(16)],
        [b"a", "<f8", [2], bytes(16)],
        ["a", "O", [2], bytes(16)],
        ["a", "|O", [2], bytes(16)],
        ["a", ">f8", [2], bytes(16)],
        ["a", "<U4", [1], bytes(16)],
        ["a", "float64", [2], bytes(16)],
        ["a", "<c16", [1], bytes(16)],
        ["a", ["<f8"], [2], bytes(16)],
        ["a", "<f8", 2, bytes(16)],
        ["a", "<f8", ["2"], bytes(16)],
        ["a", "<f8", [-2], bytes(16)],
        ["a", "<f8", [-1], bytes(16)],
        ["a", "<f8", [-1, -2], bytes(16)],
        ["a", "<f8", [2.0], bytes(16)],
        ["a", "<f8", [3], bytes(16)],
        ["a", "<f8", [2], bytes(15)],
        ["a", "<f8", [], bytes(16)],
        ["a", "<f8", [2**40, 2**40], bytes(16)],
        ["a", "<f8", [0, 2**62, 2**62], b""],
        ["a", "<f8", [2**64 - 1], b""],
        ["a", "<f8", [0] * 70, b""],
        ["a", "<f8", [2], "sixteen letters."],
        ["a", "<f8", [2], None],
        ["a", "<f8", [2], 2],
        ["a", "<f8", [2], 1],
        ["a", "<f8", [2], 0],
        ["a", "<f8", [2], -1],
        ["a", "<f8", [2], True],
        {"name": "a"},
        "array",
        None,
    ],
    ids=repr,
)
def test_a_row_that_describes_no_array_is_refused(row):
    with pytest.raises(BadFrame, match="array"):
        decode(parts_of(arrays=[row]))


@pytest.mark.parametrize("arrays", [{}, "rows", 3])
def test_arrays_that_are_no_list_are_refused(arrays):
    with pytest.raises(BadFrame, match="not a list"):
        decode(parts_of(arrays=arrays))


def test_a_large_part_must_be_there_and_as_long_as_its_shape_says():
    topic, header, part = sent(stream(a=np.zeros(INLINE_BELOW, np.uint8))).parts()
    for parts in ([topic, header], [topic, header, bytes(part)[:-1]], [topic, header, bytes(part) + b"x"]):
        with pytest.raises(BadFrame, match="array 'a'"):
            decode(parts)


@pytest.mark.parametrize(
    "row",
    [
        [b"run/brain/s/", b"header"],
        ["run/brain/s/", b"header", 0],
        [b"run/brain/s/", b"header", 1],
        [b"run/brain/s/", b"header", -1],
        [b"run/brain/s/", b"header", "0"],
        [b"run/brain/s/", {}, 0],
        "row",
        None,
        7,
    ],
    ids=repr,
)
def test_a_packed_stream_that_is_none_is_refused(row):
    grant = StepGrant(step=0, t_ns=0, dt_ns=1, want=(), inputs=())
    for inputs in ([row], row):
        parts = parts_of(grant, body={"dt_ns": 1, "want": [], "inputs": inputs})
        with pytest.raises(BadFrame, match="packed stream"):
            decode(parts)


def test_too_few_parts_for_the_packed_streams_are_refused():
    outputs = tuple(sent(stream(a=np.zeros(INLINE_BELOW, np.uint8))) for _ in range(2))
    parts = encode(StepDone(step=0, t_ns=0, busy_ns=0, timing={}, seqs={}, outputs=outputs), run="r", src="b").parts()
    with pytest.raises(BadFrame, match="packed stream"):
        decode(parts[:-1])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "is not a map"),
        ("text", "is not a map"),
        ({}, "name"),
        ({"name": "brain", "role": "king"}, "role"),
        ({"name": "brain", "role": "operator", "lowest": [1]}, "lowest"),
        ({"name": "brain", "role": "operator", "pid": "4"}, "pid"),
    ],
    ids=repr,
)
def test_a_body_that_does_not_fit_is_refused_with_its_key(body, words):
    with pytest.raises(BadFrame, match=words):
        decode(parts_of(Hello(name="brain", role="participant"), body=body))


def test_a_time_stamp_is_an_extension_type_too():
    parts = parts_of(Halted(step=0), body={"facts": {"now": msgpack.Timestamp(1, 2)}})
    with pytest.raises(BadFrame, match=r"facts\.now"):
        decode(parts)


@pytest.mark.parametrize("dtype", ["floot", "i4,(", 7, None])
def test_a_port_of_no_dtype_at_all_is_refused(dtype):
    port = {"name": "a.b", "shape": [1], "dtype": dtype, "unit": "1"}
    packed = golden.encoded(golden.samples()["ready"])
    header = msgpack.unpackb(packed.header)
    header["body"] = {"ports": {"outputs": [port]}}
    with pytest.raises(BadFrame, match="dtype"):
        decode([packed.topic, msgpack.packb(header)])


def test_a_header_larger_than_the_wire_allows_is_refused_before_it_is_unpacked():
    packed = sent(stream(a=np.zeros(100)))
    with mock.patch.object(codec, "MAX_HEADER", 500), pytest.raises(BadFrame, match="larger than the wire allows"):
        decode(packed.parts())


def test_a_part_larger_than_the_wire_allows_is_refused():
    packed = sent(stream(a=np.zeros(INLINE_BELOW)))
    with mock.patch.object(codec, "MAX_PART", 1000), pytest.raises(BadFrame, match="larger than the wire allows"):
        decode(packed.parts())


# --- anything at all ------------------------------------------------------------------------------------

SAMPLES = {kind: [bytes(p) for p in golden.encoded(frame).parts()] for kind, frame in golden.samples().items()}


def attempt(parts):
    """Whatever the bytes are, the outcome is a frame or an error of the family."""
    with contextlib.suppress(ReafferenceError):
        assert isinstance(decode(parts), codec.Received)


@settings(max_examples=400)
@given(st.data())
def test_a_frame_with_damaged_bytes_is_a_frame_or_an_error_of_the_family(data):
    parts = list(SAMPLES[data.draw(st.sampled_from(sorted(SAMPLES)))])
    header = bytearray(parts[1])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(header) - 1))
        header[at] = data.draw(st.integers(0, 255))
    attempt([parts[0], bytes(header), *parts[2:]])


_OTHER = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400)
@given(st.data())
def test_a_frame_with_another_value_somewhere_is_a_frame_or_an_error_of_the_family(data):
    parts = list(SAMPLES[data.draw(st.sampled_from(sorted(SAMPLES)))])
    header = node = msgpack.unpackb(parts[1])
    while True:
        keys = sorted(node) if isinstance(node, dict) else range(len(node))
        key = data.draw(st.sampled_from(list(keys)))
        if isinstance(node[key], (dict, list)) and node[key] and data.draw(st.booleans()):
            node = node[key]
            continue
        node[key] = data.draw(_OTHER)
        break
    attempt([parts[0], msgpack.packb(header), *parts[2:]])


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_blob_splits_or_is_a_bad_frame(data):
    blob = bytearray(b"".join(SAMPLES["stream"][1:]))
    for _ in range(data.draw(st.integers(1, 3))):
        blob[data.draw(st.integers(0, 900))] = data.draw(st.integers(0, 255))
    del blob[data.draw(st.integers(0, len(blob))) :]
    try:
        packed = codec.split(b"run/brain/sinks/", bytes(blob))
    except BadFrame:
        return
    attempt(packed.parts())
