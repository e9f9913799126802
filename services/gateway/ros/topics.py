"""The ROS topics of a body, as its facts tell of them, and their messages made of what the bus carries. Pure.

`topics` in the facts is `{"out": [entry…], "in": [entry…]}`. An entry has `topic` (`*` in it stands for any name of the
robot), `type`, `fields` (path in the message to address within the body) and `constants`. `a[].b` in a path spreads an
array over a list of messages, `a[2].b` means one of them.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reafference.frames import Array, Ports

from ..as_json import listed

_NS = 1_000_000_000
_IMAGE = "sensor_msgs/Image"
_JOINTS = "sensor_msgs/JointState"
_ROBOT, _BODY = "robot", "body"
_VECTORS = ("position", "orientation", "linear", "angular", "path_points", "linear_acceleration", "angular_velocity")
_AXES = {3: "xyz", 4: "wxyz"}
_PART = re.compile(r"(?P<name>[^.\[\]]+)(?P<list>\[(?P<index>\d*)\])?\Z")
_STAMPED = ("sensor_msgs/", "nav_msgs/Odometry")
_ENCODINGS = {1: "mono8", 3: "rgb8", 4: "rgba8"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the value of a field is on the bus: topic, array, and which element of it (None: all)."""

    stream: str
    array: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class RosTopic:
    """A topic with what its messages are made of."""

    name: str
    type: str
    fields: Mapping[str, Place] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)

    @property
    def streams(self) -> list[str]:
        """The topics of the bus that its messages need; the first of them says when there is a new one."""
        return list(dict.fromkeys(place.stream for place in self.fields.values()))


def given_by(ports: Mapping[str, Ports], further: Iterable[Mapping[str, Any]] = ()) -> dict[str, RosTopic]:
    """The topics on which the bodies of a run publish, by name; `further` are those that the experiment adds for its
    body. What cannot be understood, or is not given by a body, is left out."""
    found = {}
    for service, declared in ports.items():
        topics = declared.facts.get("topics")
        entries = list(topics.get("out", ())) if isinstance(topics, Mapping) else []
        for entry in [*entries, *(further if service == _BODY else ())]:
            topic = _topic(service, declared, entry)
            if topic is not None:
                found[topic.name] = topic
    return found


def named(topics: Mapping[str, RosTopic], name: str) -> RosTopic | None:
    """The topic of this name, whatever the robot is called in it."""
    if name in topics:
        return topics[name]
    return next((topic for pattern, topic in topics.items() if "*" in pattern and _fits(pattern, name)), None)


def as_listed(name: str) -> str:
    """The name of a topic as somebody can subscribe to it."""
    return name.replace("*", _ROBOT)


def message(topic: RosTopic, arrays: Mapping[str, Mapping[str, Array]], t_ns: int, number: int) -> dict[str, Any]:
    """A message of a topic, from the newest arrays of each of its streams."""
    made: dict[str, Any] = {}
    if topic.type.startswith(_STAMPED):
        made["header"] = {"seq": number, "stamp": stamp(t_ns), "frame_id": ""}
    for path, value in topic.constants.items():
        _put(made, path, listed(value))
    for path, place in topic.fields.items():
        array = arrays.get(place.stream, {}).get(place.array)
        if array is None:
            continue
        value = array if place.index is None else array[place.index]
        if topic.type == _IMAGE and path == "data":
            made |= _picture(value)
        else:
            _put(made, path, _plain(topic, path, value))
    return made


def stamp(t_ns: int) -> dict[str, int]:
    """A ROS time."""
    return {"secs": t_ns // _NS, "nsecs": t_ns % _NS}


def _topic(service: str, declared: Ports, entry: Mapping[str, Any]) -> RosTopic | None:
    fields = {}
    for path, address in entry.get("fields", {}).items():
        place = _place(service, declared, str(address))
        if place is None:
            return None
        fields[str(path)] = place
    if not fields:
        return None
    return RosTopic(str(entry["topic"]), str(entry.get("type", "")), fields, dict(entry.get("constants", {})))


def _place(service: str, declared: Ports, address: str) -> Place | None:
    """A port, or an element of one: `joints.position`, `joints.position.elbow`."""
    for port in declared.outputs:
        stream, _, array = port.name.partition(".")
        if address == port.name:
            return Place(f"{service}/{stream}", array)
        label = address.removeprefix(f"{port.name}.")
        if label != address and label in port.labels:
            return Place(f"{service}/{stream}", array, port.labels.index(label))
    return None


def _fits(pattern: str, name: str) -> bool:
    wanted, found = pattern.split("/"), name.split("/")
    return len(wanted) == len(found) and all(one in ("*", other) for one, other in zip(wanted, found, strict=True))


def _plain(topic: RosTopic, path: str, value: Any) -> Any:
    """An array as the message has it: what is a vector in space has its axes by name."""
    found = listed(value)
    leaf = path.rpartition(".")[2].partition("[")[0]
    axes = _AXES.get(np.shape(value)[-1]) if np.ndim(value) else None
    if topic.type == _JOINTS or leaf not in _VECTORS or axes is None:
        return found
    if np.ndim(value) == 1:
        return dict(zip(axes, found, strict=True))
    return [dict(zip(axes, row, strict=True)) for row in found]


def _put(message: dict[str, Any], path: str, value: Any) -> None:
    """Write a value at its path, making what lies on the way."""
    head, _, rest = path.partition(".")
    part = _PART.match(head)
    if part is None or part["list"] is None:
        if rest:
            _put(message.setdefault(head, {}), rest, value)
        else:
            message[head] = value
        return
    items = message.setdefault(part["name"], [])
    values = {int(part["index"]): value} if part["index"] else dict(enumerate(value))
    items += [{} for _ in range(max(values, default=-1) + 1 - len(items))]
    for index, one in values.items():
        if rest:
            _put(items[index], rest, one)
        else:
            items[index] = one


def _picture(pixels: Array) -> dict[str, Any]:
    """A picture, shape (height, width, channels) or (height, width), as rosbridge sends one."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    floats = pixels.dtype.kind == "f"
    data = np.ascontiguousarray(pixels, "<f4" if floats else np.uint8)
    return {
        "height": int(pixels.shape[0]),
        "width": int(pixels.shape[1]),
        "encoding": "32FC1" if floats else _ENCODINGS.get(channels, "mono8"),
        "is_bigendian": 0,
        "step": int(data.nbytes // max(pixels.shape[0], 1)),
        "data": base64.b64encode(data.tobytes()).decode("ascii"),
    }
