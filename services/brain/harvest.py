"""Spikes out of NEST's recorder, each exactly once, at a cost that does not grow with the length of the run.

With the extension module the recorder's backend hands them out and forgets them. Without it they lie in NEST's
memory backend, which hands out a copy of all it ever recorded, and can only be emptied outside the Prepare/Cleanup
context. So each step reads it and keeps what is new; and when copying old spikes again has cost as much time as
leaving, emptying and entering again would, that is done. The balance of the two costs, both measured while the run
goes on, is at worst twice the best there is.
"""

import time
from typing import Any, Protocol

import numpy as np

from reafference.errors import SimulatorFailed
from services.brain import nest_module
from services.brain.kernel import nest
from services.brain.selection import Ids


class Harvest(Protocol):
    """Takes the spikes of one recorder step by step; on several ranks each takes those of its own neurons."""

    @property
    def due(self) -> bool:
        """Whether emptying the recorder would now be cheaper than going on."""
        ...

    def take(self, border_ns: int) -> tuple[Ids, Ids]:
        """Node ids and times (ns) of the spikes after the last border and up to this one, by time, then id.

        Raises SimulatorFailed if a spike was lost or comes twice.
        """
        ...

    def empty(self) -> None:
        """Drop what was taken; the network goes on as if nothing had been. All ranks do this together."""
        ...


def harvest(recorder: Any, resolution_ns: int) -> Harvest:
    """For a recorder that `create_recorder` made. Inside the context."""
    if recorder.get("record_to") == nest_module.BACKEND:
        return StreamHarvest(resolution_ns)
    return MemoryHarvest(recorder, resolution_ns)


class StreamHarvest:
    """Takes the spikes of the extension module's backend. There is nothing to empty."""

    due = False

    def __init__(self, resolution_ns: int) -> None:
        self._resolution_ns = resolution_ns
        self._border_ns = 0

    def take(self, border_ns: int) -> tuple[Ids, Ids]:
        sender, time_ns = nest_module.take(self._resolution_ns)
        if len(time_ns) and not self._border_ns < time_ns[0] <= time_ns[-1] <= border_ns:
            raise SimulatorFailed(
                f"the spikes handed out at {border_ns / 1e6:g} ms are from {time_ns[0] / 1e6:g} to "
                f"{time_ns[-1] / 1e6:g} ms, the last ones were taken at {self._border_ns / 1e6:g} ms: the recording "
                "would not be complete"
            )
        self._border_ns = border_ns
        return sender, time_ns

    def empty(self) -> None:
        pass


class MemoryHarvest:
    """Takes the spikes of a recorder with NEST's memory backend, which counts time in steps of the kernel.

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
        """Leave the context, drop what was taken, enter again."""
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
