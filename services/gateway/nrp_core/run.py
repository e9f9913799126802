"""The run behind an NRP-core client: which of its requests is possible when, and what becomes of it.

Created → Initialized → (running) → Stopped → …; Failed after an error, from where only the shutdown leads on.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from reafference.errors import ReafferenceError

from ..launching import Starter
from ..simulation import Simulation
from ..status import Status
from .arguments import Wish
from .exchange import BY, Exchange, Found, Refused
from .packs import Pack
from .said import Said

State = Literal["Created", "Initialized", "Stopped", "Failed"]

_AHEAD_STEPS = 2**31  # the client says when to stop, so the limit of the experiment must not
_END_S = 4.0
_REASON_S = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: the state, why it failed, and what there is to see."""

    state: State
    error: str = ""
    done: bool = False
    timed_out: bool = False
    trajectory: tuple[Pack, ...] = ()


@dataclass(eq=False)
class NrpCoreRun:
    """One simulation for one client. `published` says that its configuration is one of NRP-core itself."""

    wish: Wish
    starter: Starter
    launch_arguments: Sequence[str]
    published: bool
    state: State = "Created"
    error: str = ""
    _simulation: Simulation | None = None
    _exchange: Exchange | None = None
    _conducting: "asyncio.Task[None] | None" = None
    _busy: str = ""
    _stopping: bool = False
    _limit_steps: int = 0
    _log: Any = field(default_factory=structlog.get_logger)

    # --- requests ------------------------------------------------------------------------------------

    async def initialize(self) -> Answer:
        """Build everything. The trajectory has what the functions will see first."""
        async with self._request("initialize", "Created") as found:
            await self._launch()
            self._settle("Initialized")
            found.trajectory = await self._exchanged().first()
        return self._answer(found)

    async def run_loop(self, iterations: int, packs: Sequence[Pack]) -> Answer:
        """Make so many steps (0: until it is stopped). What the status function gave is handed out when it is done."""
        if iterations < 0:
            raise Refused(f"run_loop: {iterations} iterations cannot be made")
        async with self._request("run_loop", "Initialized", "Stopped") as found:
            await self._exchanged().give(packs)
            await self._run(iterations)
            self._settle("Stopped")
            await self._exchanged().look(found, self._step, all_of_it=False)
        return self._answer(found)

    async def run_until_timeout(self) -> Answer:
        """Run until the status function says that it is done, or to the end of the simulated time."""
        async with self._request("run_until_timeout", "Initialized", "Stopped") as found:
            await self._run_until_done()
            self._settle("Stopped")
            found.timed_out = self._timed_out()
            await self._exchanged().look(found, self._step, all_of_it=True)
        return self._answer(found)

    async def stop(self) -> Answer:
        """Pause after the step in progress; nothing happens where none is."""
        if self._busy.startswith("run"):
            simulation = self._here()
            before = self._step
            # A pause that overtook the start would be forgotten.
            await simulation.until(lambda: self._moving(before) or not self._busy, _END_S)
            if self._busy:
                await simulation.operator.order("pause", f"stopped by {BY}")
                self._stopping = True
            await self._until(lambda: not self._busy)
            return self._answer()
        if self.state in ("Created", "Failed"):
            raise Refused(f"stop: the simulation is in the state {self.state}")
        return self._answer()

    async def reset(self, packs: Sequence[Pack]) -> Answer:
        """Begin another run of the same experiment."""
        async with self._request("reset", "Initialized", "Stopped") as found:
            simulation = self._here()
            if simulation.status.ended:
                await self._end()
                await self._launch()
                await self._exchanged().give(packs)
            elif self.published:
                await self._exchanged().give(packs, before_reset=True)
                await simulation.reset("full", BY)
            else:
                await simulation.reset("full", BY)
                await self._exchanged().give(packs)
            self._exchanged().begin()
            self._settle("Initialized")
            found.trajectory = await self._exchanged().first()
        return self._answer(found)

    async def shutdown(self) -> Answer:
        """End the simulation, whatever it does. Raises Refused where there is none: the program ends all the same."""
        was = self.state
        await self._end()
        if was == "Created":
            raise Refused("shutdown: the simulation has not been initialized; the server ends")
        self.state, self.error = "Created", ""
        return self._answer()

    async def close(self) -> None:
        """Leave nothing behind."""
        await self._end()
        self.starter.close()

    # --- between them --------------------------------------------------------------------------------

    @asynccontextmanager
    async def _request(self, name: str, *states: State) -> AsyncIterator[Found]:
        """Carry out one request; whatever goes wrong in it makes the state Failed."""
        if self._busy:
            raise Refused(f"{name}: {self._busy} is still going on: stop it, or wait for its end")
        if self.state not in states:
            raise Refused(f"{name}: the simulation is in the state {self.state}, and must be {' or '.join(states)}")
        self._busy, self._stopping = name, False
        try:
            yield Found()
        except ReafferenceError as error:
            self._fail(await self._reason(error))
        finally:
            self._busy = ""

    async def _reason(self, error: ReafferenceError) -> str:
        """Why the request failed: where the run has died, what of says more than what was missed because of that."""
        status = self._here().status
        await self._here().until(lambda: status.ended, _REASON_S)
        if status.ended:
            await self._gone()
        return error.text if status.problem is None else _told(status.problem)

    def _fail(self, text: str) -> None:
        self.state, self.error = "Failed", text
        self._log.error("failed", text=text)

    def _settle(self, state: State) -> None:
        """The request has gone through, if the simulation has."""
        status = self._here().status
        if status.problem is not None and status.state in ("failed", "halted", "stopped"):
            self._fail(_told(status.problem))
        else:
            self.state = state

    def _answer(self, found: Found | None = None) -> Answer:
        if found is None or self.state == "Failed":
            return Answer(self.state, self.error)
        return Answer(self.state, "", found.done, found.timed_out, found.trajectory)

    def _here(self) -> Simulation:
        assert self._simulation is not None
        return self._simulation

    def _exchanged(self) -> Exchange:
        assert self._exchange is not None
        return self._exchange

    @property
    def _step(self) -> int:
        note = self._here().status.note
        return note.step if note else 0

    @property
    def _left(self) -> int:
        return max(self._limit_steps - self._step, 0)

    def _timed_out(self) -> bool:
        return self._here().status.ended or (self._limit_steps > 0 and not self._left)

    def _moving(self, before: int) -> bool:
        return self._here().status.state == "started" or self._step > before

    # --- the simulation ------------------------------------------------------------------------------

    async def _launch(self) -> None:
        folder = self.wish.folder
        self._simulation = simulation = Simulation(
            id="nrp-core",
            experiment=folder.name,
            title=folder.name,
            owner="",
            name=folder.name,
            folder=folder,
            recordings=folder / "runs",
            status=Status(folder=str(folder)),
        )
        self._exchange = Exchange(simulation, published=self.published)
        simulation.watch(Said(simulation, self.wish.log_level))
        self._conducting = asyncio.create_task(simulation.conduct(self.starter, self.launch_arguments))
        await self._until(lambda: simulation.status.state == "paused" or simulation.status.ended)
        if simulation.status.ended:
            await self._gone()
            return
        note = simulation.status.note
        self._limit_steps = note.steps if note else 0
        if 0 < self._limit_steps < _AHEAD_STEPS:
            ahead_s = _AHEAD_STEPS * simulation.status.dt_s
            await simulation.edit("engine", "set_limit", {"extend_s": ahead_s}, by=BY)

    async def _run(self, steps: int) -> None:
        """Make so many steps, or go on until something ends it (0)."""
        simulation, before = self._here(), self._step
        if simulation.status.ended:
            raise _over(simulation)
        simulation.status.refusal = None
        if steps:
            await simulation.operator.order("step", BY, steps=steps)
        else:
            await simulation.operator.order("start", BY)
        await self._until(
            lambda: (
                simulation.status.ended
                or simulation.status.refusal is not None
                or (simulation.status.state == "paused" and (self._step > before or self._stopping))
            )
        )
        if simulation.status.refusal is not None:
            raise ReafferenceError(simulation.status.refusal.text)
        if simulation.status.ended:
            await self._gone()

    async def _run_until_done(self) -> None:
        """As `_run`; the step that begins when the status function has said so is still made."""
        simulation = self._here()
        if not self._limit_steps:
            await self._run(0)
            return
        if not self._left:
            return
        if not self.published:
            await self._run(self._left)
            return
        # The functions have run for the next step already: what they said then counts as well.
        if (await self._exchanged().ask(self._step, self._step + 1))["done"]:
            await self._run(1)
            return
        await simulation.edit("engine", "pause_when_done", {"on": True}, by=BY)
        await self._run(self._left)
        if not simulation.status.ended:
            await simulation.edit("engine", "pause_when_done", {"on": False}, by=BY)

    async def _gone(self) -> None:
        """What was said last of a run is told by then."""
        await self._here().until(lambda: not self._here().occupies, math.inf)

    async def _until(self, true: Any) -> None:
        # Every state of a run ends within its own limits, which the engine and the launcher watch.
        await self._here().until(true, math.inf)

    async def _end(self) -> None:
        if self._simulation is not None:
            await self._simulation.end(f"shut down by {BY}", _END_S)
        if self._conducting is not None:
            with contextlib.suppress(Exception):
                await self._conducting
            self._conducting = None


def _over(simulation: Simulation) -> Refused:
    """The run has ended by itself and can go no further."""
    outcome = simulation.status.outcome or "ended"
    return Refused(f"the run is over ({outcome}): reset() begins another one")


def _told(problem: Mapping[str, Any]) -> str:
    """A problem in words, with its place where the words do not have it."""
    text, file, line = str(problem["detail"]), problem.get("file"), problem.get("line")
    return f"{text} ({file}, line {line})" if file and line and f"line {line}" not in text else text
