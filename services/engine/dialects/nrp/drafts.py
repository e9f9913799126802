"""A published function while its decorators are being applied, and what it does when it is called."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reafference import declare
from reafference.errors import BadExperiment
from reafference.frames import Ports
from services.engine.script import Flaw
from services.engine.voice import Log

from .house import House
from .parts import Bound, Mapped, Part, Run, Variable
from .subscriptions import Publisher, Subscriber
from .topics import Topics

TIME = "t"
RETURN, MONITOR = "", "(monitor)"
"""Names of mappings without an argument: what takes the value that the function returns, what is read for display."""

_INJECTED = ("t", "step", "state", "log")


def _nothing() -> None:
    """Stands for what is no function."""


@dataclass(slots=True, eq=False)
class Draft:
    """A published function: `to_brain` and what follows is told by its direction, `mappings` by the other decorators.

    `triggers` are arguments without news of which it is not called, `least_s` is the shortest time between two calls.
    """

    function: Callable[..., Any]
    mappings: list[Mapped] = field(default_factory=list)
    to_brain: bool | None = None
    default_to_brain: bool = True
    triggers: tuple[str, ...] = (TIME,)
    least_s: float = 0.0

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def line(self) -> int:
        """Where it begins."""
        return getattr(self.function, "__code__", _nothing.__code__).co_firstlineno

    def __call__(self, *values: Any, **named: Any) -> Any:
        """As the function itself, for others that call it."""
        return self.function(*values, **named)

    def declaration(self, *, active: bool, priority: int) -> declare.Declaration:
        """What it declares, before it is known what there is. Raises Flaw."""
        self._check()
        to_brain = self.default_to_brain if self.to_brain is None else self.to_brain
        return declare.Declaration(self.name, self, (), (), priority, active, to_brain)

    def _check(self) -> None:
        parameters = list(inspect.signature(self.function).parameters)
        line = self.line
        if not parameters or parameters[0] != TIME:
            raise Flaw("loading", f"the first argument of {self.name} is {TIME!r}, the time in seconds", line)
        names = [mapping.name for mapping in self.mappings if mapping.name not in (RETURN, MONITOR)]
        for mapping in self.mappings:
            if mapping.name not in (*parameters[1:], RETURN, MONITOR):
                text = f"{self.name} has no argument {mapping.name!r}: it has {', '.join(parameters)}"
                raise Flaw("loading", text, mapping.line)
            if names.count(mapping.name) > 1:
                raise Flaw("loading", f"the argument {mapping.name!r} is mapped twice", mapping.line)
        left = [name for name in parameters[1:] if name not in names]
        if left:
            text = f"the argument {left[0]!r} of {self.name} is not mapped to anything: add a decorator for it"
            raise Flaw("loading", text, line)
        for trigger in self.triggers:
            if trigger not in parameters:
                raise Flaw("loading", f"{self.name} has no argument {trigger!r} to be triggered by", line)

    def resolved(
        self, declaration: declare.Declaration, house: House, ports: Mapping[str, Ports], topics: Topics
    ) -> declare.Declaration:
        """The declaration with its addresses, and something to be called. Raises BadExperiment with the line."""
        assert house.stage is not None
        run = Run(house, house.stage, ports, topics)
        bound = [(mapping, _bound(mapping, run)) for mapping in self.mappings]
        reads = tuple(dict.fromkeys(address for _, one in bound for address in one.reads))
        writes = tuple(dict.fromkeys(address for _, one in bound for address in one.writes))
        call = Call(self, house, {mapping.name: one.part for mapping, one in bound}, len(reads))
        house.subscribers[self.name] = [one.part for _, one in bound if isinstance(one.part, Subscriber)]
        return declare.Declaration(
            declaration.name, call, reads, writes, declaration.priority, declaration.active, declaration.to_brain
        )


class Call:
    """Calls a published function with its devices and topics, and gives what it has set by address."""

    def __init__(self, draft: Draft, house: House, parts: Mapping[str, Part], n_read: int) -> None:
        self._draft, self._house, self._parts = draft, house, parts
        self._given = {name: part.argument for name, part in parts.items() if name not in (RETURN, MONITOR)}
        self._last_s = float("-inf")
        read = [inspect.Parameter(f"read_{place}", inspect.Parameter.POSITIONAL_ONLY) for place in range(n_read)]
        injected = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in _INJECTED]
        self.__signature__ = inspect.Signature([*read, *injected])

    def __call__(self, *read: Any, t: float, step: int, state: Any, log: Log) -> dict[str, Any] | None:
        # Parts look at what they stand for themselves: they have to know whether it has been sent at all.
        del read
        house, parts = self._house, self._parts.values()
        for part in parts:
            part.begin(t, state)
        if not self._due(t):
            return None
        self._last_s = t
        house.log, house.t_s = log, t
        try:
            result = self._draft.function(t, **self._given)
            if result is not None and isinstance(self._parts.get(RETURN), Publisher):
                self._parts[RETURN].send_message(result)  # type: ignore[attr-defined]
        except (AttributeError, TypeError) as error:
            self._forgive(error, step, log)
            return None
        finally:
            house.log = None
        return {address: value for part in parts for address, value in part.results().items()}

    def _due(self, t_s: float) -> bool:
        triggers = self._draft.triggers
        new = TIME in triggers or any(self._parts[name].fresh() for name in triggers)
        # Times are sums of steps, so that a period may come out a little short.
        return new and t_s - self._last_s >= self._draft.least_s - 1e-9

    def _forgive(self, error: Exception, step: int, log: Log) -> None:
        """Leave it at that if it only failed since a topic is still empty; raises the error again otherwise.

        Variables that nobody has set yet, perhaps since others wait for a topic, count as well.
        """
        empty = [part.topic for part in self._parts.values() if isinstance(part, Subscriber) and part.empty]
        unset = [part.name for part in self._parts.values() if isinstance(part, Variable) and part.value is None]
        elsewhere = self._house.empty_topics() if unset else []
        if "None" not in str(error) or not (empty or elsewhere or (unset and step == 0)):
            raise error
        if empty or elsewhere:
            why = f"nothing has come from {', '.join(empty or elsewhere)} yet"
        else:
            why = f"{', '.join(unset)} has not been set yet"
        log.info(f"{why}, and so the call came to nothing: {error}")


def _bound(mapping: Mapped, run: Run) -> Bound:
    try:
        return mapping.bound(run)
    except BadExperiment as error:
        raise type(error)(error.text, detail={**error.detail, "line": mapping.line}) from None
