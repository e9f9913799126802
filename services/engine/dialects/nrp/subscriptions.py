"""Topics in a run: what a published function subscribes and publishes to."""

from collections.abc import Mapping
from typing import Any, Protocol

from reafference.frames import Array
from services.engine.ports import Place
from services.engine.stage import Stage

from . import conversion
from .house import House
from .messages import Message, message_type
from .topics import Entry


class Origin(Protocol):
    """Where the messages of a subscribed topic come from."""

    def newest(self) -> tuple[Any, ...]:
        """What the newest message is made of, other objects for each; empty as long as there is none."""
        ...

    def message(self, newest: tuple[Any, ...], t_ns: int, seq: int) -> Any:
        """The message that is made of this."""
        ...


class FromBody:
    """Messages made from what the body sends."""

    def __init__(self, entry: Entry, places: Mapping[str, Place], stage: Stage) -> None:
        self._entry, self._places, self._stage = entry, places, stage

    def newest(self) -> tuple[Any, ...]:
        heard, values = self._stage.heard, self._stage.values
        if not all(place.port.name in heard[place.participant] for place in self._places.values()):
            return ()
        return tuple(values[place.participant][place.port.name] for place in self._places.values())

    def message(self, newest: tuple[Any, ...], t_ns: int, seq: int) -> Any:
        parts = zip(self._places.items(), newest, strict=True)
        values = {path: _part(array, place) for (path, place), array in parts}
        return conversion.made(self._entry, values, t_ns, seq)


class FromClock:
    """The topic of simulated time, on which something new comes in every step."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def newest(self) -> tuple[Any, ...]:
        return (object(),)

    def message(self, newest: tuple[Any, ...], t_ns: int, seq: int) -> Any:
        del newest
        return conversion.made(self._entry, {}, t_ns, seq)


class FromFunctions:
    """A topic on which functions send messages to each other."""

    def __init__(self, topic: str, house: House) -> None:
        self._topic, self._house = topic, house

    def newest(self) -> tuple[Any, ...]:
        return (self._house.mail[self._topic],) if self._topic in self._house.mail else ()

    def message(self, newest: tuple[Any, ...], t_ns: int, seq: int) -> Any:
        del t_ns, seq
        return newest[0]


class Subscriber:
    """A subscribed topic: `value` is the newest message, None as long as there is none; `changed` says whether it has
    come since the call before."""

    def __init__(self, topic: str, origin: Origin) -> None:
        self.topic = topic
        self.changed = False
        self._origin = origin
        self._newest: tuple[Any, ...] = ()
        self._message: Any = None
        self._t_ns = self._seq = 0

    @property
    def empty(self) -> bool:
        """Whether no message has come yet."""
        return not self._origin.newest()

    @property
    def value(self) -> Any:
        if self._message is None and self._newest:
            self._message = self._origin.message(self._newest, self._t_ns, self._seq)
        return self._message

    def begin(self, t_s: float, state: Any) -> None:
        del state
        newest, before = self._origin.newest(), self._newest
        self.changed = len(newest) != len(before) or any(a is not b for a, b in zip(newest, before, strict=True))
        if self.changed:
            self._newest, self._message = newest, None
            self._t_ns, self._seq = round(t_s * 1e9), self._seq + 1

    @property
    def argument(self) -> "Subscriber":
        return self

    def fresh(self) -> bool:
        return self.changed

    def results(self) -> dict[str, Any]:
        return {}


class Publisher:
    """A topic that is published to; what is sent last in a call counts."""

    def __init__(self, topic: str, entry: Entry, places: Mapping[str, Place], house: House, stage: Stage) -> None:
        self.topic, self._entry, self._places = topic, entry, places
        self._house, self._stage = house, stage
        self._results: dict[str, Any] = {}

    @property
    def argument(self) -> "Publisher":
        return self

    def begin(self, t_s: float, state: Any) -> None:
        del t_s, state
        self._results = {}

    def fresh(self) -> bool:
        return False

    def results(self) -> dict[str, Any]:
        return self._results

    def send_message(self, message: Any, *further: Any) -> None:
        """Publish a message, or the values of its fields. Raises TypeError or ValueError for what cannot be sent."""
        own = message_type(self._entry.type)
        if not isinstance(message, Message):
            message = own(message, *further)
        elif not isinstance(message, own):
            raise TypeError(f"the topic {self.topic!r} takes {self._entry.type}, not {message._type}")
        if not self._places:
            self._house.mail[self.topic] = message
            return
        inputs = self._stage.inputs
        now = {path: inputs[place.participant][place.port.name] for path, place in self._places.items()}
        values = conversion.taken(message, self._places, now)
        self._results = {place.name: values[path] for path, place in self._places.items()}

    publish = send_message


def _part(array: Array, place: Place) -> Array:
    return array if place.index is None else array[place.index]
