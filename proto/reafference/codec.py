"""Frames to parts and back. With `swift.py` the only file that knows msgpack.

    part 0    topic or verb        b"7f3a/brain/sinks/"  or  b"step"
    part 1    header               msgpack map
    part 2…   large arrays         raw bytes, one part each

What is decoded is never trusted: sizes are capped first, dtypes come from a list, and the bytes of an array
must be as many as its shape says.
"""

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgpack
import numpy as np

from . import plain, swift
from .errors import BadFrame, UnknownKind, WrongVersion
from .frames import KINDS, PROTOCOL, Array, Frame, Packed, Stream

INLINE_BELOW = 64 * 1024
"""Arrays of fewer bytes travel inside the header."""

MAX_HEADER = 256 * 1024 * 1024
MAX_PART = 4 * 1024 * 1024 * 1024
MAX_PARTS = 4096

DTYPES = {
    name: np.dtype(name)
    for name in ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")  # the whole list
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}

_IN_HEADER = ("step", "t_ns")


class Envelope(NamedTuple):
    """Who sent a frame in which run, its place in its stream, and when (wall clock, diagnostic)."""

    run: str
    src: str
    seq: int = 0
    sent_ns: int = 0
    version: tuple[int, int] = PROTOCOL


class Place(NamedTuple):
    """Where a frame belongs, read from its header without its arrays."""

    run: str
    src: str
    kind: str
    seq: int
    step: int
    t_ns: int


class Received(NamedTuple):
    """A decoded frame with its envelope and part 0."""

    topic: bytes
    envelope: Envelope
    frame: Frame


def encode(frame: Frame, *, run: str, src: str, seq: int = 0, topic: bytes | None = None) -> Packed:
    """The parts of one frame; part 0 is `topic`, or the frame's kind on the step wire."""
    header: dict[str, Any] = {
        "v": PROTOCOL,
        "run": run,
        "src": src,
        "kind": frame.kind,
        "seq": seq,
        "sent_ns": time.time_ns(),
    }
    large: list[Any] = []
    layout = _layout(type(frame))  # type: ignore[arg-type]
    for name in layout.header:
        header[name] = getattr(frame, name)
    if layout.body:
        header["body"] = {
            name: getattr(frame, name) if name in layout.simple else plain.dump(getattr(frame, name))
            for name in layout.body
        }
    for name in layout.packed:
        header.setdefault("body", {})[name] = _enclose(getattr(frame, name), large)
    if isinstance(frame, Stream):
        header["arrays"] = [_put_array(name, array, large) for name, array in frame.arrays.items()]
    part0 = frame.kind.encode("ascii") if topic is None else topic
    return Packed(part0, swift.encode(header), tuple(large))


def decode(parts: Sequence[Any]) -> Received:
    """The frame in these parts.

    Raises BadFrame for anything malformed, WrongVersion for another major, UnknownKind for a kind that a
    newer minor may have brought.
    """
    _check_sizes(parts)
    known = swift.decode(parts[1], [*parts[2:]], DTYPES)
    if known is not None:
        head, quickly = known
        return Received(bytes(parts[0]), Envelope(*head), quickly)
    topic, header = _open(parts)
    version = _version(header)  # first, for another major may spell all the rest differently
    envelope = Envelope(
        _field(header, "run", str),
        _field(header, "src", str),
        _field(header, "seq", int),
        _field(header, "sent_ns", int),
        version,
    )
    kind = _field(header, "kind", str)
    cls = KINDS.get(kind)
    if cls is None:
        raise UnknownKind(
            f"{envelope.src} sent a {kind!r} frame, which this side (protocol {_dotted(PROTOCOL)}) does not know"
        )
    if cls is Stream:
        frame: Frame = Stream(
            step=_field(header, "step", int),
            t_ns=_field(header, "t_ns", int),
            arrays=_take_arrays(header.get("arrays", []), parts),
        )
        return Received(topic, envelope, frame)
    return Received(topic, envelope, _load_body(cls, header, parts))


def join(packed: Packed) -> bytes:
    """One blob for a file: the header, then the large parts in order (see `split`)."""
    return b"".join((packed.header, *packed.large))


def split(topic: bytes, blob: bytes) -> Packed:
    """Undo `join`; the lengths of the large parts follow from the arrays that the header describes."""
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=0, strict_map_key=True)
    unpacker.feed(blob)
    try:
        header = unpacker.unpack()
        start = unpacker.tell()
        large = []
        for _, dtype, shape, where in header.get("arrays", []):
            if isinstance(where, int):
                size = math.prod(shape) * np.dtype(dtype).itemsize
                large.append(blob[start : start + size])
                start += size
    except (msgpack.exceptions.UnpackException, ValueError, TypeError, AttributeError) as error:
        raise BadFrame(f"a recorded frame of {topic!r} cannot be read: {error}") from None
    return Packed(topic, blob[: unpacker.tell()], tuple(large))


def place(parts: Sequence[Any]) -> Place:
    """Where this frame belongs; raises BadFrame if it has no header that says so."""
    found = swift.place(parts[1]) if len(parts) > 1 else None
    if found is None:
        raise BadFrame("a header does not say where its frame belongs")
    return Place(*found)


# --- batches of frames, for one WebSocket message ----------------------------------------------------


def bound(parts: Sequence[Any]) -> bytes:
    """One frame as it stands in a batch: a msgpack array of its parts."""
    return swift.encode([part if type(part) is bytes else bytes(part) for part in parts])


def batch(number: int, frames: Sequence[bytes]) -> bytes:
    """The msgpack array of a number and frames that are bound already."""
    packer = msgpack.Packer()
    head: bytes = packer.pack_array_header(len(frames) + 1)
    return b"".join((head, packer.pack(number), *frames))


def open_batch(data: bytes) -> tuple[int, list[list[bytes]]]:
    """Undo `batch`: the number, and the parts of each frame. Raises BadFrame."""
    try:
        number, *frames = msgpack.unpackb(data, raw=False, ext_hook=_no_extensions)
    except (msgpack.exceptions.UnpackException, ValueError, TypeError) as error:
        raise BadFrame(f"this is no batch of frames: {error}") from None
    if not isinstance(number, int) or not all(isinstance(frame, list) for frame in frames):
        raise BadFrame("a batch is a number and frames")
    return number, frames


# --- the parts of a frame ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Layout:
    """The fields of a frame by where they go; of those in the body, `simple` ones need no translation."""

    header: tuple[str, ...]
    body: tuple[str, ...]
    simple: frozenset[str]
    packed: tuple[str, ...]


_SIMPLE = (bool, int, float, str, tuple[str, ...], Mapping[str, int], Mapping[str, float])


@cache
def _layout(cls: type[Frame]) -> _Layout:
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    packed = tuple(f.name for f in fields if f.type == tuple[Packed, ...])
    header = tuple(f.name for f in fields if f.name in _IN_HEADER)
    body = tuple(f.name for f in fields if f.name not in (*packed, *header, "arrays"))
    simple = frozenset(f.name for f in fields if f.name in body and f.type in _SIMPLE)
    return _Layout(header, body, simple, packed)


def _enclose(streams: Sequence[Packed], large: list[Any]) -> list[Any]:
    rows = []
    for stream in streams:
        rows.append([stream.topic, stream.header, len(stream.large)])
        large.extend(stream.large)
    return rows


def _disclose(rows: Any, parts: Sequence[Any], start: int) -> tuple[tuple[Packed, ...], int]:
    streams = []
    for row in rows if isinstance(rows, list) else [rows]:
        match row:
            case [bytes(topic), bytes(header), int(count)] if 0 <= count <= len(parts) - start:
                streams.append(Packed(topic, header, tuple(parts[start : start + count])))
                start += count
            case _:
                raise BadFrame("a packed stream is not [topic, header, number of large parts]")
    return tuple(streams), start


def _put_array(name: str, array: Array, large: list[Any]) -> list[Any]:
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    dtype = _NAMES.get(array.dtype)
    if dtype is None:
        raise BadFrame(f"array {name!r} has dtype {array.dtype}, the wire takes {', '.join(sorted(DTYPES))}")
    if array.nbytes < INLINE_BELOW:
        return [name, dtype, array.shape, array.tobytes()]
    # From here on the bytes belong to the wire: a later write would change what is still in a queue.
    array.flags.writeable = False
    large.append(array.data.cast("B"))
    return [name, dtype, array.shape, len(large) + 1]


def _take_arrays(rows: Any, parts: Sequence[Any]) -> dict[str, Array]:
    if not isinstance(rows, list):
        raise BadFrame("the arrays of a frame are not a list")
    return dict(_take_array(row, parts) for row in rows)


def _take_array(row: Any, parts: Sequence[Any]) -> tuple[str, Array]:
    match row:
        case [str(name), str(dtype), list(shape), (bytes() | int()) as where] if dtype in DTYPES:
            pass
        case _:
            raise BadFrame("an array is not [name, listed dtype, shape, bytes or part]")
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise BadFrame(f"array {name!r} has the shape {shape}")
    if isinstance(where, int) and not 2 <= where < len(parts):
        raise BadFrame(f"array {name!r} is said to be part {where} of {len(parts)}")
    raw = parts[where] if isinstance(where, int) else where
    size = memoryview(raw).nbytes
    kind = np.dtype(dtype)
    if math.prod(shape) * kind.itemsize != size:
        raise BadFrame(f"array {name!r} of {dtype} {shape} cannot have {size} bytes")
    try:
        array = np.frombuffer(raw, kind).reshape(shape)
    except ValueError as error:  # no elements, but more axes or longer ones than an array can have
        raise BadFrame(f"array {name!r} cannot have the shape {shape!r:.60}: {error}") from None
    array.flags.writeable = False
    return name, array


def _check_sizes(parts: Sequence[Any]) -> None:
    if not 2 <= len(parts) <= MAX_PARTS:
        raise BadFrame(f"a frame has 2 to {MAX_PARTS} parts, this one has {len(parts)}")
    for number, part in enumerate(parts):
        size = len(part) if type(part) is bytes else memoryview(part).nbytes
        if size > (MAX_HEADER if number == 1 else MAX_PART):
            raise BadFrame(f"a frame part of {size} bytes is larger than the wire allows")


def _open(parts: Sequence[Any]) -> tuple[bytes, Mapping[str, Any]]:
    try:
        header = msgpack.unpackb(parts[1], raw=False, strict_map_key=True, ext_hook=_no_extensions)
    except (msgpack.exceptions.UnpackException, ValueError, TypeError) as error:
        raise BadFrame(f"a header is not a msgpack map: {error}") from None
    if not isinstance(header, dict):
        raise BadFrame("a header is not a msgpack map")
    return bytes(parts[0]), header


def _no_extensions(code: int, data: bytes) -> Any:
    raise ValueError(f"extension type {code}")


def _version(header: Mapping[str, Any]) -> tuple[int, int]:
    match header.get("v"):
        case [int(major), int(minor)]:
            pass
        case other:
            raise BadFrame(f"a header has the version {other!r}")
    if major != PROTOCOL[0]:
        older = "the sender" if major < PROTOCOL[0] else "this side"
        raise WrongVersion(
            f"{header.get('src')!r} speaks protocol {major}.{minor}, this side speaks "
            f"{_dotted(PROTOCOL)}: upgrade {older}"
        )
    return major, minor


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _field(header: Mapping[str, Any], name: str, kind: type) -> Any:
    value = header.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadFrame(f"a header has {plain.describe(value)} under {name!r}")
    return value


def _load_body(cls: type[Frame], header: Mapping[str, Any], parts: Sequence[Any]) -> Frame:
    layout = _layout(cls)  # type: ignore[arg-type]
    body = header.get("body", {})
    if not isinstance(body, dict):
        raise BadFrame(f"the body of a {cls.kind!r} frame is not a map")
    values = dict(body)
    for name in layout.header:
        if name in header:
            values[name] = header[name]
    next_part = 2
    for name in layout.packed:
        values[name], next_part = _disclose(values.get(name, []), parts, next_part)
    try:
        return plain.load(cls, values, strict=False)
    except plain.Misfit as misfit:
        raise BadFrame(f"a {cls.kind!r} frame does not fit: {misfit}") from None
