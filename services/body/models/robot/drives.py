"""Which kind of command drives each joint."""

import numpy as np

from reafference.frames import Array

KINDS = ("position", "velocity", "effort")
IDLE = -1
"""The kind of a joint that nothing drives."""


class Choice:
    """What was written last to each of n joints: `kind` (n,), an index into KINDS or IDLE, and its `target` (n,)."""

    def __init__(self, n: int) -> None:
        self.kind = np.full(n, IDLE)
        self.target = np.zeros(n)
        self._seen = np.full((len(KINDS), n), np.nan)

    def take(self, commands: Array) -> Array:
        """Look at `commands` (3, n), in the order of KINDS; NaN where nothing was ever written.

        The kind that has a new value drives its joint from now on; of several the first. Returns which joints (n,) are
        driven otherwise than before.
        """
        there = ~np.isnan(commands)
        fresh = there & (commands != self._seen)
        self._seen = commands.copy()
        changed: Array = fresh.any(axis=0)
        kind = np.where(changed, fresh.argmax(axis=0), self.kind)
        self.kind = kind
        self.target = np.where(changed, commands[kind, np.arange(len(kind))], self.target)
        return changed
