"""What is sent and answered about the cluster and its jobs, as OpenAPI describes it. Times are in s."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ..schedulers.scheduler import Node, NodeState, Offer, Partition
from .cluster_job import Job, JobState, Order
from .order import Bounds
from .settings import ClusterSettings

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}$")]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]
RuntimeName = Literal["none", "apptainer", "charliecloud", "sarus"]


class PartitionShown(BaseModel):
    """A part of the cluster; `time_limit_s` is null where it has none."""

    name: str
    nodes: int
    time_limit_s: int | None
    default: bool


class DefaultsShown(BaseModel):
    """What a job gets that does not say otherwise; null where the site decides."""

    nodes: int
    ranks_per_node: int
    threads_per_rank: int
    memory_gb_per_node: float | None
    time_s: int
    partition: str
    account: str
    runtime: RuntimeName


class LimitsShown(BaseModel):
    """The most that a job may ask for; null where nobody says. `nodes` are those of the brain."""

    nodes: int
    time_s: int
    ranks_per_node: int | None
    cores_per_node: int | None
    sockets_per_node: int | None
    memory_gb_per_node: float | None


class ClusterShown(BaseModel):
    """The cluster of this server. `problem` says why nothing can be done there at the moment; empty if it can."""

    connected: bool
    title: str = ""
    scheduler: Literal["slurm", "slurmrestd", "unicore", ""] = ""
    problem: str = ""
    partitions: list[PartitionShown] = []
    accounts: list[str] = []
    runtimes: list[RuntimeName] = []
    defaults: DefaultsShown | None = None
    limits: LimitsShown | None = None
    tunnel: bool = False


class NodeShown(BaseModel):
    """A node; `jobs` are ours that have it."""

    name: str
    state: NodeState
    cores: int
    cores_used: int
    memory_gb: float | None
    jobs: list[str]


class JobWish(BaseModel):
    """What POST jobs takes. `nodes` are those of the brain: the job has one more, for all else."""

    model_config = ConfigDict(extra="forbid")

    experiment: Annotated[str, StringConstraints(max_length=80)] | None = None
    title: Line | None = None
    nodes: int = Field(ge=1, le=100_000)
    ranks_per_node: int = Field(1, ge=1, le=4096)
    threads_per_rank: int = Field(1, ge=1, le=1024)
    memory_gb_per_node: float | None = Field(None, gt=0, le=1e6, allow_inf_nan=False)
    time_s: int = Field(ge=60, le=400 * 86_400)
    partition: Word | Literal[""] | None = None
    account: Word | Literal[""] | None = None
    runtime: RuntimeName | None = None
    image: Annotated[str, StringConstraints(max_length=500)] | None = None

    def order(self) -> Order:
        """The same without what was left open."""
        return Order(**{"runtime": ""} | self.model_dump(exclude_none=True))


class StepShown(BaseModel):
    """What one step of a job used; null where the scheduler does not measure it."""

    name: str
    elapsed_s: float
    peak_rss_mb: float | None
    cpu_s: float | None
    energy_J: float | None


class JobShown(BaseModel):
    """A job of the cluster. `server` is the id under which simulations can be launched on it, while it serves."""

    id: str
    title: str
    experiment: str | None
    owner: str
    state: JobState
    reason: str
    text: str
    scheduler_id: str
    submitted_at: str
    started_at: str | None
    ended_at: str | None
    waited_s: float
    elapsed_s: float
    limit_s: int
    nodes: int
    node_names: list[str]
    ranks_per_node: int
    threads_per_rank: int
    memory_gb_per_node: float | None
    partition: str
    account: str
    runtime: str
    image: str
    server: str | None
    exit_status: int | None
    folder: str
    steps: list[StepShown]
    ready_after_s: float | None


def shown(job: Job, now: float) -> JobShown:
    """A job as it is told; `now` in seconds since 1970."""
    order = job.order
    return JobShown(
        id=job.id,
        title=order.title or order.experiment or f"Job {job.id}",
        experiment=order.experiment or None,
        owner=job.owner,
        state=job.state,
        reason=job.reason,
        text="; ".join(filter(None, (job.text, job.note, job.trouble))),
        scheduler_id=job.scheduler_id,
        submitted_at=_stamp(job.submitted_at) or "",
        started_at=_stamp(job.started_at),
        ended_at=_stamp(job.ended_at),
        waited_s=round(job.waited_s(now), 1),
        elapsed_s=round(job.elapsed_s(now), 1),
        limit_s=order.time_s,
        nodes=order.nodes,
        node_names=list(job.node_names),
        ranks_per_node=order.ranks_per_node,
        threads_per_rank=order.threads_per_rank,
        memory_gb_per_node=order.memory_gb_per_node,
        partition=order.partition,
        account=order.account,
        runtime=order.runtime,
        image=order.image,
        server=job.id if job.state == "serving" else None,
        exit_status=job.exit_status,
        folder=job.place,
        steps=[
            StepShown(
                name=step.name,
                elapsed_s=step.elapsed_s,
                peak_rss_mb=step.peak_rss_mb,
                cpu_s=step.cpu_s,
                energy_J=step.energy_J,
            )
            for step in job.steps
        ],
        ready_after_s=job.ready_after_s,
    )


def shown_cluster(settings: ClusterSettings, problem: str, offer: Offer | None, bounds: Bounds) -> ClusterShown:
    """A cluster as it is told; `offer` is None while its scheduler does not tell."""
    partitions = offer.partitions if offer else ()
    accounts = settings.accounts or (offer.accounts if offer else ())
    return ClusterShown(
        connected=True,
        title=settings.title,
        scheduler=settings.scheduler,
        problem=problem,
        partitions=[shown_partition(partition) for partition in partitions],
        accounts=list(accounts),
        runtimes=list(settings.offered_runtimes),
        defaults=shown_defaults(settings, partitions),
        limits=LimitsShown(
            nodes=bounds.nodes,
            time_s=bounds.time_s,
            ranks_per_node=bounds.ranks_per_node,
            cores_per_node=bounds.cores_per_node,
            sockets_per_node=bounds.sockets_per_node,
            memory_gb_per_node=bounds.memory_gb_per_node,
        ),
        tunnel=settings.reach == "tunnel",
    )


def shown_defaults(settings: ClusterSettings, partitions: tuple[Partition, ...]) -> DefaultsShown:
    usual = next((partition.name for partition in partitions if partition.default), "")
    defaults = settings.defaults
    return DefaultsShown(
        nodes=defaults.nodes,
        ranks_per_node=defaults.ranks_per_node,
        threads_per_rank=defaults.threads_per_rank,
        memory_gb_per_node=defaults.memory_gb_per_node or None,
        time_s=defaults.time_s,
        partition=settings.partition or usual,
        account=settings.account,
        runtime=settings.runtime,
    )


def shown_partition(partition: Partition) -> PartitionShown:
    return PartitionShown(
        name=partition.name,
        nodes=partition.nodes,
        time_limit_s=partition.time_limit_s,
        default=partition.default,
    )


def shown_node(node: Node, jobs: list[str]) -> NodeShown:
    return NodeShown(
        name=node.name,
        state=node.state,
        cores=node.cores,
        cores_used=node.cores_used,
        memory_gb=node.memory_gb,
        jobs=jobs,
    )


def _stamp(at: float | None) -> str | None:
    """A time in ISO 8601, in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
