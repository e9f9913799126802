"""A job of this site: what was asked for, what became of it, and how its state follows from what is seen.

Two tell of a job: the scheduler, and the job itself in its status.json. Neither alone is enough: the one knows when it
waits and that it is gone, the other when its server is ready and why it ended.
"""

from dataclasses import dataclass, replace
from typing import Literal

from ..schedulers.scheduler import Seen
from .status import EXIT_STATUSES, JobStatus
from .steps import JobStep

JobState = Literal["waiting", "starting", "serving", "ending", "ended", "failed", "aborted"]

OVER: tuple[JobState, ...] = ("ended", "failed", "aborted")
FORGOTTEN = 3
"""So many looks in a row must miss a job before it counts as gone: a scheduler that restarts knows nothing at first."""

_TIME_LIMIT, _NODE_LOST = 20, 21
_WHY_WAITING = {
    "Resources": "it waits for nodes to become free",
    "Priority": "others are before it",
    "PartitionConfig": "it asks for more than the partition has: abort it and ask for less",
    "PartitionNodeLimit": "it asks for more nodes than the partition gives: abort it and ask for less",
    "PartitionTimeLimit": "it asks for more time than the partition gives: abort it and ask for less",
    "PartitionDown": "the partition is closed at the moment",
    "ReqNodeNotAvail": "nodes that it needs are not available",
    "BeginTime": "its time to begin has not come",
    "Dependency": "it waits for another job",
    "JobHeldUser": "it is held: release it with scontrol release",
    "JobHeldAdmin": "it is held by an administrator",
    "AssocGrpNodeLimit": "the account has all the nodes that it may use",
    "AssocGrpCpuLimit": "the account has all the cores that it may use",
    "AssocMaxJobsLimit": "the account has all the jobs that it may run",
    "QOSMaxJobsPerUserLimit": "you have all the jobs that you may run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody asked for; `nodes` are those of the brain, the job has one more."""

    nodes: int = 1
    ranks_per_node: int = 1
    threads_per_rank: int = 1
    time_s: int = 3600
    memory_gb_per_node: float | None = None
    partition: str = ""
    account: str = ""
    runtime: str = "none"
    image: str = ""
    experiment: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job. Times are in seconds since 1970, by this machine's clock or the scheduler's.

    `folder` is its folder, or our copy of it where the file system is not shared; `place` how people find it on the
    cluster. `scheduler_id` is empty until the scheduler has said which it is. `listen` is the port of its tunnel on our
    loopback, 0 without one. `abort_by`: when an end in order has taken too long. `missed`: looks in a row in which the
    scheduler did not know it. `trouble`: what keeps us from knowing more. `note`: what else there is to say.
    """

    id: str
    order: Order
    owner: str
    folder: str
    place: str = ""
    scheduler_id: str = ""
    state: JobState = "waiting"
    reason: str = ""
    text: str = ""
    trouble: str = ""
    submitted_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    node_names: tuple[str, ...] = ()
    exit_status: int | None = None
    ready_after_s: float | None = None
    listen: int = 0
    url: str = ""
    address: str = ""
    port: int = 0
    tunnel: str = ""
    abort_by: float | None = None
    aborted: bool = False
    missed: int = 0
    launched: bool = False
    note: str = ""
    steps: tuple[JobStep, ...] = ()

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def scheduled(self) -> bool:
        """Whether the scheduler has it, as far as we know."""
        return bool(self.scheduler_id) and not self.over

    def waited_s(self, now: float) -> float:
        """How long it waited, or waits, for its nodes."""
        until = self.started_at or self.ended_at or now
        return max(0.0, until - self.submitted_at)

    def elapsed_s(self, now: float) -> float:
        """How long it has run."""
        return 0.0 if self.started_at is None else max(0.0, (self.ended_at or now) - self.started_at)


def judged(job: Job, seen: Seen | None, status: JobStatus, now: float) -> Job:
    """The job as it is now: `seen` by its scheduler (None: which does not know it), `status` said by itself."""
    if job.over:
        return job
    job = _noted(job, status)
    if seen is None:
        return _unknown(job, status, now)
    job = replace(
        job,
        missed=0,
        trouble="",
        node_names=seen.nodes or job.node_names,
        # Our clock and the scheduler's differ, and what waited less than nothing puzzles people.
        started_at=job.started_at or (seen.started_at and max(seen.started_at, job.submitted_at)),
    )
    if seen.phase == "waiting" and job.aborted:
        return replace(job, state="ending", reason="", text="it is being aborted")
    if seen.phase == "waiting":
        words = _WHY_WAITING.get(seen.reason, f"the scheduler says {seen.reason}" if seen.reason else "")
        return replace(job, state="waiting", reason=seen.reason, text=words)
    if seen.phase == "running":
        return _running(replace(job, started_at=job.started_at or now), status)
    return over(job, seen.word, seen.reason, _exit(status, seen), seen.ended_at or now, status.text)


def over(job: Job, word: str, reason: str, exit_status: int | None, ended_at: float, said: str = "") -> Job:
    """The job at its end. `word` is the scheduler's for it, empty where nobody says; `said` the job's last words."""
    job = replace(job, exit_status=exit_status, ended_at=ended_at, tunnel="", abort_by=None, trouble="")
    state, reason, text = _outcome(job, word, reason, exit_status, said)
    return replace(job, state=state, reason=reason, text=text)


def _outcome(job: Job, word: str, reason: str, exit_status: int | None, said: str) -> tuple[JobState, str, str]:
    """State, reason and a sentence."""
    if exit_status == _TIME_LIMIT:
        return "ended", "time limit", EXIT_STATUSES[_TIME_LIMIT]
    if job.aborted:
        clean = exit_status == 0
        return "aborted", "", "it was aborted; what ran there was stopped in order" if clean else "it was aborted"
    if word == "TIMEOUT":
        return "failed", "TIMEOUT", "its time limit came before it could end in order: recordings may lack their end"
    if word in ("NODE_FAIL", "BOOT_FAIL") or exit_status == _NODE_LOST:
        return "failed", word or "node lost", EXIT_STATUSES[_NODE_LOST]
    if word in ("CANCELLED", "PREEMPTED", "REVOKED", "DEADLINE"):
        return "aborted", word, f"the scheduler ended it ({_with(word, reason)})"
    if word == "OUT_OF_MEMORY":
        return "failed", word, "it took more memory than it was given: ask for more per node"
    if exit_status == 0:
        return "ended", "", said or EXIT_STATUSES[0]
    if exit_status is not None:
        known = EXIT_STATUSES.get(exit_status, "its script failed")
        words = f"{known}: {said}" if said and said != known else known
        return "failed", _with(word, reason), f"{words} (exit status {exit_status}; its log says more)"
    return "failed", _with(word, reason), said or "it ended, and did not say why: its log may say more"


def _with(word: str, reason: str) -> str:
    return f"{word}, {reason}" if word and reason else word or reason


def _noted(job: Job, status: JobStatus) -> Job:
    """With what the job says of itself."""
    if status.state == "unknown":
        return job
    return replace(
        job,
        ready_after_s=job.ready_after_s if status.ready_after_s is None else status.ready_after_s,
        started_at=job.started_at or (status.started_at or None),
        url=status.url or job.url,
        address=status.address or job.address,
        port=status.port or job.port,
        tunnel=status.tunnel,
    )


def _running(job: Job, status: JobStatus) -> Job:
    if job.aborted:
        return replace(job, state="ending", reason="", text="it is being aborted")
    match status.state:
        case "serving":
            opening = bool(job.listen) and status.tunnel not in ("open", "broken")
            state: JobState = "starting" if opening else "serving"
            return replace(job, state=state, reason="", text="its tunnel is being opened" if opening else status.text)
        case "ending" | "ended":
            return replace(job, state="ending", reason="", text=status.text)
    return replace(job, state="starting", reason="", text=status.text or "it has its nodes, and starts")


def _unknown(job: Job, status: JobStatus, now: float) -> Job:
    """The scheduler has forgotten it, or never knew it."""
    job = replace(job, missed=job.missed + 1)
    if status.state == "ended" and status.exit_status is not None:
        return over(job, "", "", status.exit_status, status.at or now, status.text)
    if job.missed < FORGOTTEN:
        return job
    if not job.scheduler_id:
        job = over(job, "", "", None, now)
        return replace(job, state="failed", text="the scheduler did not take it: submit it again")
    return over(job, "", "", None, now, "the scheduler does not know it any more, and it did not say how it ended")


def _exit(status: JobStatus, seen: Seen) -> int | None:
    """The job knows best: the scheduler counts signals in ways of its own."""
    if status.state == "ended" and status.exit_status is not None:
        return status.exit_status
    return seen.exit_status
