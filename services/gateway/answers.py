"""The shapes in which simulations are told of, for OpenAPI. API.md says what they mean."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .status import Outcome, State


class Limit(BaseModel):
    """When the run ends by itself."""

    kind: str
    s: float | None
    left_s: float | None


class Step(BaseModel):
    """A task that a service has finished while it was being built."""

    task: str
    s: float


class Work(BaseModel):
    """What a service is doing while it is being built; `before` is what it has done."""

    task: str
    done: int
    total: int
    detail: str
    since: str
    before: list[Step]


class Cause(BaseModel):
    """Why a simulation failed or halted."""

    code: str
    detail: str
    source: str
    type: str
    file: str | None
    line: int | None
    column: int | None
    line_text: str | None


class SimulationAnswer(BaseModel):
    """A simulation."""

    id: str
    name: str
    experiment: str
    title: str
    owner: str
    server: str
    launched: dict[str, Any]
    state: State
    run: str
    recording: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    outcome: Outcome
    text: str
    problem: Cause | None
    warnings: list[str]
    step: int
    t_s: float
    real_s: float
    real_time_factor: float
    dt_s: float
    limit: Limit | None
    spent_s: dict[str, float]
    function_s: dict[str, float]
    progress: dict[str, Work]
    facts: dict[str, Any]
    recorded_bytes: int
    watchers: int
    people: list[str]


class Flaw(BaseModel):
    """Why a transfer function is not called."""

    model_config = ConfigDict(extra="allow")

    type: str = ""
    text: str = ""
    line: int = 0
    column: int = 0
    line_text: str = ""
    since_s: float = 0.0


class ChangedBy(BaseModel):
    """Who changed it last, and when."""

    by: str
    at: str


class FunctionAnswer(BaseModel):
    """A transfer function."""

    name: str
    source: str
    line: int
    active: bool
    priority: int
    direction: str
    reads: list[str]
    writes: list[str]
    mean_ms: float
    changed: ChangedBy | None
    saved: bool
    problem: Flaw | None


class Saved(BaseModel):
    """What was written."""

    file: str
    changed: bool


class BrainAnswer(BaseModel):
    """The brain as it is now."""

    model: str | None
    script: str | None
    source: str
    changed: ChangedBy | None
    populations: dict[str, Any]
    selections: dict[str, Any]
    kernel: dict[str, Any] | None
    devices: dict[str, Any]


class PopulationPositions(BaseModel):
    """Some neurons of a population, and where they lie."""

    ids: list[int]
    positions_mm: list[list[float]]
    generated: bool = False


class Positions(BaseModel):
    """Where neurons lie."""

    populations: dict[str, PopulationPositions]


class HistoryAnswer(BaseModel):
    """What a person should know of the run so far, oldest first."""

    messages: list[dict[str, Any]]
    edits: list[dict[str, Any]]


class StateWish(BaseModel):
    """The state it shall be in."""

    state: Literal["started", "paused", "stopped"]


class StepWish(BaseModel):
    """How many CLE steps it shall make."""

    steps: Annotated[int, Field(ge=1, le=2**40)] = 1


class ResetWish(BaseModel):
    """What shall be as at the start."""

    what: Literal["full", "brain", "body", "world"]


class LimitChange(BaseModel):
    """One of the three."""

    model_config = ConfigDict(extra="forbid")

    simulated_s: float | None = Field(None, gt=0, le=1e9, allow_inf_nan=False)
    real_s: float | None = Field(None, gt=0, le=1e9, allow_inf_nan=False)
    extend_s: float | None = Field(None, gt=0, le=1e9, allow_inf_nan=False)


class SourceWish(BaseModel):
    """The text of a function, or of a brain script."""

    source: str = Field(min_length=1, max_length=5 * 2**20)


class ActiveWish(BaseModel):
    active: bool


class PriorityWish(BaseModel):
    priority: int = Field(ge=-(2**31), lt=2**31)


class OrderWish(BaseModel):
    """Names of transfer functions in the order in which they shall run."""

    names: list[str] = Field(max_length=1000)


class PopulationsWish(BaseModel):
    """As in the experiment file: an expression, a node id, or several."""

    populations: dict[str, str | int | list[int]]


class EditWish(BaseModel):
    """Any edit of brain, body or engine."""

    to: Literal["brain", "body", "engine"]
    what: str = Field(pattern=r"^[a-z_]{1,40}$")
    arguments: dict[str, Any] = Field(default_factory=dict)


class PushWish(BaseModel):
    """A force on a link for a while, in world axes."""

    link: str
    force_N: list[float] = Field(min_length=3, max_length=3)
    duration_s: float = Field(gt=0, le=3600, allow_inf_nan=False)
    at_m: list[float] | None = Field(None, min_length=3, max_length=3)
