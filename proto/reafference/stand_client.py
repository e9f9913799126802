"""Asks stands: where they are, how they are, and to start a process there (see stand.py). Blocking, with limits."""

import array
import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from . import stand
from .errors import PeerLost

ANSWER_S = 5.0
_CHUNK = 64 * 1024
_LONGEST = 64 * 1024 * 1024

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stands:
    """Which services have a stand: those with a socket in `folder` (None: no service has one).

    `here` is the service in whose stand this process runs itself; its other processes are started directly.
    `expected` are services that are started at their stands or not at all: a container without NEST shall not try.
    """

    folder: Path | None = None
    here: str = ""
    expected: tuple[str, ...] = ()

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """From REAF_STANDS (the folder), REAF_STANDS_OF (a list with commas of those that are expected), and what a
        stand tells the processes that it starts."""
        folder = environ.get("REAF_STANDS", "")
        expected = tuple(filter(None, environ.get("REAF_STANDS_OF", "").replace(" ", "").split(",")))
        return cls(Path(folder) if folder else None, environ.get("REAF_AT_STAND", ""), expected)

    def of(self, service: str) -> Path | None:
        """The socket of a service's stand, if it has one somewhere else; also where one is expected that is missing."""
        if self.folder is None or service == self.here:
            return None
        path = self.folder / f"{service}.stand"
        return path if service in self.expected or path.exists() else None

    def silent(self, seconds: float = 1.0) -> list[str]:
        """Those of the expected that do not answer now, each as a sentence."""
        found = []
        for service in self.expected:
            path = self.of(service)
            if path is not None:
                try:
                    health(path, seconds)
                except PeerLost as error:
                    found.append(error.text)
        return found

    def of_module(self, module: str) -> Path | None:
        """The same by the name of a module: `services.brain.check` belongs to the brain."""
        room, _, rest = module.partition(".")
        return self.of(rest.partition(".")[0]) if room == "services" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a stand is. `cores` is 0 and `prefix` true where its processes run on other machines."""

    service: str
    version: str = ""
    running: int = 0
    cores: int = 0
    mpiexec: bool = False
    prefix: bool = False
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What shall be started. `output` says what becomes of its standard output: told line by line, written to the log,
    told at the end, or three open files of ours are its standard streams. With `keep` it outlives the connection."""

    module: str
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ranks: int = 1
    threads: int = 1
    mpi_arguments: Sequence[str] = ()
    hostfile: str = ""
    log: str | None = None
    output: Literal["lines", "log", "collect", "descriptors"] = "log"
    keep: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)
    niceness: int = 0
    image: str = ""

    def as_map(self) -> dict[str, Any]:
        """As it is sent."""
        made = {"do": "start", **asdict(self)}
        if not self.image:
            del made["image"]  # only the launcher of containers knows images
        return made


def health(path: Path, seconds: float = ANSWER_S) -> Health:
    """Raises PeerLost, naming the stand, if it does not answer within this time."""
    try:
        said = stand.ask(str(path), seconds)
    except (OSError, ValueError) as error:
        raise _silent(path, error) from None
    known = {name: said[name] for name in Health.__slots__ if name in said}
    return Health(**known)


def running(path: Path, seconds: float = ANSWER_S) -> list[Event]:
    """The processes at a stand, and those kept ones whose end nobody has heard. Raises PeerLost as `health`."""
    try:
        said = stand.ask(str(path), seconds, "list")
    except (OSError, ValueError) as error:
        raise _silent(path, error) from None
    return [one for one in said.get("processes", ()) if isinstance(one, dict)]


class AtStand:
    """A process at a stand: what is told of it, and signals for it. Closing ends it, unless it was to be kept."""

    def __init__(self, path: Path, connection: socket.socket) -> None:
        self.path, self._connection = path, connection
        self._come = bytearray()
        self.id = ""
        self.pid = 0
        self.host = ""
        self.ended: Event | None = None

    @classmethod
    def start(
        cls, path: Path, request: Request, descriptors: Sequence[int] = (), seconds: float = ANSWER_S
    ) -> "AtStand":
        """Start a process. Raises PeerLost if the stand refuses, or has not started it within this time."""
        return cls._begun(path, request.as_map(), descriptors, seconds)

    @classmethod
    def attach(cls, path: Path, process_id: str, seconds: float = ANSWER_S) -> "AtStand":
        """Listen to a process that runs there, from its beginning. Raises as `start`."""
        return cls._begun(path, {"do": "attach", "id": process_id}, (), seconds)

    @classmethod
    def _begun(cls, path: Path, request: Mapping[str, Any], descriptors: Sequence[int], seconds: float) -> "AtStand":
        made = cls(path, _connected(path, seconds))
        try:
            made._send(request, descriptors)
            made._await_start(time.monotonic() + seconds)
        except OSError as error:
            made.close()
            raise _silent(path, error) from None
        except BaseException:
            made.close()
            raise
        made._connection.setblocking(False)
        return made

    def fileno(self) -> int:
        """Readable when there is something new to hear; what came with the answer to the start is there already."""
        return self._connection.fileno()

    def events(self) -> list[Event]:
        """What has been told since the last time; waits for nothing.

        Raises PeerLost when the stand has gone before it told the end.
        """
        gone = self._take_what_has_come()
        found = list(self._whole())
        if gone and self.ended is None and not found:
            raise PeerLost(f"{named(self.path)} has gone, and with it the process that it had started")
        return found

    def signal(self, number: int) -> None:
        """Send a signal; a process or a stand that is gone needs none."""
        with contextlib.suppress(OSError):
            self._send({"do": "signal", "number": int(number)})

    def close(self) -> None:
        self._connection.close()

    def _send(self, request: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        line = json.dumps(request).encode() + b"\n"
        if descriptors:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())
            sent = self._connection.sendmsg([line], [rights])
            line = line[sent:]
        self._connection.sendall(line)

    def _await_start(self, end: float) -> None:
        while True:
            for event in self._whole(only_first=True):
                match event:
                    case {"event": "started"}:
                        self.id, self.host = str(event.get("id", "")), str(event.get("host", ""))
                        self.pid = int(event.get("pid", 0))
                        return
                    case {"event": "refused", "text": str(text)}:
                        raise PeerLost(f"{named(self.path)} refuses: {text}")
            self._connection.settimeout(max(0.001, end - time.monotonic()))
            piece = self._connection.recv(_CHUNK)
            if not piece:
                raise OSError("it closed the connection")
            self._come += piece

    def _take_what_has_come(self) -> bool:
        """Whether nothing comes after it."""
        try:
            while len(self._come) < _LONGEST:
                piece = self._connection.recv(_CHUNK)
                if not piece:
                    return True
                self._come += piece
        except BlockingIOError:
            return False
        except OSError:
            return True
        return b"\n" not in self._come

    def _whole(self, *, only_first: bool = False) -> "list[Event]":
        found: list[Event] = []
        while not (only_first and found):
            line, newline, rest = bytes(self._come).partition(b"\n")
            if not newline:
                break
            self._come[:] = rest
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    found.append(event)
                    if event.get("event") == "ended":
                        self.ended = event
        return found


def named(path: Path) -> str:
    """A stand in words: the service, and where it should be."""
    return f"the stand of the {path.stem} ({path})"


def _connected(path: Path, seconds: float) -> socket.socket:
    try:
        return stand.connected(os.fspath(path), time.monotonic() + seconds)
    except OSError as error:
        raise _silent(path, error) from None


def _silent(path: Path, error: Exception) -> PeerLost:
    reason = getattr(error, "strerror", None) or str(error)
    return PeerLost(f"{named(path)} does not answer: {reason}; see whether its container or its job runs")
