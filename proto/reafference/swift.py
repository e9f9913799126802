"""The frames of every step, read in one call of compiled code.

`codec.py` decodes every frame and says in words what is wrong with one. This file knows the kinds that travel in
each step only, and only well-formed ones: for anything else it answers None and leaves it to the codec. The same
check in Python takes a few microseconds in a warm loop but 150 between two steps, when a simulation has swept the
caches, and there are eight of these frames in a step.
"""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from .frames import PROTOCOL, Array, Frame, Packed, StepDone, StepGrant, Stream

_Size = Annotated[int, msgspec.Meta(ge=0)]
_Row = tuple[str, str, tuple[_Size, ...], bytes | _Size]
"""An array: name, dtype, shape, and its bytes or the number of the part that has them."""
_Enclosed = tuple[bytes, bytes, _Size]
"""A packed stream: topic, header, how many of the large parts are its own."""

Head = tuple[str, str, int, int, tuple[int, int]]
"""Run, sender, sequence number, when it was sent (ns), version."""


class _Header(msgspec.Struct, gc=False):
    v: tuple[int, int]
    run: str
    src: str
    kind: Literal["stream", "step", "done"]
    seq: int
    sent_ns: int
    step: int
    t_ns: int
    body: msgspec.Raw = msgspec.Raw(b"\x80")
    arrays: tuple[_Row, ...] | msgspec.UnsetType = msgspec.UNSET


class _Grant(msgspec.Struct, gc=False):
    dt_ns: int
    want: tuple[str, ...]
    inputs: tuple[_Enclosed, ...]


class _Done(msgspec.Struct, gc=False):
    busy_ns: int
    timing: dict[str, int]
    seqs: dict[str, int]
    outputs: tuple[_Enclosed, ...]


class _Place(msgspec.Struct, gc=False):
    run: str
    src: str
    kind: str
    seq: int
    step: int = -1
    t_ns: int = 0


_header = msgspec.msgpack.Decoder(_Header).decode
_place = msgspec.msgpack.Decoder(_Place).decode
_grant = msgspec.msgpack.Decoder(_Grant).decode
_done = msgspec.msgpack.Decoder(_Done).decode

encode = msgspec.msgpack.Encoder().encode
"""A map of maps, lists and scalars as msgpack."""


def decode(header: Any, large: list[Any], dtypes: dict[str, "np.dtype[Any]"]) -> tuple[Head, Frame] | None:
    """The frame with this header and these large parts; None if it has to be looked at more closely.

    `dtypes` are the ones that may occur.
    """
    try:
        head = _header(header)
        if head.v[0] != PROTOCOL[0]:
            return None
        frame = _frame(head, large, dtypes)
    except (msgspec.MsgspecError, RecursionError, ValueError, LookupError):
        return None
    return (head.run, head.src, head.seq, head.sent_ns, head.v), frame


def place(header: Any) -> tuple[str, str, str, int, int, int] | None:
    """Run, sender, kind, sequence number, step and time of the frame with this header; None if it has none."""
    try:
        found = _place(header)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found.run, found.src, found.kind, found.seq, found.step, found.t_ns


def _frame(head: _Header, large: list[Any], dtypes: dict[str, "np.dtype[Any]"]) -> Frame:
    match head.kind:
        case "stream":
            if isinstance(head.arrays, msgspec.UnsetType):
                raise LookupError
            arrays = {row[0]: _array(row, large, dtypes) for row in head.arrays}
            return Stream(step=head.step, t_ns=head.t_ns, arrays=arrays)
        case "done":
            done = _done(head.body)
            return StepDone(
                step=head.step,
                t_ns=head.t_ns,
                busy_ns=done.busy_ns,
                timing=done.timing,
                seqs=done.seqs,
                outputs=_packed(done.outputs, large),
            )
        case "step":
            grant = _grant(head.body)
            return StepGrant(
                step=head.step,
                t_ns=head.t_ns,
                dt_ns=grant.dt_ns,
                want=grant.want,
                inputs=_packed(grant.inputs, large),
            )


def _array(row: _Row, large: list[Any], dtypes: dict[str, "np.dtype[Any]"]) -> Array:
    _, dtype, shape, where = row
    array: Array = np.frombuffer(where if isinstance(where, bytes) else _part(large, where), dtypes[dtype])
    if array.shape != shape:
        array = array.reshape(shape)
    if array.flags.writeable:
        array.flags.writeable = False
    return array


def _part(large: list[Any], number: int) -> Any:
    """The large part of this number in the frame, where the first of them is part 2."""
    if number < 2:
        raise LookupError
    return large[number - 2]


def _packed(rows: tuple[_Enclosed, ...], large: list[Any]) -> tuple[Packed, ...]:
    streams, start = [], 0
    for topic, header, count in rows:
        if count > len(large) - start:
            raise LookupError
        streams.append(Packed(topic, header, tuple(large[start : start + count])))
        start += count
    return tuple(streams)
