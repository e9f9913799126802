"""Spikes out of NEST's recorder, each exactly once, at a cost that does not grow with the length of the run.

A memory recorder hands out a copy of all it ever recorded, and it can only be emptied outside the
Prepare/Cleanup context. So each step reads it and keeps what is new; and when copying old spikes again
has cost as much time as leaving, emptying and entering again would, that is done. The balance of the two
costs, both measured while the run goes on, is at worst twice the best there is.
"""

import time
from typing import Any

import numpy as np

from reafference.errors import SimulatorFailed
from services.brain.kernel import nest
from services.brain.selection import Ids


class Harvest:
    """Takes the spikes of one recorder step by step. The recorder counts time in steps of the kernel.

    Whether emptying is `due` depends on measured times, and so may differ between processes: who runs
    several has to agree on it before any of them calls `empty`.
    """

    def __init__(self, recorder: Any, resolution_ns: int) -> None:
        """Inside the context, which is left and entered once to learn what that costs."""
        self._recorder = recorder
        self._resolution_ns = resolution_ns
        self._border_ns = 0
        self._taken = 0
        self._wasted_ns = 0.0
        self.emptied = 0
        self.emptying_ns = self._leave_and_enter()

    @property
    def due(self) -> bool:
        """Whether copying what is known already has cost as much as emptying the recorder would."""
        return self._taken > 0 and self._wasted_ns >= self.emptying_ns

    def take(self, border_ns: int) -> tuple[Ids, Ids]:
        """Node ids and times (ns) of the spikes after the last border and up to this one, by time, then id.

        Raises SimulatorFailed if the recorder does not hold exactly the earlier spikes beside them.
        """
        began = time.perf_counter_ns()
        events = self._recorder.get("events")
        times_ns = events["times"].astype(np.int64) * self._resolution_ns
        if np.any(offsets := events["offsets"]):
            # A neuron with precise spike times fires `offset` ms before the end of its time step.
            times_ns -= np.rint(offsets * 1e6).astype(np.int64)
        # With several threads the recorder strings their parts together: new spikes are told by their time.
        new = times_ns > self._border_ns
        n_new = int(np.count_nonzero(new))
        if len(times_ns) - n_new != self._taken:
            raise SimulatorFailed(
                f"the spike recorder holds {len(times_ns) - n_new} spikes up to {self._border_ns / 1e6:g} ms, "
                f"{self._taken} had been taken: the recording would not be complete"
            )
        sender, times_ns = events["senders"].astype(np.int64)[new], times_ns[new]
        order = np.lexsort((sender, times_ns))
        self._count(time.perf_counter_ns() - began, n_new, border_ns)
        return sender[order], times_ns[order]

    def empty(self) -> None:
        """Leave the context, drop what was taken, enter again; the network goes on as if nothing had been."""
        self.emptying_ns = self._leave_and_enter()
        self.emptied += 1
        self._taken = 0
        self._wasted_ns = 0.0

    def _leave_and_enter(self) -> int:
        """Nanoseconds it took."""
        began = time.perf_counter_ns()
        nest.Cleanup()
        self._recorder.set({"n_events": 0})
        nest.Prepare()
        return time.perf_counter_ns() - began

    def _count(self, spent_ns: int, n_new: int, border_ns: int) -> None:
        old = self._taken
        self._wasted_ns += spent_ns * old / max(old + n_new, 1)
        self._taken = old + n_new
        self._border_ns = border_ns
