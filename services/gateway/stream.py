"""The live stream: one WebSocket for each listener, as API.md describes it.

A listener takes its batches when it is ready. None of them is waited for: what one is too slow for is in the
history of the simulation for a while, then gone, and counted.
"""

import asyncio
import contextlib
import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Protocol

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from reafference import codec, jsontext

from .history import History
from .people import Person, person_of_socket
from .raster import MOST_PER_S, Raster
from .simulation import Simulation, Watcher
from .subscription import Subscription, Wish

router = APIRouter()

PROTOCOL = "reafference.1"
CREDIT = 4
BATCHES_PER_S = 30
STUCK_S = 60.0

_ALL_BATCHES_PER_S = 600
_MISSED_EVERY_S = 1.0
_MOST_STREAMS = 200
_LONGEST_MESSAGE = 64 * 1024
_BAD_TOKEN, _UNKNOWN, _DELETED, _BAD_MESSAGE = 4401, 4404, 4000, 1003


class StreamWish(BaseModel):
    """One topic of a subscription."""

    topic: str = Field(max_length=200)
    hz: float = Field(0.0, ge=0, le=1000, allow_inf_nan=False)
    points: int = Field(0, ge=0)
    most_per_s: float = Field(MOST_PER_S, ge=100, le=1e7, allow_inf_nan=False)

    def wish(self) -> Wish:
        return Wish(topic=self.topic, hz=self.hz, points=self.points, most_per_s=self.most_per_s)


class Subscribe(BaseModel):
    """What a listener wants from now on. `since` counts where `run` is the present one, or not named."""

    model_config = ConfigDict(populate_by_name=True)

    do: Literal["subscribe"]
    streams: list[StreamWish] = Field(max_length=_MOST_STREAMS)
    since: dict[str, int] = Field(default_factory=dict)
    run: str = ""


class Drawn(BaseModel):
    """This batch, and all before it, have been used."""

    do: Literal["drawn"]
    batch: int


class TellStatus(BaseModel):
    """Send the simulation now."""

    do: Literal["status"]


_messages: TypeAdapter[Subscribe | Drawn | TellStatus] = TypeAdapter(
    Annotated[Subscribe | Drawn | TellStatus, Field(discriminator="do")]
)


@router.websocket("/simulations/{sid}/stream")
async def stream(websocket: WebSocket, sid: str) -> None:
    """Follow a simulation."""
    person = await welcomed(websocket)
    if person is None:
        return
    simulation = next((one for one in websocket.app.state.gateway.simulations.all() if one.id == sid), None)
    if simulation is None:
        await websocket.close(_UNKNOWN, f"there is no simulation {sid}"[:100])
        return
    await Listener(websocket, simulation, person, partial(_status_text, simulation)).serve()


async def welcomed(websocket: WebSocket) -> Person | None:
    """Accept a connection; who it is, or None if it had to be closed."""
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(PROTOCOL if PROTOCOL in offered else None)
    person = person_of_socket(websocket)
    if person is None:
        await websocket.close(_BAD_TOKEN, "this token is not known here")
    return person


class Followed(Protocol):
    """What can be listened to. `version` is another number when there is news of it; `gone` once it was deleted."""

    @property
    def history(self) -> History: ...
    @property
    def raster(self) -> Raster: ...
    @property
    def watchers(self) -> set[Watcher]: ...
    @property
    def gone(self) -> bool: ...
    @property
    def version(self) -> int: ...

    def watch(self, watcher: Watcher) -> None: ...
    def leave(self, watcher: Watcher) -> None: ...


class Listener:
    """One connection: what has been sent, what has been drawn. `told` gives the news of what is followed, as a text."""

    understood: ClassVar[TypeAdapter[Any]] = _messages

    def __init__(self, websocket: WebSocket, followed: Followed, person: Person, told: Callable[[], str]) -> None:
        self._websocket, self._followed, self._told = websocket, followed, told
        self.name = person.name
        self._subscription = Subscription(followed.history, followed.raster)
        self._woken = asyncio.Event()
        self._sent = self._drawn = 0
        self._version = -1
        self._missed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def wake(self) -> None:
        """There is something new; what it is will be looked at when its turn comes."""
        self._woken.set()

    async def serve(self) -> None:
        """Until the listener leaves, or is stuck, or the simulation is deleted."""
        self._followed.watch(self)
        receiving = asyncio.create_task(self._receive())
        sending = asyncio.create_task(self._send())
        try:
            await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._followed.leave(self)
            if self._timer is not None:
                self._timer.cancel()
            for task in (receiving, sending):
                task.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)

    async def _receive(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                text = await self._websocket.receive_text()
                try:
                    if len(text) > _LONGEST_MESSAGE:
                        raise ValueError("it is too long")
                    self._obey(self.understood.validate_python(json.loads(text)))
                except (ValidationError, ValueError, RecursionError) as error:
                    words = f"this cannot be understood: {_first_line(error)}"
                    await self._websocket.close(_BAD_MESSAGE, words.encode()[:120].decode(errors="ignore"))
                    return
                except KeyError:
                    # A binary message has no text.
                    await self._websocket.close(_BAD_MESSAGE, "messages from here on are text")
                    return

    def _obey(self, message: Any) -> None:
        match message:
            case Subscribe():
                wishes = {one.topic: one.wish() for one in message.streams}
                self._subscription.replace(list(wishes.values()), message.since, message.run)
            case Drawn():
                self._drawn = max(self._drawn, min(message.batch, self._sent))
            case TellStatus():
                self._version = -1
        self._woken.set()

    async def _send(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError, OSError):
            while not self._followed.gone:
                await self._woken.wait()
                await self._my_turn()
                self._woken.clear()
                await self._send_status()
                await self._send_missed()
                await self._send_batch()
            await self._text({"type": "gone"})
            await asyncio.wait_for(self._websocket.close(_DELETED, "the simulation was deleted"), STUCK_S)

    async def _my_turn(self) -> None:
        """Wait for the next tick; many listeners have slower ones. They tick together, and share what is made."""
        tick_s = max(1 / BATCHES_PER_S, len(self._followed.watchers) / _ALL_BATCHES_PER_S)
        now = self._loop.time()
        await asyncio.sleep((math.floor(now / tick_s) + 1) * tick_s - now)

    async def _send_status(self) -> None:
        if self._version == self._followed.version:
            return
        self._version = self._followed.version
        await self._text(None, self._told())

    async def _send_missed(self) -> None:
        missed, now = self._subscription.missed, self._loop.time()
        if missed and now - self._missed_at >= _MISSED_EVERY_S:
            self._missed_at = now
            self._subscription.missed = {}
            await self._text({"type": "missed", "topics": missed})

    async def _send_batch(self) -> None:
        if self._sent - self._drawn >= CREDIT:
            return
        now = self._loop.time()
        frames = self._subscription.take(now)
        if frames:
            self._sent += 1
            await asyncio.wait_for(self._websocket.send_bytes(codec.batch(self._sent, frames)), STUCK_S)
        self._come_back(self._subscription.due_in_s(self._loop.time()))

    def _come_back(self, seconds: float) -> None:
        """Wake again when something is due, should nothing new come until then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if math.isfinite(seconds):
            self._timer = self._loop.call_later(seconds, self._woken.set)

    async def _text(self, message: Mapping[str, Any] | None, text: str = "") -> None:
        sending = self._websocket.send_text(text or jsontext.dumps(message))
        await asyncio.wait_for(sending, STUCK_S)


def _status_text(simulation: Simulation) -> str:
    """The simulation as a text, made once for all who are told of it."""
    known = simulation.status_text
    if known is None or known[0] != simulation.version:
        text = jsontext.dumps({"type": "simulation", "simulation": simulation.as_map()})
        known = simulation.status_text = (simulation.version, text)
    return known[1]


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
