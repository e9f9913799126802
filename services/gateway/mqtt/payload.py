"""Frames of the bus as texts that any MQTT client reads; MQTT.md says what stands where.

Arrays are thinned where they are large: every k-th picture element, row or number.
"""

import json
import math
from typing import Any

from reafference import plain
from reafference.frames import Array, Stream

from ..as_json import listed
from ..history import BusFrame

_CAMERA = "body/camera/"


def as_json(frame: BusFrame, most_values: int) -> bytes:
    """The frame as JSON, each array of a stream with about `most_values` numbers at most.

    Raises as codec.decode where the frame is none that we know.
    """
    place, decoded = frame.place, frame.frame
    told: dict[str, Any] = {"kind": place.kind, "run": place.run, "src": place.src, "seq": place.seq}
    if isinstance(decoded, Stream):
        told |= {"step": decoded.step, "t_s": decoded.t_ns / 1e9}
        told |= _arrays(decoded, most_values, camera=frame.name.startswith(_CAMERA))
    else:
        told |= listed(plain.with_arrays(plain.dump(decoded)))
        if "t_ns" in told:
            told["t_s"] = told.pop("t_ns") / 1e9
    return json.dumps(told, allow_nan=False, separators=(",", ":")).encode("ascii")


def _arrays(stream: Stream, most_values: int, *, camera: bool) -> dict[str, Any]:
    """`arrays` and, for those that had to be thinned, `thinned`: by which step, and which shape they had."""
    shown, thinned = {}, {}
    for name, array in stream.arrays.items():
        picture = camera and array.ndim >= 2
        every = _every(array, most_values, picture=picture)
        if every > 1:
            thinned[name] = {"every": every, "of": list(array.shape)}
        shown[name] = listed(array if every == 1 else array[::every, ::every] if picture else array[::every])
    return {"arrays": shown} | ({"thinned": thinned} if thinned else {})


def _every(array: Array, most_values: int, *, picture: bool) -> int:
    """The smallest step, in rows and columns of a picture and else in rows, that leaves so few numbers."""
    if array.ndim == 0 or array.size <= most_values:
        return 1
    each: int = math.prod(array.shape[2 if picture else 1 :])
    rows: int = array.shape[0]
    columns: int = array.shape[1] if picture else 1
    longest = max(rows, columns)
    least = math.isqrt(array.size // most_values) if picture else array.size // most_values
    every = min(max(least, 1), longest)
    while every < longest and -(-rows // every) * (-(-columns // every) if picture else 1) * each > most_values:
        every += 1
    return every
