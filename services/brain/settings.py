"""The experiment's `[brain]` table as a value: every key known, every mistake named with its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reafference.clock import ns_from_ms
from reafference.errors import BadExperiment
from reafference.plain import Misfit, describe, load, nearest
from reafference.topics import is_name
from services.brain.device_kinds import SINK_KINDS, SOURCE_KINDS, Sink, Source

FILE = "experiment.toml"

D = TypeVar("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """The table as it stands in the file; devices are loaded by their kind afterwards."""

    model: str | None = None
    script: str | None = None
    resolution_ms: float = 0.1
    threads: int = 1
    min_delay_ms: float | None = None
    max_delay_ms: float | None = None
    memory_limit_gb: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    populations: Mapping[str, str | int | tuple[int, ...]] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)
    sinks: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.model is None) == (self.script is None):
            found = "neither" if self.model is None else "both"
            raise Misfit("model", "either a shipped model, or script = a file of yours", found)
        if (self.min_delay_ms is None) != (self.max_delay_ms is None):
            missing = "min_delay_ms" if self.min_delay_ms is None else "max_delay_ms"
            raise Misfit(missing, "a number, since NEST sets both ends of the range together", "nothing")
        if self.memory_limit_gb is not None and not self.memory_limit_gb > 0:
            raise Misfit("memory_limit_gb", "a number above 0", f"{self.memory_limit_gb:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainSettings:
    """What the experiment says about its brain.

    Exactly one of `model` and `script` is given. `min_delay_ms` and `max_delay_ms` come together or not
    at all. `memory_limit_gb` is what each process may hold while a script builds (default: its share of what is free).
    `populations` names further selections: an expression, one node id, or several.
    """

    model: str | None
    script: str | None
    resolution_ns: int
    min_delay_ms: float | None
    max_delay_ms: float | None
    memory_limit_gb: float | None
    parameters: Mapping[str, Any]
    populations: Mapping[str, str | int | tuple[int, ...]]
    sources: Mapping[str, Source]
    sinks: Mapping[str, Sink]

    @classmethod
    def load(cls, settings: Mapping[str, Any]) -> "BrainSettings":
        """Raises BadExperiment naming the key."""
        try:
            table = load(_Table, settings)
            return cls(
                model=table.model,
                script=table.script,
                resolution_ns=_resolution(table.resolution_ms),
                min_delay_ms=table.min_delay_ms,
                max_delay_ms=table.max_delay_ms,
                memory_limit_gb=table.memory_limit_gb,
                parameters=table.parameters,
                populations=table.populations,
                sources=_devices(table.sources, SOURCE_KINDS, "sources"),
                sinks=_devices(table.sinks, SINK_KINDS, "sinks"),
            )
        except Misfit as misfit:
            raise misfit_in(misfit) from None


def misfit_in(misfit: Misfit, *outer: str) -> BadExperiment:
    """A misfit in the `[brain]` table, below the keys `outer`, as the error a user reads."""
    key = ".".join(["brain", *outer])
    # An element of a list carries its place in brackets, without a dot.
    inner = misfit.key
    key += inner if inner.startswith("[") or not inner else f".{inner}"
    text = f"{key}: expected {misfit.expected}, found {misfit.found}{misfit.hint}"
    return BadExperiment(text, detail={"file": FILE, "key": key})


def bad(key: str, text: str) -> BadExperiment:
    """An error in the `[brain]` table at `key` (from `brain` on)."""
    return BadExperiment(f"{key}: {text}", detail={"file": FILE, "key": key})


def _resolution(milliseconds: float) -> int:
    try:
        return ns_from_ms(milliseconds)
    except ValueError:
        raise Misfit("resolution_ms", "a multiple of 0.001", f"{milliseconds:g}") from None


def _devices(tables: Mapping[str, Any], kinds: Mapping[str, type[D]], group: str) -> dict[str, D]:
    devices = {}
    for name, table in tables.items():
        key = f"{group}.{name}"
        if not is_name(name) or "." in name:
            raise Misfit(key, "a name of letters, digits, '_' and '-'", repr(name))
        try:
            devices[name] = load(_kind(table, kinds), table)
        except Misfit as misfit:
            inner = f"{key}.{misfit.key}" if misfit.key else key
            raise Misfit(inner, misfit.expected, misfit.found, misfit.hint) from None
    return devices


def _kind(table: Any, kinds: Mapping[str, type[D]]) -> type[D]:
    if not isinstance(table, Mapping):
        raise Misfit("", "a table", describe(table))
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        hint = nearest(kind, kinds) if isinstance(kind, str) else ""
        raise Misfit("kind", " or ".join(map(repr, kinds)), describe(kind), hint)
    return kinds[kind]
