"""Datapacks: named parcels of JSON (or protobuf) between functions and simulators that are written as scripts.

Inside the house they are arrays of bytes, so that they ride, are recorded and digested as all data is. Each datapack of
a simulator is an output port `datapacks.<name>` with the text of its JSON; where its unit is "protobuf" the text is a
map of the message's `type` and its bytes as `data` (base64). What is sent to the simulator comes in one input port,
`given`: a map of `iteration`, which never repeats for the same parcel, and `packs`, each of them a map as in `to_map`.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import BadExperiment
from .frames import Array, Port

STREAM = "datapacks"
GIVEN = "given"
JSON, PROTOBUF = "json", "protobuf"
SET = "set_datapacks"
"""The edit by which somebody outside gives a simulator datapacks before its next step."""


@dataclass(frozen=True, slots=True)
class Message:
    """A protobuf message as it is sent: the full name of its type, and its bytes."""

    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Datapack:
    """A parcel: plain values as JSON has them, or a Message."""

    name: str
    value: Any = None

    def to_map(self) -> dict[str, str]:
        """In plain texts: `name`, and `json` or `type` and `data`."""
        if isinstance(self.value, Message):
            return {"name": self.name, **_enclosed(self.value)}
        return {"name": self.name, "json": text_of(self.value, self.name)}


def from_map(given: Mapping[str, Any]) -> Datapack:
    """What `to_map` has made. Raises BadExperiment."""
    try:
        if "type" in given:
            data = base64.b64decode(given["data"], validate=True)
            return Datapack(str(given["name"]), Message(str(given["type"]), data))
        return Datapack(str(given["name"]), json.loads(given["json"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadExperiment(f"a datapack is a map of name and json (or type and data): {error!r}") from None


def from_maps(given: Mapping[str, Any]) -> list[Datapack]:
    """The arguments of the edit SET. Raises BadExperiment."""
    packs = given.get("packs")
    if set(given) != {"packs"} or not isinstance(packs, (list, tuple)):
        raise BadExperiment(f"the edit {SET!r} takes `packs`, a list of datapacks")
    return [from_map(one) for one in packs]


def text_of(value: Any, name: str) -> str:
    """The value as JSON. Raises BadExperiment for what JSON has no form for."""
    try:
        return json.dumps(value, default=_plain)
    except (TypeError, ValueError) as error:
        raise BadExperiment(f"the datapack {name!r} cannot be written as JSON: {error}") from None


def output(name: str, value: Any) -> Port:
    """The port of a datapack that begins with this value."""
    unit = PROTOBUF if isinstance(value, Message) else JSON
    return Port(name=f"{STREAM}.{name}", shape=(-1,), dtype="|u1", unit=unit, rest=encode(value, name))


def given_port() -> Port:
    """The port by which a simulator is given datapacks."""
    return Port(name=GIVEN, shape=(-1,), dtype="|u1", unit=JSON)


def encode(value: Any, name: str) -> Array:
    """The content of an output port, shape (n_bytes,). Raises BadExperiment."""
    return _bytes(json.dumps(_enclosed(value)) if isinstance(value, Message) else text_of(value, name))


def decode(array: Array, unit: str) -> Any:
    """The value in an output port of this unit; None where nothing has been put into it."""
    if not array.size:
        return None
    value = json.loads(array.tobytes())
    if unit == PROTOBUF:
        return Message(value["type"], base64.b64decode(value["data"]))
    return value


def encode_given(iteration: int, packs: Sequence[Datapack]) -> Array:
    """The content of GIVEN. Raises BadExperiment."""
    return _bytes(json.dumps({"iteration": iteration, "packs": [pack.to_map() for pack in packs]}))


def decode_given(array: Array) -> tuple[int, list[Datapack]]:
    """Iteration and parcels in GIVEN; -1 and none before there were any."""
    if not array.size:
        return -1, []
    content = json.loads(array.tobytes())
    return int(content["iteration"]), [from_map(one) for one in content["packs"]]


def _enclosed(message: Message) -> dict[str, str]:
    return {"type": message.type, "data": base64.b64encode(message.data).decode("ascii")}


def _bytes(text: str) -> Array:
    return np.frombuffer(text.encode("utf-8"), dtype=np.uint8).copy()


def _plain(value: Any) -> Any:
    """Arrays and numbers of numpy, and what else knows how to become plain values."""
    for way in ("tolist", "to_plain"):
        if hasattr(value, way):
            return getattr(value, way)()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
