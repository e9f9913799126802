"""What lies between the functions of NRP-core and the engines in one run: datapacks that were made, sent and seen."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from reafference import datapacks
from reafference.datapacks import Datapack
from reafference.errors import BadExperiment, PortMismatch
from reafference.frames import Array, Ports

from .functions import DataPackIdentifier, Now
from .packs import JsonDataPack, ProtoDataPack, received

Pack = JsonDataPack | ProtoDataPack

_MOST_OBSERVATIONS = 100_000
"""Where nobody fetches them, the oldest are forgotten."""


class Board:
    """Of one run. `every` says for each engine how many iterations one of its steps has; an iteration lasts `dt_ns`.

    `done` is what the status function has said last.
    """

    def __init__(self, every: Mapping[str, int], dt_ns: int) -> None:
        self.engines = tuple(every)
        self.done = False
        self._every, self._dt_ns = every, dt_ns
        self._registered: dict[str, list[str]] = {}
        self._units: dict[DataPackIdentifier, str] = {}
        self._first: dict[DataPackIdentifier, Datapack] = {}
        self._made: dict[DataPackIdentifier, Pack] = {}
        self._made_in = -1
        self._outboxes = {name: _Outbox(number) for name, number in every.items()}
        self._observations: deque[dict[str, Any]] = deque(maxlen=_MOST_OBSERVATIONS)

    # --- what there is -------------------------------------------------------------------------------

    def begin(self, outputs: Mapping[str, Mapping[str, Array]]) -> None:
        """The engines have registered their datapacks: these are all their output ports, by name."""
        prefix = f"{datapacks.STREAM}."
        self._registered = {
            engine: [name.removeprefix(prefix) for name in outputs[engine] if name.startswith(prefix)]
            for engine in self.engines
        }

    def check_engine(self, engine: str, who: str) -> None:
        """Raises PortMismatch where there is no such engine; `who` begins the complaint."""
        if engine not in self._every:
            known = ", ".join(self.engines)
            raise PortMismatch(f"{who} the engine {engine!r}, and there is none: there are {known}")

    def know(self, one: DataPackIdentifier, ports: Ports) -> None:
        """Some function asks for this datapack of the engine with these ports. Raises PortMismatch."""
        port = next((port for port in ports.outputs if port.name == f"{datapacks.STREAM}.{one.name}"), None)
        if port is None:
            known = ", ".join(self._registered[one.engine_name]) or "none"
            raise PortMismatch(
                f"the engine {one.engine_name!r} has not registered the datapack {one.name!r}; it has {known}"
            )
        self._units[one] = port.unit
        if one not in self._first:
            self._first[one] = Datapack(one.name, datapacks.decode(port.resting(), port.unit))

    # --- in each iteration ---------------------------------------------------------------------------

    def due(self, engine: str, iteration: int) -> bool:
        """Whether this engine has just ended a step, and begins one."""
        return iteration % self._every[engine] == 0

    def pack(self, one: DataPackIdentifier, array: Array, iteration: int) -> Pack:
        """The datapack of an engine as functions see it."""
        value = datapacks.decode(array, self._units[one])
        return received(one.name, one.engine_name, value, new=self.due(one.engine_name, iteration))

    def made(self, one: DataPackIdentifier) -> Pack:
        """What another function has made; an empty datapack where none has yet."""
        return self._made.get(one) or JsonDataPack(one.name, one.engine_name, new=False)

    def begin_iteration(self, iteration: int) -> None:
        """What functions have made before is not new any more."""
        Now.time_ns, Now.iteration = iteration * self._dt_ns, iteration
        if self._made_in != iteration:
            self._made_in = iteration
            for pack in self._made.values():
                pack._new = False

    def keep(self, packs: Sequence[Pack]) -> None:
        """Let functions that come later see these."""
        for pack in packs:
            self._made[DataPackIdentifier(pack.name, pack.engine_name)] = pack

    def send(self, packs: Sequence[Pack], iteration: int) -> dict[str, Array]:
        """The content of the input port of each engine for which there are some."""
        given = {}
        for engine in sorted({pack.engine_name for pack in packs}):
            self.check_engine(engine, "a datapack was returned for")
            mine = [pack.datapack() for pack in packs if pack.engine_name == engine]
            given[f"{engine}.{datapacks.GIVEN}"] = self._outboxes[engine].put(mine, iteration)
        return given

    def observe(self, done: bool, packs: Sequence[Pack], iteration: int) -> None:
        """What the status function has returned."""
        self.done = done
        maps = [pack.datapack().to_map() for pack in packs]
        self._observations.append({"iteration": iteration, "done": done, "packs": maps})

    # --- for those outside ----------------------------------------------------------------------------

    def first(self) -> list[dict[str, str]]:
        """The datapacks that functions ask for, as they were before the first step."""
        asked = sorted(self._first, key=lambda one: (self.engines.index(one.engine_name), one.name))
        return [self._first[one].to_map() for one in asked]

    def observed(self, since: int, before: int) -> list[dict[str, Any]]:
        """What the status function gave in these iterations."""
        return [one for one in self._observations if since <= one["iteration"] < before]

    def give(self, engines: Mapping[str, Sequence[Mapping[str, str]]], iteration: int) -> dict[str, Array]:
        """What somebody outside sends, by the port of each engine. Raises BadExperiment, and nothing has changed."""
        mine = {engine: [self._usable(engine, one) for one in packs] for engine, packs in engines.items()}
        return {
            f"{engine}.{datapacks.GIVEN}": self._outboxes[engine].put(packs, iteration, weaker=True)
            for engine, packs in mine.items()
        }

    def _usable(self, engine: str, given: Mapping[str, str]) -> Datapack:
        self.check_engine(engine, "datapacks were sent to")
        pack = datapacks.from_map(given)
        if pack.name not in self._registered[engine]:
            known = ", ".join(self._registered[engine]) or "none"
            raise BadExperiment(f"the engine {engine!r} has not registered the datapack {pack.name!r}; it has {known}")
        return pack


class _Outbox:
    """What waits for one engine until its next step, which begins in each `every`-th iteration."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._packs: dict[str, Datapack] = {}
        self._iteration = -1

    def put(self, packs: Sequence[Datapack], iteration: int, *, weaker: bool = False) -> Array:
        """All that waits now, as it is sent; of two with one name the later one, but for what is `weaker`."""
        last_taken = (iteration - 1) // self._every * self._every
        if self._iteration <= last_taken:
            self._packs = {}
        self._iteration = iteration
        new = {pack.name: pack for pack in packs}
        self._packs = {**new, **self._packs} if weaker else {**self._packs, **new}
        return datapacks.encode_given(iteration, list(self._packs.values()))
