"""Keeps a run from being faster than the wall clock."""

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """When the next step may begin. `interval_ns` is the wall time of one step, 0 for as fast as possible.

    A step that takes longer moves the schedule: what was lost is not made up for in a rush.
    """

    interval_ns: int
    until_ns: int = 0
    overruns: int = 0
    _began_ns: int = 0
    holding: bool = False

    def hold(self, now_ns: int) -> bool:
        """Note that a step is complete; whether the next one has to wait until `until_ns`."""
        if not self.interval_ns:
            return False
        target = self.until_ns + self.interval_ns if self.until_ns else now_ns
        self.overruns += target < now_ns
        self.until_ns, self._began_ns = max(target, now_ns), now_ns
        self.holding = target > now_ns
        return self.holding

    def due(self, now_ns: int) -> bool:
        return self.holding and now_ns >= self.until_ns

    def release(self, now_ns: int) -> int:
        """End the wait; how long it was in nanoseconds."""
        self.holding = False
        return now_ns - self._began_ns

    def restart(self) -> None:
        """Forget the schedule and any wait, at a pause or at the end for instance."""
        self.until_ns, self.holding = 0, False
