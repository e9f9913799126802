"""REST: the cluster of this server, its nodes, and jobs on it."""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool

from ..cluster import Cluster
from ..house import Gateway
from ..jobs.answers import ClusterShown, JobShown, JobWish, NodeShown, shown, shown_cluster, shown_node
from ..people import Editor, Reader

router = APIRouter(tags=["cluster"])

_TEXT = {"text/plain": {"schema": {"type": "string"}}}


@router.get("/cluster")
async def get_cluster(request: Request, person: Reader) -> ClusterShown:
    """The cluster that this server sends jobs to: what it has, and how much of it a job may ask for."""
    cluster = _cluster(request)
    if cluster.settings is None:
        return ClusterShown(connected=False)
    offer, bounds = await cluster.offer(), await cluster.bounds()
    return shown_cluster(cluster.settings, cluster.problem, offer, bounds)


@router.get("/cluster/nodes")
async def list_nodes(request: Request, person: Reader) -> list[NodeShown]:
    """Its nodes, and how much of them is in use."""
    cluster = _cluster(request)
    if not cluster.connected:
        return []
    nodes = await cluster.nodes()
    living = [job for job in cluster.jobs() if not job.over]
    return [shown_node(node, [job.id for job in living if node.name in job.node_names]) for node in nodes]


@router.get("/jobs")
async def list_jobs(request: Request, person: Reader) -> list[JobShown]:
    """Jobs of this server, newest first; those that have ended stay until they are deleted."""
    now = time.time()
    return [shown(job, now) for job in _cluster(request).jobs()]


@router.post("/jobs", status_code=201)
async def submit_job(wish: JobWish, request: Request, person: Editor) -> JobShown:
    """Send a job to the cluster. Once it serves, it is one more server to launch simulations on; `experiment` is
    launched there by itself."""
    gateway = _gateway(request)
    if wish.experiment:
        about = await run_in_threadpool(gateway.storage.about, wish.experiment)
        person.must_own(about.owner, f"the experiment {wish.experiment!r}")
    return shown(await gateway.cluster.submit(wish.order(), person), time.time())


@router.get("/jobs/{id}")
async def get_job(id: str, request: Request, person: Reader) -> JobShown:
    """One of them."""
    return shown(_cluster(request).job(id), time.time())


@router.delete(
    "/jobs/{id}",
    status_code=204,
    responses={202: {"model": JobShown, "description": "It is being ended"}, 204: {"description": "It is forgotten"}},
)
async def delete_job(id: str, request: Request, person: Editor) -> Response:
    """End a job, in order: runs are stopped, recordings completed; asked again it ends at once. Forget one that has
    ended, with its folder."""
    cluster = _cluster(request)
    job = cluster.job(id)
    person.must_own(job.owner, f"the job {id!r}")
    if job.over:
        await cluster.forget(job)
        return Response(status_code=204)
    ended = await cluster.abort(job)
    return Response(shown(ended, time.time()).model_dump_json(), 202, media_type="application/json")


@router.get(
    "/jobs/{id}/log",
    response_class=PlainTextResponse,
    responses={200: {"description": "The last lines", "content": _TEXT}},
)
async def get_job_log(
    id: str, request: Request, person: Reader, lines: Annotated[int, Query(ge=1, le=10_000)] = 200
) -> PlainTextResponse:
    """The last lines of what the job's script has said."""
    cluster = _cluster(request)
    return PlainTextResponse(await cluster.log(cluster.job(id), lines))


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def _cluster(request: Request) -> Cluster:
    return _gateway(request).cluster
