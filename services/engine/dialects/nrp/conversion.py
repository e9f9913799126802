"""Between the fields of messages and the arrays of ports."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reafference.frames import Array
from services.engine.ports import Place

from .messages import Field, Message, message_type
from .times import Time
from .topics import Entry

_ENCODINGS = {1: "mono8", 3: "rgb8", 4: "rgba8"}
_IMAGE = "sensor_msgs/Image"
_QUATERNION = "geometry_msgs/Quaternion"


def made(entry: Entry, values: Mapping[str, Array], t_ns: int, seq: int) -> Message:
    """A message with these values by path; times in it are `t_ns`. Raises TypeError for a path that is not there."""
    message = message_type(entry.type)()
    if hasattr(message, "header"):
        message.header.stamp, message.header.seq = Time(0, t_ns), seq
    if entry.type == "rosgraph_msgs/Clock":
        message.clock = Time(0, t_ns)  # type: ignore[attr-defined]
    for path, constant in entry.constants.items():
        _put(message, path, constant)
    for path, value in values.items():
        if entry.type == _IMAGE and path == "data":
            _show(message, value)
        else:
            _put(message, path, value)
    return message


Values = dict[str, npt.NDArray[Any] | float]
"""What is written, by path."""


def taken(message: Message, places: Mapping[str, Place], now: Mapping[str, Array]) -> Values:
    """What the fields of a message say, by path; `now` has what holds of each, for a list that names some only.

    Raises ValueError for values that do not fit the port.
    """
    return {path: _value(message, path, place, now[path]) for path, place in places.items()}


def _show(message: Any, picture: Array) -> None:
    """Fill in a picture of the shape (rows, columns) or (rows, columns, colours)."""
    height, width = picture.shape[:2]
    colours = picture.shape[2] if picture.ndim == 3 else 1
    message.height, message.width, message.step = height, width, width * colours * picture.itemsize
    message.encoding = _ENCODINGS[colours] if picture.dtype == np.uint8 else f"{picture.dtype.kind}"
    if picture.dtype == np.float32:
        message.encoding = "32FC1"
    message.is_bigendian = int(sys.byteorder == "big")
    message.data = picture.tobytes()


def _put(message: Any, path: str, value: Any) -> None:
    """Set what stands at the end of a path; where it goes through a list, one for each of the values."""
    name, brackets, rest = _parted(path)
    field = _field(message, name)
    if brackets is not None:
        numbered = [(brackets, value)] if brackets >= 0 else list(enumerate(value))
        elements = _elements(message, field, 1 + max((place for place, _ in numbered), default=-1))
        for place, one in numbered:
            if rest:
                _put(elements[place], rest, one)
            else:
                elements[place] = _leaf(field, one)
    elif rest:
        _put(getattr(message, name), rest, value)
    else:
        setattr(message, name, _leaf(field, value) if not field.many else _list(field, value))


_ALL = -1


def _parted(path: str) -> tuple[str, int | None, str]:
    """The first name of a path, the number in the brackets behind it (_ALL for empty ones), and the rest."""
    first, _, rest = path.partition(".")
    name, opened, inner = first.partition("[")
    if not opened:
        return name, None, rest
    number = inner.removesuffix("]")
    return name, int(number) if number else _ALL, rest


def _elements(message: Message, field: Field, n: int) -> list[Any]:
    """The list in a field, with so many elements."""
    known: list[Any] = list(getattr(message, field.name))
    while len(known) < n:
        known.append(Field(field.name, field.type).default)
    setattr(message, field.name, known)
    return known


def _list(field: Field, value: Any) -> Any:
    if field.type == "uint8" and not field.length:
        return value if isinstance(value, bytes) else np.asarray(value, np.uint8).tobytes()
    if isinstance(value, (np.ndarray, np.generic)):
        return [_leaf(field, one) for one in np.atleast_1d(value).tolist()]
    return list(value)


def _leaf(field: Field, value: Any) -> Any:
    """The value of one field: numbers of a port where they make a vector."""
    if "/" not in field.type or isinstance(value, Message):
        return value.item() if isinstance(value, (np.ndarray, np.generic)) else value
    numbers = np.asarray(value, float).tolist()
    if field.type == _QUATERNION:
        # Those of bodies begin with w.
        numbers = [*numbers[1:], numbers[0]]
    return message_type(field.type)(*numbers)


def _field(message: Message, name: str) -> Field:
    for field in message._fields:
        if field.name == name:
            return field
    raise TypeError(f"{message._type} has no field {name!r}: it has {', '.join(message.__slots__)}")


def _value(message: Any, path: str, place: Place, now: Array) -> npt.NDArray[Any] | float:
    found = _get(message, path)
    if place.shape == ():
        return _number(found, path)
    try:
        values = np.asarray(found, place.port.dtype)
    except (TypeError, ValueError):
        raise ValueError(f"{message._type}.{path} is {found!r:.60}, not {place.shape} numbers") from None
    names = getattr(message, "name", None)
    if isinstance(names, (list, tuple)) and names and len(names) == len(values) and place.port.labels:
        return _by_name(names, values, place, now)
    if values.shape != place.shape:
        raise ValueError(f"{message._type}.{path} has {len(values)} values, but {place.name} takes {place.shape[0]}")
    return values


def _by_name(names: Any, values: npt.NDArray[Any], place: Place, now: Array) -> npt.NDArray[Any]:
    result = np.array(now)
    for name, value in zip(names, values, strict=True):
        if name not in place.port.labels:
            raise ValueError(f"{place.name} has no {name!r}: it has {', '.join(place.port.labels)}")
        result[place.port.labels.index(name)] = value
    return result


def _get(message: Any, path: str) -> Any:
    name, brackets, rest = _parted(path)
    found = getattr(message, name)
    if brackets == _ALL:
        return [_get(one, rest) if rest else one for one in found]
    if brackets is not None:
        found = found[brackets]
    return _get(found, rest) if rest else found


def _number(found: Any, path: str) -> float:
    try:
        return float(found)
    except (TypeError, ValueError):
        raise ValueError(f"{path} is {found!r:.60}, not a number") from None
