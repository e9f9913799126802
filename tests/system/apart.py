"""A run whose brain is on another host: engine, recorder, body and bus on the first, each started as a process."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hosts as networks
import reaf

from reafference import keys

HOST = "10.98.7.1"
FAR = "10.98.7.2"
PORT = 5600
DOORS = f"tcp://{HOST}:{PORT}"
_MARK = "REAF_TEST_MARK"


@dataclass
class Apart:
    """The two hosts and what runs on them; `folder` keeps keys, logs and the run; `variables` hold on the first."""

    folder: Path
    hosts: networks.Hosts
    wires: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    services: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys.make(self.keys, ranks=2, monitors=["lab"])
        keys.give(self.keys, "brain", self.theirs)

    @property
    def keys(self) -> Path:
        """Those of the installation."""
        return self.folder / "keys"

    @property
    def theirs(self) -> Path:
        """Those that the brain has with it."""
        return self.folder / "keys-of-the-brain"

    @property
    def run(self) -> Path:
        return self.folder / "out"

    def start_engine(self, *arguments: str | Path) -> None:
        """Everything on the first host, with its doors open."""
        self.start("engine", "services.engine", *arguments, "--out", self.run)
        for name in ("recorder", "body"):
            self.start(name, f"services.{name}")
        self.start("gateway", "services.gateway", "--private")

    def start_brain(self, *, ranks: int = 1, **more: str) -> None:
        """On the second host; all that it knows of the others is where their doors are."""
        where = {"REAF_WIRES": DOORS, "REAF_DOORS": "", "REAF_KEYS": str(self.theirs), **more}
        job = ("-m", "mpi4py", "-m") if ranks > 1 else ("-m",)
        prefix = self._mpi(ranks) if ranks > 1 else ()
        self.spawn("brain", [*prefix, sys.executable, *job, "services.brain"], where, place=1)

    def start(self, name: str, module: str, *arguments: str | Path) -> None:
        here = {"REAF_WIRES": str(self.wires), "REAF_DOORS": DOORS, "REAF_KEYS": str(self.keys)}
        here |= self.variables
        self.spawn(name, [sys.executable, "-m", module, *map(str, arguments)], here)

    def spawn(self, name: str, command: Sequence[str], variables: Mapping[str, str], place: int = 0) -> None:
        """A command on one of the hosts; what it says goes to NAME.log."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **variables, _MARK: self.mark}
        with (self.folder / f"{name}.log").open("wb") as log:
            self.services[name] = subprocess.Popen(
                [str(self.hosts.enter), self.hosts.names[place], *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def await_word(self, name: str, word: str, timeout_s: float = 60.0) -> None:
        """Until a service has said this."""
        until = time.monotonic() + timeout_s
        while word not in self.log(name):
            assert time.monotonic() < until, f"{name} never said {word!r}:\n{self.all_logs()}"
            time.sleep(0.02)

    def ended(self, name: str, timeout_s: float = 120.0) -> int:
        """The exit status of a service."""
        try:
            return self.services[name].wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{name} did not end within {timeout_s} s\n{self.all_logs()}") from None

    def all_logs(self) -> str:
        return "\n".join(f"--- {name}\n{self.log(name)}" for name in self.services)

    def cut(self) -> None:
        """Unplug the cable between the hosts, on the side of the brain."""
        cable = ["ip", "-n", self.hosts.names[1], "link", "set", "cable0", "down"]
        subprocess.run(cable, check=True, capture_output=True)

    def processes(self) -> dict[int, str]:
        """What is alive of all that was started here, by pid."""
        return reaf.Session(self.folder, mark=self.mark).processes()

    def clean_up(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for service in self.services.values():
            service.kill()
            service.wait()

    def _mpi(self, ranks: int) -> list[str]:
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        return ["mpiexec", *root, "--oversubscribe", "--bind-to", "none", "-n", str(ranks)]


@contextlib.contextmanager
def apart(folder: Path) -> Iterator[Apart]:
    """The hosts, for as long as the block lasts; nothing is alive after it."""
    with networks.two_hosts(folder) as made:
        wires = Path(tempfile.mkdtemp(prefix="ra-", dir="/tmp"))  # the path of a socket must be short
        found = Apart(folder, made, wires)
        try:
            yield found
        finally:
            found.clean_up()
            shutil.rmtree(wires, ignore_errors=True)
