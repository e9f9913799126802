"""What a brain or a body must be able to do. It has never heard of messages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from .frames import Array, Plan, Ports, Step


class Report(Protocol):
    """Tells people how far a slow task has come; may be called as often as one likes."""

    def __call__(self, task: str, done: int = 0, total: int = 0, detail: str = "") -> None: ...


class Simulator(Protocol):
    """A small, synchronous thing that moves in steps.

    Output ports named `timing.*` are wall-clock nanoseconds of the parts of the last step. They ride in the answer and
    are no stream: the engine's profile tells of them (`timing.run` the simulator itself, `timing.write` and
    `timing.readout` writing to and reading from its devices).
    """

    def prepare(self, plan: Plan, report: Report) -> Ports:
        """Build and seed everything; declare shape, dtype and unit of each port.

        May be called again for another run; then nothing of the earlier one is left. Raises BadExperiment
        (or a child of it) when the plan cannot be built.
        """
        ...

    def advance(self, step: Step) -> dict[str, Array]:
        """Move from `step.t_ns` for `step.dt_ns`; return the output ports by name.

        A port may be absent when it has nothing new (a camera between two pictures).
        """
        ...

    def close(self) -> None:
        """Release what the simulator holds; safe to call twice."""
        ...


@runtime_checkable
class Deferring(Protocol):
    """A simulator that leaves some of its output for later: what nobody waits for need not hold up the answer."""

    @property
    def deferred(self) -> tuple[str, ...]:
        """The output ports of the last step that `afterwards` will give; none of them was wanted."""
        ...

    def afterwards(self) -> dict[str, Array]:
        """Their values by name. Called once after each `advance`, when the answer has been sent."""
        ...


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of an edit. `ports` is there if they are not what they were, or if their values are at rest again."""

    result: Mapping[str, Any] = field(default_factory=dict)
    ports: Ports | None = None


@runtime_checkable
class Editable(Protocol):
    """A simulator that can be changed between two steps.

    Any simulator knows the edit `reset`: one that is not Editable is prepared again, with `plan.t_ns` at the present.
    """

    def edit(self, what: str, arguments: Mapping[str, Any], report: Report) -> Changed:
        """Carry out `what`; the next step is made with it. Arrays in `arguments` are read-only.

        Raises BadExperiment (or a child of it) for what cannot be done; then everything is as it was before.
        """
        ...


@runtime_checkable
class Cancellable(Protocol):
    """A simulator that can give up in the middle of a long step (or edit).

    `cancelled` is set from outside before the first `prepare`. Where it is true, `advance` may raise StepCancelled;
    the simulator is then prepared again before it has to make another step. To ask takes a few microseconds.
    """

    cancelled: Callable[[], bool]


def never() -> bool:
    """For `cancelled` of a simulator that nobody can ask to give up."""
    return False
