"""Tools: other rooms of the house, run as processes of their own, patiently and not for ever."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from .problems import Problem

_NICE = 10
_MOST = 4
_QUEUE_S = 30.0


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

    def __init__(self) -> None:
        self._places = threading.Semaphore(_MOST)
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, module: str, arguments: Sequence[str], timeout_s: float) -> Told:
        """What `python -m MODULE ARGUMENTS` says. Raises Problem 503 or 504 if it cannot be run, or takes too long."""
        if not self._places.acquire(timeout=_QUEUE_S):
            raise Problem(503, "busy", "too much is being prepared at the moment: try again in a minute")
        try:
            process = self._start([sys.executable, "-m", module, *arguments])
            try:
                output, errors = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                raise Problem(504, "peer_late", f"{module} took longer than {timeout_s:g} s") from None
            finally:
                self._end(process)
        finally:
            self._places.release()
        return Told(process.returncode, output, errors)

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


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
