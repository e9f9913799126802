"""A socket that speaks the rosbridge protocol, for clients that know simulations by their ROS topics.

`/rosbridge/SERVER` follows the simulation that was launched last in the place of this server, then the next one;
`/rosbridge` the one that was launched last in any, `/rosbridge?simulation=N` this one only. COACH.md has the topics.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from reafference import jsontext

from ..coach import servers as coach_servers
from ..coach.status import sid_of
from ..house import Gateway
from ..people import PERSON, Person
from ..problems import Problem
from ..simulation import Simulation
from ..stream import STUCK_S
from . import messages as words
from .feed import Feed
from .messages import Message

router = APIRouter()

_UNKNOWN = 4404
_MOST_TOPICS = 200
_LOOK_S = 0.25
_GATHER_S = 0.01

Find = Callable[[], Simulation | None]


@router.websocket("/rosbridge")
async def any_server(websocket: WebSocket, simulation: str = "") -> None:
    """Follow the newest simulation, or this one."""
    gateway: Gateway = websocket.app.state.gateway
    if not simulation:
        await _serve(websocket, lambda: coach_servers.newest(gateway.simulations))
        return
    sid = sid_of(simulation.removeprefix("s"))
    known = next((one for one in gateway.simulations.all() if one.id == sid), None)
    if known is None:
        await _refuse(websocket, f"there is no simulation {simulation[:40]}")
        return
    await _serve(websocket, lambda: known)


@router.websocket("/rosbridge/{server}")
async def one_server(websocket: WebSocket, server: str) -> None:
    """Follow the newest simulation of a server."""
    gateway: Gateway = websocket.app.state.gateway
    try:
        place = coach_servers.place_of(server, gateway.simulations)
    except Problem as problem:
        await _refuse(websocket, problem.detail)
        return
    await _serve(websocket, lambda: coach_servers.newest(gateway.simulations, place))


async def _refuse(websocket: WebSocket, why: str) -> None:
    """Only who has been let in can be told why he must go."""
    await websocket.accept()
    await websocket.close(_UNKNOWN, why.encode()[:120].decode(errors="ignore"))


async def _serve(websocket: WebSocket, find: Find) -> None:
    await websocket.accept()
    person: Person = websocket.scope[PERSON]
    await Bridge(websocket, find, person).serve()


class Bridge:
    """One connection: what it has subscribed to, and the simulation that it follows now."""

    def __init__(self, websocket: WebSocket, find: Find, person: Person) -> None:
        self._websocket, self._find, self.name = websocket, find, person.name
        self._woken = asyncio.Event()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue(100)
        self._wishes: dict[str, Message] = {}
        self._feed: Feed | None = None

    def wake(self) -> None:
        """There is something new."""
        self._woken.set()

    async def serve(self) -> None:
        """Until the client leaves, or is stuck."""
        receiving = asyncio.create_task(self._receive())
        sending = asyncio.create_task(self._send())
        try:
            await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (receiving, sending):
                task.cancel()
            await asyncio.gather(receiving, sending, return_exceptions=True)
            self._follow(None)

    # --- what comes in -------------------------------------------------------------------------------

    async def _receive(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text")
                try:
                    if text is None:
                        raise words.NotUnderstood("messages to here are text")
                    answer = self._obey(words.understood(text))
                except words.NotUnderstood as error:
                    answer = words.status(str(error))
                if answer is not None:
                    await self._answers.put(answer)
                self.wake()

    def _obey(self, message: Message) -> dict[str, Any] | None:
        match message.op:
            case "subscribe":
                return self._subscribe(message)
            case "unsubscribe":
                self._wishes.pop(message.topic, None)
                if self._feed is not None:
                    self._feed.drop(message.topic)
                return None
            case "call_service":
                return self._call(message)
            case "publish":
                text = f"nothing can be published on {message.topic} from here: let a transfer function write it"
                return words.status(text, message)
            case op if op in words.IGNORED:
                return None
        return words.status(f"there is no operation {message.op!r} here", message)

    def _subscribe(self, message: Message) -> dict[str, Any] | None:
        if not message.topic:
            return words.status("subscribe needs the name of a topic", message)
        if message.topic not in self._wishes and len(self._wishes) >= _MOST_TOPICS:
            return words.status(f"a client may subscribe to {_MOST_TOPICS} topics at most", message)
        self._wishes[message.topic] = message
        if self._feed is not None:
            self._feed.want(message)
        return None

    def _call(self, call: Message) -> dict[str, Any]:
        """The few services that tell which topics there are; all others fail."""
        known = self._feed.topics() if self._feed is not None else {}
        args = call.args if isinstance(call.args, dict) else {}
        match call.service:
            case "/rosapi/topics":
                values: Any = {"topics": list(known), "types": list(known.values())}
            case "/rosapi/topic_type":
                values = {"type": known.get(str(args.get("topic")), "")}
            case "/rosapi/topics_for_type":
                values = {"topics": [name for name, kind in known.items() if kind == args.get("type")]}
            case _:
                return words.service_response(call, f"there is no service {call.service} here", result=False)
        return words.service_response(call, values, result=True)

    # --- what goes out -------------------------------------------------------------------------------

    async def _send(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError, OSError):
            while True:
                self._woken.clear()
                while not self._answers.empty():
                    await self._text(self._answers.get_nowait())
                await self._send_news()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._woken.wait()
                await asyncio.sleep(_GATHER_S)

    async def _send_news(self) -> None:
        newest = self._find()
        if newest is not None and (self._feed is None or self._feed.simulation is not newest):
            # The one before is told of to its end before the next one begins.
            if self._feed is not None:
                await self._send_all(self._feed)
            self._follow(newest)
        if self._feed is not None:
            await self._send_all(self._feed)

    async def _send_all(self, feed: Feed) -> None:
        for topic, message in feed.news(time.monotonic()):
            await self._text(words.publish(topic, message))

    def _follow(self, simulation: Simulation | None) -> None:
        if self._feed is not None:
            self._feed.simulation.leave(self)
        self._feed = None
        if simulation is not None:
            self._feed = Feed(simulation, self._wishes.values())
            simulation.watch(self)

    async def _text(self, message: dict[str, Any]) -> None:
        async with asyncio.timeout(STUCK_S):
            await self._websocket.send_text(jsontext.dumps(message))
