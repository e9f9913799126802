"""What may be changed of the engine itself while a run goes on: its transfer functions, parameters, and limit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reafference import plain
from reafference.errors import BadExperiment, ReafferenceError
from reafference.frames import ENGINE_READINGS, Edit, Message

from .limit import Limit
from .transfer import Transfer

T = TypeVar("T")

_OF_FUNCTIONS = (
    "add_function",
    "replace_function",
    "delete_function",
    "switch_function",
    "set_priority",
    "order_functions",
)
_OF_THIS_RUN = ("set_inputs", "give_datapacks", "pause_when_done")
_OF_ONE = ("replace_function", "switch_function", "set_priority")


# --- the arguments of each edit ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """No arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """`add_function`."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """`replace_function`."""

    name: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """`delete_function`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Switching:
    """`switch_function`."""

    name: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """`set_priority`."""

    name: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`order_functions`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`set_parameters`."""

    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """`set_limit`: one of the three, in seconds."""

    simulated_s: float | None = None
    real_s: float | None = None
    extend_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """`set_inputs`: values by the address of an input port."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """`observations`: whether the status function was done `before` this iteration; what it has given since another
    one if it was, or in any case where `all` is asked for."""

    since: int
    before: int
    all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Giving:
    """`give_datapacks`: what each of these engines is sent with its next step."""

    engines: Mapping[str, tuple[Mapping[str, str], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """`pause_when_done`: whether to pause after the step that begins when the status function says so."""

    on: bool


# --- carrying out -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """Where the run stands: how many steps are complete, and the wall time it has spent running."""

    step: int
    real_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """What an edit of the engine led to: what is answered, what people should read, the limit if it is another."""

    result: Mapping[str, Any]
    messages: list[Message] = field(default_factory=list)
    limit: Limit | None = None


def carry_out(edit: Edit, transfer: Transfer, limit: Limit, now: Now) -> Steered:
    """Change the engine. Raises BadExperiment or ScriptError where that cannot be; all is then as before."""
    arguments = plain.with_arrays(edit.arguments)
    if edit.what in _OF_FUNCTIONS:
        messages = _change_functions(edit.what, arguments, transfer)
        return Steered(result={"functions": transfer.described()}, messages=messages)
    match edit.what:
        case "functions":
            _taken(Nothing, edit.what, arguments)
            return Steered(result={"functions": transfer.described()})
        case "get_parameters":
            _taken(Nothing, edit.what, arguments)
        case "set_parameters":
            transfer.parameters.put(_taken(Setting, edit.what, arguments).parameters)
        case "set_inputs":
            transfer.set_inputs(_taken(Inputs, edit.what, arguments).values)
            return Steered(result={})
        case "first_datapacks":
            _taken(Nothing, edit.what, arguments)
            return Steered(result={"packs": transfer.observing.first()})
        case "observations":
            return Steered(result=_observed(_taken(Observations, edit.what, arguments), transfer))
        case "give_datapacks":
            transfer.give(_taken(Giving, edit.what, arguments).engines, now.step)
            return Steered(result={})
        case "pause_when_done":
            transfer.pause_when_done = _taken(Watching, edit.what, arguments).on
            return Steered(result={})
        case "set_limit":
            other = _limit(_taken(Ending, edit.what, arguments), limit, now)
            return Steered(result={"limit": other.described(now.step, now.real_ns)}, limit=other)
        case _:
            known = (*_OF_FUNCTIONS, *ENGINE_READINGS, "set_parameters", "set_limit", *_OF_THIS_RUN)
            hint = plain.nearest(edit.what, known)
            raise BadExperiment(f"the engine has no edit {edit.what!r}{hint}: it has {', '.join(known)}")
    return Steered(result={"parameters": transfer.parameters.now()})


def _observed(asked: Observations, transfer: Transfer) -> dict[str, Any]:
    last = transfer.observing.observed(asked.before - 1, asked.before)
    done = bool(last) and bool(last[0]["done"])
    wanted = transfer.observing.observed(asked.since, asked.before) if done or asked.all else []
    return {"done": done, "observations": wanted}


def _change_functions(what: str, arguments: Mapping[str, Any], transfer: Transfer) -> list[Message]:
    match what:
        case "add_function":
            return transfer.add(_taken(Addition, what, arguments).source)
        case "replace_function":
            replacement = _taken(Replacement, what, arguments)
            return transfer.replace(replacement.name, replacement.source)
        case "switch_function":
            switching = _taken(Switching, what, arguments)
            return transfer.switch(switching.name, switching.on)
        case "delete_function":
            transfer.delete(_taken(Deletion, what, arguments).name)
        case "set_priority":
            wanted = _taken(Priority, what, arguments)
            transfer.set_priority(wanted.name, wanted.priority)
        case "order_functions":
            transfer.order(_taken(Order, what, arguments).names)
    return []


def _limit(ending: Ending, limit: Limit, now: Now) -> Limit:
    match ending:
        case Ending(simulated_s=float(seconds), real_s=None, extend_s=None):
            return limit.simulated(seconds, now.step)
        case Ending(simulated_s=None, real_s=float(seconds), extend_s=None):
            return limit.real(seconds, now.real_ns)
        case Ending(simulated_s=None, real_s=None, extend_s=float(seconds)):
            return limit.extended(seconds)
    raise BadExperiment("a limit is one of simulated_s, real_s and extend_s: name exactly one of them")


def _taken(kind: Callable[..., T], what: str, arguments: Mapping[str, Any]) -> T:
    try:
        taken: T = plain.load(kind, arguments)  # type: ignore[arg-type]
    except plain.Misfit as misfit:
        raise BadExperiment(f"the edit {what!r}: {misfit}") from None
    return taken


# --- what stays -----------------------------------------------------------------------------------------


class Lasting:
    """What people have changed of the engine, for the runs that follow by a reset. What a schedule changes is made
    anew in each of them."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._edits: list[Edit] = []

    def note(self, edit: Edit, steered: Steered) -> None:
        """Keep an edit that has been carried out."""
        if steered.limit is not None:
            self.limit = steered.limit
        elif edit.what not in (*ENGINE_READINGS, *_OF_THIS_RUN):
            if self._edits and _overtakes(edit, self._edits[-1]):
                self._edits.pop()
            self._edits.append(edit)

    def repeat(self, transfer: Transfer, now: Now) -> list[Message]:
        """Make the same changes to functions that have just been loaded; what is wrong with them."""
        messages = []
        for edit in self._edits:
            try:
                messages += carry_out(edit, transfer, self.limit, now).messages
            except ReafferenceError as error:
                text = f"the edit {edit.what!r} could not be repeated after the reset: {error.text}"
                messages.append(Message(severity="warning", source="engine", type="loading", text=text))
        return messages


def _overtakes(edit: Edit, last: Edit) -> bool:
    """Whether nothing is left of the last edit after this one."""
    if edit.what != last.what:
        return False
    if edit.what == "set_parameters":
        return set(last.arguments["parameters"]) <= set(edit.arguments["parameters"])
    if edit.what == "order_functions":
        return set(last.arguments["names"]) == set(edit.arguments["names"])
    return edit.what in _OF_ONE and edit.arguments["name"] == last.arguments["name"]
