"""Runs the `reaf` command the way a user does, and finds every process it started."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
MOUSE = EXPERIMENTS / "mouse_reach"
HUSKY = EXPERIMENTS / "braitenberg_husky"
SMALL = ("--set", "area_mm2=0.02")  # a cortex that is built in no time and steps in a few milliseconds
REAF = (sys.executable, "-m", "reafference.cli")
_MARK = "REAF_TEST_MARK"


@dataclass
class Result:
    """What a run left behind."""

    status: int
    said: str
    folder: Path
    seconds: float

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads((self.folder / "summary.json").read_text())


@dataclass
class Session:
    """One `reaf` process in a folder of its own; `mark` is in the environment of everything it starts."""

    cwd: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    process: subprocess.Popen[str] | None = None

    def start(
        self,
        *arguments: str | Path,
        preexec: Callable[[], None] | None = None,
        prefix: Sequence[str | Path] = (),
    ) -> None:
        """`prefix` is a command that runs the rest of its own line, elsewhere perhaps."""
        environment = {**os.environ, _MARK: self.mark, "TMPDIR": str(self._temporary())}
        self.process = subprocess.Popen(
            [*map(str, prefix), *REAF, *map(str, arguments)],
            cwd=self.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
            preexec_fn=preexec,
        )
        self.began = time.monotonic()

    def finish(self, timeout_s: float = 120.0) -> Result:
        """Wait for the end; nothing that was started may be alive then."""
        assert self.process is not None
        said, _ = self.process.communicate(timeout=timeout_s)
        seconds = time.monotonic() - self.began
        left = self.processes()
        assert not left, f"left behind: {left}\n{said}"
        return Result(self.process.returncode, said, self.cwd / "out", seconds)

    def processes(self) -> dict[int, str]:
        """Command lines of the living processes that carry our mark, by pid; without `reaf` itself."""
        found = {}
        wanted = f"{_MARK}={self.mark}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if command and (self.process is None or int(entry.name) != self.process.pid):
                        found[int(entry.name)] = command
        return found

    def pid_of(self, module: str, timeout_s: float = 90.0) -> int:
        """The process of one service, once it is there: `services.brain`, for instance."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for pid, command in self.processes().items():
                if f"-m {module} " in command:
                    return pid
            time.sleep(0.02)
        raise AssertionError(f"{module} did not appear; there are {self.processes()}")

    def wires(self, timeout_s: float = 90.0) -> Path:
        """The private folder of the run, once its bus is there."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for folder in self._temporary().glob("reaf-*"):
                if (folder / "bus-out").exists():
                    return folder
            time.sleep(0.02)
        raise AssertionError("the bus did not appear")

    def kill(self, number: int = signal.SIGINT) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def clean_up(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _temporary(self) -> Path:
        # Short, because the path of a socket may have 107 characters only.
        folder = Path("/tmp") / f"rt-{self.mark[:8]}"
        folder.mkdir(exist_ok=True)
        return folder


@contextlib.contextmanager
def session(cwd: Path) -> Iterator[Session]:
    made = Session(cwd)
    try:
        yield made
    finally:
        made.clean_up()
        with contextlib.suppress(OSError):
            made._temporary().rmdir()


def run(cwd: Path, *arguments: str | Path, timeout_s: float = 120.0) -> Result:
    """`reaf run ARGUMENTS --out out` to its end."""
    with session(cwd) as made:
        made.start("run", *arguments, "--out", "out", "--no-overview")
        return made.finish(timeout_s)


def tool(cwd: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Another command of `reaf`."""
    return subprocess.run([*REAF, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=120)


def copy_of(experiment: Path, folder: Path, changes: Sequence[tuple[str, str, str]] = ()) -> Path:
    """The experiment in `folder`, with texts replaced: (file, old, new)."""
    target = folder / experiment.name
    target.mkdir()
    for file in experiment.iterdir():
        if file.is_file():
            (target / file.name).write_bytes(file.read_bytes())
    for name, old, new in changes:
        text = (target / name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        (target / name).write_text(text.replace(old, new))
    return target
