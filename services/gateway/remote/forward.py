"""Passes on to the gateways of jobs what is asked of their simulations, as it is, after the guard has let it in.

What belongs to a connection stays here: its own headers, the token, the page it comes from. Bodies are passed on piece
by piece, both ways, at the speed of the slower side.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from reafference import jsontext

from ..house import Gateway
from ..people import PERSON, SPEAKS_FOR, Person
from ..problems import Problem, not_found
from . import forward_socket
from .experiment import send as send_experiment
from .experiment import take_back
from .job_server import JobServer

PREFIX = "/api/simulations/"

_SID = re.compile(r"[A-Za-z0-9]{1,40}-s[0-9]{1,9}")
_RECORDING = re.compile(r"/api/experiments/(?P<id>[^/]+)/recordings/(?P<rec>[^/]+)(?P<rest>(/files/.+)?)")
_READING = ("GET", "HEAD", "OPTIONS")
_SAVING = ("transfer-functions/save", "brain/save")
_OF_CONNECTION = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
_OURS = {"host", "authorization", "cookie", "origin", "referer", "expect", SPEAKS_FOR}
_THEIRS = {"server", "date"}


class _BrokenOff(Exception):
    """The answer ended too early when it had begun: nothing can be said any more, but by ending the connection."""


class Forward:
    """Wraps the application, inside the guard."""

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self._app, self._gateway = app, gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        jobs = self._gateway.job_servers
        sid, rest = _aim(scope)
        server = jobs.of_simulation(sid) if sid else None
        past = jobs.past(sid) if sid and server is None else None
        if server is None and past is None and (holder := self._holder(scope)):
            answer = await _raw(Request(scope, receive), holder, quote(scope["path"]), scope[PERSON])
            await _sent(answer, scope, receive, send)
        elif server is None and past is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            socket = WebSocket(scope, receive, send)
            if server is not None and rest == "stream":
                await forward_socket.forward(socket, server, sid)
            else:
                await forward_socket.show_past(socket, lambda: jobs.past(sid) if rest == "stream" else None)
        else:
            request = Request(scope, receive)
            answering = self._past(request, past, rest) if server is None else self._pass(request, server, sid, rest)
            await _sent(await answering, scope, receive, send)

    def _holder(self, scope: Scope) -> JobServer | None:
        """The job that still has the recording that is asked for, because it has not come home yet."""
        found = _RECORDING.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is None or ".." in found["rest"].split("/"):
            return None
        server = self._gateway.job_servers.of_recording(found["id"], found["rec"])
        if server is None or (self._gateway.storage.recordings(found["id"]) / found["rec"]).exists():
            return None
        return server

    async def _pass(self, request: Request, server: JobServer, sid: str, rest: str) -> Response:
        person: Person = request.scope[PERSON]
        path = _checked(sid, rest)
        if request.method not in _READING:
            await _must_own(server, sid, person)
        if request.method == "POST" and rest in _SAVING:
            return await self._save(server, sid, rest, person)
        if request.method == "GET" and not rest:
            return _json(server.with_note(await server.ask("GET", f"simulations/{sid}", person=person)))
        if request.method == "DELETE" and not rest:
            await server.ask("DELETE", f"simulations/{sid}", person=person)
            server.forget(sid)
            return Response(status_code=204)
        return await _raw(request, server, path, person)

    async def _save(self, server: JobServer, sid: str, rest: str, person: Person) -> Response:
        """What is saved there goes into the experiment as it is here, and comes back."""
        known = server.simulations[sid]["experiment"]
        storage = self._gateway.storage
        async with self._gateway.job_servers.sending(server.id, known):
            sent = await send_experiment(storage, server, known)
            saved = await server.ask("POST", f"simulations/{sid}/{rest}", person=person)
            await take_back(storage, server, known, sent)
        return _json(saved)

    async def _past(self, request: Request, past: dict[str, Any] | None, rest: str) -> Response:
        """Of a simulation whose job has ended only its last state is known."""
        assert past is not None
        person: Person = request.scope[PERSON]
        if rest:
            raise Problem(409, "out_of_order", f"the simulation {past['id']} has ended with its job: see its recording")
        if request.method == "GET":
            return _json(past)
        if request.method == "DELETE":
            _may_steer(person, past["id"], past["owner"])
            self._gateway.job_servers.forget_past(past["id"])
            return Response(status_code=204)
        raise Problem(405, "not_allowed", f"{request.method} cannot be used on {request.url.path}")


async def _sent(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    with contextlib.suppress(_BrokenOff):
        await answer(scope, receive, send)


def _aim(scope: Scope) -> tuple[str, str]:
    """The simulation that a request is about, and what of it; "" for none."""
    if scope["type"] not in ("http", "websocket") or not scope["path"].startswith(PREFIX):
        return "", ""
    sid, _, rest = scope["path"].removeprefix(PREFIX).partition("/")
    return (sid, rest) if _SID.fullmatch(sid) else ("", "")


def _checked(sid: str, rest: str) -> str:
    """The path there; raises Problem 404 for one that would lead elsewhere."""
    parts = [sid, *rest.split("/")] if rest else [sid]
    if any(part in ("", ".", "..") for part in parts):
        raise Problem(404, "not_found", "there is nothing at this path")
    return PREFIX + "/".join(quote(part, safe="") for part in parts)


async def _must_own(server: JobServer, sid: str, person: Person) -> None:
    """Raises Problem 404 or 403."""
    if server.owner_of(sid) is None:
        await server.look()
    owner = server.owner_of(sid)
    if owner is None and not server.ready:
        raise server.interrupted()
    if owner is None:
        raise not_found("simulation", sid)
    _may_steer(person, sid, owner)


def _may_steer(person: Person, sid: str, owner: str) -> None:
    if not person.may_change(owner):
        raise Problem(403, "forbidden", f"the simulation {sid} belongs to {owner}: launch one of your own to steer it")


async def _raw(request: Request, server: JobServer, path: str, person: Person) -> Response:
    """The answer of the job's gateway, as it comes."""
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    passed = server.request(
        request.method,
        path,
        headers=_kept(request.headers.items(), _OURS),
        person=person,
        query=request.url.query,
        body=request.stream() if has_body else None,
    )
    async with server.while_there():
        told = await server.send(passed)

    async def chunks() -> AsyncIterator[bytes]:
        try:
            async with server.while_there():
                async for chunk in told.aiter_raw():
                    yield chunk
        except Problem as problem:
            raise _BrokenOff from problem
        finally:
            await asyncio.shield(told.aclose())

    answer = StreamingResponse(chunks(), told.status_code)
    kept = _kept(told.headers.multi_items(), _THEIRS)
    answer.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept]
    return answer


def _kept(headers: Iterable[tuple[str, str]], left_out: set[str]) -> list[tuple[str, str]]:
    """Those that are passed on; a connection may name further ones of its own."""
    items = [(name.lower(), value) for name, value in headers]
    named = {word.strip().lower() for name, value in items if name == "connection" for word in value.split(",")}
    return [(name, value) for name, value in items if name not in _OF_CONNECTION | left_out | named]


def _json(value: Any) -> Response:
    return Response(jsontext.dumps(value), media_type="application/json")
