"""Every message and every stream, each a frozen dataclass.

Nothing crosses a process border that is not declared here. A field named `step` or `t_ns` travels in the
header of its frame, everything else in the body; `PROTOCOL.md` says the same in words, for any language.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from . import plain

PROTOCOL = (1, 3)
"""Version of the wire: a minor adds optional keys and kinds, a major breaks."""

LOWEST = (1, 0)
"""The lowest version that is still understood."""

Array = npt.NDArray[Any]

State = Literal["lobby", "preparing", "ready", "running", "paused", "stopping", "fault"]
Role = Literal["participant", "witness", "operator", "launcher"]
OrderKind = Literal["start", "pause", "resume", "step", "stop", "cancel", "reset", "tell"]
Scope = Literal["", "full", "brain", "body"]
MessageType = Literal["compile", "runtime", "loading", "timeout", "environment"]
Severity = Literal["info", "warning", "error"]
Outcome = Literal["finished", "stopped", "halted", "fault", "reset"]


# --- what a simulator is given, and what it promises ------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One array that a simulator takes (input) or gives (output), described once and then trusted.

    `name` is `<stream>.<array>` for outputs (`joints.position`) and a plain name for inputs. `shape` may
    start with -1 where the number of rows varies from step to step (spikes). `labels` name the elements
    along the first axis. `rest` is the value before step 0; zeros (or no rows) where it is absent.
    `digest` is false for what may differ between two equal runs: wall-clock times, pictures. An input
    below `low` or above `high` is refused before it reaches the simulator.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    unit: str
    labels: tuple[str, ...] = ()
    rest: np.ndarray | None = None
    digest: bool = True
    low: float | None = None
    high: float | None = None
    description: str = ""

    def __post_init__(self) -> None:
        # One spelling of each dtype on the wire, whatever its author wrote ("float64", float, "<f8").
        try:
            object.__setattr__(self, "dtype", np.dtype(self.dtype).str)
        except (TypeError, ValueError, SyntaxError):  # the last one is numpy's for some texts that are no dtype
            raise plain.Misfit("dtype", "the name of a dtype", plain.describe(self.dtype)) from None

    @property
    def stream(self) -> str:
        return self.name.split(".", 1)[0]

    def resting(self) -> Array:
        """The defined value before any simulator has moved, shape as declared."""
        if self.rest is not None:
            return self.rest
        return np.zeros([max(n, 0) for n in self.shape], self.dtype)

    def kept(self, value: Array | None) -> Array:
        """A copy of `value` where this port could have it, else of the resting value; for ports that have changed."""
        if value is None or value.dtype != np.dtype(self.dtype) or not self.has_shape(value.shape):
            return np.array(self.resting())
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        within = not value.size or bool(low <= value.min() and value.max() <= high)
        return np.array(value if within else self.resting())

    def has_shape(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape is what was declared."""
        return shape == self.shape or (
            len(shape) == len(self.shape)
            and all(wanted in (found, -1) for found, wanted in zip(shape, self.shape, strict=True))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a simulator agreed to at `prepare`; `facts` are for people: counts, versions, names."""

    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All a simulator needs to build itself.

    `folder` is the experiment's folder, `files` holds the text of every file that `settings` names, keyed
    by its name there, so that a recording can tell what ran. `every` is the number of CLE steps in one
    step of this simulator, `dt_ns` the length of that step. It runs in `ranks` processes of `threads` threads
    each. `t_ns` is the simulated time at which it begins: more than 0 where one simulator is put back to its start in
    the middle of a run. The engine waits `step_timeout_s` for a step; 0 where it does not say.
    """

    run: str
    name: str
    seed: int
    dt_ns: int
    every: int = 1
    threads: int = 1
    ranks: int = 1
    folder: str
    settings: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)
    t_ns: int = 0
    step_timeout_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step a simulator has to make: from `t_ns` for `dt_ns`, on inputs that hold for all of it.

    `inputs` has every input port by name, as read-only arrays of the declared shape. `want` names the output
    ports that the engine waits for; a simulator may leave others for `afterwards`.
    """

    number: int
    t_ns: int
    dt_ns: int
    inputs: Mapping[str, Array]
    want: tuple[str, ...] = ()


# --- packed streams ---------------------------------------------------------------------------------


class Packed(NamedTuple):
    """A stream frame that is encoded already: these very bytes ride in `step` or `done` and travel
    alone on bus and tap."""

    topic: bytes
    header: bytes
    large: tuple[Any, ...] = ()

    def parts(self) -> list[Any]:
        return [self.topic, self.header, *self.large]


# --- frames -----------------------------------------------------------------------------------------


class Frame:
    """Base of everything with a `kind`."""

    __slots__ = ()
    kind: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Frame):
    """A service has arrived: I am `name`, I speak versions `lowest` to `highest` (major, minor).

    `ranks` are further processes of it that echo the pulse for themselves, each as `<name>.<rank>`.
    """

    kind: ClassVar[str] = "hello"
    name: str
    role: Role
    lowest: tuple[int, int] = LOWEST
    highest: tuple[int, int] = PROTOCOL
    pid: int = 0
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome(Frame):
    """You are in the roster of `run`. Addresses are empty where a wire is not in use.

    Who is given the addresses of the pulse must echo it, and may leave when it has been silent too long. An operator
    gets another welcome when a full reset has begun another run.
    """

    kind: ClassVar[str] = "welcome"
    run: str
    version: tuple[int, int]
    bus: str = ""
    tap: str = ""
    pulse_beat: str = ""
    pulse_echo: str = ""
    tap_window_steps: int = 64
    run_folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare(Frame):
    """Build yourself."""

    kind: ClassVar[str] = "prepare"
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Frame):
    """How far a slow task has come, for people; `total` is 0 where it is not known."""

    kind: ClassVar[str] = "progress"
    service: str
    task: str
    done: int = 0
    total: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(Frame):
    """Built; these are my ports."""

    kind: ClassVar[str] = "ready"
    ports: Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class StepGrant(Frame):
    """Go from `t_ns` for `dt_ns`. `inputs` is one packed stream; `want` names the output ports that
    must ride in the answer; whatever else there is may go on bus and tap only."""

    kind: ClassVar[str] = "step"
    step: int
    t_ns: int
    dt_ns: int
    want: tuple[str, ...]
    inputs: tuple[Packed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone(Frame):
    """Advanced to the end of `step`. `seqs` has the last sequence number of each of my streams, those of this step
    included that are still to be sent. `timing` has the wall-clock nanoseconds of the parts of the step."""

    kind: ClassVar[str] = "done"
    step: int
    t_ns: int
    busy_ns: int
    timing: Mapping[str, int]
    seqs: Mapping[str, int]
    outputs: tuple[Packed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt(Frame):
    """Stop after `step` (-1: before the first), keep your state.

    `begun` says that the first document of the run has been published, so that a witness awaits the last one.
    """

    kind: ClassVar[str] = "halt"
    step: int
    begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted(Frame):
    """Stopped. `digest` is the hash over this service's own deterministic output, in hexadecimal."""

    kind: ClassVar[str] = "halted"
    step: int
    digest: str = ""
    seqs: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye(Frame):
    """Close; answered in kind by a participant or witness that leaves in order."""

    kind: ClassVar[str] = "bye"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Frame):
    """An operator wants the run to start, pause, resume, make one step, stop, be cancelled or reset.

    Answered by `state` or `error`. `step` makes one CLE step and pauses, or pauses after the step in progress where
    the run is going on. `stop` waits for the end of the step, `cancel` does not. `scope` says what a reset is of: the
    whole run ("full", or empty), or one participant, which is then an edit with the id 0. `tell` changes nothing: an
    operator who comes late is sent again what the bus has told of the run (see PROTOCOL.md).
    """

    kind: ClassVar[str] = "order"
    what: OrderKind
    reason: str = ""
    scope: Scope = ""
    steps: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit(Frame):
    """Change something of the participant `to` between two steps; from an operator to the engine, and on to it.

    `to` may also be "engine": its transfer functions, parameters and limits. `what` is a name that the receiver
    understands, `arguments` are plain values and arrays, `by` is the person for whom the operator asks, if it speaks
    for several. It is carried out when the participant has no step to make, and may take `timeout_s` (0: as long as a
    step, or as building, by its kind). Answered by `edited`, or by an `error` with the same id under `edit` in its
    detail; then nothing has changed.
    """

    kind: ClassVar[str] = "edit"
    id: int
    to: str
    what: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 0.0
    by: str = ""


ENGINE_READINGS = ("functions", "get_parameters", "observations", "first_datapacks")
"""Edits to "engine" that change nothing: they are neither recorded nor told on the bus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited(Frame):
    """The edit `id` has been carried out. `ports` is there where they have changed.

    `step` is the first one on which it acts; a participant leaves it at -1.
    """

    kind: ClassVar[str] = "edited"
    step: int = -1
    id: int
    result: Mapping[str, Any] = field(default_factory=dict)
    ports: Ports | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateNote(Frame):
    """Where the run stands: to operators on the step wire, to everyone on the bus.

    `step` is the step in progress (or the next one), `steps` how many there will be; `cle_step_ns` the wall time of
    the last one, `mean_step_ns` of all but the first; `recorded` is the last step the recorder has acknowledged.
    `facts` has, besides counts, `real_ns`, `limit`, `function_ns` and `spent_ns` (see PROTOCOL.md).
    """

    kind: ClassVar[str] = "state"
    step: int
    t_ns: int
    state: State
    steps: int = 0
    text: str = ""
    cle_step_ns: int = 0
    mean_step_ns: int = 0
    recorded: int = -1
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Frame):
    """Credit from the recorder: every step up to `step` is in chunks that have been written out."""

    kind: ClassVar[str] = "recorded"
    step: int
    bytes_written: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone(Frame):
    """From the launcher: the process of `name` has ended; `how` says how, for people.

    `code` is that of the error which the service itself left as its last words, if it could.
    """

    kind: ClassVar[str] = "gone"
    name: str
    how: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFrame(Frame):
    """A request failed, or a service cannot go on. `code` is stable (see errors.py)."""

    kind: ClassVar[str] = "error"
    step: int = -1
    code: str
    text: str
    retry: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat(Frame):
    """The pulse. It is echoed as it is, by a thread that needs no interpreter."""

    kind: ClassVar[str] = "beat"
    number: int


# --- streams and documents (bus and tap) -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream(Frame):
    """One stream of one service at the end of `step`; array names as in its ports, without the stream."""

    kind: ClassVar[str] = "stream"
    step: int
    t_ns: int
    arrays: Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock(Frame):
    """The commit mark: `step` is complete, simulated time is `t_ns`.

    `seqs` lists the last sequence number of every stream (`brain/sinks`) that belongs to the run so far.
    """

    kind: ClassVar[str] = "clock"
    step: int
    t_ns: int
    seqs: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Frame):
    """Something a person should read: a warning, an error with its place in the user's script, or what a transfer
    function printed or logged ("info")."""

    kind: ClassVar[str] = "message"
    step: int = -1
    t_ns: int = 0
    severity: Severity = "error"
    source: str
    type: MessageType
    text: str
    function: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    line_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Frame):
    """What an edit was, on `engine/edits`: it acts from `step` on, which begins at `t_ns`.

    `by` is the person for whom it was made, the operator, or `schedule`. An edit that was refused has changed nothing;
    `code` and `text` say why. `took_ns` is wall-clock time.
    """

    kind: ClassVar[str] = "change"
    step: int
    t_ns: int
    by: str
    to: str
    what: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    text: str = ""
    took_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionsNote(Frame):
    """The transfer functions from `step` on, on `engine/functions`, in the order in which they are called.

    Each is a map: `name`, `source`, `line` (of its first line in its file, 0 if it stands in none), `active`,
    `priority`, `direction`, `reads`, `writes`, and `problem`: null, or why it is not called (see PROTOCOL.md).
    """

    kind: ClassVar[str] = "functions"
    step: int
    t_ns: int
    functions: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Values(Frame):
    """Numbers of the transfer functions after `step`, on `engine/values`: results that are numbers by the name of the
    function, and numbers it keeps in its `state` as `function.name`."""

    kind: ClassVar[str] = "values"
    step: int
    t_ns: int
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortsNote(Frame):
    """The ports of a run from `step` on, on `run/ports`: those of `RunStart` hold until the first of these."""

    kind: ClassVar[str] = "ports"
    step: int
    t_ns: int
    ports: Mapping[str, Ports]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart(Frame):
    """The first document of a run: who, what, with which seed and versions."""

    kind: ClassVar[str] = "start"
    run: str
    experiment: str
    title: str
    started_at: str
    seed: int
    dt_ns: int
    steps: int
    parameters: Mapping[str, Any]
    settings: Mapping[str, Any]
    files: Mapping[str, str]
    ports: Mapping[str, Ports]
    versions: Mapping[str, str]
    machine: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStop(Frame):
    """The last document of a run: how it ended, and what was measured.

    `steps` is the number of complete steps, `code` and `text` say why it ended early (empty if it did not),
    `service` who was the cause. `timing` has median, p99 and mean in milliseconds for each part of a step.
    """

    kind: ClassVar[str] = "stop"
    step: int
    t_ns: int
    outcome: Outcome
    code: str = ""
    text: str = ""
    service: str = ""
    steps: int
    exit_status: int = 0
    seqs: Mapping[str, int] = field(default_factory=dict)
    digest: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    real_time_factor: float = 0.0
    timing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    measures: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Mapping[str, Any], ...] = ()
    peak_rss_mb: Mapping[str, float] = field(default_factory=dict)


KINDS: Mapping[str, type[Frame]] = {
    cls.kind: cls
    for cls in (
        Hello,
        Welcome,
        Prepare,
        Progress,
        Ready,
        StepGrant,
        StepDone,
        Halt,
        Halted,
        Bye,
        Order,
        Edit,
        Edited,
        StateNote,
        Recorded,
        Gone,
        ErrorFrame,
        Beat,
        Stream,
        Clock,
        Message,
        Change,
        FunctionsNote,
        Values,
        PortsNote,
        RunStart,
        RunStop,
    )
}
