"""What a job may ask for here, and the request for its script that follows from the order and the site's settings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reafference.plain import nearest

from ..problems import Problem
from ..schedulers.scheduler import Node, Offer, Partition
from .cluster_job import Order
from .request import Request, Tunnel
from .settings import ClusterSettings

_IMAGE = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./:@+-]{0,499}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")
_LEAST_TIME_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most that a job may ask for, None where nobody says. `nodes` are those of the brain."""

    nodes: int
    time_s: int
    ranks_per_node: int | None = None
    cores_per_node: int | None = None
    sockets_per_node: int | None = None
    memory_gb_per_node: float | None = None


def bounds(settings: ClusterSettings, nodes: Sequence[Node] = ()) -> Bounds:
    """By the settings, and where they leave it open by what the cluster has."""
    limits = settings.limits
    return Bounds(
        nodes=max(1, min(limits.nodes, len(nodes) - 1)) if nodes else limits.nodes,
        time_s=limits.time_s,
        ranks_per_node=limits.ranks_per_node or None,
        cores_per_node=limits.cores_per_node or max((node.cores for node in nodes), default=0) or None,
        sockets_per_node=limits.sockets_per_node or max((node.sockets for node in nodes), default=0) or None,
        memory_gb_per_node=limits.memory_gb_per_node or max((node.memory_gb or 0 for node in nodes), default=0) or None,
    )


def completed(order: Order, settings: ClusterSettings) -> Order:
    """With what the site gives where nothing was asked for."""
    return replace(
        order,
        partition=order.partition or settings.partition,
        account=order.account or settings.account,
        runtime=order.runtime or settings.runtime,
        memory_gb_per_node=order.memory_gb_per_node or settings.defaults.memory_gb_per_node or None,
    )


def check(order: Order, settings: ClusterSettings, most: Bounds, offer: Offer | None) -> None:
    """Raises Problem 422 for an order that this cluster cannot fulfil, as far as we know it."""
    _check_sizes(order, most)
    if order.runtime not in settings.offered_runtimes:
        offered = ", ".join(settings.offered_runtimes)
        raise _invalid("runtime", f"{order.runtime!r} is not offered here, but {offered}")
    if order.image and order.runtime == "none":
        raise _invalid("image", "the runtime 'none' takes no image")
    if order.image and not _IMAGE.fullmatch(order.image):
        raise _invalid("image", f"{order.image[:60]!r} is neither the path nor the name of an image")
    for name in ("partition", "account"):
        value = getattr(order, name)
        if value and not _NAME.fullmatch(value):
            raise _invalid(name, f"{value[:60]!r} is no such name")
    if offer and offer.partitions:
        _check_partition(order, offer.partitions)


def _check_sizes(order: Order, most: Bounds) -> None:
    cores = order.ranks_per_node * order.threads_per_rank
    for name, asked, limit in (
        ("nodes", order.nodes, most.nodes),
        ("time_s", order.time_s, most.time_s),
        ("ranks_per_node", order.ranks_per_node, most.ranks_per_node),
        ("memory_gb_per_node", order.memory_gb_per_node or 0, most.memory_gb_per_node),
    ):
        if limit is not None and asked > limit:
            raise _invalid(name, f"{asked:g} is more than a job may have here, which is {limit:g}")
    if most.cores_per_node is not None and cores > most.cores_per_node:
        text = f"{order.ranks_per_node} ranks of {order.threads_per_rank} threads need {cores} cores of a node"
        raise _invalid("threads_per_rank", f"{text}, which has {most.cores_per_node}")
    if order.time_s < _LEAST_TIME_S:
        raise _invalid("time_s", f"{order.time_s} is too short: a job needs {_LEAST_TIME_S} s at least")


def _check_partition(order: Order, partitions: Sequence[Partition]) -> None:
    names = [partition.name for partition in partitions]
    if order.partition and order.partition not in names:
        raise _invalid("partition", f"there is no {order.partition!r}{nearest(order.partition, names)}")
    for partition in partitions:
        if partition.name == order.partition or (not order.partition and partition.default):
            _check_fits(order, partition)


def _check_fits(order: Order, partition: Partition) -> None:
    """Slurm takes what does not fit as well, and lets it wait for ever."""
    limit = partition.time_limit_s
    if limit is not None and order.time_s > limit:
        raise _invalid("time_s", f"{order.time_s} s is more than the {limit} s of the partition {partition.name}")
    if partition.nodes and order.nodes + 1 > partition.nodes:
        text = f"{order.nodes} for the brain and one for the rest are more than the partition {partition.name} has"
        raise _invalid("nodes", f"{text}, which are {partition.nodes}")


def _invalid(key: str, text: str) -> Problem:
    return Problem(422, "invalid", f"{key}: {text}", key=key)


def request_of(order: Order, settings: ClusterSettings, id: str, folder: str, listen: int) -> Request:
    """What the job's script is written from. Raises BadExperiment for what cannot stand in one."""
    contained = order.runtime != "none"
    image = order.image or settings.image
    return Request(
        id=id,
        folder=folder,
        title=order.title,
        nodes=order.nodes,
        ranks_per_node=order.ranks_per_node,
        threads_per_rank=order.threads_per_rank,
        time_s=order.time_s,
        memory_gb_per_node=order.memory_gb_per_node,
        partition=order.partition,
        account=order.account,
        runtime=order.runtime,
        image=image if contained else "",
        # An image of one's own holds the brain as well.
        brain_image=settings.brain_image if contained and not order.image else "",
        python=settings.python,
        python_in_image=settings.python_in_image,
        host_python=settings.host_python,
        binds=settings.binds,
        setup=settings.setup,
        options=settings.options,
        exclusive=settings.exclusive,
        pin=settings.pin,
        sockets_per_node=settings.limits.sockets_per_node,
        interface=settings.interface,
        mpi=settings.mpi,
        stop_s=min(settings.stop_s, order.time_s // 2),
        reach=settings.reach,
        tunnel=_tunnel(settings, listen),
    )


def _tunnel(settings: ClusterSettings, listen: int) -> Tunnel | None:
    given = settings.tunnel
    if given is None or settings.reach != "tunnel":
        return None
    return Tunnel(
        to=given.to,
        listen=listen,
        key=given.key,
        known_hosts=given.known_hosts,
        port=given.port,
        patience_s=given.patience_s,
    )
