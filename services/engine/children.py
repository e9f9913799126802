"""The processes of a launch: children of it, or processes at a stand that it holds on a string."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from reafference.errors import PeerLost
from reafference.stand import how_it_ended
from reafference.stand_client import AtStand, Request

# A stand kills within this time what it was told to kill; afterwards nobody waits for its word.
_STAND_KILLS_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a process ended: its exit status, negative for a signal; the same in words; what it said last, if it did not
    end well; and the largest memory it had, in MB (0 where nobody could measure it)."""

    status: int
    how: str
    words: str = ""
    peak_rss_mb: float = 0.0


class Child(Protocol):
    """A service that runs, or ran."""

    name: str
    log: Path
    ending: Ending | None
    asked_at: float

    @property
    def where(self) -> Mapping[str, int | str]:
        """Its process, as the line `started` tells of it."""
        ...

    @property
    def handle(self) -> int:
        """A file descriptor that is readable when it may have ended."""
        ...

    def look(self) -> bool:
        """Whether it has ended just now; `ending` says how. Waits for nothing."""
        ...

    def send(self, number: signal.Signals) -> None: ...

    def output(self) -> str:
        """What it wrote to its standard output, where that was to be kept; once, after its end."""
        ...

    def kill(self) -> None:
        """End it at once, and let go of it."""
        ...


@dataclass
class LocalChild:
    """A child of this process."""

    name: str
    log: Path
    process: "subprocess.Popen[bytes]"
    ending: Ending | None = None
    asked_at: float = 0.0
    handle: int = field(init=False)

    def __post_init__(self) -> None:
        self.handle = os.pidfd_open(self.process.pid)

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        keep_output: bool,
        niceness: int,
    ) -> "LocalChild":
        """Begin it; what it says goes into `log`, but for an output that is kept."""
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if keep_output else errors,
                stderr=errors,
                process_group=0,  # a Ctrl-C in the terminal is not for the services
            )
        if niceness:
            os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
        return cls(name, log, process)

    @property
    def where(self) -> Mapping[str, int | str]:
        return {"pid": self.process.pid}

    def look(self) -> bool:
        if self.ending is not None:
            return False
        # wait4 tells what a process used. Nothing else may ask for its status (as Popen's own calls would).
        pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        if not pid:
            return False
        code = self.process.returncode = os.waitstatus_to_exitcode(status)
        words = last_words(self.log) if code > 0 else ""
        rss = round(usage.ru_maxrss * 1024 / 1e6, 1)
        self.ending = Ending(status=code, how=how_it_ended(code), words=words, peak_rss_mb=rss)
        os.close(self.handle)
        return True

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def output(self) -> str:
        stdout = self.process.stdout
        return stdout.read().decode("utf-8", errors="replace") if stdout is not None else ""

    def kill(self) -> None:
        if self.ending is None:
            self.process.kill()
            self.process.wait()
            self.ending = Ending(status=-signal.SIGKILL, how=how_it_ended(-signal.SIGKILL))
            os.close(self.handle)
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass
class StandChild:
    """A process at a stand. A stand that is gone, or silent for too long, has lost it."""

    name: str
    log: Path
    process: AtStand
    ending: Ending | None = None
    asked_at: float = 0.0
    handle: int = field(init=False)
    _given_up_at: float = 0.0
    _output: str = ""

    def __post_init__(self) -> None:
        self.handle = self.process.fileno()

    @classmethod
    def start(cls, name: str, path: Path, request: Request, log: Path) -> "StandChild":
        """Begin it. Raises PeerLost, naming the stand, if it refuses or does not answer."""
        return cls(name, log, AtStand.start(path, request))

    @property
    def where(self) -> Mapping[str, int | str]:
        # Its number means nothing here: it may belong to another container or machine.
        return {"stand": str(self.process.path), "host": self.process.host}

    def look(self) -> bool:
        if self.ending is not None:
            return False
        try:
            self.process.events()
        except PeerLost as error:
            self.ending = Ending(status=-signal.SIGKILL, how=error.text)
        told = self.process.ended
        if told is not None:
            status = int(told.get("status", -signal.SIGKILL))
            words = _in_brackets(str(told.get("last_words", ""))) if status > 0 else ""
            rss = float(told.get("peak_rss_mb", 0.0))
            self.ending = Ending(status=status, how=how_it_ended(status), words=words, peak_rss_mb=rss)
            self._output = str(told.get("output", ""))
        elif self.ending is None and self._given_up_at and time.monotonic() > self._given_up_at:
            text = f"its stand ({self.process.path}) has not said for {_STAND_KILLS_S:g} s that it was killed"
            self.ending = Ending(status=-signal.SIGKILL, how=text)
        if self.ending is not None:
            self.process.close()
        return self.ending is not None

    def send(self, number: signal.Signals) -> None:
        self.process.signal(number)
        if number == signal.SIGKILL and not self._given_up_at:
            self._given_up_at = time.monotonic() + _STAND_KILLS_S

    def output(self) -> str:
        return self._output

    def kill(self) -> None:
        if self.ending is None:
            self.process.signal(signal.SIGKILL)
            self.process.close()
            self.ending = Ending(status=-signal.SIGKILL, how=how_it_ended(-signal.SIGKILL))


def last_words(log: Path) -> str:
    """The last line of a log in brackets, for the sentence about its end; nothing where it is empty."""
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return _in_brackets(lines[-1]) if lines else ""
    return ""


def _in_brackets(line: str) -> str:
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        line = str(json.loads(line).get("text", line))
    return f" ({line[:300]})" if line else ""
