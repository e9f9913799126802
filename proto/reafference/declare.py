"""How an experiment declares its transfer functions.

    from reafference import transfer

    @transfer(reads="brain.readout.M1_L1_ENGC", writes=["body.Foot2", "body.Humerus1"])
    def motor_drive(voltage_mV):
        return min(voltage_mV / 2, 1.0)

A transfer function is called once per CLE step (and once before step 0, on resting values) with one argument
per name in `reads`. It may also take any of these by name: `t` (seconds, end of the step that just ended),
`step` (how many steps are complete), `params` (the experiment's [parameters]), `state` (a namespace of its own
that lives between calls), `log` (a logger). What it returns is written:

- one entry in `writes`: the value;
- several: a single number goes to each of them, a list or tuple of as many values one to each, a dictionary by
  the entries of `writes`;
- None, for everything or for one of several (or left out of the dictionary): the last value is held.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

INJECTED = ("t", "step", "params", "state", "log")
"""Names a transfer function may take besides what it reads."""

_FAR = 2**53

_collecting: list["Declaration"] | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """A transfer function as its author declared it.

    `to_brain` says whether it runs with those that write to the brain; None leaves that to what it writes.
    """

    name: str
    function: Callable[..., Any]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    priority: int = 0
    active: bool = True
    to_brain: bool | None = None


def transfer(
    *,
    reads: str | Sequence[str] = (),
    writes: str | Sequence[str] = (),
    priority: int = 0,
    active: bool = True,
) -> Callable[[Function], Function]:
    """Declare the decorated function as a transfer function.

    `reads` and `writes` are addresses: `body.joints.position` (a port), `body.joints.position.elbow` (one
    element by its label), or any ending of one that is unique (`brain.M1_L1_ENGC`, `body.Foot2`). Functions
    that write to the brain run before all others; among equals a higher `priority` runs first, then by name.
    """
    if not isinstance(priority, (int, float)) or not -_FAR < priority < _FAR:
        raise TypeError(f"priority is a number, and not too large: {priority!r} is none")
    read, written = _names(reads, "reads"), _names(writes, "writes")

    def declare(function: Function) -> Function:
        declaration = Declaration(function.__name__, function, read, written, priority, bool(active))
        if _collecting is not None:
            _collecting.append(declaration)
        return function

    return declare


@contextmanager
def collecting() -> Iterator[list[Declaration]]:
    """Collect what is declared inside the block, in order."""
    global _collecting
    before, _collecting = _collecting, []
    try:
        yield _collecting
    finally:
        _collecting = before


def _names(given: str | Sequence[str], key: str) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{key} takes addresses such as 'body.Foot2', not {name!r}")
    return names
