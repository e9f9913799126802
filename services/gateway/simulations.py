"""All simulations of this server: launches them in the places it has, and ends them with it."""

import asyncio
import contextlib
import tomllib
from collections.abc import Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from reafference.errors import PeerLost
from reafference.stand_client import Stands

from .container_places import must_have_place
from .launch_wish import LaunchWish, arguments
from .launching import Starter
from .people import Person
from .played import Played, found_in
from .problems import Problem, not_found
from .simulation import Simulation
from .stand_launching import Going, going_on
from .status import ENDED, Status
from .storage import Storage

CONTAINERS = "containers"
"""The server on which each simulation has a set of containers for itself."""

_MOST_ENDED = 100
_PLACE_S = 15.0
_CLOSE_S = 3.0
_FILE = "experiment.toml"


class Simulations:
    """Those that run, and those that have ended since the server started. At most `places` run at once.

    `server` is the name under which people know this server, `prefix` what the ids of its simulations begin with.
    Where the engine has a stand they run there, and go on when this server ends: the next one takes them up. Those on
    the server "containers" have each a set of containers for itself, from the launcher's stand, and need no place.
    """

    def __init__(
        self,
        storage: Storage,
        places: int = 1,
        *,
        server: str = "local",
        prefix: str = "",
        stands: Stands | None = None,
    ) -> None:
        self._storage, self.places = storage, places
        self.server, self._prefix = server, prefix
        self.stands = stands or Stands()
        self._all: dict[str, Simulation] = {}
        self._number = 0
        self._conducting: dict[asyncio.Task[None], Simulation] = {}
        self._closed = False
        # Simulations keep the priority we began with; the server has time.
        self._starter = Starter()
        self._starter.give_way()
        self._log = structlog.get_logger()

    @property
    def servers(self) -> tuple[str, ...]:
        """The names of those of all servers on which simulations of ours run."""
        return ("local", self.server, *([CONTAINERS] if self.launcher is not None else []))

    @property
    def launcher(self) -> Path | None:
        """The stand of the launcher of containers, where there is one."""
        return self.stands.of("launcher")

    @property
    def busy(self) -> int:
        """How many places are taken."""
        return len(self.holders())

    def holders(self) -> list[Simulation]:
        """Those that hold a place."""
        return [simulation for simulation in self.living() if simulation.server != CONTAINERS]

    def living(self) -> list[Simulation]:
        """Those of which something still runs."""
        return [simulation for simulation in self._all.values() if simulation.occupies]

    async def written(self, experiment: str, recording: str) -> None:
        """Where the run of a recording has ended, wait until its recorder has closed it, fifteen seconds at most."""
        for simulation in self.living():
            if simulation.experiment == experiment and simulation.status.recording == recording:
                await simulation.written()

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
        return [simulation for simulation in self.living() if simulation.experiment == experiment]

    async def launch(self, wish: LaunchWish, person: Person, place: int = 0) -> Simulation:
        """Begin one in the place of this number, or in any (0); it builds itself from now on.

        Raises Problem 404 for an unknown experiment, 403 for somebody else's, 409 where there is no free place.
        What is wrong with the experiment is told by the simulation, which has then failed.
        """
        folder, recordings, title = await asyncio.to_thread(self._prepared, wish.experiment, person)
        apart = wish.server == CONTAINERS
        if wish.image and not apart:
            raise Problem(422, "invalid", f"an image can be chosen on the server {CONTAINERS!r} only")
        if apart:
            await must_have_place(self.stands, wish.image)
        else:
            await self._await_place(place)
        taken = {one.status.recording for one in self.running(wish.experiment)}
        recording = recordings / _free(recordings, taken)
        given = arguments(wish, folder, recording)
        simulation = Simulation(
            **self._claimed_apart() if apart else self._claimed(place),
            stand=self.launcher if apart else self.stands.of("engine"),
            image=wish.image,
            home=self._storage.home,
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
        source = await asyncio.to_thread(found_in, recordings, recording)
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
        free = self._free_places(wanted)
        if not free:
            raise self._no_place(wanted)
        return {"id": self._next_id(), "place": free[0], "server": self.server}

    def _claimed_apart(self) -> dict[str, Any]:
        """The same for one that needs no place."""
        return {"id": self._next_id(), "place": 0, "server": CONTAINERS}

    def _next_id(self) -> str:
        if self._closed:
            raise Problem(503, "unavailable", "the server is ending")
        self._number += 1
        return f"{self._prefix}s{self._number}"

    def _begun(self, simulation: Simulation, given: list[str]) -> Simulation:
        self._all[simulation.id] = simulation
        self._drop_old()
        task = asyncio.create_task(simulation.conduct(self._starter, given))
        self._conducting[task] = simulation
        task.add_done_callback(lambda done: self._conducting.pop(done, None))
        self._log.info(
            "taken up" if simulation.going else "launched",
            simulation=simulation.id,
            experiment=simulation.experiment,
            by=simulation.owner,
        )
        return simulation

    async def take_up(self) -> None:
        """Find the simulations that a server of the same home has left going on, and listen to them."""
        for stand in (self.stands.of("engine"), self.launcher):
            if stand is None:
                continue
            try:
                found = await asyncio.to_thread(going_on, stand, self._storage.home)
            except PeerLost as error:
                self._log.warning("nothing taken up", text=error.text)
                continue
            for going in found:
                self._take_up(going)

    def _take_up(self, going: Going) -> None:
        try:
            simulation = Simulation.taken_up(going)
            self._must_be_stored(simulation)
        except (KeyError, TypeError, ValueError, Problem) as error:
            self._log.warning("not taken up", process=going.process, text=f"what is known of it is not whole: {error}")
            return
        if simulation.id in self._all or not simulation.id.startswith(self._prefix):
            return
        number = simulation.id.removeprefix(f"{self._prefix}s")
        self._number = max(self._number, int(number) if number.isdigit() else 0)
        self._begun(simulation, [])

    def _must_be_stored(self, simulation: Simulation) -> None:
        """Raises ValueError or Problem for places that are not ours: users' code runs beside the stand that told."""
        places = self._storage.folder(simulation.experiment), self._storage.recordings(simulation.experiment)
        recording = simulation.status.recording
        if (simulation.folder, simulation.recordings) != places or Path(recording).name != recording:
            raise ValueError("its folders are not those of its experiment")

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
        """End all of them, but for those that can go on without us; returns when no process of ours is left."""
        self._closed = True
        going_on_ = [one for one in self.living() if one.outlives]
        for one in going_on_:
            one.let_go()
        await asyncio.gather(
            *(one.end("the server ends", _CLOSE_S) for one in self.living() if not one.outlives), return_exceptions=True
        )
        for task, simulation in self._conducting.items():
            if simulation in going_on_:
                task.cancel()
        await asyncio.gather(*self._conducting, return_exceptions=True)
        self._starter.close()


def _free(recordings: Path, taken: Set[str]) -> str:
    """The name of a recording that begins now; one that is `taken` may not have a folder yet."""
    first = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    name, number = first, 1
    while name in taken or (recordings / name).exists():
        number += 1
        name = f"{first}-{number}"
    return name


def _title(folder: Path) -> str:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        general: Any = tomllib.loads((folder / _FILE).read_text(encoding="utf-8")).get("experiment", {})
        if isinstance(general, dict):
            return str(general.get("title", ""))
    return ""
