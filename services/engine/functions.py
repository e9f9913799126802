"""One transfer function: its source, its places among the ports of this run, and what is wrong with it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from reafference import declare, plain
from reafference.errors import BadExperiment, PortMismatch
from reafference.frames import Message, MessageType, Ports

from . import blame
from . import ports as addresses
from .ports import Place
from .script import Source

_VARYING = ("t", "step")


def _nothing() -> None:
    """What is called where there is nothing to call."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a function is not called: what happened since `since_s` (simulated), and where in its own source.

    `line` and `column` are counted from 1, and 0 where there is none.
    """

    type: MessageType
    text: str
    line: int = 0
    column: int = 0
    line_text: str = ""
    since_s: float = 0.0

    @property
    def of_a_call(self) -> bool:
        """Whether it came up when the function was called, and may be gone when it is called again."""
        return self.type in ("runtime", "timeout")


@dataclass(frozen=True, slots=True)
class Wiring:
    """The places that a function reads and writes, and which of the offered names it takes.

    `varying` are those of them that are others in each call.
    """

    reads: tuple[Place, ...] = ()
    writes: tuple[Place, ...] = ()
    injected: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Function:
    """One transfer function of a run.

    `declaration` is None while its source cannot be run; `reads` and `writes` are then what it declared before. `on` is
    the wish of its author, or of who switched it;
    it is called while it is on and has no `problem`. `spent_ns` is the wall time of all its calls so far. `edited`
    says that the source is not that of the file. `call` is called with what `takes` has by name, `names` are
    what its variables are called outside.
    """

    name: str
    source: Source
    declaration: declare.Declaration | None
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    wiring: Wiring = field(default_factory=Wiring)
    on: bool = True
    priority: int = 0
    problem: Problem | None = None
    edited: bool = False
    state: SimpleNamespace = field(default_factory=SimpleNamespace)
    spent_ns: int = 0
    call: Callable[..., Any] = _nothing
    takes: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    @property
    def due(self) -> bool:
        return self.on and self.problem is None

    @property
    def to_brain(self) -> bool:
        if self.declaration is not None and self.declaration.to_brain is not None:
            return self.declaration.to_brain
        return any(address.partition(".")[0] == "brain" for address in self.writes)

    @property
    def direction(self) -> str:
        """What its dialect says; else by what it writes: to the brain if any of it goes there."""
        if self.to_brain:
            return "body to brain"
        told = self.declaration is not None and self.declaration.to_brain is not None
        return "brain to body" if self.writes or told else "none"

    @property
    def turn(self) -> tuple[bool, int, str]:
        """Its place in the order of calling."""
        return (not self.to_brain, -self.priority, self.name)

    def described(self) -> dict[str, Any]:
        """As PROTOCOL.md describes a function, in plain values."""
        return {
            "name": self.name,
            "source": self.source.text,
            "line": 0 if self.edited else self.source.line,
            "active": self.on,
            "priority": self.priority,
            "direction": self.direction,
            "reads": _addresses(self.wiring.reads, self.reads),
            "writes": _addresses(self.wiring.writes, self.writes),
            "problem": None if self.problem is None else plain.dump(self.problem),
        }

    def message(self, problem: Problem, text: str, line: int, line_text: str, step: int, t_ns: int) -> Message:
        """What people are told of this problem; `line` is that of the file."""
        return Message(
            step=step,
            t_ns=t_ns,
            severity="error",
            source="transfer function",
            type=problem.type,
            text=text,
            function=self.name,
            file=self.source.file,
            line=line,
            column=problem.column,
            line_text=line_text,
        )


def wired(declaration: declare.Declaration, ports: Mapping[str, Ports]) -> Wiring:
    """Find what the function reads and writes.

    Raises PortMismatch for a place that is not there, BadExperiment if its arguments do not fit.
    """
    who = f"transfer function {declaration.name!r}"
    readable, writable = addresses.outputs(ports), addresses.inputs(ports)
    reads = tuple(addresses.find(a, readable, f"{who} reads") for a in declaration.reads)
    writes = tuple(addresses.find(a, writable, f"{who} writes to") for a in declaration.writes)
    injected = _injected(declaration, who)
    return Wiring(reads, writes, injected, tuple(name for name in injected if name in _VARYING))


def misplaced(declaration: declare.Declaration, source: Source, error: BadExperiment) -> tuple[int, int]:
    """Line and column of the address that the error is about, counted in the source."""
    if "line" in error.detail:
        return int(error.detail["line"]), int(error.detail.get("column", 0))
    if isinstance(error, PortMismatch):
        for address in (*declaration.reads, *declaration.writes):
            if repr(address) in error.text:
                return source.place_of(address)
    return source.place_of(f"def {declaration.name}")


def _addresses(places: tuple[Place, ...], declared: tuple[str, ...]) -> list[str]:
    if len(places) == len(declared):
        return [place.name for place in places]
    return [blame.readable(address) for address in declared]


def _injected(declaration: declare.Declaration, who: str) -> tuple[str, ...]:
    signature = inspect.signature(declaration.function)
    names = list(signature.parameters)
    taken = next((name for name in names[: len(declaration.reads)] if name in declare.INJECTED), None)
    if taken is not None:
        raise BadExperiment(
            f"{who} reads {_values(len(declaration.reads))}, which come first, but is defined as "
            f"{declaration.name}{signature}: {taken!r} has another meaning, so give what is read a name before it"
        )
    injected = tuple(name for name in names[len(declaration.reads) :] if name in declare.INJECTED)
    try:
        signature.bind(*declaration.reads, **dict.fromkeys(injected))
    except TypeError as error:
        raise BadExperiment(
            f"{who} reads {_values(len(declaration.reads))} but is defined as {declaration.name}{signature}: {error}; "
            f"besides what it reads it may take {', '.join(declare.INJECTED)}"
        ) from None
    return injected


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
