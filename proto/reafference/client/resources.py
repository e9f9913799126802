"""What a server tells about itself, as values. Times of day are ISO 8601 texts in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SimulationState = Literal["created", "initialised", "paused", "started", "stopped", "halted", "failed"]

ENDED: tuple[SimulationState, ...] = ("stopped", "halted", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Whom the token belongs to; `role` is viewer, owner or admin."""

    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How long a simulation goes on: `s` seconds, "simulated" or "real" (wall-clock time while started)."""

    s: float | None
    kind: Literal["simulated", "real"] = "simulated"
    left_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """How the last run of an experiment went."""

    started_at: str = ""
    outcome: str = ""
    steps: int = 0
    simulated_s: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment in the storage, or a template. `facts` has what is known of its size."""

    id: str
    name: str = ""
    title: str = ""
    description: str = ""
    template: str | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    limit: Limit | None = None
    changed_at: str | None = None
    bytes: int = 0
    recordings: Mapping[str, Any] | None = None
    last_run: LastRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of an experiment or of a recording; `text` says whether a person can read it."""

    path: str
    bytes: int = 0
    changed_at: str | None = None
    text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a run has left. `outcome` is empty while it is being written; `files` only where one is asked for."""

    id: str
    run: str = ""
    title: str = ""
    started_at: str | None = None
    outcome: str = ""
    steps: int = 0
    simulated_s: float = 0.0
    seed: int | None = None
    neurons: int | None = None
    synapses: int | None = None
    bytes: int = 0
    text: str = ""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A place where simulations can run: `busy` of its `places` are taken.

    `kind` is local, containers or job; `text` says why it is not `ready`. `images` are the versions one can choose.
    """

    id: str
    title: str = ""
    places: int = 0
    busy: int = 0
    cores: int | None = None
    memory_gb: float | None = None
    kind: str = "local"
    ready: bool = True
    text: str = ""
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a simulation stands.

    `t_s` is simulated, `real_s` wall-clock time while started. `spent_s` has how the latter was spent (brain, body,
    transfer, exchange, wait), `function_s` the part of each transfer function. `problem` says why it is halted or
    failed; `outcome` is empty until it has ended.
    """

    id: str
    name: str = ""
    experiment: str = ""
    title: str = ""
    owner: str | None = None
    server: str = "local"
    launched: Mapping[str, Any] = field(default_factory=dict)
    state: SimulationState
    run: str | None = None
    recording: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    outcome: str | None = None
    text: str | None = None
    problem: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    step: int = 0
    t_s: float = 0.0
    real_s: float = 0.0
    real_time_factor: float | None = None
    dt_s: float = 0.0
    limit: Limit | None = None
    spent_s: Mapping[str, float] = field(default_factory=dict)
    function_s: Mapping[str, float] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    recorded_bytes: int = 0
    watchers: int = 0
    people: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether it will not go on."""
        return self.state in ENDED

    @property
    def left_s(self) -> float | None:
        """Seconds until the limit, of the kind that the limit is; None where there is none."""
        return self.limit.left_s if self.limit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFunction:
    """One transfer function of a simulation. `problem` is there when it does not run, with `text` and `line`."""

    name: str
    source: str = ""
    line: int = 0
    active: bool = True
    priority: int = 0
    direction: str = ""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    mean_ms: float | None = None
    changed: Mapping[str, Any] | None = None
    saved: bool = True
    problem: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the body looks like: links, muscles, joints and room as in API.md; `loads` by joint in N m."""

    model: str = ""
    links: tuple[Mapping[str, Any], ...] = ()
    muscles: tuple[Mapping[str, Any], ...] = ()
    joints: tuple[Mapping[str, Any], ...] = ()
    room: tuple[Mapping[str, Any], ...] = ()
    display: Mapping[str, Any] = field(default_factory=dict)
    loads: Mapping[str, float] = field(default_factory=dict)
    pushable: tuple[str, ...] = ()
    loadable: tuple[str, ...] = ()
