"""Jobs on the cluster of a server, as a script sees them."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .door import Door, loaded
from .refusals import Failed, Late, NotFound

JobState = Literal["waiting", "starting", "serving", "ending", "ended", "failed", "aborted"]

OVER: tuple[JobState, ...] = ("ended", "failed", "aborted")
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStep:
    """What one step of a job used; None where the scheduler does not measure it."""

    name: str = ""
    elapsed_s: float = 0.0
    peak_rss_mb: float | None = None
    cpu_s: float | None = None
    energy_J: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the server tells of it. `nodes` are those of the brain; the job has one more, for all else.

    `text` says how it stands, in a sentence. While it serves, `server` is where experiments can be launched on it:
    `session.launch(experiment, server=job.server)`.
    """

    id: str
    title: str = ""
    experiment: str | None = None
    owner: str = ""
    state: JobState
    reason: str = ""
    text: str = ""
    scheduler_id: str = ""
    submitted_at: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    waited_s: float = 0.0
    elapsed_s: float = 0.0
    limit_s: int = 0
    nodes: int = 0
    node_names: tuple[str, ...] = ()
    ranks_per_node: int = 0
    threads_per_rank: int = 0
    memory_gb_per_node: float | None = None
    partition: str = ""
    account: str = ""
    runtime: str = ""
    image: str = ""
    server: str | None = None
    exit_status: int | None = None
    folder: str = ""
    steps: tuple[JobStep, ...] = ()
    ready_after_s: float | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state in OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The cluster of a server; `problem` says why nothing can be done there at the moment."""

    connected: bool
    title: str = ""
    scheduler: str = ""
    problem: str = ""
    partitions: tuple[Mapping[str, Any], ...] = ()
    accounts: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    defaults: Mapping[str, Any] | None = field(default=None)
    limits: Mapping[str, Any] | None = field(default=None)
    tunnel: bool = False


class Jobs(Mapping[str, Job]):
    """Submit them, look at them, end them.

    job = session.jobs.submit(nodes=4, ranks_per_node=2, threads_per_rank=18, time_s=3600)
    job = session.jobs.serving(job.id, timeout_s=600)
    with session.launch("mouse_reach-1", server=job.server) as sim: ...
    """

    def __init__(self, door: Door) -> None:
        self._door = door

    def __iter__(self) -> Iterator[str]:
        """Their ids, newest first."""
        return iter([job.id for job in self.list()])

    def __len__(self) -> int:
        return len(self.list())

    def __getitem__(self, id: str) -> Job:
        """One of them, as it is now. Raises KeyError."""
        try:
            return self.get_one(id)
        except NotFound as error:
            raise KeyError(error.text) from None

    def get_one(self, id: str) -> Job:
        """One of them, as it is now. Raises NotFound."""
        return loaded(Job, self._door.get("jobs", id))

    def list(self) -> tuple[Job, ...]:
        """All of them, newest first."""
        return tuple(loaded(Job, found) for found in self._door.get("jobs"))

    def cluster(self) -> Cluster:
        """The cluster they run on."""
        return loaded(Cluster, self._door.get("cluster"))

    def submit(self, **asked: Any) -> Job:
        """Send one: nodes and time_s, and if need be experiment, title, ranks_per_node, threads_per_rank,
        memory_gb_per_node, partition, account, runtime and image. Raises Invalid for what the cluster cannot give."""
        body = {key: value for key, value in asked.items() if value is not None}
        return loaded(Job, self._door.post("jobs", body=body))

    def cancel(self, id: str) -> Job | None:
        """End one in order; asked again, at once. None where it had ended: then it is forgotten, with its folder."""
        if self.get_one(id).over:
            self.forget(id)
            return None
        self._door.delete("jobs", id)
        return self.get_one(id)

    def forget(self, id: str) -> None:
        """Remove one that has ended from the list, with its folder on the cluster."""
        self._door.delete("jobs", id)

    def log(self, id: str, lines: int = 200) -> str:
        """The last lines of what its script has said."""
        return self._door.read("jobs", id, "log", lines=lines)[0].decode("utf-8", errors="replace")

    def serving(self, id: str, timeout_s: float) -> Job:
        """The job once experiments can be launched on it. Raises Failed when it ends before, Late after `timeout_s`."""
        end = time.monotonic() + timeout_s
        while True:
            job = self.get_one(id)
            if job.state == "serving":
                return job
            if job.over or job.state == "ending":
                raise Failed(f"the job {id} is {job.state}: {job.text or 'it gave no reason'}")
            if time.monotonic() >= end:
                words = f" ({job.text})" if job.text else ""
                raise Late(
                    f"the job {id} is {job.state} after {timeout_s:g} s{words}: it goes on, see `reaf jobs {id}`"
                )
            time.sleep(min(_LOOK_S, max(0.0, end - time.monotonic())))
