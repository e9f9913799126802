"""A server with a cluster that is this desk: a scheduler in this process whose jobs begin and end when a test says so.

What a job serves is real: a gateway in a process of its own, with the home that the site has prepared for it. Real
schedulers are asked in tests/hpc and in test_cluster_slurm.py.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from services.gateway.cluster import Cluster
from services.gateway.jobs import certificate
from services.gateway.jobs.folder import LOG
from services.gateway.jobs.settings import ClusterSettings, Defaults, Limits
from services.gateway.jobs.status import STATUS
from services.gateway.jobs.steps import ACCOUNTED
from services.gateway.schedulers.scheduler import Node, Offer, Partition, Refused, Seen, Silent
from tests.gateway.doors import Door

PATIENCE_S = 60.0
CORES = 8


@dataclass
class Entry:
    """One job as the scheduler has it."""

    folder: Path
    seen: Seen
    process: "subprocess.Popen[bytes] | None" = None
    said: dict[str, Any] = field(default_factory=dict)


class DeskScheduler:
    """Nodes n1, n2 … of eight cores on two sockets. `silent` and `refuses` are sentences of a scheduler in trouble."""

    shared = True

    def __init__(self, nodes: int = 4) -> None:
        self.names = [f"n{i}" for i in range(1, nodes + 1)]
        self.entries: dict[str, Entry] = {}
        self.silent = ""
        self.refuses = ""

    # --- what the server asks ----------------------------------------------------------------------------

    def submit(self, folder: Path, script: str) -> str:
        assert (folder / script).is_file()
        self._speak()
        if self.refuses:
            raise Refused(self.refuses)
        number = str(101 + len(self.entries))
        self.entries[number] = Entry(folder, Seen(phase="waiting", word="PENDING", reason="Resources"))
        return number

    def find(self, folder: Path) -> str | None:
        return next((number for number, entry in self.entries.items() if entry.folder == folder), None)

    def look(self, ids: Sequence[str]) -> Mapping[str, Seen]:
        self._speak()
        return {id: self.entries[id].seen for id in ids if id in self.entries}

    def cancel(self, id: str) -> None:
        self._speak()
        self.over(id, "CANCELLED")

    def nodes(self) -> Sequence[Node]:
        self._speak()
        taken = {name for entry in self.entries.values() if entry.seen.phase == "running" for name in entry.seen.nodes}
        return [
            Node(
                name=name,
                state="allocated" if name in taken else "idle",
                cores=CORES,
                cores_used=CORES if name in taken else 0,
                sockets=2,
                memory_gb=16.0,
            )
            for name in self.names
        ]

    def offer(self) -> Offer:
        self._speak()
        normal = Partition(name="normal", nodes=len(self.names), time_limit_s=7200, default=True)
        short = Partition(name="short", nodes=2, time_limit_s=600)
        return Offer(partitions=(normal, short), accounts=("proj12", "proj13"))

    def fetch(self, id: str, folder: Path, names: Sequence[str]) -> None:
        """They lie there anyway."""

    def put(self, id: str, folder: Path, name: str, content: bytes) -> None:
        """A job that runs looks for it, and ends in order."""
        self._speak()
        (folder / name).write_bytes(content)
        self.over(id, "COMPLETED", exit_status=0, text="it was asked to end")

    def forget(self, id: str) -> None:
        self.entries.pop(id, None)

    def close(self) -> None:
        self.silent = ""
        for number in list(self.entries):
            self.over(number, "CANCELLED")

    def _speak(self) -> None:
        if self.silent:
            raise Silent(self.silent)

    # --- what a test lets happen -------------------------------------------------------------------------

    def start(self, id: str, nodes: int) -> None:
        """It gets its nodes, and its script begins."""
        entry = self.entries[id]
        entry.seen = Seen(phase="running", word="RUNNING", nodes=tuple(self.names[:nodes]), started_at=time.time())
        self.log(id, f"nodes {' '.join(entry.seen.nodes)}")
        self._tell(id, state="starting", text="the job has begun on n1", started_at=time.time())

    def serve(self, id: str, job: str) -> None:
        """Its gateway serves."""
        entry = self.entries[id]
        command = [sys.executable, "-m", "services.gateway", "--serve", "--home", str(entry.folder / "home")]
        door = entry.folder / "door"
        command += ["--certificate", str(door / certificate.CERTIFICATE)]
        command += ["--certificate-key", str(door / certificate.KEY)]
        command += ["--port", "0", "--places", "1", "--server-id", job, "--id-prefix", f"{job}-"]
        environment = {**os.environ, "REAF_PARENT_PID": str(os.getpid())}
        entry.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, process_group=0)
        assert entry.process.stdout is not None
        readable, _, _ = select.select([entry.process.stdout], [], [], PATIENCE_S)
        assert readable, "the job's gateway says nothing"
        url = json.loads(entry.process.stdout.readline())["url"]
        self.log(id, "serving: simulations can be launched on it")
        port = int(url.rstrip("/").rsplit(":", 1)[1])
        self._tell(
            id,
            state="serving",
            text="simulations can be launched on it",
            url=url,
            address="127.0.0.1",
            port=port,
            ready_after_s=2,
        )

    def over(self, id: str, word: str, *, exit_status: int | None = None, text: str = "") -> None:
        """It ends, with the scheduler's word for that; nothing if it has ended."""
        entry = self.entries[id]
        if entry.seen.phase == "ended":
            return
        if entry.process is not None:
            _end(entry.process)
            entry.process = None
        if exit_status is not None:
            self._tell(id, state="ended", text=text, exit_status=exit_status)
        entry.seen = replace(entry.seen, phase="ended", word=word, reason="", ended_at=time.time())

    def used(self, id: str, accounting: str) -> None:
        """What the scheduler's accounting says of its steps."""
        (self.entries[id].folder / ACCOUNTED).write_text(accounting)

    def log(self, id: str, *lines: str) -> None:
        with (self.entries[id].folder / LOG).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def _tell(self, id: str, **said: Any) -> None:
        entry = self.entries[id]
        entry.said |= {"at": time.time()} | said
        new = entry.folder / f"{STATUS}.new"
        new.write_text(json.dumps(entry.said))
        new.replace(entry.folder / STATUS)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()


class Desk(Door):
    """A server of experiments with this cluster; a context manager."""

    def __init__(self, place: Path, nodes: int = 4) -> None:
        home, shared = place / "home", place / "shared"
        home.mkdir(parents=True)
        shared.mkdir()
        self.scheduler = DeskScheduler(nodes)
        settings = ClusterSettings(
            scheduler="slurm",
            title="The desk",
            folder=str(shared),
            python=sys.executable,
            accounts=("proj12", "proj13"),
            account="proj12",
            poll_s=0.2,
            limits=Limits(nodes=16, time_s=86_400),
            defaults=Defaults(nodes=2, ranks_per_node=2, threads_per_rank=4, time_s=3600),
        )
        self.cluster = Cluster(home, settings, self.scheduler)
        super().__init__(home, serving=self.cluster.serving)
        self.gateway.cluster = self.cluster

    @property
    def token(self) -> str:
        """Otto's, who owns experiments."""
        return str(self.secrets["otto"])

    def job(self, id: str) -> dict[str, Any]:
        return dict(self.otto.get(f"jobs/{id}").json())

    def submitted(self, **wish: Any) -> tuple[str, str]:
        """A job of Otto's; its id and the scheduler's number."""
        answer = self.otto.post(
            "jobs", json={"nodes": 2, "ranks_per_node": 2, "threads_per_rank": 4, "time_s": 3600} | wish
        )
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return str(made["id"]), str(made["scheduler_id"])

    def until(self, id: str, *states: str) -> dict[str, Any]:
        """The job as soon as it is in one of these states."""
        end = time.monotonic() + PATIENCE_S
        while (job := self.job(id))["state"] not in states:
            assert time.monotonic() < end, job
            time.sleep(0.05)
        return job

    def serving(self, **wish: Any) -> tuple[str, str]:
        """A job that serves."""
        id, number = self.submitted(**wish)
        self.scheduler.start(number, wish.get("nodes", 2) + 1)
        self.scheduler.serve(number, id)
        self.until(id, "serving")
        return id, number

    def __exit__(self, *exception: object) -> None:
        self.scheduler.close()
        super().__exit__(*exception)
