"""Runs NEST for one step, in one piece or in several, so that a step that explodes can be stopped.

NEST cuts a run into slices of the shortest delay, counted from the start of each Run: pieces that are multiples of
it, laid end to end from a multiple of it, give the same spikes as one piece does. So how a step is cut may follow
the wall clock; only all ranks have to cut alike.
"""

import time
from collections.abc import Callable

from reafference.errors import SimulatorFailed
from services.brain.kernel import nest
from services.brain.together import Together

_PIECE_NS = 200_000_000
"""How long one piece is meant to take: that long a cancelled step may go on."""

_GROWTH = 4
"""A piece is at most so many times as long as the one before it: what explodes does so faster than one learns."""


class Slices:
    """Cuts steps for one brain.

    `check` is called between two pieces with the number of the step and how far it has come, in words; it raises
    where the step shall not go on.
    """

    def __init__(self, together: Together, check: Callable[[int, str], None]) -> None:
        self._together = together
        self._check = check
        self._piece_ns = 0

    def restart(self) -> None:
        """Nothing is known about the network that comes now."""
        self._piece_ns = 0

    def run(self, dt_ns: int, *, shortest_ns: int, number: int) -> None:
        """Run for `dt_ns`, a multiple of `shortest_ns`. Raises SimulatorFailed where NEST fails."""
        done_ns = 0
        while done_ns < dt_ns:
            pieces = max(1, min(self._piece_ns, dt_ns - done_ns) // shortest_ns)
            piece_ns = pieces * shortest_ns
            began = time.perf_counter_ns()
            with self._together.stage():
                if done_ns:
                    self._check(number, f"{done_ns / 1e6:g} of {dt_ns / 1e6:g} ms")
                _run(piece_ns, number)
            self._learn(piece_ns, time.perf_counter_ns() - began)
            done_ns += piece_ns

    def _learn(self, piece_ns: int, took_ns: int) -> None:
        """The length of the next piece, the same on all ranks."""
        took_ns = max(self._together.most(took_ns), 1)
        fitting = piece_ns * _PIECE_NS // took_ns
        self._piece_ns = min(fitting, _GROWTH * max(piece_ns, self._piece_ns))


def _run(piece_ns: int, number: int) -> None:
    try:
        nest.Run(piece_ns / 1e6)
    except nest.NESTError as error:
        raise SimulatorFailed(f"NEST failed in step {number}: {error}") from error
