"""A kernel of NEST of one's own: a brain without a network, kept alive, that does what callers ask, in their order."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from reafference.errors import BadExperiment, PeerLate, ReafferenceError

from ..launch_wish import LaunchWish, arguments
from ..launching import Starter
from ..simulation import Simulation
from ..status import Status
from .face import CallRefused, told

_START_S = 180.0
_GONE_S = 30.0
_PAUSES_S = (0.2, 1.0, 5.0, 20.0)
_LONGER_S = 60.0
_MOST_STEPS = 2**31 - 2


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelWish:
    """What the kernel shall be. `modules` are the import statements for scripts, `limit_s` the longest call."""

    ranks: int = 1
    threads: int = 1
    scripts: bool = False
    restricted: bool = True
    modules: str = "import nest"
    limit_s: float = 86_400.0

    def document(self) -> dict[str, object]:
        """The keys of its experiment file."""
        return {
            "experiment.step_timeout_s": self.limit_s,
            "experiment.prepare_timeout_s": _START_S,
            "brain.parameters.exec": self.scripts,
            "brain.parameters.restricted": self.restricted,
            "brain.parameters.modules": self.modules,
        }


class OwnKernel:
    """The kernel, and after it has died the next one. `folder` is for its files."""

    def __init__(self, wish: KernelWish, folder: Path, starter: Starter) -> None:
        self._wish, self._folder, self._starter = wish, folder, starter
        self._simulation: Simulation | None = None
        self._turn = asyncio.Lock()
        self._keeping: asyncio.Task[None] | None = None
        self._closed = False
        self._log = structlog.get_logger()
        text = '[experiment]\nname = "nest-server"\nstep_ms = 20\n\n[brain]\nmodel = "free"\n'
        (folder / "experiment.toml").write_text(text, encoding="utf-8")

    @property
    def runs_scripts(self) -> bool:
        return self._wish.scripts

    async def open(self) -> None:
        """Start the first one. Raises BadExperiment if it cannot be."""
        self._keeping = asyncio.create_task(self._keep())
        await asyncio.sleep(0)
        simulation = await self._built()
        if simulation is None:
            text = self._simulation.status.text if self._simulation else ""
            raise BadExperiment(f"the kernel could not be started: {text or 'no reason was given'}")

    async def close(self) -> None:
        """End it; nothing of it is left."""
        self._closed = True
        if self._simulation is not None:
            await self._simulation.end("the server ends")
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping

    async def ask(self, what: str, arguments: Mapping[str, str]) -> str:
        """As Kernel's. What has been begun is carried through, also if the caller goes away meanwhile."""
        return await asyncio.shield(asyncio.create_task(self._ask(what, arguments)))

    async def _ask(self, what: str, arguments: Mapping[str, str]) -> str:
        async with self._turn:
            simulation = await self._built()
            if simulation is None:
                raise CallRefused(503, "The kernel has died, and the next one is not ready yet: try again.")
            try:
                limit_s = self._wish.limit_s
                result = await simulation.operator.edit(
                    "brain", what, arguments, by="a caller", timeout_s=limit_s, patience_s=limit_s + _LONGER_S
                )
            except ReafferenceError as error:
                refused = told(error)
                if refused is not None and not simulation.status.ended:
                    raise refused from None
                raise await self._lost(simulation, error) from None
            return bytes(result["json"]).decode()

    async def _lost(self, simulation: Simulation, error: ReafferenceError) -> CallRefused:
        """What to tell the caller who has lost the kernel; it is gone when this returns."""
        self._log.warning("kernel lost", code=error.code, text=error.text)
        if not await simulation.until(lambda: not simulation.occupies, _GONE_S):
            await simulation.end("the kernel does not answer")
        why = "took longer than is permitted" if isinstance(error, PeerLate) else "has ended the kernel"
        return CallRefused(503, f"This call {why} ({error.text}). Everything in it is lost; a new one is started.")

    async def _built(self) -> Simulation | None:
        """The present one when it can be asked; None if it dies before, or does not come."""
        end = time.monotonic() + _START_S
        while time.monotonic() < end and not self._closed:
            simulation = self._simulation
            if simulation is None or not simulation.occupies:
                if self._keeping is None or self._keeping.done():
                    return None
                await asyncio.sleep(0.05)
                continue
            await simulation.until(
                lambda s=simulation: s.status.state == "paused" or s.status.ended,  # type: ignore[misc]
                max(0.0, end - time.monotonic()),
            )
            if simulation.status.state == "paused":
                return simulation
            if not simulation.status.built:
                return None
            await simulation.until(lambda s=simulation: not s.occupies, _GONE_S)  # type: ignore[misc]
        return None

    async def _keep(self) -> None:
        """Launch one after another, more slowly if they die young."""
        young = 0
        while not self._closed:
            simulation = self._new()
            self._simulation = simulation
            given = arguments(self._launch_wish(), self._folder, self._folder / "out")
            await simulation.conduct(self._starter, given)
            young = 0 if simulation.status.built else young + 1
            if not self._closed:
                await asyncio.sleep(_PAUSES_S[min(young, len(_PAUSES_S) - 1)])

    def _launch_wish(self) -> LaunchWish:
        return LaunchWish.model_validate(
            {
                "experiment": "nest-server",
                "ranks": self._wish.ranks,
                "threads": self._wish.threads,
                "steps": _MOST_STEPS,
                "record": False,
                "set": self._wish.document(),
            }
        )

    def _new(self) -> Simulation:
        return Simulation(
            id="nest",
            experiment="nest-server",
            title="",
            owner="",
            name="nest-server",
            folder=self._folder,
            recordings=self._folder,
            status=Status(folder=str(self._folder)),
        )
