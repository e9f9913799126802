"""Tools: other rooms of the house, run as processes of their own, patiently and not for ever.

A room that has a stand is asked there: its container has the libraries that its tools need.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reafference import stand_client
from reafference.errors import PeerLost
from reafference.stand_client import AtStand, Request, Stands

from .problems import Problem

_NICE = 10
_MOST = 4
_QUEUE_S = 30.0
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Told:
    """What a tool has said."""

    status: int
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        """The sentence with which it failed."""
        lines = self.errors.strip().splitlines() or ["no reason given"]
        return lines[-1].removeprefix("reaf: ")


class Tools:
    """Runs tools, a few at a time; none outlives `close`."""

    def __init__(self, stands: Stands | None = None) -> None:
        self._stands = stands or Stands()
        self._places = threading.Semaphore(_MOST)
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, module: str, arguments: Sequence[str], timeout_s: float) -> Told:
        """What `python -m MODULE ARGUMENTS` says. Raises Problem 503 or 504 if it cannot be run, or takes too long."""
        if not self._places.acquire(timeout=_QUEUE_S):
            raise Problem(503, "busy", "too much is being prepared at the moment: try again in a minute")
        try:
            stand = self._stand_of(module)
            if stand is not None:
                return self._at_stand(stand, module, arguments, timeout_s)
            return self._here(module, arguments, timeout_s)
        except PeerLost as error:
            raise Problem(503, "peer_lost", error.text) from None
        finally:
            self._places.release()

    def _stand_of(self, module: str) -> Path | None:
        """Where the module is run; where the room itself runs on other machines, its tools run here."""
        path = self._stands.of_module(module)
        return path if path is not None and not stand_client.health(path).prefix else None

    def _here(self, module: str, arguments: Sequence[str], timeout_s: float) -> Told:
        process = self._start([sys.executable, "-m", module, *arguments])
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise _late(module, timeout_s) from None
        finally:
            self._end(process)
        return Told(process.returncode, output, errors)

    def _at_stand(self, stand: Path, module: str, arguments: Sequence[str], timeout_s: float) -> Told:
        end = time.monotonic() + timeout_s
        request = Request(module=module, arguments=tuple(arguments), output="collect", niceness=_NICE)
        process = AtStand.start(stand, request)
        try:
            process.events()  # some may have come together with the answer to the start
            while process.ended is None:
                left = end - time.monotonic()
                if left <= 0:
                    raise _late(module, timeout_s)
                select.select([process], [], [], min(left, _LOOK_S))
                if self._closed:
                    raise Problem(503, "unavailable", "the server is ending")
                process.events()
            ended = process.ended
        finally:
            process.close()
        if ended.get("cut"):
            raise Problem(500, "internal", f"{module} says more than can be told: {len(ended['output']):,} signs")
        return Told(int(ended["status"]), str(ended.get("output", "")), str(ended.get("errors", "")))

    def close(self) -> None:
        """End what still runs."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            _kill(process)

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        with self._lock:
            if self._closed:
                raise Problem(503, "unavailable", "the server is ending")
            process = subprocess.Popen(
                command,
                env={**os.environ, "REAF_PARENT_PID": str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                process_group=0,
            )
            self._running.add(process)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            _kill(process)
            process.communicate()
        with self._lock:
            self._running.discard(process)


def _late(module: str, timeout_s: float) -> Problem:
    return Problem(504, "peer_late", f"{module} took longer than {timeout_s:g} s")


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
