"""`python -m services.gateway --serve`: the server for people, until it is told to end.

It says on standard output, in one line of JSON, where it is and, at its first start, the administrator's token.
"""

import argparse
import asyncio
import fcntl
import json
import os
import socket
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from reafference import logs
from reafference.config import LEVELS
from reafference.errors import BadExperiment, ReafferenceError
from reafference.process import Leave, die_with
from reafference.stand_client import Stands

from .app import make_server
from .cluster import Cluster
from .house import Gateway
from .jobs import settings as cluster_settings
from .mqtt import settings as mqtt_settings
from .mqtt.bridge import Bridge
from .nest_api.face import LOCAL_PAGES
from .pages import WEB, Web
from .people import People
from .schedulers.choice import scheduler_of
from .simulations import Simulations
from .socket_protocol import PromptProtocol
from .storage import MIB, Storage
from .templates import Templates
from .tools import Tools

REPOSITORY = Path(__file__).parents[2]
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_CHECK_S = 0.2
_LAST_ANSWERS_S = 3
_MOST_MESSAGE_BYTES = MIB
_MOST_CONNECTIONS = 1000


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit status."""
    given = _parser().parse_args(arguments)
    Leave()  # the web server ends at SIGTERM, then raises it again: that shall not cut the way out short
    try:
        logs.configure("gateway", _log_level())
        die_with(int(os.environ.get("REAF_PARENT_PID", "0")))
        _run(given)
    except ReafferenceError as error:
        print(f"reaf: {error.text}", file=sys.stderr, flush=True)
        return error.exit_status
    return 0


def _log_level() -> str:
    level = os.environ.get("REAF_LOG_LEVEL", "info")
    if level not in LEVELS:
        raise BadExperiment(f"REAF_LOG_LEVEL is {level!r}, but must be {' or '.join(LEVELS)}")
    return level


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.gateway --serve", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("reafference-home"), help="where experiments are kept")
    held = _path(os.environ.get("REAF_RECORDINGS", ""))
    parser.add_argument("--recordings", type=Path, default=held, help="where recordings are kept, if not with those")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="0: any that is free")
    parser.add_argument("--name", action="append", default=[], help="a further host name under which it is known")
    parser.add_argument("--certificate", type=Path, help="serve https, with this certificate (PEM, a chain)")
    parser.add_argument("--certificate-key", type=Path, help="the key of the certificate (PEM)")
    parser.add_argument("--places", type=int, default=1, help="how many simulations may run at a time")
    parser.add_argument("--no-tokens", dest="tokens", action="store_false", help="let everybody on this machine in")
    parser.add_argument("--url", default="", help="where people reach it, if not where it listens (in a container)")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="where the administrator's token stands")
    parser.add_argument("--mqtt", default="", help="the MQTT broker, mqtt://USER@HOST:PORT (or mqtt.toml in the home)")
    parser.add_argument("--mqtt-password", default="", help="a file with the password of USER")
    parser.add_argument("--origins", default=",".join(LOCAL_PAGES), help="pages that may look at kernels, with commas")
    parser.add_argument("--cluster", type=Path, help="the cluster that jobs go to (cluster.toml in the home)")
    parser.add_argument("--server-id", default="local", help="of a job's gateway: the name by which its site knows it")
    parser.add_argument("--id-prefix", default="", help="of a job's gateway: what ids of simulations begin with")
    parser.add_argument("--web", type=Path, help="read the page anew from this folder at each request")
    return parser


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _run(given: argparse.Namespace) -> None:
    _check(given)
    home: Path = given.home.absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadExperiment(f"--home {home} cannot be made: {error.strerror}") from None
    with _Lock(home), bound(given.host, given.port) as door:
        asyncio.run(_serve(given, home, door))


def templates_folder() -> Path:
    """Where the shipped experiments are: REAF_TEMPLATES, or beside the services."""
    return Path(os.environ.get("REAF_TEMPLATES") or REPOSITORY / "experiments")


async def _serve(given: argparse.Namespace, home: Path, door: socket.socket) -> None:
    of_job = given.server_id != "local"
    people = People(home / "tokens.json", of_job=of_job) if given.tokens else People.everyone()
    if given.tokens and given.token_file:
        people.admit(given.token_file)
    on_mqtt = mqtt_settings.load(home, given.mqtt, given.mqtt_password)
    on_cluster = cluster_settings.load(home, given.cluster)
    cluster = Cluster(home, on_cluster, scheduler_of(on_cluster)) if on_cluster else Cluster()
    storage = Storage(home, given.recordings.absolute() if given.recordings else None)
    gateway = Gateway(
        people=people,
        storage=storage,
        templates=Templates(templates_folder()),
        simulations=Simulations(
            storage, given.places, server=given.server_id, prefix=given.id_prefix, stands=Stands.load(os.environ)
        ),
        cluster=cluster,
        serving=cluster.serving,
        tools=Tools(Stands.load(os.environ)),
        web=Web(given.web, fresh=True) if given.web else Web(WEB),
        hosts=(given.host, *given.name),
        # Without tokens, a page elsewhere could use a browser that stands here.
        origins=tuple(filter(None, given.origins.split(","))) if given.tokens else (),
    )
    server = uvicorn.Server(settings(make_server(gateway), given.certificate, given.certificate_key))
    bridge = Bridge(*on_mqtt, gateway.simulations, people) if on_mqtt else None
    serving = asyncio.create_task(server.serve(sockets=[door]))
    while not server.started and not serving.done():
        await asyncio.wait({serving}, timeout=_CHECK_S)
    if server.started:
        _announce(given, people, door)
        if bridge is not None:
            bridge.open()
    try:
        await serving
    finally:
        if bridge is not None:
            await bridge.close()


def settings(app: Any, certificate: Path | None = None, key: Path | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws=PromptProtocol,
        ws_max_size=_MOST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )


def _announce(given: argparse.Namespace, people: People, door: socket.socket) -> None:
    host, port = door.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    token = people.make("admin", "admin")[1] if given.tokens and people.empty else None
    scheme = "https" if given.certificate else "http"
    line = {"url": given.url or f"{scheme}://{shown}:{port}/", "token": token, "home": str(given.home.absolute())}
    print(json.dumps(line), flush=True)
    if host not in _LOOPBACK and not given.url and not given.certificate:
        text = "tokens travel in plain text to other machines: give a --certificate, or use an SSH tunnel to 127.0.0.1"
        structlog.get_logger().warning(text, host=host)


def _check(given: argparse.Namespace) -> None:
    if not given.tokens and given.host not in _LOOPBACK:
        raise BadExperiment(
            f"--no-tokens lets everybody in who reaches {given.host}: use it with --host 127.0.0.1 only"
        )
    if given.places < 1:
        raise BadExperiment("--places must be 1 or more")
    if not 0 <= given.port < 65536:
        raise BadExperiment(f"--port is {given.port}, but must be from 0 to 65535")
    if bool(given.certificate) != bool(given.certificate_key):
        raise BadExperiment("--certificate and --certificate-key are given together, or neither")
    if given.certificate:
        _check_pair(given.certificate, given.certificate_key)
    if given.web and not given.web.is_dir():
        raise BadExperiment(f"--web {given.web}: there is no such folder")


def _check_pair(certificate: Path, key: Path) -> None:
    try:
        # A key that is encrypted would be asked about on a terminal that is not there.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError) else str(error)
        raise BadExperiment(f"--certificate {certificate} cannot be used with the key {key}: {reason}") from None


def bound(host: str, port: int) -> socket.socket:
    """A socket at the door, before anything else is begun. Raises BadExperiment if somebody else has it."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        door = socket.create_server(address[:2], family=family, backlog=512)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadExperiment(f"{host}:{port} cannot be listened on ({reason}): try another --port, or 0") from None
    # Connections inherit it. Without it an answer, which goes out in two pieces, waits 40 ms for an acknowledgement.
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    door.setblocking(False)
    return door


class _Lock:
    """One server for each home."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __enter__(self) -> None:
        self._file = (self._home / ".lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise BadExperiment(f"another server works in {self._home}: stop it, or take another --home") from None

    def __exit__(self, *exception: object) -> None:
        self._file.close()
