"""Datapacks between the messages of the client and the plain values of the wire inside."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from nrp_protobuf import nrp_server_pb2 as messages

_PREFIX = "type.googleapis.com/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A datapack: text of JSON in `text`, or the bytes of a message of the type `kind` in `data`."""

    name: str = ""
    engine: str = ""
    text: str = ""
    kind: str = ""
    data: bytes = b""

    def as_map(self) -> dict[str, str]:
        """As it travels inside: bytes as text, so that it can be read in a recording."""
        if self.kind:
            return {"name": self.name, "type": self.kind, "data": base64.b64encode(self.data).decode("ascii")}
        return {"name": self.name, "json": self.text}

    def as_inputs(self) -> dict[str, Any]:
        """Values by the address of an input port: `{"rate": 5}` in the pack `drive` for `brain` is `brain.drive.rate`.

        Raises ValueError for what is no JSON object.
        """
        payload = None if self.kind else json.loads(self.text)
        if not isinstance(payload, dict):
            raise ValueError(
                f"the datapack {self.name!r} for {self.engine!r} must be an object of JSON: port and value"
            )
        base = f"{self.engine}.{self.name}" if self.name else self.engine
        return {base if key == "value" else f"{base}.{key}": value for key, value in payload.items()}


def given(packs: messages.DataPacks) -> list[Pack]:
    """What a client sends. Raises ValueError for text that is no JSON."""
    found = []
    for one in packs.jsonDataPacks:
        message = messages.JsonMessage()
        if not one.data.Unpack(message):
            raise ValueError(f"the datapack {one.dataPackId.dataPackName!r} is no JSON: send it as a proto datapack")
        json.loads(message.data)
        found.append(Pack(name=one.dataPackId.dataPackName, engine=one.dataPackId.engineName, text=message.data))
    for one in packs.protoDataPacks:
        kind = one.data.type_url.rpartition("/")[2]
        found.append(
            Pack(name=one.dataPackId.dataPackName, engine=one.dataPackId.engineName, kind=kind, data=one.data.value)
        )
    return found


def packs_of(plain: Iterable[Mapping[str, str]]) -> tuple[Pack, ...]:
    """Datapacks that the engine has told of."""
    return tuple(
        Pack(name=one.get("name", ""), kind=one["type"], data=base64.b64decode(one["data"]))
        if "type" in one
        else Pack(name=one.get("name", ""), text=one["json"])
        for one in plain
    )


def trajectory(packs: Sequence[Pack]) -> messages.Trajectory:
    """In the client's form: two lists, and in each entry its place among all."""
    made = messages.Trajectory()
    for index, pack in enumerate(packs):
        if pack.kind:
            entry = made.protoTrajectoryMessages.add(dataIndex=index)
            entry.data.CopyFrom(AnyMessage(type_url=_PREFIX + pack.kind, value=pack.data))
        else:
            entry = made.jsonTrajectoryMessages.add(dataIndex=index)
            entry.data.Pack(messages.JsonMessage(data=pack.text))
    return made
