"""Protobuf messages for scripts of NRP-core, where the package that has them is installed (extra `nrp-core`)."""

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from reafference.datapacks import Message
from reafference.errors import BadExperiment

_LIST = "nrp_protobuf.proto_modules"


@cache
def modules() -> tuple[ModuleType, ...]:
    """The modules of messages; none where the package is not installed."""
    try:
        names = import_module(_LIST).proto_modules
    except ModuleNotFoundError:
        return ()
    return tuple(import_module(name) for name in names)


@cache
def classes() -> dict[str, type[Any]]:
    """Each class of messages by its full name, `Dump.String`."""
    found = {}
    for module in modules():
        for name in module.DESCRIPTOR.message_types_by_name:
            found[f"{module.DESCRIPTOR.package}.{name}"] = getattr(module, name)
    return found


def packed(message: Any) -> Message:
    """A message as it is sent."""
    return Message(message.DESCRIPTOR.full_name, message.SerializeToString(deterministic=True))


def unpacked(message: Message) -> Any:
    """The message that was sent. Raises BadExperiment for a type that is not known here."""
    cls = classes().get(message.type)
    if cls is None:
        known = ", ".join(sorted(classes())) or "none: install the extra nrp-core"
        raise BadExperiment(f"there is no message of the type {message.type!r}; known are {known}")
    return cls.FromString(message.data)
