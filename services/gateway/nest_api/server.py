"""`python -m services.gateway --nest-server`: NEST Server by itself, over a kernel that belongs to its callers.

It says on standard output, in one line of JSON, where it is and which token it wants.
"""

import argparse
import asyncio
import hmac
import json
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reafference import logs
from reafference.errors import BadExperiment, ReafferenceError
from reafference.process import Leave, die_with

from ..launching import Starter
from ..storage import MIB
from .face import LOCAL_PAGES, PORT, TOKEN_HEADER, is_permitted, routes
from .kernel import KernelWish, OwnKernel

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_CHECK_S = 0.2
_LAST_ANSWERS_S = 3
_MOST_BODY_BYTES = 64 * MIB


def main(given: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit status."""
    wanted = _parser().parse_args(given)
    Leave()  # the web server ends at SIGTERM, then raises it again: that shall not cut the way out short
    try:
        logs.configure("nest-server", os.environ.get("REAF_LOG_LEVEL", "info"))
        die_with(int(os.environ.get("REAF_PARENT_PID", "0")))
        _check(wanted)
        _warn(wanted)
        token = "" if wanted.no_token else os.environ.get("NEST_SERVER_ACCESS_TOKEN") or secrets.token_hex(24)
        with tempfile.TemporaryDirectory(prefix="reaf-nest-server-") as folder:
            asyncio.run(_serve(wanted, token, Path(folder)))
    except ReafferenceError as error:
        print(f"reaf: {error.text}", file=sys.stderr, flush=True)
        return error.exit_status
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.gateway --nest-server", description=__doc__)
    parser.add_argument("--ranks", type=int, default=1, help="processes of the kernel")
    parser.add_argument("--threads", type=int, default=1, help="threads in each, also after ResetKernel")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=PORT, help="0: any that is free")
    parser.add_argument("--exec", action="store_true", help="run scripts, restricted to NEST and harmless names")
    parser.add_argument("--exec-unrestricted", action="store_true", help="run scripts that may do anything")
    parser.add_argument("--modules", default="import nest", help="import statements for scripts, with semicolons")
    parser.add_argument("--origins", default=",".join(LOCAL_PAGES), help="pages that may use it, with commas")
    parser.add_argument("--no-token", action="store_true", help="let everybody on this machine in")
    parser.add_argument("--call-limit-s", type=float, default=86_400.0, help="the longest call, in seconds")
    return parser


def _check(wanted: argparse.Namespace) -> None:
    if wanted.no_token and wanted.host not in _LOOPBACK:
        raise BadExperiment(
            f"--no-token lets everybody in who reaches {wanted.host}: use it with --host 127.0.0.1 only"
        )
    for name, least in (("ranks", 1), ("threads", 1), ("call_limit_s", 1.0)):
        if getattr(wanted, name) < least:
            raise BadExperiment(f"--{name.replace('_', '-')} must be {least:g} or more")
    if not 0 <= wanted.port < 65536:
        raise BadExperiment(f"--port is {wanted.port}, but must be from 0 to 65535")


def _warn(wanted: argparse.Namespace) -> None:
    log = structlog.get_logger()
    if wanted.exec_unrestricted:
        log.warning("ANYBODY WITH THE TOKEN RUNS ANY CODE ON THIS MACHINE AS THE PRESENT USER: --exec-unrestricted")
    if wanted.no_token:
        log.warning("every program on this machine may use the kernel: --no-token")
    if "*" in wanted.origins.split(","):
        log.warning("pages of any origin may use the kernel: --origins *")
    if wanted.host not in _LOOPBACK:
        log.warning("tokens travel in plain text: better listen on 127.0.0.1 and use an SSH tunnel", host=wanted.host)


async def _serve(wanted: argparse.Namespace, token: str, folder: Path) -> None:
    starter = Starter()
    wish = KernelWish(
        ranks=wanted.ranks,
        threads=wanted.threads,
        scripts=wanted.exec or wanted.exec_unrestricted,
        restricted=not wanted.exec_unrestricted,
        modules=wanted.modules,
        limit_s=wanted.call_limit_s,
    )
    origins = tuple(origin.strip() for origin in wanted.origins.split(",") if origin.strip())
    with _bound(wanted.host, wanted.port) as door:
        kernel = OwnKernel(wish, folder, starter)
        try:
            await kernel.open()
            server = uvicorn.Server(_settings(application(kernel, token, origins)))
            serving = asyncio.create_task(server.serve(sockets=[door]))
            while not server.started and not serving.done():
                await asyncio.wait({serving}, timeout=_CHECK_S)
            if server.started:
                _announce(door, token)
            await serving
        finally:
            await kernel.close()
            starter.close()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        door = socket.create_server(address[:2], family=family, backlog=128)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadExperiment(f"{host}:{port} cannot be listened on ({reason}): try another --port, or 0") from None
    door.setblocking(False)
    return door


def _announce(door: socket.socket, token: str) -> None:
    host, port = door.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(json.dumps({"url": f"http://{shown}:{port}", "token": token or None}), flush=True)


def _settings(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )


def application(kernel: OwnKernel, token: str, origins: tuple[str, ...]) -> ASGIApp:
    """NEST Server over one kernel; an empty `token` lets everybody in."""
    return Door(Starlette(routes=routes(lambda request: kernel)), token, origins)


class Door:
    """Looks at every request before any route does: at the token, the origin, and how much is sent."""

    def __init__(self, app: ASGIApp, token: str, origins: tuple[str, ...]) -> None:
        self._app, self._token, self._origins = app, token, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["path"].startswith("//"):
            scope["path"] = "/" + scope["path"].lstrip("/")
        origin = headers.get("origin", "")
        permitted = bool(origin) and is_permitted(origin, self._origins)
        if scope["method"] == "OPTIONS":
            await _preflight(headers, origin if permitted else "")(scope, receive, send)
            return
        refusal = self._refusal(headers, permitted)
        app = refusal if refusal is not None else self._app
        await app(scope, _limited(receive), _naming(send, origin) if permitted else send)

    def _refusal(self, headers: Headers, permitted: bool) -> Response | None:
        if self._token:
            shown = headers.get(TOKEN_HEADER, "")
            if not hmac.compare_digest(shown.encode(), self._token.encode()):
                return PlainTextResponse("Unauthorized", 403)
        elif (headers.get("origin") and not permitted) or not _is_local(headers.get("host", "")):
            # Without a token, a page elsewhere could use a browser that stands here.
            return PlainTextResponse("Unauthorized", 403)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > _MOST_BODY_BYTES:
            return PlainTextResponse(f"more than {_MOST_BODY_BYTES // MIB} MiB cannot be sent here", 413)
        return None


def _is_local(host: str) -> bool:
    try:
        return (urlsplit(f"//{host}").hostname or "") in _LOOPBACK
    except ValueError:
        return False


def _preflight(headers: Headers, origin: str) -> Response:
    answer = Response(status_code=200)
    answer.headers["Allow"] = "GET, HEAD, OPTIONS, POST"
    if origin and "access-control-request-method" in headers:
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Allow-Methods"] = "GET, POST"
        answer.headers["Access-Control-Allow-Headers"] = headers.get("access-control-request-headers", "")
        answer.headers["Vary"] = "Origin"
    return answer


def _naming(send: Send, origin: str) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers.add_vary_header("Origin")
        await send(message)

    return answer


def _limited(receive: Receive) -> Receive:
    """What comes in, up to a limit; then it is as if the caller had gone."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return message if seen <= _MOST_BODY_BYTES else {"type": "http.disconnect"}

    return limited
