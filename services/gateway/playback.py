"""A recording that is played: the same live stream as that of a simulation, with a hand on its time.

Each listener has a playback of its own. Its frames take the way of a simulation's: history, subscription, raster.
"""

import asyncio
import contextlib
import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, Field, TypeAdapter
from starlette.concurrency import run_in_threadpool

from reafference import codec, jsontext
from reafference.errors import ReafferenceError
from reafference.frames import Frame, PortsNote, RunStart
from reafference.topics import parsed

from .history import History
from .house import Gateway
from .people import Person
from .problems import Problem
from .raster import Raster
from .recorded_frames import Parts, RecordedFrames
from .simulation import Watcher
from .stream import Drawn, Listener, Subscribe, TellStatus, welcomed

router = APIRouter()

_NOT_THERE, _NOT_PLAYABLE, _TOO_MANY = 4404, 4409, 4429
_BEFORE_NS = 4_000_000_000
_AT_A_TIME = 100
_TAKEN_S = 1.0
_TOLD_EVERY_S = 0.25
_LATE_S = 0.25
_CLOCK, _FUNCTIONS, _CAMERA = "engine/clock", "engine/functions", "body/camera/"


class Play(BaseModel):
    """Go on from where it is; from the end, begin again."""

    do: Literal["play"]
    speed: float = Field(1.0, ge=0.01, le=100, allow_inf_nan=False)


class Pause(BaseModel):
    """Stand still."""

    do: Literal["pause"]


class Seek(BaseModel):
    """Go to this simulated time, or as near as the recording allows."""

    do: Literal["seek"]
    t_s: float = Field(ge=0, allow_inf_nan=False)


Message = Subscribe | Drawn | TellStatus | Play | Pause | Seek
_messages: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="do")])


@router.websocket("/experiments/{id}/recordings/{rec}/stream")
async def play(websocket: WebSocket, id: str, rec: str) -> None:
    """Play a recording."""
    gateway: Gateway = websocket.app.state.gateway
    person = await welcomed(websocket)
    if person is None:
        return
    try:
        folder = await run_in_threadpool(gateway.storage.recording, id, rec)
        with gateway.playing.place():
            await _play(websocket, folder, person)
    except Problem as problem:
        code = {404: _NOT_THERE, 503: _TOO_MANY}.get(problem.status, _NOT_PLAYABLE)
        with contextlib.suppress(RuntimeError):  # it left at the same moment
            await websocket.close(code, problem.detail.encode()[:120].decode(errors="ignore"))


async def _play(websocket: WebSocket, folder: Path, person: Person) -> None:
    frames = await RecordedFrames.open(folder)
    try:
        playback = Playback(frames)
        viewer = Viewer(websocket, playback, person)
        running = asyncio.create_task(playback.run())
        serving = asyncio.create_task(viewer.serve())
        try:
            await asyncio.wait({running, serving}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()  # it ends only with a problem
        finally:
            for task in (running, serving):
                task.cancel()
            await asyncio.gather(running, serving, return_exceptions=True)
    finally:
        await frames.close()


class Playback:
    """Where it is, and what has been shown of it. `preparing`: the seconds before a new place are being shown."""

    def __init__(self, frames: RecordedFrames) -> None:
        self.history, self.raster = History(), Raster()
        self.watchers: set[Watcher] = set()
        self.gone, self.version = False, 0
        self.playing, self.speed, self.t_ns = False, 1.0, 0
        self.preparing = False
        self._frames = frames
        self._step_ns = 1
        self._functions: list[Parts] = []
        self._learn(frames.kept)
        self._goal: int | None = 0
        self._next: list[Parts] | None = None
        self._ordered, self._taken = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._from = (self._loop.time(), 0)
        self._told_at = 0.0

    # --- orders --------------------------------------------------------------------------------------

    def play(self, speed: float) -> None:
        """Go on at so many simulated seconds a second."""
        if self.t_ns >= self.to_ns and self._goal is None:
            self._goal = 0
        self.playing, self.speed = True, speed
        self._anchor()
        self._changed()

    def pause(self) -> None:
        self.playing = False
        self._changed()

    def seek(self, t_s: float) -> None:
        """Go to the beginning of the step in which this time lies."""
        t_ns = min(round(t_s * 1e9), self.to_ns)
        self._goal = t_ns - t_ns % self._step_ns
        self._changed()

    def taken(self) -> None:
        """The listener has everything so far."""
        self._taken.set()

    # --- as a listener sees it -----------------------------------------------------------------------

    def watch(self, watcher: Watcher) -> None:
        self.watchers.add(watcher)

    def leave(self, watcher: Watcher) -> None:
        self.watchers.discard(watcher)

    def told(self) -> str:
        """Where it is, as a text."""
        return jsontext.dumps(
            {
                "type": "playback",
                "t_s": self.t_ns / 1e9,
                "from_s": 0.0,
                "to_s": self.to_ns / 1e9,
                "step_s": self._step_ns / 1e9,
                "playing": self.playing,
                "speed": self.speed,
                "cut": self.history.cuts,
            }
        )

    # --- its life ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Play as ordered, until cancelled. Raises Problem if the recording cannot be read on."""
        while True:
            self._ordered.clear()
            if self._goal is not None:
                await self._go(self._goal)
            elif self.playing:
                await self._on()
            else:
                await self._ordered.wait()

    async def _on(self) -> None:
        """One step, when it is due, or an order before that."""
        step = self._next = self._next or await self._frames.step()
        if self._ordered.is_set():
            return  # the step came late: what was ordered meanwhile goes first
        if step is None:
            self.playing = False
            self._changed()
            return
        end_ns = _end_of(step)
        due_in_s = self._due_at(end_ns) - self._loop.time()
        if due_in_s < -_LATE_S:
            self._anchor()  # it cannot be read so fast: do not run after it
        elif due_in_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ordered.wait(), due_in_s)
                return
        else:
            await asyncio.sleep(0)
            if self._ordered.is_set():
                return
        self._next = None
        self._show(step)
        self.t_ns = end_ns
        self._tell()

    async def _go(self, goal_ns: int) -> None:
        """Begin anew at another time, with the seconds before it, so that pictures of the past are whole."""
        since_ns = max(0, goal_ns - _BEFORE_NS)
        since_ns -= since_ns % self._step_ns
        self.history.cut(since_ns)
        self._frames.seek(since_ns)
        self.t_ns, self._next = goal_ns, None
        self._changed(order=False)
        self._show(self._functions_at(since_ns))
        self.preparing = True
        try:
            await self._before(goal_ns)
        finally:
            self.preparing = False
        self._anchor()
        if self._goal == goal_ns:
            self._goal = None

    async def _before(self, goal_ns: int) -> None:
        """Show what ends until `goal_ns`; of cameras the last picture. Another order for a place breaks it off."""
        pictures: dict[str, Parts] = {}
        count = 0
        while (step := await self._frames.step()) is not None and _end_of(step) <= goal_ns:
            pictures |= {name: parts for parts in step if (name := _name(parts)).startswith(_CAMERA)}
            self._show([parts for parts in step if not _name(parts).startswith(_CAMERA)], _end_of(step) - goal_ns)
            count += 1
            if count % _AT_A_TIME == 0:
                await self._until_taken()
            if self._goal != goal_ns:
                return
        self._next = step
        self._show(list(pictures.values()))
        await self._until_taken()

    async def _until_taken(self) -> None:
        """Wait until the listener has what was shown, but not for long: it may be a slow one."""
        self._taken.clear()
        self._wake()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._taken.wait(), _TAKEN_S)

    def _learn(self, kept: list[Parts]) -> None:
        """Take in what comes first: the last commit mark, the documents, the messages."""
        self.to_ns = 0
        for parts in kept:
            name = _name(parts)
            if name == _CLOCK:
                self.to_ns = codec.place(parts).t_ns
            elif name == _FUNCTIONS:
                self._functions.append(parts)
            else:
                self.history.take(parts)
                self._know(_document(name, parts))

    def _know(self, frame: Frame | None) -> None:
        if isinstance(frame, RunStart):
            self._step_ns = max(frame.dt_ns, 1)
        if isinstance(frame, RunStart | PortsNote) and (brain := frame.ports.get("brain")):
            self.raster.know(brain.facts.get("recorders", {}))

    def _functions_at(self, t_ns: int) -> list[Parts]:
        """The transfer functions as they were then."""
        before = [parts for parts in self._functions if codec.place(parts).t_ns <= t_ns]
        return before[-1:] or self._functions[:1]

    def _show(self, frames: list[Parts], shift_ns: int = 0) -> None:
        """Give them to the listener, as if they had come at their time: so long before now, where that is past."""
        came_at = self._loop.time() + shift_ns / 1e9 / self.speed
        for parts in frames:
            self.history.take(parts, came_at)
        self._wake()

    def _anchor(self) -> None:
        """From now on time is counted from here."""
        self._from = (self._loop.time(), self.t_ns)

    def _due_at(self, t_ns: int) -> float:
        at, from_ns = self._from
        return at + (t_ns - from_ns) / 1e9 / self.speed

    def _changed(self, *, order: bool = True) -> None:
        if order:
            self._ordered.set()
        self._told_at = -math.inf
        self._tell()

    def _tell(self) -> None:
        """Say where it is, a few times a second while it plays."""
        now = self._loop.time()
        if now - self._told_at >= _TOLD_EVERY_S:
            self._told_at = now
            self.version += 1
            self._wake()

    def _wake(self) -> None:
        for watcher in self.watchers:
            watcher.wake()


class Viewer(Listener):
    """The connection of one who plays a recording."""

    understood: ClassVar[TypeAdapter[Any]] = _messages

    def __init__(self, websocket: WebSocket, playback: Playback, person: Person) -> None:
        super().__init__(websocket, playback, person, playback.told)
        self._playback = playback

    def _obey(self, message: Any) -> None:
        match message:
            case Play():
                self._playback.play(message.speed)
            case Pause():
                self._playback.pause()
            case Seek():
                self._playback.seek(message.t_s)
            case _:
                super()._obey(message)
        self.wake()

    async def _send_batch(self) -> None:
        while self._version != self._playback.version:
            await self._send_status()  # first, that time has jumped; then what belongs to the new one
        self._subscription.whole = self._playback.preparing
        await super()._send_batch()
        if self._subscription.due_in_s(math.inf) == math.inf:
            self._playback.taken()


def _end_of(step: list[Parts]) -> int:
    """When this step ends; its commit mark is the last of its frames."""
    return codec.place(step[-1]).t_ns


def _name(parts: Parts) -> str:
    return parsed(parts[0]).name


def _document(name: str, parts: Parts) -> Frame | None:
    if not name.startswith("run/"):
        return None
    with contextlib.suppress(ReafferenceError):
        return codec.decode(parts).frame
    return None
