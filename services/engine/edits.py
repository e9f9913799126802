"""Edits on their way: who wants what, which one is being carried out, how long it may take."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reafference.frames import Change, Edit

from .experiment import General

SCHEDULE = "schedule"
"""Who wants an edit that stands in the experiment file."""

FUNCTIONS = "transfer functions"
"""Who wants an edit without which a transfer function cannot be called."""

_BUILDING = ("replace_brain", "reset", "set_populations")
"""Edits in which a simulator is built anew, and that may take as long as that does."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An edit, and who wants it: an operator, SCHEDULE or FUNCTIONS."""

    by: str
    edit: Edit


class Edits:
    """First come, first served, and one at a time."""

    def __init__(self) -> None:
        self._waiting: deque[Wish] = deque()
        self._current: Wish | None = None
        self._number = self._began_ns = 0

    def add(self, wish: Wish) -> None:
        """Let it wait for its turn."""
        self._waiting.append(wish)

    def begin(self) -> Edit:
        """The edit whose turn it is, under a number of ours: two operators may have chosen the same."""
        self._current = self._waiting.popleft()
        self._number += 1
        self._began_ns = time.perf_counter_ns()
        return replace(self._current.edit, id=self._number)

    def awaits(self, name: str, number: Any) -> bool:
        """Whether this answer of a participant is the one that is due."""
        return self._current is not None and (self._current.edit.to, self._number) == (name, number)

    def end(self) -> tuple[Wish, int]:
        """The edit that has been answered, and the nanoseconds it took."""
        assert self._current is not None
        wish, self._current = self._current, None
        return wish, time.perf_counter_ns() - self._began_ns

    def drop(self) -> list[Wish]:
        """All that will not be carried out any more."""
        left = [self._current] if self._current else []
        left += self._waiting
        self._waiting.clear()
        self._current = None
        return left


def limit_s(edit: Edit, general: General) -> float:
    """How long this edit may take."""
    usual = general.prepare_timeout_s if edit.what in _BUILDING else general.step_timeout_s
    return edit.timeout_s or usual


def change(
    wish: Wish,
    *,
    step: int,
    t_ns: int,
    took_ns: int,
    result: Mapping[str, Any] | None = None,
    code: str = "",
    text: str = "",
) -> Change:
    """What a recording tells of an edit that was answered; by whom, the operator itself or the person it speaks for."""
    edit = wish.edit
    return Change(
        step=step,
        t_ns=t_ns,
        by=edit.by or wish.by,
        to=edit.to,
        what=edit.what,
        arguments=edit.arguments,
        result=result or {},
        code=code,
        text=text,
        took_ns=took_ns,
    )
