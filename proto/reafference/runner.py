"""Conducts one launched run from the outside: starts the launcher, listens, passes on a Ctrl-C.

No service code is imported here; the launcher is a process of its own, and so is every service.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from . import jsontext
from .client import Operator
from .clock import Deadline
from .config import Addresses
from .errors import Interrupted, PeerLost, StepCancelled
from .frames import ErrorFrame, Message, Progress, RunStop, StateNote, Welcome
from .sockets import Waiting, Wires
from .summary import summary_of

_TURN_MS = 100
_LAUNCHER_END_S = 60.0
_LAST_FRAMES_S = 1.0
_NICE = 5


class View(Protocol):
    """Whoever shows a run to a person."""

    def progress(self, progress: Progress) -> None: ...

    def state(self, note: StateNote) -> None: ...

    def message(self, message: Message) -> None: ...

    def warning(self, text: str) -> None: ...


@dataclass(slots=True)
class Ended:
    """How a run ended. `problem` is one sentence, empty if there was none."""

    exit_status: int
    problem: str = ""
    folder: Path | None = None
    summary: dict[str, Any] = field(default_factory=dict)


class Runner:
    """One run. `arguments` are those of the engine's command line."""

    def __init__(self, arguments: Sequence[str], view: View) -> None:
        self._arguments, self._view = list(arguments), view
        self._operator: Operator | None = None
        self._wires_folder = ""
        self._run_folder = ""
        self._note: StateNote | None = None
        self._stop: RunStop | None = None
        self._problem = ""
        self._engine_how = ""
        self._recorder_broke = False
        self._rss: dict[str, float] = {}
        self._interrupts = self._interrupts_served = 0

    def run(self) -> Ended:
        """Run to the end, whatever it is; nothing is left behind."""
        before = signal.signal(signal.SIGINT, self._interrupt)
        launcher = self._launch()
        os.nice(_NICE)  # after the launch, whose services shall not be as patient as we are
        try:
            with Wires() as wires:
                self._listen(launcher, wires)
            status = launcher.wait(_LAUNCHER_END_S)
        finally:
            self._end(launcher)
            signal.signal(signal.SIGINT, before)
        return self._ended(status)

    def _launch(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "services.engine.launch", *self._arguments],
            env={**os.environ, "REAF_PARENT_PID": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            process_group=0,
        )

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupts += 1

    def _listen(self, launcher: subprocess.Popen[bytes], wires: Wires) -> None:
        assert launcher.stdout is not None
        os.set_blocking(launcher.stdout.fileno(), False)
        waiting = Waiting(launcher.stdout.fileno())
        lines = _Lines(launcher.stdout.fileno())
        while not lines.ended:
            waiting.until(_TURN_MS)
            for event in lines.new():
                self._take_event(event, wires, waiting)
            if self._operator is not None:
                self._take_frames(self._operator)
            self._pass_on_interrupts(launcher)
        if self._operator is not None:
            self._take_last_frames(self._operator)

    def _take_last_frames(self, operator: Operator) -> None:
        """What the engine said last may come after the launcher's last line: they have no common order."""
        waiting, deadline = Waiting(operator.socket), Deadline.after_s(_LAST_FRAMES_S)
        self._take_frames(operator)
        begun = self._run_folder and not self._engine_how and not self._problem
        while begun and self._stop is None and not deadline.passed():
            waiting.until(deadline.left_ms())
            self._take_frames(operator)

    def _take_event(self, event: dict[str, Any], wires: Wires, waiting: Waiting) -> None:
        match event:
            case {"event": "wires", "folder": str(folder)}:
                self._wires_folder = folder
                address = Addresses.in_folder(Path(folder)).step
                self._operator = Operator(wires, address, "console")
                waiting.add(self._operator.socket)
            case {"event": "warning", "text": str(text)}:
                self._view.warning(text)
            case {"event": "failed", "text": str(text)}:
                self._problem = self._problem or text
            case {"event": "engine", "how": str(how)}:
                self._engine_how = how
            case {"event": "ended", "service": str(service), "status": int(status), "peak_rss_mb": rss}:
                self._rss[service] = rss
                self._recorder_broke |= service == "recorder" and status < 0

    def _take_frames(self, operator: Operator) -> None:
        for frame in operator.arrived():
            match frame:
                case Progress():
                    self._view.progress(frame)
                case StateNote():
                    self._note = frame
                    self._view.state(frame)
                case Message():
                    self._view.message(frame)
                case RunStop():
                    self._stop, self._problem = frame, frame.text
                case ErrorFrame():
                    self._problem = frame.text
                case Welcome(run_folder=folder) if folder != self._run_folder:
                    if self._run_folder:
                        self._view.warning(f"reset: another run of the experiment goes into {folder}")
                    self._run_folder = folder

    def _pass_on_interrupts(self, launcher: subprocess.Popen[bytes]) -> None:
        if self._interrupts <= self._interrupts_served:
            return
        self._interrupts_served += 1
        match self._interrupts_served:
            case 1 if self._operator is not None:
                self._view.warning("stopping after this step; press Ctrl-C again to give the step up")
                self._operator.order("stop", "Ctrl-C")
            case 2 if self._operator is not None:
                self._view.warning("giving the step up; press Ctrl-C again to end at once")
                self._operator.order("cancel", "Ctrl-C")
            case 1 | 2:
                launcher.terminate()
            case _:
                launcher.kill()

    def _end(self, launcher: subprocess.Popen[bytes]) -> None:
        if launcher.poll() is None:
            launcher.kill()
            launcher.wait()
        if launcher.stdout is not None:
            launcher.stdout.close()
        if self._wires_folder:
            shutil.rmtree(self._wires_folder, ignore_errors=True)

    def _ended(self, status: int) -> Ended:
        folder = Path(self._run_folder) if self._run_folder and Path(self._run_folder).is_dir() else None
        if folder and (self._recorder_broke or self._engine_how):
            subprocess.run([sys.executable, "-m", "services.recorder", "mend", str(folder)], check=False)
        summary = self._summary(folder)
        problem = self._problem
        if self._engine_how and not problem:
            step = summary.get("steps", self._note.step if self._note else 0)
            problem = f"the engine was lost in step {step}: {self._engine_how}"
        if status < 0:
            status, problem = PeerLost.exit_status, problem or "the launcher was killed"
        if self._interrupts and status in (0, PeerLost.exit_status, StepCancelled.exit_status):
            given_up = f"; {problem}" if status == StepCancelled.exit_status and problem else ""
            status = Interrupted.exit_status
            steps = summary.get("steps", 0)
            problem = f"stopped by Ctrl-C after {steps} step{'' if steps == 1 else 's'}{given_up}"
        return Ended(status, problem, folder, summary)

    def _summary(self, folder: Path | None) -> dict[str, Any]:
        """What the recorder wrote, or what the engine said where nothing is recorded."""
        summary: dict[str, Any] = {}
        file = folder / "summary.json" if folder else None
        if file and file.is_file():
            with contextlib.suppress(OSError, ValueError):
                summary = jsontext.loads(file.read_text(encoding="utf-8"))
        elif self._stop is not None:
            summary = summary_of(self._stop)
        if summary:
            summary["peak_rss_mb"] = {**self._rss, **summary.get("peak_rss_mb", {})}
            if file and file.is_file():
                with contextlib.suppress(OSError):
                    file.write_text(jsontext.dumps(summary, indent=2) + "\n", encoding="utf-8")
        return summary


class _Lines:
    """Lines of JSON from a pipe that is read as they come."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.ended = False

    def new(self) -> Iterator[dict[str, Any]]:
        while True:
            try:
                chunk = os.read(self._descriptor, 65536)
            except BlockingIOError:
                break
            if not chunk:
                self.ended = True
                break
            self._rest += chunk
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event
