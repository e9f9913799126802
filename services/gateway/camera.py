"""Pictures of a robot's cameras, thinned to as many pixels as somebody wants to see."""

import numpy as np

from reafference import codec
from reafference.frames import Array, Stream

from .history import BusFrame


def thinned(frame: BusFrame, points: int) -> bytes:
    """The frame as it stands in a batch, its pictures with at most `points` pixels: every k-th row and column."""
    stream = frame.frame
    if not isinstance(stream, Stream):
        return frame.bound
    stride = max((_stride(array, points) for array in stream.arrays.values()), default=1)
    if stride == 1:
        return frame.bound
    made = frame.derived.get(("thinned", stride))
    if made is None:
        made = frame.derived["thinned", stride] = _encode(frame, stream, stride)
    return bytes(made)


def _encode(frame: BusFrame, stream: Stream, stride: int) -> bytes:
    arrays = {
        name: np.ascontiguousarray(array[::stride, ::stride]) if array.ndim >= 2 else array
        for name, array in stream.arrays.items()
    }
    thin = Stream(step=stream.step, t_ns=stream.t_ns, arrays=arrays)
    place = frame.place
    packed = codec.encode(thin, run=place.run, src=place.src, seq=place.seq, topic=frame.parts[0])
    return codec.bound(packed.parts())


def _stride(array: Array, points: int) -> int:
    """The smallest step between rows and columns that leaves so few pixels."""
    if array.ndim < 2:
        return 1
    stride = 1
    while -(-array.shape[0] // stride) * -(-array.shape[1] // stride) > max(points, 1):
        stride += 1
    return stride
