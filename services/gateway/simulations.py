"""All simulations of this server: launches them in the places it has, and ends them with it."""

import asyncio
import contextlib
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from .launch_wish import LaunchWish, arguments
from .launching import Starter
from .people import Person
from .played import Played, found_in
from .problems import Problem, not_found
from .simulation import Simulation
from .status import ENDED, Status
from .storage import Storage

_MOST_ENDED = 100
_PLACE_S = 15.0
_CLOSE_S = 3.0
_FILE = "experiment.toml"


class Simulations:
    """Those that run, and those that have ended since the server started. At most `places` run at once."""

    def __init__(self, storage: Storage, places: int = 1) -> None:
        self._storage, self.places = storage, places
        self._all: dict[str, Simulation] = {}
        self._number = 0
        self._conducting: set[asyncio.Task[None]] = set()
        self._closed = False
        # Simulations keep the priority we began with; the server has time.
        self._starter = Starter()
        self._starter.give_way()
        self._log = structlog.get_logger()

    @property
    def busy(self) -> int:
        """How many places are taken."""
        return len(self.holders())

    def holders(self) -> list[Simulation]:
        """Those that hold a place."""
        return [simulation for simulation in self._all.values() if simulation.occupies]

    def all(self) -> list[Simulation]:
        """Newest first."""
        return list(reversed(self._all.values()))

    def get(self, sid: str) -> Simulation:
        """Raises Problem 404 if there is none of this id."""
        try:
            return self._all[sid]
        except KeyError:
            raise not_found("simulation", sid) from None

    def running(self, experiment: str) -> list[Simulation]:
        """Those of an experiment that run."""
        return [simulation for simulation in self.holders() if simulation.experiment == experiment]

    async def launch(self, wish: LaunchWish, person: Person, place: int = 0) -> Simulation:
        """Begin one in the place of this number, or in any (0); it builds itself from now on.

        Raises Problem 404 for an unknown experiment, 403 for somebody else's, 409 where there is no free place.
        What is wrong with the experiment is told by the simulation, which has then failed.
        """
        folder, recordings, title = await asyncio.to_thread(self._prepared, wish.experiment, person)
        recording = recordings / _free(recordings)
        given = arguments(wish, folder, recording)
        await self._await_place(place)
        simulation = Simulation(
            **self._claimed(place),
            experiment=wish.experiment,
            title=title,
            owner=person.name,
            name=wish.name or wish.experiment,
            folder=folder,
            recordings=recordings,
            status=Status(folder=str(folder), recording=recording.name if wish.record else ""),
            launched=wish.model_dump(mode="json", exclude_defaults=True),
        )
        return self._begun(simulation, given)

    async def play(self, experiment: str, recording: str, person: Person, place: int = 0) -> Simulation:
        """Begin to play a recording of an experiment, a run folder or a zip file in its `recordings`.

        Raises as `launch`, and Problem 404 for an unknown recording.
        """
        folder, recordings, title = await asyncio.to_thread(self._prepared, experiment, person)
        source = await asyncio.to_thread(found_in, folder, recording)
        await self._await_place(place)
        played = Played(
            **self._claimed(place),
            experiment=experiment,
            title=title,
            owner=person.name,
            name=f"{experiment}: {source.name}",
            folder=folder,
            recordings=recordings,
            status=Status(folder=str(folder)),
            launched={"experiment": experiment, "recording": source.name},
            source=source,
        )
        return self._begun(played, [])

    def _claimed(self, wanted: int) -> dict[str, Any]:
        """Id and place of the next one. From here until it is begun nothing may be awaited: of two at once the second
        one sees the first."""
        if self._closed:
            raise Problem(503, "unavailable", "the server is ending")
        free = self._free_places(wanted)
        if not free:
            raise self._no_place(wanted)
        self._number += 1
        return {"id": f"s{self._number}", "place": free[0]}

    def _begun(self, simulation: Simulation, given: list[str]) -> Simulation:
        self._all[simulation.id] = simulation
        self._drop_old()
        task = asyncio.create_task(simulation.conduct(self._starter, given))
        self._conducting.add(task)
        task.add_done_callback(self._conducting.discard)
        self._log.info("launched", simulation=simulation.id, experiment=simulation.experiment, by=simulation.owner)
        return simulation

    def _prepared(self, experiment: str, person: Person) -> tuple[Path, Path, str]:
        """Folder, recordings and title of an experiment that this person may run."""
        folder = self._storage.folder(experiment)
        about = self._storage.about(experiment)
        person.must_own(about.owner, f"the experiment {experiment!r}")
        return folder, self._storage.recordings(experiment), about.title or _title(folder) or about.name

    def _free_places(self, wanted: int) -> list[int]:
        """The numbers of the places that are free; of these the one that is wanted, if one is."""
        taken = {simulation.place for simulation in self.holders()}
        return [n for n in range(1, self.places + 1) if n not in taken and wanted in (0, n)]

    async def _await_place(self, wanted: int) -> None:
        """A run that has ended keeps its place for a moment, until its processes are gone."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _PLACE_S
        while not self._free_places(wanted) and self._ending(wanted) and loop.time() < end:
            await asyncio.sleep(0.05)

    def _ending(self, wanted: int) -> bool:
        """Whether one of those that hold a place, or the place that is wanted, has ended."""
        return any(one.status.state in ENDED for one in self.holders() if wanted in (0, one.place))

    def _no_place(self, wanted: int) -> Problem:
        holders = [one for one in self.holders() if wanted in (0, one.place)]
        held = ", ".join(f"{one.owner} ({one.experiment}, {one.id})" for one in holders)
        words = "the only place is" if self.places == 1 else f"all {self.places} places are"
        if wanted and self.places > 1:
            words = f"place {wanted} is"
        return Problem(409, "busy", f"{words} taken by {held}: stop one, or wait", holders=[one.id for one in holders])

    async def delete(self, simulation: Simulation) -> None:
        """Forget one that has ended; raises Problem 409 while it runs."""
        if simulation.status.ended:
            await simulation.until(lambda: not simulation.occupies, _PLACE_S)
        if simulation.occupies:
            state = simulation.status.state
            raise Problem(409, "conflict", f"the simulation {simulation.id} is {state}: stop it before you delete it")
        self._forget(simulation)

    def _forget(self, simulation: Simulation) -> None:
        self._all.pop(simulation.id, None)
        simulation.forget()

    def _drop_old(self) -> None:
        ended = [simulation for simulation in self._all.values() if not simulation.occupies]
        for simulation in ended[:-_MOST_ENDED]:
            self._forget(simulation)

    async def close(self) -> None:
        """End all of them; returns when no process is left."""
        self._closed = True
        await asyncio.gather(*(one.end("the server ends", _CLOSE_S) for one in self.holders()), return_exceptions=True)
        await asyncio.gather(*self._conducting, return_exceptions=True)
        self._starter.close()


def _free(recordings: Path) -> str:
    """The name of a recording that begins now."""
    first = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    name, number = first, 1
    while (recordings / name).exists():
        number += 1
        name = f"{first}-{number}"
    return name


def _title(folder: Path) -> str:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        general: Any = tomllib.loads((folder / _FILE).read_text(encoding="utf-8")).get("experiment", {})
        if isinstance(general, dict):
            return str(general.get("title", ""))
    return ""
