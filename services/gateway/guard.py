"""The guard at the doors: looks at every request before any route does.

It checks the host name (against pages elsewhere that point their own name at this machine), the origin (no other
page may use a browser that stands here, but for those that a door admits), the token, whether a viewer wants to change
something, and how much is sent. So no route can forget any of this. What differs from door to door says doors.py.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import people
from .doors import API, DOORS, Door, as_problem, door_of
from .people import PERSON, SPEAKS_FOR, People
from .problems import Problem
from .storage import MIB

UNKNOWN_TOKEN = 4401
"""The code with which a WebSocket is closed that shows no token, or a wrong one."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Files of users pass through here; a browser shall run none of them.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "no-cache",
}
_PREFLIGHT_S = "600"


class Guard:
    """Wraps the application. `hosts` are the names, beside localhost and plain addresses, under which it is known."""

    def __init__(self, app: ASGIApp, known: People, hosts: Iterable[str] = (), doors: tuple[Door, ...] = DOORS) -> None:
        self._app, self._people, self._doors = app, known, doors
        self._hosts = {"localhost", socket.gethostname().lower(), *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"].startswith("//"):
            # Clients put a slash behind the address that they are given, and their own in front of the path.
            scope["path"] = "/" + scope["path"].lstrip("/")
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = door_of(scope["path"], self._doors)
        if self._misplaced(Headers(scope=scope), door):
            await send({"type": "websocket.close", "code": 1008, "reason": "another host"})
            return
        # Those of our own interface show the token in a way of their own, and stream.py looks at it.
        if door is not None and door is not API:
            person = self._people.find(door.secret_of(HTTPConnection(scope)))
            if person is None:
                await receive()
                # Only who has been let in can be told why he must go.
                await send({"type": "websocket.accept"})
                await send({"type": "websocket.close", "code": UNKNOWN_TOKEN, "reason": f"no token: {door.how}"})
                return
            scope[PERSON] = person
        await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = door_of(scope["path"], self._doors)
        headers = Headers(scope=scope)
        page = _foreign_page(headers)
        admitted = page if door is not None and page and door.pages(page) else ""
        answer = _with_headers(send, admitted)
        if admitted and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(headers)(scope, receive, answer)
            return
        try:
            self._look_at(scope, door)
            await self._app(scope, _limited(scope, receive, door), answer)
        except Problem as problem:
            refused = door.refusal if door is not None else as_problem
            await refused(problem)(scope, receive, answer)

    def _look_at(self, scope: Scope, door: Door | None) -> None:
        """Raises Problem for what is not allowed; leaves the person in the scope."""
        headers = Headers(scope=scope)
        if flaw := self._misplaced(headers, door):
            raise Problem(403, "forbidden", flaw)
        if door is None:
            return
        method, path = scope["method"], scope["path"]
        if path not in door.open_to_all:
            secret = door.secret_of(HTTPConnection(scope))
            person = self._people.meant(self._people.find(secret), headers.get(SPEAKS_FOR, ""))
            if person is None:
                raise people.unauthorized(secret or headers.get("authorization", ""), door.how)
            if not person.edits and not door.viewer_may(method, path):
                raise people.only_reads(person)
            scope[PERSON] = person
        most, length = door.most_bytes(method, path), headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise _too_large(most)

    def _misplaced(self, headers: Headers, door: Door | None) -> str:
        """Why a request is not meant for us; empty if it is."""
        host = headers.get("host", "")
        if not self._knows(host):
            return f"this server is not known as {host[:100]!r}: start it with --name {host[:100]}"
        page = _foreign_page(headers)
        if page and not (door is not None and door.pages(page)):
            return "pages of another origin may not use this server"
        return ""

    def _knows(self, host: str) -> bool:
        with contextlib.suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._hosts:
                return True
            ipaddress.ip_address(name)  # nobody can point an address elsewhere
            return True
        return False


def _foreign_page(headers: Headers) -> str:
    """The origin of the page that sends a request, where it is not our own; empty for our own, and for no page."""
    origin = headers.get("origin")
    if origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower():
        return ""
    return origin or "null"


def _preflight(headers: Headers) -> Response:
    """What a browser is told that asks, before it sends anything, whether its page may."""
    allowed = {
        "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": headers.get("access-control-request-headers", ""),
        "Access-Control-Max-Age": _PREFLIGHT_S,
    }
    return Response(status_code=204, headers=allowed)


def _limited(scope: Scope, receive: Receive, door: Door | None) -> Receive:
    """Counts what comes in; more than allowed never reaches the application."""
    most, seen = (door or API).most_bytes(scope["method"], scope["path"]), 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > most:
                raise _too_large(most)
        return message

    return limited


def _with_headers(send: Send, admitted: str) -> Send:
    """`admitted` is the origin of a foreign page that may read the answer; empty for none."""

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for key, value in _HEADERS.items():
                headers.setdefault(key, value)
            if admitted:
                headers["Access-Control-Allow-Origin"] = admitted
                headers["Vary"] = "Origin"
        await send(message)

    return answer


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"this is more than the {most // MIB} MiB that can be sent here")
