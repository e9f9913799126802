"""When a run is finished: after a simulated time, or after a wall-clock time spent running."""

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from reafference.clock import NS_PER_S, ns_from_ms, steps_per
from reafference.errors import BadExperiment

ENDLESS = 2**40
"""So many steps are never made: what the barrier is given where only wall time limits a run."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At least one of the two: `steps` of `dt_ns`, and `real_ns` of wall time in the state running; 0 for none."""

    dt_ns: int
    steps: int
    real_ns: int = 0

    @property
    def last(self) -> int:
        """How many steps there will be at most."""
        return self.steps or ENDLESS

    def described(self, step: int, spent_ns: int) -> dict[str, Any]:
        """The limit that counts, as people are told of it: of wall time where there is one."""
        if self.real_ns:
            return _described("real", self.real_ns, spent_ns)
        return _described("simulated", self.steps * self.dt_ns, step * self.dt_ns)

    def simulated(self, seconds: float, step: int) -> "Limit":
        """End at this simulated time instead. Raises BadExperiment where no step ends then, or it has passed."""
        steps = self._steps(seconds, "simulated_s")
        if steps < max(step, 1):
            now_s = step * self.dt_ns / 1e9
            raise BadExperiment(f"the run is at {now_s:g} s already: it cannot end at {seconds:g} s")
        return replace(self, steps=steps, real_ns=0)

    def real(self, seconds: float, spent_ns: int) -> "Limit":
        """End after so much wall time instead. Raises BadExperiment where that has passed."""
        real_ns = _real_ns(seconds, "real_s")
        if real_ns < spent_ns:
            raise BadExperiment(
                f"the run has been running for {spent_ns / 1e9:.1f} s: it cannot end after {seconds:g} s"
            )
        return replace(self, steps=0, real_ns=real_ns)

    def extended(self, seconds: float) -> "Limit":
        """Let the limit that counts be so much later. Raises BadExperiment."""
        if self.real_ns:
            return replace(self, real_ns=self.real_ns + _real_ns(seconds, "extend_s"))
        return replace(self, steps=self.steps + self._steps(seconds, "extend_s"))

    def _steps(self, seconds: float, key: str) -> int:
        expected = f"a multiple of the step of {self.dt_ns / 1e9:g} s, and more than 0"
        try:
            steps = steps_per(ns_from_ms(Decimal(str(seconds)) * 1000), self.dt_ns)
        except (ValueError, ArithmeticError):
            raise BadExperiment(f"{key}: expected {expected}, found {seconds:g}") from None
        if not 0 < steps < ENDLESS:
            raise BadExperiment(f"{key}: expected {expected}, found {seconds:g}")
        return steps


def _described(kind: str, at_ns: int, now_ns: int) -> dict[str, Any]:
    return {"kind": kind, "s": at_ns / NS_PER_S, "left_s": max(0, at_ns - now_ns) / NS_PER_S}


def _real_ns(seconds: float, key: str) -> int:
    if not 0 < seconds < math.inf or seconds * NS_PER_S >= 2**62:
        raise BadExperiment(f"{key}: expected a number of seconds of more than 0, found {seconds:g}")
    return int(seconds * NS_PER_S)


@dataclass(slots=True)
class Stopwatch:
    """Adds up the wall time during which it runs."""

    _before_ns: int = 0
    _began_ns: int | None = None

    def run(self, running: bool, now_ns: int) -> None:
        """Let it run from now on, or rest; it may do so already."""
        if running and self._began_ns is None:
            self._began_ns = now_ns
        elif not running and self._began_ns is not None:
            self._before_ns += now_ns - self._began_ns
            self._began_ns = None

    def spent_ns(self, now_ns: int) -> int:
        return self._before_ns + (0 if self._began_ns is None else now_ns - self._began_ns)
