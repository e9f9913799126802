"""One simulation: its processes, what its bus carries, where it stands, and who watches."""

import asyncio
import contextlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import structlog

from reafference.aio import AioBus, AioOperator
from reafference.config import Addresses, ServiceConfig
from reafference.errors import EngineLost, OutOfOrder, PeerLost, ReafferenceError, from_code
from reafference.frames import (
    ENGINE_READINGS,
    Change,
    Frame,
    FunctionsNote,
    OrderKind,
    Ports,
    PortsNote,
    RunStart,
    StateNote,
    Welcome,
)
from reafference.sockets import BusProxy
from reafference.stand import WIRES_PREFIX

from .as_json import listed
from .history import BusFrame, History
from .launching import Launched, Starter, folder_of
from .raster import Raster
from .stand_launching import Going, launch, rejoin
from .status import State, Status, stamp

_WIRES_S = 20.0
_BUS_S = 10.0
_HEARD_S = 5.0
_TOLD_S = 3.0
_ANSWER_S = 10.0
_RESET_S = 3600.0
_STOP_S = 5.0
_END_S = 20.0
_WRITTEN_S = 15.0
_TURN_S = 0.05
_LAST_FRAMES_S = 0.1
_TELL_EVERY_S = 1.0
_PROGRESS_EVERY_S = 0.2
_REMEMBERED = 4
_FIRST_WITH_TELL = (1, 3)


class Watcher(Protocol):
    """Somebody who wants to know when there is something new."""

    name: str

    def wake(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Told:
    """Who has changed something last, and when."""

    by: str
    at: str


@dataclass(eq=False)
class Simulation:
    """A run of an experiment, and after a full reset the next one. `folder` is that of the experiment, `launched` what
    was asked for when it was launched, `place` the number of the place that it holds as long as it `occupies` it.

    Its launcher runs at `stand`, or as a child of ours (None). It may be one that was `going` on before this server was
    started: the server of the same `home` finds it again.
    """

    id: str
    experiment: str
    title: str
    owner: str
    name: str
    folder: Path
    recordings: Path
    status: Status
    launched: Mapping[str, Any] = field(default_factory=dict)
    place: int = 1
    server: str = "local"
    stand: Path | None = None
    image: str = ""
    home: Path | None = None
    going: Going | None = None
    history: History = field(default_factory=History)
    raster: Raster = field(default_factory=Raster)
    watchers: set[Watcher] = field(default_factory=set)
    start: RunStart | None = None
    ports: dict[str, Ports] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    set_parameters: dict[str, Any] = field(default_factory=dict)  # they survive a full reset
    function_changes: dict[str, Told] = field(default_factory=dict)
    brain_script: str | None = None
    brain_populations: dict[str, Any] | None = None
    brain_changed: Told | None = None
    brain_edits: int = 0
    version: int = 0
    recorded_bytes: int = 0
    occupies: bool = True
    gone: bool = False
    wires: Path | None = None
    status_text: tuple[int, str] | None = None  # the version it was made for, and the text

    def __post_init__(self) -> None:
        self._operator: AioOperator | None = None
        self._proxy: BusProxy | None = None
        self._launched: Launched | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._resetting = asyncio.Lock()
        self._log = structlog.get_logger().bind(simulation=self.id, experiment=self.experiment)
        self._told_at = 0.0
        self._caught_up = ""
        self._functions: tuple[int, list[dict[str, Any]]] = (-1, [])
        self._remembered: dict[str, tuple[tuple[str, int], dict[str, Any]]] = {}
        self._changes: Counter[tuple[str, str]] = Counter()
        self._let_go = False
        self._unwanted = False
        self._told = asyncio.Event()
        self._held_back: StateNote | None = None  # what was said of its state before all of what was told has come

    # --- its life ------------------------------------------------------------------------------------

    async def conduct(self, starter: Starter, arguments: Sequence[str]) -> None:
        """Launch it and listen to it until nothing of it is left."""
        exit_status: int | None = None
        try:
            self._launched = launched = await self._launch(starter, arguments)
            if self._unwanted:
                launched.terminate()
            self._tasks.append(asyncio.create_task(self._tick()))
            async for event in launched.events():
                self._take_event(event)
            exit_status = await launched.wait(_END_S)
            # What was said last may still be on its way here.
            await asyncio.sleep(_LAST_FRAMES_S)
        except PeerLost as error:
            self.status.blame(error.code, error.text)
        except asyncio.CancelledError:
            if not self._let_go:
                raise
        except Exception as error:
            self._log.error("simulation lost", exc_info=error)
            self.status.blame("internal", f"the server lost the simulation: {error}")
        finally:
            await self._clear_away()
            self.occupies = False
            if not self._let_go:
                self._over(exit_status)

    def _over(self, exit_status: int | None) -> None:
        """Nothing of it is left."""
        if self.going is not None and self.start is None and exit_status == 0:
            self.status.ended_unseen()
        self.status.over(exit_status)
        self.history.settle()
        self.changed()
        self._log.info("simulation ended", state=self.status.state, text=self.status.text)

    async def _launch(self, starter: Starter, arguments: Sequence[str]) -> Launched:
        if self.going is not None:
            return await rejoin(self.going)
        return await launch(starter, arguments, stand=self.stand, about=self._about(), image=self.image)

    def _about(self) -> dict[str, Any]:
        """All that another server needs to take this simulation up."""
        return {
            "home": str(self.home),
            "id": self.id,
            "experiment": self.experiment,
            "title": self.title,
            "owner": self.owner,
            "name": self.name,
            "folder": str(self.folder),
            "recordings": str(self.recordings),
            "launched": dict(self.launched),
            "place": self.place,
            "server": self.server,
            "created_at": self.status.created_at,
            "recording": self.status.recording,
        }

    @classmethod
    def taken_up(cls, going: Going) -> "Simulation":
        """The simulation that another server has left going on. Raises KeyError or TypeError for one that is none."""
        about = going.about
        folder = Path(str(about["folder"]))
        return cls(
            id=str(about["id"]),
            experiment=str(about["experiment"]),
            title=str(about["title"]),
            owner=str(about["owner"]),
            name=str(about["name"]),
            folder=folder,
            recordings=Path(str(about["recordings"])),
            status=Status(folder=str(folder), recording=str(about["recording"]), created_at=str(about["created_at"])),
            launched=dict(about["launched"]),
            place=int(about["place"]),
            server=str(about["server"]),
            home=Path(str(about["home"])),
            stand=going.stand,
            going=going,
        )

    def _take_event(self, event: Mapping[str, Any]) -> None:
        wires = folder_of(event)
        if wires is not None and not self._may_hold_wires(wires[0]):
            self.status.blame("not_allowed", f"{wires[0]} is no folder for the wires of a run")
        elif wires is not None:
            try:
                self._join(*wires)
            except ReafferenceError:
                if wires[0].is_dir():
                    raise
                # It has been removed again: the launch was given up before we could look, and the reason follows.
        if self.status.say(event):
            self.changed()

    def _may_hold_wires(self, folder: Path) -> bool:
        """Whether it lies among the stands: users' code runs beside a launcher there, and we remove it in the end."""
        if self.stand is None:
            return True
        return folder.name.startswith(WIRES_PREFIX) and folder.resolve().is_relative_to(self.stand.parent.resolve())

    def _join(self, wires: Path, doors: str) -> None:
        """Open the bus in the private folder of the run, and at its doors; and connect to its wires."""
        self.wires = wires
        addresses = Addresses.in_folder(wires)
        config = ServiceConfig.load("gateway", {**os.environ, "REAF_WIRES": str(wires), "REAF_DOORS": doors})
        beside = (config.doors.bus_in, config.doors.bus_out) if config.doors else ("", "")
        ring = config.ring("gateway") if config.doors else None
        self._proxy = BusProxy(addresses.bus_in, addresses.bus_out, insecure=config.insecure, keys=ring, doors=beside)
        self._operator = AioOperator(ServiceConfig(name="server", addresses=addresses))
        self._operator.on_copy = self._take_copy
        self._tasks.append(asyncio.create_task(self._hear(self._operator)))
        self._tasks.append(asyncio.create_task(self._listen(AioBus(addresses.bus_out))))

    async def _hear(self, operator: AioOperator) -> None:
        async for frame in operator.frames():
            if isinstance(frame, Welcome) and self.going is not None and not self._told.is_set():
                if frame.version >= _FIRST_WITH_TELL:
                    await operator.order("tell")
                else:
                    self._told.set()
            if isinstance(frame, StateNote):
                if frame.facts.get("told"):
                    self._told.set()
                self._held_back = None if self._is_told else frame
                if self._held_back is not None:
                    continue
                if frame.state in ("ready", "running", "paused"):
                    await self._catch_up(operator.run)
            self._take_word(frame)

    def _take_word(self, frame: Frame) -> None:
        """What the engine itself says of the run."""
        before = self.status.state
        if self.status.hear(frame, time.monotonic()):
            self.changed(at_once=self.status.state != before or self.status.problem is not None)
        elif self.status.refusal is not None:
            self._changed_for_waiting()

    @property
    def _is_told(self) -> bool:
        """Whether nothing is to come any more of what the bus told before we listened."""
        return self.going is None or self._told.is_set()

    def _take_copy(self, parts: Sequence[bytes]) -> None:
        """What the bus told before we listened."""
        frame = self.history.take(parts)
        if frame is not None:
            self._learn(frame)
            if frame.name == "run/start" and self.start is not None:
                self.status.started_at = self.start.started_at

    async def _catch_up(self, run: str) -> None:
        """The bus is slower than the engine's own word: who sees a built simulation shall also see what it is."""
        if self._caught_up != run:
            self._caught_up = run
            await self.until(lambda: self._knows(run), _BUS_S)

    def _knows(self, run: str) -> bool:
        known = self.start is not None and self.start.run == run
        return known and self.history.newest("engine/functions") is not None

    async def _listen(self, bus: AioBus) -> None:
        try:
            if self.going is not None:
                # What the bus told before comes first; meanwhile it waits in the socket.
                try:
                    await asyncio.wait_for(self._told.wait(), _TOLD_S)
                except TimeoutError:
                    self._told.set()
                    if self._held_back is not None:
                        self._take_word(self._held_back)
            async for handful in bus.handfuls():
                for parts in handful:
                    if self.going is not None and self.history.knows(parts):
                        continue
                    frame = self.history.take(parts)
                    if frame is not None:
                        self._learn(frame)
                self._changed_for_waiting()
                self._wake()
        finally:
            bus.close()

    async def _tick(self) -> None:
        """Once a second while it runs, and when something has changed that was not told at once."""
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            self.recorded_bytes = self._bytes_of_recording()
            if self.status.state in ("created", "initialised", "started"):
                self.changed()

    async def _clear_away(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._operator is not None:
            if self._let_go:
                with contextlib.suppress(ReafferenceError):
                    await self._operator.leave()
            self._operator.close()
        if self._launched is not None:
            if not self._let_go and await self._launched.wait(0.0) is None:
                self._launched.kill()
                await self._launched.wait(_END_S)
            self._launched.close()
        if self._proxy is not None:
            await asyncio.to_thread(self._proxy.close)
        self.recorded_bytes = self._bytes_of_recording()
        if self.wires is not None and not self._let_go:
            shutil.rmtree(self.wires, ignore_errors=True)

    @property
    def outlives(self) -> bool:
        """Whether it can go on without this server."""
        return self._launched is not None and self._launched.kept

    def let_go(self) -> None:
        """Stop listening to it, and let it go on."""
        self._let_go = True

    async def end(self, reason: str, patience_s: float = _STOP_S) -> None:
        """Stop it in order, or else less and less so; returns when nothing of it is left."""
        self.status.stop_asked = True
        if not self.occupies:
            return
        with contextlib.suppress(ReafferenceError):
            if self._operator is not None:
                await self._operator.order("stop", reason)
        if await self.until(lambda: not self.occupies, patience_s):
            return
        if self._launched is None:
            self._unwanted = True  # what is being started ends as soon as it is there
            return
        with contextlib.suppress(ReafferenceError):
            if self._operator is not None:
                await self._operator.order("cancel", reason)
        self._launched.terminate()
        if not await self.until(lambda: not self.occupies, patience_s):
            self._launched.kill()
            await self.until(lambda: not self.occupies, _END_S)

    # --- what the bus tells --------------------------------------------------------------------------

    def _learn(self, frame: BusFrame) -> None:
        """What the server itself needs to know of a frame."""
        if frame.name not in ("run/start", "run/ports", "engine/edits"):
            return
        try:
            decoded = frame.frame
        except ReafferenceError:
            return
        match decoded:
            case RunStart():
                self._functions = (-1, [])
                self.start, self.ports = decoded, dict(decoded.ports)
                self.parameters = {**decoded.parameters, **self.set_parameters}
                self.brain_script = self.brain_populations = self.brain_changed = None
                self._know_cells()
            case PortsNote():
                self.ports = dict(decoded.ports)
                self._know_cells()
            case Change():
                self._changes[decoded.to, decoded.what] += 1
                if not decoded.code:
                    self._note_change(decoded)

    def _know_cells(self) -> None:
        brain = self.ports.get("brain")
        self.raster.know(brain.facts.get("recorders", {}) if brain else {})
        self.brain_edits += 1

    def _note_change(self, change: Change) -> None:
        told = Told(change.by, stamp())
        if change.to == "brain" and change.what == "replace_brain":
            self.brain_script, self.brain_changed = str(change.arguments.get("script", "")), told
        if change.to == "brain" and change.what == "set_populations":
            self.brain_populations = dict(change.arguments.get("populations", {}))
            self.brain_changed = told
        if change.to != "engine":
            return
        if change.what == "set_parameters":
            self.set_parameters |= dict(change.arguments.get("parameters", {}))
            self.parameters |= self.set_parameters
        for name in _functions_in(change.arguments):
            self.function_changes[name] = told

    def functions(self) -> list[dict[str, Any]]:
        """The transfer functions as the engine last told of them, in the order of calling.

        Raises OutOfOrder while it has not told of any: that is not to say that there are none.
        """
        newest = self.history.newest("engine/functions")
        since, functions = self._functions
        if since >= 0 and (newest is None or newest.order <= since):
            return functions  # an edit has told of them, which the bus has not yet
        note = newest.frame if newest is not None else None
        if not isinstance(note, FunctionsNote):
            raise OutOfOrder(f"the transfer functions are not known while the simulation is {self.status.state}")
        return [dict(function) for function in note.functions]

    # --- what can be asked of it ---------------------------------------------------------------------

    @property
    def operator(self) -> AioOperator:
        """The conversation with the engine; raises OutOfOrder where there is none (any more)."""
        operator = self._spoken_to()
        if operator is None:
            raise OutOfOrder(f"the simulation is {self.status.state}: launch another one")
        return operator

    def _spoken_to(self) -> AioOperator | None:
        """The conversation, unless the engine has not begun it or its end has been seen."""
        here = self._operator is not None and not self._operator.closed and self.occupies
        return self._operator if here else None

    async def order(self, what: OrderKind, wanted: State, reason: str) -> None:
        """Give an order and wait until it is in the state that is wanted, or for ten seconds.

        Raises OutOfOrder where it can never come to that.
        """
        if not await self.until(lambda: self._operator is not None or not self.occupies, _WIRES_S):
            raise EngineLost("the run has not opened its wires yet: try again")
        operator = self.operator
        self.status.refusal = None
        await operator.order(what, reason)
        await self.until(
            lambda: self.status.state == wanted or self.status.ended or self.status.refusal is not None, _ANSWER_S
        )
        refused = self.status.refusal
        if refused is not None and self.status.state != wanted:
            raise from_code(refused.code, refused.text, refused.detail)

    async def stop(self, reason: str) -> None:
        """Stop when the step in progress is complete; returns when it has, or after ten seconds."""
        self.status.stop_asked = True
        if self.status.ended and not self.occupies:
            self.status.put_away()
            self.changed()
            return
        await self.until(lambda: self._operator is not None or not self.occupies, _WIRES_S)
        operator = self._spoken_to()
        if operator is not None:
            with contextlib.suppress(EngineLost):  # it has ended meanwhile
                await operator.order("stop", reason)
            if not await self.until(lambda: self.status.ended, _ANSWER_S) and not self.status.built:
                # What builds a network may hear of nothing for minutes, and nothing of it is wanted any more.
                await self.end(reason)
        elif self.occupies:
            await self.end(reason)
        self.status.put_away()
        self.changed()

    async def cancel(self, reason: str) -> None:
        """Give up the step in progress and stop; returns when it has, or after ten seconds."""
        self.status.stop_asked = True
        await self.operator.order("cancel", reason)
        await self.until(lambda: self.status.ended, _ANSWER_S)

    async def step(self, reason: str, steps: int = 1) -> None:
        """Make so many CLE steps; returns when it is paused again, or after ten seconds."""
        before = self.status.note.step if self.status.note else 0
        self.status.refusal = None
        await self.operator.order("step", reason, steps=steps)
        await self.until(
            lambda: (
                self.status.ended
                or self.status.refusal is not None
                or (self.status.state == "paused" and self.status.note is not None and self.status.note.step > before)
            ),
            _ANSWER_S,
        )
        if self.status.refusal is not None:
            raise from_code(self.status.refusal.code, self.status.refusal.text)

    async def edit(
        self, to: str, what: str, arguments: Mapping[str, Any] | None = None, *, by: str, timeout_s: float = 0.0
    ) -> dict[str, Any]:
        """As AioOperator.edit; the outcome, by name. Whoever asks then who has changed what is told of it, too."""
        heard, about = self._changes[to, what], (to, what)
        result = await self.operator.edit(to, what, arguments or {}, by=by, timeout_s=timeout_s, patience_s=_RESET_S)
        if to == "engine":
            self._remember(result)
        if to == "engine" and what in ENGINE_READINGS:
            return result
        # The bus was told of it before we were answered, and may be slower.
        await self.until(lambda: self._changes[about] > heard, _HEARD_S)
        return result

    def _remember(self, result: Mapping[str, Any]) -> None:
        """What the engine has answered is true at once, though the bus tells of it a moment later."""
        if "functions" in result:
            self._functions = (self.history.order, [dict(one) for one in result["functions"]])
        if "parameters" in result:
            self.parameters = dict(result["parameters"])

    async def reset(self, what: str, by: str) -> None:
        """Put all of it, or one part, back to its start; paused then."""
        async with self._resetting:
            if what == "world":
                await self.edit("body", "reset_world", by=by)
            elif what == "full":
                await self.operator.reset("full", by=by, patience_s=_RESET_S)
                # The frame that settled it is told to whoever awaits it before it is told to all.
                await self.until(lambda: self.status.state == "paused" or self.status.ended, _ANSWER_S)
            elif what == "brain":
                await self.operator.reset("brain", by=by, patience_s=_RESET_S)
            else:
                await self.operator.reset("body", by=by, patience_s=_RESET_S)
            if self.status.state == "started":
                await self.order("pause", "paused", f"reset by {by}")

    async def remembered(self, key: str, to: str, what: str, arguments: Mapping[str, Any], by: str) -> dict[str, Any]:
        """The outcome of an edit that changes nothing, from memory where nothing has changed since."""
        stamp_ = (self.status.run, self.brain_edits)
        known = self._remembered.get(key)
        if known is None or (known[0] != stamp_ and not self.status.ended):
            result = listed(await self.edit(to, what, arguments, by=by))
            known = self._remembered[key] = (stamp_, result)
            while len(self._remembered) > _REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
        return known[1]

    def forget_remembered(self) -> None:
        """What the body said of itself is no longer true."""
        self._remembered.pop("scene", None)

    # --- telling -------------------------------------------------------------------------------------

    def changed(self, *, at_once: bool = True) -> None:
        """Something is other than before: tell those who watch, of small things a few times a second only."""
        self._changed_for_waiting()
        now = time.monotonic()
        if self.status.state == "started" and not at_once:
            return  # the ticking tells of it
        if not at_once and now - self._told_at < _PROGRESS_EVERY_S:
            return
        self._told_at = now
        self.version += 1
        self._wake()

    def _changed_for_waiting(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _wake(self) -> None:
        for watcher in self.watchers:
            watcher.wake()

    async def until(self, true: Callable[[], bool], seconds: float) -> bool:
        """Whether it becomes true within this time, looked at whenever something has changed."""
        end = time.monotonic() + seconds
        while not true():
            left = end - time.monotonic()
            if left <= 0:
                # If we ourselves could not run for a while, what we wait for may be here and not yet taken.
                await asyncio.sleep(_TURN_S)
                return true()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(left, 0.5))
        return True

    def watch(self, watcher: Watcher) -> None:
        self.watchers.add(watcher)
        self.changed()

    def leave(self, watcher: Watcher) -> None:
        self.watchers.discard(watcher)
        self.changed()

    def forget(self) -> None:
        """It was deleted: those who watch shall go."""
        self.gone = True
        self.changed()

    def as_map(self) -> dict[str, Any]:
        """API.md's Simulation."""
        return {
            "id": self.id,
            "name": self.name,
            "experiment": self.experiment,
            "title": self.title,
            "owner": self.owner,
            "server": self.server,
            "launched": dict(self.launched),
            **self.status.as_map(),
            "recorded_bytes": self.recorded_bytes,
            "watchers": len(self.watchers),
            "people": sorted({watcher.name for watcher in self.watchers}),
        }

    @property
    def recording(self) -> Path | None:
        """Where its present recording lies, if there is one."""
        folder = self.recordings / self.status.recording
        return folder if self.status.recording and folder.is_dir() else None

    async def written(self) -> Path | None:
        """Its present recording; where the run has ended, when its recorder has closed it."""
        if self.status.ended:
            await self.until(lambda: not self.occupies, _WRITTEN_S)
        return self.recording

    def _bytes_of_recording(self) -> int:
        with contextlib.suppress(OSError):
            if self.recording is not None:
                return os.stat(self.recording / "recording.mcap").st_size
        return 0


def _functions_in(arguments: Mapping[str, Any]) -> list[str]:
    """The names of the functions that an edit of the engine is about."""
    names = [str(name) for name in arguments.get("names", ())]
    if isinstance(arguments.get("name"), str):
        names.append(arguments["name"])
    for line in str(arguments.get("source", "")).splitlines():
        if line.startswith("def "):
            names.append(line[4:].split("(")[0].strip())
    return names
