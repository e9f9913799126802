"""What the arguments of a published function stand for, and what they become in a run.

A mapping is a value; `bound` gives what the function takes as its argument while a run lasts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from reafference.errors import BadExperiment, PortMismatch
from reafference.frames import Ports
from services.engine.stage import Stage

from .devices import Device, Live
from .house import House
from .subscriptions import FromBody, FromClock, FromFunctions, Publisher, Subscriber
from .topics import CLOCK, Direction, Topics

BRAIN = "brain"


class Part(Protocol):
    """An argument of a function in a run."""

    @property
    def argument(self) -> Any:
        """What the function is given."""
        ...

    def begin(self, t_s: float, state: Any) -> None:
        """The function may be called, at this time; its variables are in `state`."""
        ...

    def fresh(self) -> bool:
        """Whether something new has come since the last time, which may be a trigger."""
        ...

    def results(self) -> dict[str, Any]:
        """What the function has set in this call, by address."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """What a mapping is bound to."""

    house: House
    stage: Stage
    ports: Mapping[str, Ports]
    topics: Topics


@dataclass(frozen=True, slots=True)
class Bound:
    """A part, with the addresses that it reads and writes."""

    part: Part
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


class Mapped(Protocol):
    """A mapping as it was declared for the argument `name`, in the line `line` of the source."""

    @property
    def name(self) -> str: ...

    @property
    def line(self) -> int: ...

    def bound(self, run: Run) -> Bound:
        """Raises BadExperiment for what is not there."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceMapping:
    """Devices of the brain."""

    name: str
    line: int
    device: Device

    def bound(self, run: Run) -> Bound:
        house, group = run.house, self.device.group
        if BRAIN not in run.ports:
            raise BadExperiment(f"there is no brain in this experiment for {self.device.kind!r}")
        if f"{group}_on" not in [port.name for port in run.ports[BRAIN].inputs]:
            raise PortMismatch(f"the devices of {self.name!r} ({group}) are not in the brain yet")
        live = Live(self.device, run.stage, run.ports, lambda text: house.say("warning", text))
        return Bound(DevicePart(live), tuple(self.device.reads), tuple(self.device.writes))


class DevicePart:
    """Devices in a run; what they read is new in every step."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.argument = live.argument

    def begin(self, t_s: float, state: Any) -> None:
        del state
        self._live.begin(t_s)

    def fresh(self) -> bool:
        return True

    def results(self) -> dict[str, Any]:
        return self._live.results()


@dataclass(frozen=True, slots=True)
class TopicMapping:
    """A topic that the function subscribes to (`out`: the body sends it) or publishes to (`in`)."""

    name: str
    line: int
    topic: str
    type: str
    direction: Direction

    def bound(self, run: Run) -> Bound:
        entry = run.topics.find(self.topic, self.type, self.direction)
        places = entry.places(run.ports, self.direction)
        if self.direction == "in":
            publisher = Publisher(self.topic, entry, places, run.house, run.stage)
            return Bound(publisher, writes=tuple(place.name for place in places.values()))
        if entry.topic == CLOCK:
            return Bound(Subscriber(self.topic, FromClock(entry)))
        if not places:
            return Bound(Subscriber(self.topic, FromFunctions(self.topic, run.house)))
        ports = dict.fromkeys(f"{place.participant}.{place.port.name}" for place in places.values())
        return Bound(Subscriber(self.topic, FromBody(entry, places, run.stage)), reads=tuple(ports))


@dataclass(frozen=True, slots=True)
class VariableMapping:
    """A variable: of the function, or of all functions under `key`."""

    name: str
    line: int
    key: str
    initial: Any
    everywhere: bool

    def bound(self, run: Run) -> Bound:
        return Bound(Variable(self, run.house))


class Variable:
    """A variable that lives between calls; `value` is what it holds."""

    def __init__(self, mapping: VariableMapping, house: House) -> None:
        self._mapping, self._house = mapping, house
        self._state: Any = None

    @property
    def argument(self) -> "Variable":
        return self

    @property
    def name(self) -> str:
        return self._mapping.name

    @property
    def value(self) -> Any:
        if self._mapping.everywhere:
            return self._house.variables[self._mapping.key]
        return getattr(self._state, self._mapping.name)

    @value.setter
    def value(self, value: Any) -> None:
        if self._mapping.everywhere:
            self._house.variables[self._mapping.key] = value
        else:
            setattr(self._state, self._mapping.name, value)

    def begin(self, t_s: float, state: Any) -> None:
        del t_s
        self._state = state
        if not self._mapping.everywhere and not hasattr(state, self._mapping.name):
            setattr(state, self._mapping.name, self._mapping.initial)

    def fresh(self) -> bool:
        return False

    def results(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class FileMapping:
    """A CSV file."""

    name: str
    line: int
    file: Any = field(repr=False)

    def bound(self, run: Run) -> Bound:
        del run
        return Bound(FilePart(self.file))


class FilePart:
    """A CSV file, into which rows are written when they are recorded."""

    def __init__(self, file: Any) -> None:
        self.argument = file

    def begin(self, t_s: float, state: Any) -> None:
        """Nothing is held back."""

    def fresh(self) -> bool:
        return False

    def results(self) -> dict[str, Any]:
        return {}
