"""Who is due, who answered, who is late: the life of a run as a pure state machine.

`react(barrier, event)` gives the next barrier and what has to be done about it; nothing here knows a socket, a
clock or a log. The states are those of PROTOCOL.md:

    lobby → preparing → ready → running ⇄ paused → stopping → lobby,   fault from anywhere

A full reset goes on from the lobby by itself, with the same members, and waits in ready.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from reafference.errors import OutOfOrder, PeerLate, PeerLost, ReafferenceError, StepCancelled
from reafference.frames import OrderKind, Role, State

# --- who takes part ----------------------------------------------------------------------------------


class Member(NamedTuple):
    """One of the roster. `every` is how many CLE steps one step of a participant has."""

    name: str
    role: Role
    every: int = 1
    arrived: bool = False
    ready: bool = False
    halted: bool = False
    granted: int = -1
    answered: int = -1

    def due(self, step: int) -> bool:
        return self.role == "participant" and step % self.every == 0

    def owes(self, step: int) -> bool:
        """Whether its answer is needed before `step` is complete."""
        return self.granted > self.answered and self.granted + self.every - 1 <= step


class Barrier(NamedTuple):
    """Everything a decision depends on.

    `step` is the one in progress or, between steps, the next one. `granted` says that it is in progress, `coupled`
    that the transfer functions have run for it. `window` is how many steps may be granted beyond `recorded`; 0 where
    nothing is recorded. `pausing` says to pause before the next step, `counted` to make so many steps before that.
    `wanted` names the participants (or ENGINE) for which edits are waiting, `editing` the one that is being edited.
    `timed_out` says that no more time is left, `cancelled` is the step that was given up in its middle.
    """

    members: Mapping[str, Member]
    steps: int
    window: int = 0
    autostart: bool = True
    state: State = "lobby"
    step: int = 0
    coupled: bool = False
    granted: bool = False
    recorded: int = -1
    pausing: bool = False
    counted: int = 0
    ending: bool = False
    timed_out: bool = False
    resetting: bool = False
    cancelled: int = -1
    wanted: tuple[str, ...] = ()
    editing: str = ""
    concluded: bool = False
    error: ReafferenceError | None = None
    culprit: str = ""

    def missing(self) -> list[str]:
        """Whose answer the present state waits for."""
        if self.editing:
            return [self.editing]
        match self.state:
            case "lobby":
                return [m.name for m in self.members.values() if not m.arrived]
            case "preparing":
                return [m.name for m in self.members.values() if not m.ready]
            case "running":
                return [m.name for m in self.members.values() if m.owes(self.step)]
            case "stopping" | "fault":
                # The recorder comes last: it must not miss what the others say at the end.
                left = [m for m in self.members.values() if m.ready and not m.halted]
                first = [m.name for m in left if m.role == "participant"]
                return first or [m.name for m in left]
        return []

    def short_of_credit(self) -> bool:
        """Whether the next step waits for the recorder only."""
        return self.coupled and bool(self.window) and self.step > self.recorded + self.window

    def at_border(self, name: str) -> bool:
        """Whether this participant stands between two steps of its own, or the engine between two CLE steps."""
        return not self.granted and (name == ENGINE or self.members[name].due(self.step))


# --- what may happen ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrived:
    """A member of the roster said hello."""

    name: str


@dataclass(frozen=True, slots=True)
class Built:
    """A member is ready; `every` comes from the experiment."""

    name: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A participant is done with `step`."""

    name: str
    step: int


@dataclass(frozen=True, slots=True)
class Coupled:
    """The transfer functions have run, on resting values or on those of the step just complete."""


@dataclass(frozen=True, slots=True)
class Credited:
    """The recorder has written everything up to `step`."""

    step: int


@dataclass(frozen=True, slots=True)
class Ordered:
    """An operator (of this name, if it was not the engine itself) wants something; `steps` belongs to a "step"."""

    what: OrderKind
    name: str = ""
    steps: int = 1


@dataclass(frozen=True, slots=True)
class Limited:
    """From now on there will be so many steps, those that have been made included."""

    steps: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The wall time that the run may take is over."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody wants to edit this participant, or ENGINE."""

    name: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The edit of this participant, or of ENGINE, has been carried out, or refused."""

    name: str


@dataclass(frozen=True, slots=True)
class HasHalted:
    """A member has stopped in order."""

    name: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A member is gone; `how` says how one knows."""

    name: str
    how: str


@dataclass(frozen=True, slots=True)
class Overdue:
    """The present state has lasted longer than it may."""

    limit_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A member, or the engine itself (ENGINE), cannot go on."""

    name: str
    error: ReafferenceError


ENGINE = "engine"

_FROM_MEMBERS = (Arrived, Built, Answered, HasHalted)
_ABOUT_EDITS = (Wanted, Settled)

Event = (
    Arrived
    | Built
    | Answered
    | Coupled
    | Credited
    | Ordered
    | Limited
    | TimedOut
    | Wanted
    | Settled
    | HasHalted
    | Lost
    | Overdue
    | Failed
)


# --- what has to be done about it -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendPrepare:
    """Ask these members to build themselves."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Couple:
    """Run the transfer functions; `step` steps are complete. For step 0 on resting values."""

    step: int


@dataclass(frozen=True, slots=True)
class Commit:
    """`step` is complete: publish the commit mark."""

    step: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Let these participants make `step`."""

    step: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SendEdit:
    """Send this participant the edit that has waited longest; ENGINE carries it out itself."""

    name: str


@dataclass(frozen=True, slots=True)
class SendHalt:
    """Ask these members to stop after `step`."""

    step: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conclude:
    """All participants have stopped: write the last document of the run. `error` is why it ended early, if it
    did, and `culprit` who was the cause. `resetting` says that another run follows, `cancelled` is as Barrier's: what
    the barrier itself says then may be of that other run already."""

    error: ReafferenceError | None
    culprit: str
    resetting: bool = False
    cancelled: int = -1


@dataclass(frozen=True, slots=True)
class Tell:
    """The state has changed."""

    state: State


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over: say goodbye."""


@dataclass(frozen=True, slots=True)
class Restart:
    """The run is over, and the same members will make another one."""


Action = SendPrepare | Couple | Commit | Grant | SendEdit | SendHalt | Conclude | Tell | Finish | Restart
Reaction = tuple[Barrier, tuple[Action, ...]]


def open_lobby(
    roster: Mapping[str, Role],
    *,
    steps: int,
    every: Mapping[str, int] | None = None,
    window: int = 0,
    autostart: bool = True,
) -> Barrier:
    """A barrier that waits for everybody in `roster`."""
    rates = every or {}
    members = {name: Member(name, role, rates.get(name, 1)) for name, role in roster.items()}
    return Barrier(members, steps, window, autostart)


def react(barrier: Barrier, event: Event) -> Reaction:
    """The next barrier, and what to do.

    Raises OutOfOrder for an event that the present state has no place for; the barrier then stays as it is.
    """
    handler = _TABLE.get((barrier.state, type(event)))
    if handler is None:
        raise OutOfOrder(_misplaced(barrier, event))
    if isinstance(event, _FROM_MEMBERS) and event.name not in barrier.members:
        raise OutOfOrder(f"{event.name} has no part in this run")
    if isinstance(event, _ABOUT_EDITS) and event.name not in (*barrier.members, ENGINE):
        raise OutOfOrder(f"{event.name} has no part in this run")
    return handler(barrier, event)


# --- handlers, one for each entry of the table ------------------------------------------------------------


def _arrived(barrier: Barrier, event: Arrived) -> Reaction:
    barrier = _with(barrier, event.name, arrived=True)
    if barrier.missing():
        return barrier, ()
    return barrier._replace(state="preparing"), (Tell("preparing"), SendPrepare(tuple(barrier.members)))


def _built(barrier: Barrier, event: Built) -> Reaction:
    if barrier.members[event.name].ready:
        return barrier, ()
    barrier = _with(barrier, event.name, ready=True)
    if barrier.missing():
        return barrier, ()
    return barrier, (Couple(0),)


def _coupled_at_rest(barrier: Barrier, event: Coupled) -> Reaction:
    barrier = barrier._replace(state="ready", coupled=True)
    barrier, actions = _start(barrier) if barrier.autostart else _at_rest(barrier)
    return barrier, (Tell("ready"), *actions)


def _answered(barrier: Barrier, event: Answered) -> Reaction:
    member = barrier.members[event.name]
    if event.step != member.granted:
        raise OutOfOrder(f"{event.name} answered step {event.step}, step {member.granted} was granted")
    if member.answered == member.granted:
        return barrier, ()  # an answer from memory, after a reconnect
    return _completed(_with(barrier, event.name, answered=event.step))


def _completed(barrier: Barrier, before: tuple[Action, ...] = ()) -> Reaction:
    """Commit the step in progress once nobody owes anything for it.

    With slow participants that can be at once, and an answer can come when no step is in progress.
    """
    if not barrier.granted or barrier.missing():
        return barrier, before
    return barrier._replace(granted=False), (*before, Commit(barrier.step), Couple(barrier.step + 1))


def _coupled(barrier: Barrier, event: Coupled) -> Reaction:
    return _next(barrier._replace(step=barrier.step + 1, coupled=True))


def _credited(barrier: Barrier, event: Credited) -> Reaction:
    barrier = barrier._replace(recorded=max(barrier.recorded, event.step))
    return _next(barrier) if barrier.state == "running" else (barrier, ())


def _next(barrier: Barrier) -> Reaction:
    """Between two steps: end, edit, pause, wait for credit, or grant."""
    if not barrier.coupled or barrier.granted or barrier.editing:
        return barrier, ()
    if barrier.ending or barrier.timed_out or barrier.step >= barrier.steps:
        return _stop(barrier)
    if barrier.wanted and barrier.at_border(barrier.wanted[0]):
        return _edit(barrier)
    if barrier.pausing and not barrier.wanted:
        return barrier._replace(state="paused", pausing=False), (Tell("paused"),)
    if barrier.short_of_credit():
        return barrier, ()
    due = tuple(m.name for m in barrier.members.values() if m.due(barrier.step))
    members = {m.name: m._replace(granted=barrier.step) if m.name in due else m for m in barrier.members.values()}
    pausing, left = barrier.pausing or barrier.counted == 1, max(barrier.counted - 1, 0)
    granted = barrier._replace(members=members, granted=True, coupled=False, pausing=pausing, counted=left)
    return _completed(granted, (Grant(barrier.step, due),))


def _start(barrier: Barrier) -> Reaction:
    barrier, actions = _next(barrier._replace(state="running"))
    return barrier, (Tell("running"), *actions)


def _at_rest(barrier: Barrier) -> Reaction:
    """While nothing moves: edit, or end."""
    if barrier.editing:
        return barrier, ()
    if barrier.ending:
        return _stop(barrier)
    return _edit(barrier) if barrier.wanted else (barrier, ())


def _limited(barrier: Barrier, event: Limited) -> Reaction:
    return barrier._replace(steps=event.steps), ()


def _timed_out(barrier: Barrier, event: TimedOut) -> Reaction:
    return _next(barrier._replace(timed_out=True))


def _edit(barrier: Barrier) -> Reaction:
    name, *later = barrier.wanted
    return barrier._replace(wanted=tuple(later), editing=name), (SendEdit(name),)


def _wanted(barrier: Barrier, event: Wanted) -> Reaction:
    barrier = barrier._replace(wanted=(*barrier.wanted, event.name))
    match barrier.state:
        case "running":
            return _next(barrier)
        case "ready" | "paused":
            return _at_rest(barrier)
    return barrier, ()


def _settled(barrier: Barrier, event: Settled) -> Reaction:
    if event.name != barrier.editing:
        raise OutOfOrder(f"{event.name} answered an edit that it was not asked for")
    barrier = barrier._replace(editing="")
    return _next(barrier) if barrier.state == "running" else _at_rest(barrier)


def _stop(barrier: Barrier) -> Reaction:
    return _halt_rest(barrier._replace(state="stopping", wanted=(), editing=""), (Tell("stopping"),))


def _halt_rest(barrier: Barrier, before: tuple[Action, ...] = ()) -> Reaction:
    """Stop the participants, then conclude, then stop the recorder, then finish."""
    left = barrier.missing()
    halt = (SendHalt(barrier.step - 1, tuple(left)),) if left else ()
    if any(barrier.members[name].role == "participant" for name in left):
        return barrier, (*before, *halt)
    if barrier.concluded:
        return (barrier, before) if left else _over(barrier, before)
    conclude = Conclude(barrier.error, barrier.culprit, barrier.resetting, barrier.cancelled)
    concluded, before = barrier._replace(concluded=True), (*before, conclude)
    return (concluded, (*before, *halt)) if left else _over(concluded, before)


def _over(barrier: Barrier, before: tuple[Action, ...]) -> Reaction:
    """Everybody has stopped: back to the lobby, and after a full reset out of it again."""
    if not barrier.resetting or barrier.error is not None:
        return barrier._replace(state="lobby"), (*before, Finish())
    members = {m.name: m._replace(ready=False, halted=False, granted=-1, answered=-1) for m in barrier.members.values()}
    again = Barrier(members, barrier.steps, barrier.window, autostart=False, state="preparing")
    return again, (*before, Restart(), Tell("preparing"), SendPrepare(tuple(members)))


def _ordered_in_lobby(barrier: Barrier, event: Ordered) -> Reaction:
    if event.what in ("stop", "cancel"):
        return _stop(barrier._replace(ending=True))
    if event.what in ("reset", "step"):
        done = "be reset" if event.what == "reset" else "make a step"
        raise OutOfOrder(f"the run is {_PHRASES[barrier.state]}: it can {done} once it is ready")
    return barrier._replace(autostart=event.what in ("start", "resume")), ()


def _ordered_when_ready(barrier: Barrier, event: Ordered) -> Reaction:
    match event.what:
        case "start" | "resume":
            return _start(barrier)
        case "step":
            return _start(barrier._replace(counted=event.steps))
        case "cancel":
            return _stop(barrier._replace(ending=True))
        case "stop" | "reset":
            return _at_rest(_ending(barrier, event))
    return barrier, ()


def _ending(barrier: Barrier, event: Ordered) -> Barrier:
    """To stop or to reset: the later order counts."""
    return barrier._replace(ending=True, resetting=event.what == "reset")


def _ordered_while_running(barrier: Barrier, event: Ordered) -> Reaction:
    match event.what:
        case "step" if barrier.counted:
            barrier = barrier._replace(counted=event.steps)
        case "pause" | "step":
            barrier = barrier._replace(pausing=True, counted=0)
        case "start" | "resume":
            barrier = barrier._replace(pausing=False, counted=0)
        case "stop" | "reset":
            barrier = _ending(barrier, event)
        case "cancel":
            return _stop(barrier._replace(ending=True, cancelled=barrier.step if barrier.granted else -1))
    return _next(barrier)


def _ordered_while_stopping(barrier: Barrier, event: Ordered) -> Reaction:
    return (_ending(barrier, event) if event.what in ("stop", "reset") else barrier), ()


def _ignored(barrier: Barrier, event: Event) -> Reaction:
    return barrier, ()


def _halted(barrier: Barrier, event: HasHalted) -> Reaction:
    barrier = _with(barrier, event.name, halted=True)
    return (barrier, ()) if _still_participants(barrier) else _halt_rest(barrier)


def _still_participants(barrier: Barrier) -> bool:
    return any(barrier.members[name].role == "participant" for name in barrier.missing())


def _lost(barrier: Barrier, event: Lost) -> Reaction:
    if event.name not in barrier.members:
        return barrier, ()  # monitors come and go
    where = f" in step {barrier.step}" if barrier.state == "running" else f" while {_PHRASES[barrier.state]}"
    error = PeerLost(f"the {event.name} was lost{where}: {event.how}")
    return _fail(barrier, event.name, error)


def _overdue_at_rest(barrier: Barrier, event: Overdue) -> Reaction:
    """A person may take as long as they like, an edit may not."""
    if not barrier.editing:
        raise OutOfOrder(_misplaced(barrier, event))
    return _overdue(barrier, event)


def _overdue(barrier: Barrier, event: Overdue) -> Reaction:
    if barrier.editing:
        error = PeerLate(f"the {barrier.editing} did not carry out an edit within {event.limit_s:g} s")
        return _fail(barrier, barrier.editing, error)
    if barrier.state == "running" and barrier.short_of_credit():
        witnesses = [m.name for m in barrier.members.values() if m.role == "witness"]
        error = PeerLate(f"the recorder did not write step {barrier.recorded + 1} within {event.limit_s:g} s")
        return _fail(barrier, witnesses[0], error)
    late = barrier.missing()
    names = " and the ".join(late)
    where = f"step {barrier.step}" if barrier.state == "running" else f"the end of {_PHRASES[barrier.state]}"
    error = PeerLate(f"the {names} did not reach {where} within {event.limit_s:g} s")
    return _fail(barrier, late[0] if late else ENGINE, error)


def _failed(barrier: Barrier, event: Failed) -> Reaction:
    if event.name not in (*barrier.members, ENGINE):
        return barrier, ()  # a monitor's trouble is its own
    return _fail(barrier, event.name, event.error)


def _fail(barrier: Barrier, culprit: str, error: ReafferenceError) -> Reaction:
    """Grant nothing more, stop the others; what they still answer of this step is not committed."""
    if culprit in barrier.members:
        barrier = _with(barrier, culprit, halted=True)
    barrier = barrier._replace(state="fault", error=error, culprit=culprit, wanted=(), editing="")
    return _halt_rest(barrier, (Tell("fault"),))


def _fail_again(barrier: Barrier, event: Lost | Failed) -> Reaction:
    """Whoever is lost while all are being stopped need not be waited for; the first cause stands."""
    if event.name not in barrier.members:
        return barrier, ()
    if isinstance(event, Failed) and isinstance(event.error, StepCancelled):
        return barrier, ()  # as it was asked to; it will say that it has halted
    if barrier.error is None:
        error = (
            event.error
            if isinstance(event, Failed)
            else PeerLost(f"the {event.name} was lost while the run was stopping: {event.how}")
        )
        barrier = barrier._replace(error=error, culprit=event.name)
    barrier = _with(barrier, event.name, halted=True)
    return (barrier, ()) if _still_participants(barrier) else _halt_rest(barrier)


def _give_up(barrier: Barrier, event: Overdue) -> Reaction:
    """Who has not stopped by now is left to the launcher."""
    late = barrier.missing()
    if barrier.error is None:
        error = PeerLate(f"the {' and the '.join(late)} did not stop within {event.limit_s:g} s")
        barrier = barrier._replace(error=error, culprit=late[0] if late else ENGINE)
    for name in late:
        barrier = _with(barrier, name, halted=True)
    return _halt_rest(barrier)


def _with(barrier: Barrier, name: str, **changes: object) -> Barrier:
    changed = barrier.members[name]._replace(**changes)  # type: ignore[arg-type]
    return barrier._replace(members={**barrier.members, name: changed})


_PHRASES: Mapping[State, str] = {
    "lobby": "waiting in the lobby",
    "preparing": "being built",
    "ready": "ready",
    "running": "running",
    "paused": "paused",
    "stopping": "stopping",
    "fault": "stopping after a fault",
}


def _misplaced(barrier: Barrier, event: Event) -> str:
    who = getattr(event, "name", "")
    said = f"{who}: " if who else ""
    return f"{said}{type(event).__name__.lower()} has no place while the run is {_PHRASES[barrier.state]}"


_Handler = Callable[[Barrier, Any], Reaction]

_TABLE: Mapping[tuple[State, type], _Handler] = {
    ("lobby", Arrived): _arrived,
    ("lobby", Ordered): _ordered_in_lobby,
    ("preparing", Built): _built,
    ("preparing", Coupled): _coupled_at_rest,
    ("preparing", Ordered): _ordered_in_lobby,
    ("preparing", Wanted): _wanted,
    ("ready", Ordered): _ordered_when_ready,
    ("running", Answered): _answered,
    ("running", Coupled): _coupled,
    ("running", Credited): _credited,
    ("running", Ordered): _ordered_while_running,
    ("paused", Ordered): _ordered_when_ready,
    ("paused", Answered): _answered,
    ("paused", Credited): _credited,
    ("stopping", HasHalted): _halted,
    ("stopping", Answered): _ignored,
    ("stopping", Built): _ignored,
    ("stopping", Coupled): _ignored,
    ("stopping", Credited): _ignored,
    ("stopping", Ordered): _ordered_while_stopping,
    ("stopping", Settled): _ignored,
    ("stopping", Lost): _fail_again,
    ("stopping", Failed): _fail_again,
    ("stopping", Overdue): _give_up,
    ("fault", HasHalted): _halted,
    ("fault", Answered): _ignored,
    ("fault", Built): _ignored,
    ("fault", Credited): _ignored,
    ("fault", Ordered): _ignored,
    ("fault", Settled): _ignored,
    ("fault", Coupled): _ignored,
    ("fault", Lost): _fail_again,
    ("fault", Failed): _fail_again,
    ("fault", Overdue): _give_up,
    **{(state, Lost): _lost for state in ("lobby", "preparing", "ready", "running", "paused")},
    **{(state, Failed): _failed for state in ("lobby", "preparing", "ready", "running", "paused")},
    ("running", TimedOut): _timed_out,
    **{(state, Limited): _limited for state in ("preparing", "ready", "running", "paused")},
    **{(state, Wanted): _wanted for state in ("ready", "running", "paused")},
    **{(state, Settled): _settled for state in ("ready", "running", "paused")},
    **{(state, Overdue): _overdue for state in ("lobby", "preparing", "running")},
    **{(state, Overdue): _overdue_at_rest for state in ("ready", "paused")},
}
