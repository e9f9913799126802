"""The live stream of a simulation on a job: messages are passed on as they are, both ways.

Nothing is kept here: who reads slowly makes the job's gateway wait, which knows how to leave things out.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from reafference import jsontext

from ..people import SPEAKS_FOR, Person
from ..problems import Problem
from ..stream import PROTOCOL, STUCK_S, welcomed
from .job_server import LIMIT_S, JobServer

_AGAIN, _UNKNOWN = 1013, 4404
"""The codes that mean: try again later, and: there is no such thing."""
_NEWS_S = 0.5
_LARGEST = 256 << 20
_QUEUED = 4
_PING_S, _PONG_S, _CLOSE_S = 5.0, 10.0, 1.0
# Codes that say that there was no closing, which nobody can send.
_NEVER_SENT = (1005, 1006, 1015)


async def forward(websocket: WebSocket, server: JobServer, sid: str) -> None:
    """Until one side goes. When the job cannot be reached it is closed with a code that asks to come again."""
    person = await welcomed(websocket)
    if person is None:
        return
    code, reason = _AGAIN, ""
    try:
        async with server.while_there(), await _opened(server, sid, person) as far:
            await _carry(websocket, far)
            code, reason = far.close_code or _AGAIN, far.close_reason or ""
    except Problem as problem:
        reason = str(problem.detail)
    except (ConnectionClosed, InvalidHandshake, InvalidURI, OSError, TimeoutError, EOFError) as error:
        reason = f"the connection to job {server.id} is interrupted ({type(error).__name__}): it is tried again"
    if code in _NEVER_SENT:
        code, reason = _AGAIN, f"the connection to job {server.id} is interrupted: it is tried again"
    await _close(websocket, code, reason)


async def show_past(websocket: WebSocket, past: Callable[[], dict[str, Any] | None]) -> None:
    """The last state of a simulation whose job has ended, and what is learnt of it later, until the listener goes."""
    if await welcomed(websocket) is None:
        return
    gone = asyncio.create_task(_gone(websocket))
    told: dict[str, Any] | None = None
    try:
        while not gone.done():
            known = past()
            if known is None:
                await _close(websocket, _UNKNOWN, "there is no such simulation")
                return
            if known != told:
                told = known
                await websocket.send_text(jsontext.dumps({"type": "simulation", "simulation": known}))
            await asyncio.wait({gone}, timeout=_NEWS_S)
    except (WebSocketDisconnect, RuntimeError, OSError):
        pass  # it has gone meanwhile
    finally:
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)


async def _gone(websocket: WebSocket) -> None:
    """Returns when the listener has gone; what it says meanwhile is about what is no more."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass


async def _opened(server: JobServer, sid: str, person: Person) -> ClientConnection:
    url = f"{server.job.url.rstrip('/').replace('http', 'ws', 1)}/api/simulations/{sid}/stream"
    headers = {"Authorization": f"Bearer {server.job.token}", SPEAKS_FOR: person.as_header}
    return await connect(
        url,
        additional_headers=headers,
        subprotocols=[PROTOCOL],  # type: ignore[list-item]
        compression=None,
        max_size=_LARGEST,
        max_queue=_QUEUED,
        open_timeout=LIMIT_S,
        ping_interval=_PING_S,
        ping_timeout=_PONG_S,
        close_timeout=_CLOSE_S,
        proxy=None,
        ssl=server.tls,
    )


async def _carry(websocket: WebSocket, far: ClientConnection) -> None:
    """Returns when one of the two has gone."""
    ways = [asyncio.create_task(_from_here(websocket, far)), asyncio.create_task(_from_there(far, websocket))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _from_here(websocket: WebSocket, far: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed, WebSocketDisconnect, RuntimeError):
        while (message := await websocket.receive())["type"] == "websocket.receive":
            content = message.get("text")
            await far.send(message["bytes"] if content is None else content)


async def _from_there(far: ClientConnection, websocket: WebSocket) -> None:
    with contextlib.suppress(ConnectionClosed, WebSocketDisconnect, RuntimeError, TimeoutError, OSError):
        async for message in far:
            sending = websocket.send_text(message) if isinstance(message, str) else websocket.send_bytes(message)
            await asyncio.wait_for(sending, STUCK_S)


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError, OSError):
        words = reason.encode()[:120].decode(errors="ignore")
        await asyncio.wait_for(websocket.close(code, words), STUCK_S)
