"""The decorators of NRP-core's functions: what a function asks for, and what it is.

They change nothing of a function but one attribute, in any order in which they stand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

Kind = Literal["", "transceiver", "preprocessing", "status"]

_MARK = "__nrp_core__"


class DataPackIdentifier(NamedTuple):
    """Which datapack of which engine."""

    name: str
    engine_name: str
    type: str = ""

    @property
    def Name(self) -> str:  # noqa: N802
        return self.name

    @property
    def EngineName(self) -> str:  # noqa: N802
        return self.engine_name


@dataclass(frozen=True, slots=True)
class Request:
    """The datapack that a function takes as `keyword`; `preprocessed` where another function has made it."""

    keyword: str
    id: DataPackIdentifier
    preprocessed: bool = False
    group: bool = False


@dataclass(slots=True)
class Marks:
    """What the decorators have said of a function. `engine` is the one with whose steps it runs."""

    kind: Kind = ""
    engine: str = ""
    requests: list[Request] = field(default_factory=list)
    time: str = ""
    iteration: str = ""


def marks_of(function: Any) -> Marks | None:
    """What was said of it; None where no decorator was there."""
    found = getattr(function, "__dict__", {}).get(_MARK)
    return found if isinstance(found, Marks) else None


def _marks(function: Any) -> Marks:
    found = marks_of(function)
    if found is None:
        found = Marks()
        setattr(function, _MARK, found)
    return found


def _marking(change: Callable[[Marks], None]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        change(_marks(function))
        return function

    return decorate


def engine_datapack(keyword: str, id: DataPackIdentifier) -> Callable[[F], F]:
    """`@EngineDataPack`: take this datapack of an engine."""
    return _marking(lambda marks: marks.requests.insert(0, Request(keyword, DataPackIdentifier(*id))))


def engine_datapacks(
    keyword: str,
    datapackNames: Sequence[str],
    engineName: str,
) -> Callable[[F], F]:
    """`@EngineDataPacks`: take several of one engine, as a map by their names."""
    asked = [Request(keyword, DataPackIdentifier(name, engineName), group=True) for name in datapackNames]
    return _marking(lambda marks: marks.requests.extend(asked))


def preprocessed_datapack(keyword: str, id: DataPackIdentifier) -> Callable[[F], F]:
    """`@PreprocessedDataPack`: take what another function has made in this iteration."""
    return _marking(lambda marks: marks.requests.insert(0, Request(keyword, DataPackIdentifier(*id), True)))


def _kind(kind: Kind, engine: str = "") -> Callable[[F], F]:
    def say(marks: Marks) -> None:
        marks.kind, marks.engine = kind, engine

    return _marking(say)


def transceiver_function(engine: str) -> Callable[[F], F]:
    """`@TransceiverFunction`: runs whenever this engine has finished a step; returns datapacks for engines."""
    return _kind("transceiver", engine)


def preprocessing_function(engine: str) -> Callable[[F], F]:
    """`@PreprocessingFunction`: the same, for other functions only."""
    return _kind("preprocessing", engine)


def status_function() -> Callable[[F], F]:
    """`@StatusFunction`: runs after all others; returns whether it is done, and datapacks for the client."""
    return _kind("status")


def simulation_time(keyword: str) -> Callable[[F], F]:
    """`@SimulationTime`: take the simulated time in nanoseconds."""
    return _marking(lambda marks: setattr(marks, "time", keyword))


def simulation_iteration(keyword: str) -> Callable[[F], F]:
    """`@SimulationIteration`: take the number of the iteration, from 0."""
    return _marking(lambda marks: setattr(marks, "iteration", keyword))


class Now:
    """Where the run is, for functions that ask without a decorator."""

    time_ns = 0
    iteration = 0


NAMES: dict[str, Any] = {
    "EngineDataPack": engine_datapack,
    "EngineDataPacks": engine_datapacks,
    "PreprocessedDataPack": preprocessed_datapack,
    "TransceiverFunction": transceiver_function,
    "PreprocessingFunction": preprocessing_function,
    "StatusFunction": status_function,
    "SimulationTime": simulation_time,
    "SimulationIteration": simulation_iteration,
    "DataPackIdentifier": DataPackIdentifier,
    "getSimulationTime": lambda: Now.time_ns,
    "getSimulationIteration": lambda: Now.iteration,
}
