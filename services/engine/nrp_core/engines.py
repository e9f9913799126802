"""What engine scripts of NRP-core inherit from: a simulator of their own, with datapacks by name."""

from collections.abc import Mapping
from typing import Any

from reafference.datapacks import Message

from . import messages


class EngineScript:
    """Base of a script whose datapacks are plain values. What a user overrides is below the line."""

    def __init__(self) -> None:
        self._datapacks: dict[str, Any] = {}
        self._time_ns = 0
        self._name = ""
        self._config: Mapping[str, Any] = {}

    def _registerDataPack(self, name: str) -> None:  # noqa: N802
        """Let there be a datapack of this name. Raises ValueError where there is one already."""
        if name in self._datapacks:
            raise ValueError(f"the datapack {name!r} has been registered already")
        self._datapacks[name] = None

    def _getDataPack(self, name: str) -> Any:  # noqa: N802
        """What is in it, None at first. Raises ValueError for a name that was not registered."""
        return self._datapacks[self._registered(name)]

    def _setDataPack(self, name: str, data: Any) -> None:  # noqa: N802
        """Put this into it. Raises ValueError for a name that was not registered."""
        self._datapacks[self._registered(name)] = data

    def _advanceTime(self, timestep_ns: int) -> None:  # noqa: N802
        self._time_ns += timestep_ns

    def _registered(self, name: str) -> str:
        if name not in self._datapacks:
            known = ", ".join(self._datapacks) or "none"
            raise ValueError(f"the datapack {name!r} is not registered in the engine {self._name!r}; it has {known}")
        return name

    def _contents(self) -> dict[str, Any]:
        """All datapacks as they are sent."""
        return dict(self._datapacks)

    def _usable(self, name: str, value: Any) -> Any:
        """What has come for this engine, as its datapack holds it. Raises ValueError and TypeError."""
        self._registered(name)
        if isinstance(value, Message):
            raise TypeError(f"the datapack {name!r} of {self._name!r} takes JSON, and a message {value.type} has come")
        return value

    # ---

    def initialize(self) -> None:
        """Called once, before the first step."""

    def runLoop(self, timestep_ns: int) -> None:  # noqa: N802
        """Called for each step; `_time_ns` is its end."""

    def reset(self) -> None:
        """Called when another run of the same experiment begins."""

    def shutdown(self) -> None:
        """Called at the end."""


class GrpcEngineScript(EngineScript):
    """Base of a script whose datapacks are protobuf messages."""

    def _registerDataPack(self, name: str, protobuf_type: type[Any]) -> None:  # type: ignore[override]  # noqa: N802
        """Let there be a datapack of this name and type. Raises ValueError and TypeError."""
        if not isinstance(protobuf_type, type) or not hasattr(protobuf_type, "DESCRIPTOR"):
            raise TypeError(f"the datapack {name!r} needs a class of protobuf messages, not {protobuf_type!r}")
        super()._registerDataPack(name)
        self._datapacks[name] = protobuf_type()

    def _setDataPack(self, name: str, data: Any) -> None:  # noqa: N802
        """Put this message into it. Raises ValueError, and TypeError for one of another type."""
        kind = type(self._datapacks[self._registered(name)])
        if not isinstance(data, kind):
            raise TypeError(f"the datapack {name!r} has messages {kind.__name__}, not {type(data).__name__}")
        self._datapacks[name] = data

    def _contents(self) -> dict[str, Any]:
        return {name: messages.packed(message) for name, message in self._datapacks.items()}

    def _usable(self, name: str, value: Any) -> Any:
        wanted = self._datapacks[self._registered(name)].DESCRIPTOR.full_name
        if not isinstance(value, Message) or value.type != wanted:
            found = f"a message {value.type}" if isinstance(value, Message) else "JSON"
            raise TypeError(f"the datapack {name!r} of {self._name!r} takes messages {wanted}, and {found} has come")
        return messages.unpacked(value)


def register_engine(*arguments: Any) -> Any:
    """The decorator of older scripts, which says nothing that is not known."""
    return lambda cls: cls
