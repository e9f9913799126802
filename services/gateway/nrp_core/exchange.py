"""What goes between the client and a simulation besides orders: datapacks in, observations out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from reafference.errors import BadExperiment, OutOfOrder

from ..simulation import Simulation
from .packs import Pack, packs_of

BY = "nrp-client"
"""By whom edits are made."""


class Refused(Exception):
    """A request that is not possible now; nothing has changed."""


class Unusable(Refused):
    """What came with the request cannot be used; nothing has changed."""


@dataclass(slots=True)
class Found:
    """What a request brings, filled in while it is carried out."""

    done: bool = False
    timed_out: bool = False
    trajectory: tuple[Pack, ...] = ()


class Exchange:
    """Of one run. `published` says that its configuration is one of NRP-core itself."""

    def __init__(self, simulation: Simulation, *, published: bool) -> None:
        self._simulation, self._published = simulation, published
        self._handed_out = 0

    def begin(self) -> None:
        """Another run begins: nothing of it has been handed out."""
        self._handed_out = 0

    async def give(self, packs: Sequence[Pack], *, before_reset: bool = False) -> None:
        """Let engines have what the client sends them, before their next step. Raises Unusable."""
        try:
            if packs and not self._published:
                values = {place: value for pack in packs for place, value in pack.as_inputs().items()}
                await self._simulation.edit("engine", "set_inputs", {"values": values}, by=BY)
            elif packs:
                await self._give_to_engines(packs, before_reset=before_reset)
        except (BadExperiment, OutOfOrder) as error:
            raise Unusable(error.text) from None

    async def _give_to_engines(self, packs: Sequence[Pack], *, before_reset: bool) -> None:
        simulation = self._simulation
        engines: dict[str, list[dict[str, str]]] = {}
        for pack in packs:
            engines.setdefault(pack.engine, []).append(pack.as_map())
        nobody = [engine for engine in engines if engine not in simulation.ports]
        if nobody:
            # The published server takes these too, and nobody hears of them.
            structlog.get_logger().warning("datapacks for nobody", engines=nobody, known=sorted(simulation.ports))
        there = {engine: given for engine, given in engines.items() if engine not in nobody}
        if before_reset:
            # Scripts find them in their reset(), so they cannot wait for a step.
            for engine, given in there.items():
                await simulation.edit(engine, "set_datapacks", {"packs": given}, by=BY)
        elif there:
            await simulation.edit("engine", "give_datapacks", {"engines": there}, by=BY)

    async def first(self) -> tuple[Pack, ...]:
        """What is handed out before the first step: all that some function asks for."""
        simulation = self._simulation
        if not self._published or simulation.status.ended:
            return ()
        return packs_of((await simulation.edit("engine", "first_datapacks", by=BY))["packs"])

    async def look(self, found: Found, step: int, *, all_of_it: bool) -> None:
        """Whether it was done in the last step that was made, and if so (or in any case) all there is to hand out.

        `step` steps are complete.

        The functions have run for the next step too; that belongs to the next request.
        """
        if not self._published or self._simulation.status.ended:
            return
        seen = await self.ask(self._handed_out, step, all_of_it=all_of_it)
        found.done = seen["done"]
        if found.done or all_of_it:
            self._handed_out = step
        found.trajectory = tuple(pack for one in seen["observations"] for pack in packs_of(one["packs"]))

    async def ask(self, since: int, before: int, *, all_of_it: bool = False) -> Mapping[str, Any]:
        """What the status function gave in these iterations, as PROTOCOL.md has `observations`."""
        asked = {"since": since, "before": before, "all": all_of_it}
        return await self._simulation.edit("engine", "observations", asked, by=BY)
