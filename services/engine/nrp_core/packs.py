"""Datapacks as functions of NRP-core see them: an object with `data`, and whether it is new."""

from collections.abc import Iterator
from typing import Any

from reafference.datapacks import Datapack, Message

from . import messages


class JsonData:
    """Values of JSON that begin as nothing and become a map or a list by how they are first used."""

    __slots__ = ("_value",)

    def __init__(self, value: Any = None) -> None:
        self._value = value

    def to_plain(self) -> Any:
        """What is in it, in plain values."""
        return self._value

    def append(self, value: Any) -> None:
        """Put one more behind the others; what was nothing becomes a list."""
        if self._value is None:
            self._value = []
        self._value.append(value)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._value is None:
            self._value = {} if isinstance(key, str) else []
        self._value[key] = value

    def __getitem__(self, key: Any) -> Any:
        if self._value is None:
            raise KeyError(f"{key!r}: nothing is in this datapack yet")
        return self._value[key]

    def __getattr__(self, name: str) -> Any:
        # keys, items, get, index…: those of the map or list that it has become.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr({} if self._value is None else self._value, name)

    def __delitem__(self, key: Any) -> None:
        del self._value[key]

    def __contains__(self, key: Any) -> bool:
        return self._value is not None and key in self._value

    def __iter__(self) -> Iterator[Any]:
        return iter(() if self._value is None else self._value)

    def __len__(self) -> int:
        return 0 if self._value is None else len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return bool(self._value == (other._value if isinstance(other, JsonData) else other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._value)


class _Pack:
    """What all datapacks have. `new` says that it has come, or was made, in this iteration."""

    def __init__(self, name: str = "", engine: str = "", *, new: bool = True) -> None:
        self.name, self.engine_name = name, engine
        self._new = new

    @property
    def engineName(self) -> str:  # noqa: N802
        """The engine that it is of, or for."""
        return self.engine_name

    def isUpdated(self) -> bool:  # noqa: N802
        """Whether its engine has just finished a step."""
        return self._new

    def datapack(self) -> Datapack:
        """As it is sent."""
        raise NotImplementedError


class JsonDataPack(_Pack):
    """A datapack of JSON; `data` is used as a map or a list."""

    def __init__(self, name: str = "", engine: str = "", value: Any = None, *, new: bool = True) -> None:
        super().__init__(name, engine, new=new)
        self._data = JsonData(value)

    @property
    def data(self) -> Any:
        """What is in it."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._data = value if isinstance(value, JsonData) else JsonData(value)

    def isEmpty(self) -> bool:  # noqa: N802
        """Whether nothing has been put into it."""
        return self._data.to_plain() is None

    def datapack(self) -> Datapack:
        return Datapack(self.name, self._data)


class JsonRawData(JsonDataPack):
    """JSON that belongs to no engine, for a status function."""

    def __init__(self, value: Any = None) -> None:
        super().__init__(value=value)


class ProtoDataPack(_Pack):
    """A datapack with a protobuf message in `data`; each class below has messages of one type."""

    message_class: type[Any]

    def __init__(self, name: str = "", engine: str = "", message: Any = None, *, new: bool = True) -> None:
        super().__init__(name, engine, new=new)
        self.data = self.message_class() if message is None else message

    def isEmpty(self) -> bool:  # noqa: N802
        """Never: a message always has its defaults."""
        return False

    def datapack(self) -> Datapack:
        return Datapack(self.name, messages.packed(self.data))


def received(name: str, engine: str, value: Any, *, new: bool) -> JsonDataPack | ProtoDataPack:
    """The datapack of an engine with what was sent. Raises BadExperiment for a type of message that is not known."""
    if isinstance(value, Message):
        message = messages.unpacked(value)
        return class_of(type(message))(name, engine, message, new=new)
    return JsonDataPack(name, engine, value, new=new)


_CLASSES: dict[type[Any], type[ProtoDataPack]] = {}


def class_of(message_class: type[Any]) -> type[ProtoDataPack]:
    """The class of datapacks with such messages."""
    if message_class not in _CLASSES:
        name = f"{_joined(message_class)}DataPack"
        _CLASSES[message_class] = type(name, (ProtoDataPack,), {"message_class": message_class})
    return _CLASSES[message_class]


def message_classes() -> dict[str, type[ProtoDataPack]]:
    """Classes by the names that scripts import: `DumpStringDataPack`, and `DumpStringRawData` for status functions."""
    found = {}
    for message_class in messages.classes().values():
        for ending in ("DataPack", "RawData"):
            found[f"{_joined(message_class)}{ending}"] = class_of(message_class)
    return found


def _joined(message_class: type[Any]) -> str:
    """`DumpString` for the type `Dump.String`."""
    return str(message_class.DESCRIPTOR.full_name).replace(".", "")
