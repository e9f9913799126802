"""The guard at the door: looks at every request before any route does.

It checks the host name (against pages elsewhere that point their own name at this machine), the origin (no other
page may use a browser that stands here), the token, whether a viewer wants to change something, and how much is
sent. So no route can forget any of this.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import people
from .archive import MOST_ZIP_BYTES
from .people import PERSON, People
from .problems import Problem
from .storage import MIB, MOST_FILE_BYTES

MOST_BODY_BYTES = 8 * MIB
"""Of a request that is neither a file nor a zip file."""

API = "/api"
OPEN = frozenset((f"{API}/health",))
"""What is answered without a token."""

_READING = frozenset(("GET", "HEAD", "OPTIONS"))
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Files of users pass through here; a browser shall run none of them.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "no-cache",
}


class Guard:
    """Wraps the application. `hosts` are the names, beside localhost and plain addresses, under which it is known."""

    def __init__(self, app: ASGIApp, known: People, hosts: Iterable[str] = ()) -> None:
        self._app, self._people = app, known
        self._hosts = {"localhost", socket.gethostname().lower(), *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and self._misplaced(Headers(scope=scope)):
            await send({"type": "websocket.close", "code": 1008, "reason": "another host"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _with_headers(send)
        try:
            self._look_at(scope)
            await self._app(scope, _limited(scope, receive), answer)
        except Problem as problem:
            await problem.response()(scope, receive, answer)

    def _look_at(self, scope: Scope) -> None:
        """Raises Problem for what is not allowed; leaves the person in the scope."""
        headers = Headers(scope=scope)
        if flaw := self._misplaced(headers):
            raise Problem(403, "forbidden", flaw)
        if not _is_api(scope["path"]) or scope["path"] in OPEN:
            return
        authorization = headers.get("authorization", "")
        person = people.identify(self._people, authorization)
        if person is None:
            raise people.unauthorized(authorization)
        if not person.edits and scope["method"] not in _READING:
            raise people.only_reads(person)
        scope[PERSON] = person
        most, length = most_bytes(scope), headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise _too_large(most)

    def _misplaced(self, headers: Headers) -> str:
        """Why a request is not meant for us; empty if it is."""
        host = headers.get("host", "")
        if not self._knows(host):
            return f"this server is not known as {host[:100]!r}: start it with --name {host[:100]}"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
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


def most_bytes(scope: Scope) -> int:
    """How large the body of this request may be."""
    path, method = scope["path"], scope["method"]
    if method == "POST" and path == f"{API}/experiments/upload":
        return MOST_ZIP_BYTES
    if method == "PUT" and path.startswith(f"{API}/experiments/") and "/files/" in path:
        return MOST_FILE_BYTES
    return MOST_BODY_BYTES


def _is_api(path: str) -> bool:
    return path == API or path.startswith(f"{API}/")


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Counts what comes in; more than allowed never reaches the application."""
    most, seen = most_bytes(scope), 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > most:
                raise _too_large(most)
        return message

    return limited


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for key, value in _HEADERS.items():
                headers.setdefault(key, value)
        await send(message)

    return answer


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"this is more than the {most // MIB} MiB that can be sent here")
