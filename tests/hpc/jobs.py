"""Jobs on a cluster for tests: submitted as the site's gateway does it, and looked at from outside."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicluster import Cluster

from reafference import client
from reafference.tls import trusting_alone
from services.gateway.jobs.folder import END, prepare_folder, read_certificate, read_token
from services.gateway.jobs.request import Request
from services.gateway.jobs.status import JobStatus, read_status

ROOT = Path(__file__).parents[2]
PYTHON = str(ROOT / ".venv" / "bin" / "python")
START_S = 60.0
LIMIT_S = 120.0
# Short, on what all nodes share, and known to images whose runtime makes no places for what is mounted.
FOLDER = Path("/var/tmp/reaf-test-jobs")
SMALL = {"brain.parameters.area_mm2": 0.02}
# More ranks than this machine has cores take turns; whoever waits has to let go of its core.
CROWDED = ("export OMPI_MCA_mpi_yield_when_idle=1 OMP_WAIT_POLICY=passive",)


@dataclass
class Job:
    """One job, and the client of its gateway once it serves."""

    cluster: Cluster
    request: Request
    folder: Path
    id: str

    @property
    def status(self) -> JobStatus:
        return read_status(self.folder)

    @property
    def log(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "log").read_text()
        return ""

    def until(self, *states: str, seconds: float = START_S) -> JobStatus:
        """Its status as soon as it is in one of these states."""
        wait(lambda: self.status.state in (*states, "ended"), seconds, lambda: f"{self.status}\n{self.log}")
        assert self.status.state in states, f"{self.status}\n{self.log}"
        return self.status

    def ended(self, seconds: float = LIMIT_S) -> JobStatus:
        """Its last status, once the scheduler has let its nodes go."""
        wait(
            lambda: self.state not in ("RUNNING", "PENDING", "COMPLETING"), seconds, lambda: f"{self.state}\n{self.log}"
        )
        return self.status

    def connect(self) -> client.Session:
        status = self.until("serving")
        tls = trusting_alone(read_certificate(self.folder))
        return client.connect(status.url, read_token(self.folder), tls=tls)

    def ask_to_end(self) -> None:
        (self.folder / END).touch()

    @property
    def state(self) -> str:
        return self.fact("JobState")

    def fact(self, key: str) -> str:
        """What `scontrol show job` says of it."""
        shown = self.cluster.ask("scontrol", "-o", "show", "job", self.id)
        return dict(word.split("=", 1) for word in shown.split() if "=" in word)[key]


def wait(holds: Callable[[], bool], seconds: float, told: Callable[[], object] = lambda: "") -> None:
    """Until it holds; fails, with what is told then, when that takes too long."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, told()
        time.sleep(0.1)


class Jobs:
    """All jobs of one test."""

    setup = CROWDED

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster, self._folder = cluster, folder
        self._made: list[Job] = []

    def submit(self, **wanted: Any) -> Job:
        """A job of two brain nodes, as far as nothing else is wanted. Its ranks take turns on the same cores."""
        id = f"j{len(self._made) + 1}"
        folder = self._folder / id
        usual = {"id": id, "folder": str(folder), "nodes": 2, "ranks_per_node": 1, "threads_per_rank": 1}
        usual |= {"time_s": 600, "python": PYTHON, "setup": self.setup, "pin": False}
        request = Request(**(usual | wanted))
        prepare_folder(request, folder)
        job = Job(self._cluster, request, folder, self._cluster.ask("sbatch", "--parsable", f"{folder}/job.sh"))
        self._made.append(job)
        return job

    def end(self) -> None:
        for job in self._made:
            with contextlib.suppress(RuntimeError):
                self._cluster.ask("scancel", job.id)
        for job in self._made:
            job.ended()


@contextlib.contextmanager
def jobs(cluster: Cluster) -> Iterator[Jobs]:
    """Jobs in a folder of their own; none is left when the block ends, and nothing of them."""
    shutil.rmtree(FOLDER, ignore_errors=True)  # of tests that were killed
    FOLDER.mkdir(mode=0o700)
    made = Jobs(cluster, FOLDER)
    try:
        yield made
    finally:
        try:
            made.end()
        finally:
            shutil.rmtree(FOLDER)


def processes_of(folder: Path) -> dict[int, str]:
    """Command lines of all processes, on any node, that have to do with a job's folder."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            if str(folder).encode() in told and int(entry.name) != os.getpid():
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def summary(recording: Path) -> dict[str, Any]:
    """What the run says of itself, once it has been compared with what is in its recording."""
    command = [PYTHON, "-m", "services.recorder", "verify", str(recording)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stdout + said.stderr
    found: dict[str, Any] = json.loads((recording / "summary.json").read_text())
    return found


def small_mouse(session: client.Session, **wanted: Any) -> client.Simulation:
    """A mouse with little cortex, built."""
    experiment = session.clone("mouse_reach")
    return session.launch(experiment, **({"steps": 10, "set": SMALL} | wanted))


def run_through(session: client.Session, **wanted: Any) -> client.Status:
    """A run from its launch to its end; its last status."""
    simulation = small_mouse(session, **wanted)
    simulation.start()
    return simulation.wait(timeout_s=90)


def recording_of(job: Job, status: client.Status) -> Path:
    """Where a run's recording lies."""
    return job.folder / "home" / "experiments" / status.experiment / "recordings" / str(status.recording)


@dataclass(frozen=True)
class Process:
    """One process of a job, as the kernel and its own environment tell of it.

    `cpus`: for each of its threads, where it may run.
    """

    pid: int
    node: str
    rank: int
    cpus: frozenset[str]
    environment: frozenset[str]


def services_of(job: Job) -> dict[str, list[Process]]:
    """The processes of a job's services, by name, on whatever node."""
    found: dict[str, list[Process]] = {}
    for pid in processes_of(job.folder):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            name = next((word for word in words if word.startswith("services.") and word.count(".") == 1), "")
            if name and Path(words[0]).name.startswith("python"):
                found.setdefault(name.removeprefix("services."), []).append(_process(pid))
    return found


def _process(pid: int) -> Process:
    entry = Path(f"/proc/{pid}")
    environment = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
    known = dict(word.split("=", 1) for word in environment if "=" in word)
    rank = int(known.get("PMIX_RANK", known.get("OMPI_COMM_WORLD_RANK", "-1")))
    cpus = frozenset(_allowed(task / "status") for task in (entry / "task").iterdir())
    return Process(pid, known.get("SLURMD_NODENAME", ""), rank, cpus, frozenset(environment))


def _allowed(status: Path) -> str:
    line = next(line for line in status.read_text().splitlines() if line.startswith("Cpus_allowed_list"))
    return line.split(":")[1].strip()
