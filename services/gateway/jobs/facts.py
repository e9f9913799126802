"""What the cluster has, asked of its scheduler and remembered for a while, so that many who look do not burden it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ..problems import Problem
from ..schedulers.scheduler import Node, Offer, Scheduler, SchedulerError

T = TypeVar("T")

FRESH_S = 2.0
"""So old may be what is said of the use of nodes."""
OLD_S = 60.0
"""So old may be what hardly ever changes: partitions, accounts, how large nodes are."""

_PATIENCE_S = 5.0
_AGAIN_S = 10.0


class ClusterFacts:
    """Partitions, accounts and nodes. Who asks waits a few seconds at most: what comes later is for the next one."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._offer = _Fact(scheduler.offer)
        self._nodes = _Fact(scheduler.nodes)

    async def offer(self) -> Offer | None:
        """Partitions and accounts; what was known last while the scheduler does not tell, None if nothing was."""
        await self._offer.renew(OLD_S)
        return self._offer.value

    async def nodes(self, not_older_s: float) -> Sequence[Node]:
        """All nodes. Raises Problem 503 while the scheduler does not tell."""
        await self._nodes.renew(not_older_s)
        if self._nodes.value is None or self._nodes.trouble:
            words = self._nodes.trouble or "the scheduler has not answered yet"
            raise Problem(503, "unavailable", f"the nodes cannot be told: {words}")
        return self._nodes.value


class _Fact(Generic[T]):
    """One answer of the scheduler; `trouble` says why there is no newer one."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self.value: T | None = None
        self.trouble = ""
        self._ask = ask
        self._answered_at = self._failed_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def renew(self, not_older_s: float) -> None:
        """Ask again if the answer is older; not at once again after a failure, and never twice at a time."""
        now = time.monotonic()
        if now - self._answered_at <= not_older_s or now - self._failed_at <= min(_AGAIN_S, not_older_s):
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._renew())
        await asyncio.wait({self._asking}, timeout=_PATIENCE_S)

    async def _renew(self) -> None:
        try:
            self.value = await asyncio.to_thread(self._ask)
        except SchedulerError as error:
            self.trouble, self._failed_at = error.text, time.monotonic()
        else:
            self.trouble, self._answered_at = "", time.monotonic()
