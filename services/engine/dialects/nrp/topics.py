"""ROS topics of a body: which of its ports stand behind the fields of which message.

The table comes from the facts of the body's ports (`topics`) and from `[transfer.topics]` of the experiment. A field is
a path such as `linear.x`; `muscles[].force` stands for the force of each element of the list `muscles`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reafference import plain
from reafference.errors import BadExperiment, PortMismatch
from reafference.frames import Ports
from services.engine import ports as addresses
from services.engine.ports import Place

from .messages import known_types, message_type

Direction = Literal["out", "in"]

CLOCK = "/clock"
MONITORS = "/monitor/"
"""What the published web page drew: functions may send it, and it goes to nobody."""
BODY = "body"
_STARS = re.compile(r"\\\*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A topic, with `fields` and `constants` by path. The body sends it (`out`) or takes it (`in`); None: either."""

    topic: str
    type: str
    fields: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    direction: Direction | None = None

    def __post_init__(self) -> None:
        if self.type not in known_types():
            hint = plain.nearest(self.type, known_types())
            raise plain.Misfit("type", "a message type that is known here", repr(self.type), hint)

    def names(self, topic: str) -> bool:
        """Whether this is the topic of that name; `*` stands for one part between slashes."""
        pattern = _STARS.sub("[^/]+", re.escape(self.topic))
        return re.fullmatch(pattern, topic) is not None

    def places(self, ports: Mapping[str, Ports], direction: Direction) -> dict[str, Place]:
        """The port, or element of one, behind each field. Raises PortMismatch."""
        known = addresses.outputs(ports) if direction == "out" else addresses.inputs(ports)
        who = f"the topic {self.topic!r} {'reads' if direction == 'out' else 'writes to'}"
        return {path: addresses.find(f"{BODY}.{address}", known, who) for path, address in self.fields.items()}


class Topics:
    """All topics of a run."""

    def __init__(self, given: Mapping[str, Any], ports: Mapping[str, Ports]) -> None:
        """`given` are those of the experiment, which come before those of the body. Raises BadExperiment."""
        own = [_entry(table, f"transfer.topics.{name}") for name, table in given.items()]
        facts = ports[BODY].facts.get("topics", {}) if BODY in ports else {}
        clock = Entry(topic=CLOCK, type="rosgraph_msgs/Clock", direction="out")
        self._entries: dict[Direction, list[Entry]] = {
            "out": [*_of("out", own, facts), clock],
            "in": _of("in", own, facts),
        }

    def find(self, topic: str, type_: str, direction: Direction) -> Entry:
        """The entry of a topic that is subscribed to (`out`) or published to (`in`). Raises PortMismatch.

        Published files also send what only people looked at: what goes to a topic like none of the body's is not sent.
        """
        named = [entry for entry in self._entries[direction] if entry.names(topic)]
        for entry in named:
            if type_ in ("", entry.type):
                return entry
        if named:
            raise PortMismatch(f"the topic {topic!r} has messages of the type {named[0].type}, not {type_}")
        known = [entry.topic for entry in self._entries[direction]]
        if (
            direction == "in"
            and type_
            and (topic.startswith(MONITORS) or not _meant(topic, known, self._entries["out"]))
        ):
            return Entry(topic=topic, type=type_, direction="in")
        verb = "sends nothing on" if direction == "out" else "takes nothing from"
        other = [entry for entry in self._entries["in" if direction == "out" else "out"] if entry.names(topic)]
        way = ", which it takes: publish to it" if direction == "out" else ", which it sends: subscribe to it"
        hint = way if other else plain.nearest(topic, known)
        raise PortMismatch(
            f"the body {verb} the topic {topic!r}{hint}; there are {_listed(known)}; others are told in "
            "[transfer.topics] of experiment.toml"
        )


def _of(direction: Direction, own: Iterable[Entry], facts: Mapping[str, Any]) -> list[Entry]:
    chosen = [entry for entry in own if entry.direction in (None, direction)]
    return [*chosen, *(_entry(table, f"the topics of the body, {direction}") for table in facts.get(direction, ()))]


def _entry(table: Any, key: str) -> Entry:
    try:
        return plain.load(Entry, table)
    except plain.Misfit as misfit:
        misfit.key = f"{key}.{misfit.key}" if misfit.key else key
        raise BadExperiment(str(misfit), detail={"key": misfit.key}) from None


def check(given: Mapping[str, Any]) -> None:
    """Raises BadExperiment for an entry of [transfer.topics] that is none."""
    for name, table in given.items():
        _entry(table, f"transfer.topics.{name}")


def type_name(given: Any) -> str:
    """The name of a message type, from the type or from its name; empty for None. Raises TypeError."""
    if given is None:
        return ""
    name = given if isinstance(given, str) else getattr(given, "_type", "")
    if isinstance(name, str) and name in known_types():
        return message_type(name)._type
    raise TypeError(f"expected a message type such as geometry_msgs.msg.Twist, found {given!r:.60}")


def _meant(topic: str, known: list[str], sent: Iterable[Entry]) -> bool:
    """Whether a topic that nobody takes was probably to be one of the body's: it is like one, or one that it sends."""
    return bool(plain.nearest(topic, known)) or any(entry.names(topic) for entry in sent)


def _listed(topics: list[str]) -> str:
    return (", ".join(topics[:12]) + (f" and {len(topics) - 12} more" if len(topics) > 12 else "")) or "none"
