"""ROS messages as plain Python objects, with the fields of their public definitions and their default values."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from reafference import plain

from .message_types import TYPES
from .times import Duration, Time

_DEFAULTS: Mapping[str, Any] = {"bool": False, "string": "", "float32": 0.0, "float64": 0.0}
_WHOLE = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message: `type` is that of one element where it is a list, of `length` elements unless that is 0."""

    name: str
    type: str
    many: bool = False
    length: int = 0

    @classmethod
    def of(cls, text: str) -> "Field":
        name, type_ = text.split()
        if not type_.endswith("]"):
            return cls(name, type_)
        type_, _, length = type_.removesuffix("]").partition("[")
        return cls(name, type_, many=True, length=int(length or 0))

    @property
    def default(self) -> Any:
        if self.many:
            return b"" if self.type == "uint8" and not self.length else [self._one for _ in range(self.length)]
        return self._one

    @property
    def _one(self) -> Any:
        if self.type in _DEFAULTS:
            return _DEFAULTS[self.type]
        if self.type in _WHOLE:
            return 0
        if self.type in ("time", "duration"):
            return Time() if self.type == "time" else Duration()
        return message_type(self.type)()


class Message:
    """A message of a type that ROS knows. Values come in the order of the fields, or by name."""

    __slots__: tuple[str, ...] = ()
    _type = ""
    _fields: tuple[Field, ...] = ()

    def __init__(self, *values: Any, **named: Any) -> None:
        names = self.__slots__
        if len(values) > len(names):
            raise TypeError(f"{self._type} has {len(names)} fields ({', '.join(names)}), not {len(values)}")
        for name in named:
            if name not in names:
                hint = plain.nearest(name, names)
                raise AttributeError(f"{self._type} has no field {name!r}{hint}: it has {', '.join(names)}")
        given = dict(zip(names, values, strict=False)) | named
        for field in self._fields:
            if field.name not in given:
                given[field.name] = field.default
            setattr(self, field.name, given[field.name])

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(bool(getattr(self, name) == getattr(other, name)) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r:.200}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


@cache
def _definitions() -> dict[str, tuple[Field, ...]]:
    """The fields of every type."""
    whole = TYPES.replace("\n    ", " ")
    lines = [line.partition(":") for line in whole.splitlines() if line.strip()]
    return {name: tuple(Field.of(one) for one in fields.split(",") if one.strip()) for name, _, fields in lines}


@cache
def message_type(name: str) -> type[Message]:
    """The class of a type such as `geometry_msgs/Twist`. Raises KeyError."""
    fields = _definitions()[name]
    package, short = name.split("/")
    body = {
        "__slots__": tuple(field.name for field in fields),
        "__module__": f"{package}.msg",
        "_type": name,
        "_fields": fields,
    }
    return type(short, (Message,), body)


def known_types() -> list[str]:
    """Names of all types."""
    return list(_definitions())


def packages() -> list[str]:
    """Names of the packages that have messages."""
    return list(dict.fromkeys(name.split("/")[0] for name in _definitions()))


def types_of(package: str) -> dict[str, type[Message]]:
    """The types of a package, by their short names."""
    return {name.split("/")[1]: message_type(name) for name in known_types() if name.startswith(f"{package}/")}
