"""The jobs of a cluster as further servers of this one: which there are, what runs on them, and what comes home."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import structlog

from reafference.plain import nearest

from ..experiment_answers import Server
from ..jobs.serving_job import ServingJob
from ..problems import not_found
from ..status import ENDED, stamp
from ..storage import Storage
from ..tools import Tools
from .homecoming import Homecoming
from .job_server import JobServer

_RECONCILE_S = 0.5
_CATCH_UP_S = 10.0
_MOST_PAST = 100
"""Simulations of jobs that have ended, which are remembered."""


class JobServers:
    """A JobServer for each job of `serving()`, which is asked twice a second; it must answer at once."""

    def __init__(self, storage: Storage, tools: Tools, serving: Callable[[], Sequence[ServingJob]]) -> None:
        self._serving = serving
        self._homecoming = Homecoming(storage, tools)
        self._servers: dict[str, JobServer] = {}
        self._past: dict[str, dict[str, Any]] = {}
        self._watching: dict[str, list[asyncio.Task[None]]] = {}
        self._burying: dict[str, asyncio.Task[None]] = {}
        self._sending: dict[tuple[str, str], asyncio.Lock] = {}
        self._following: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger()

    # --- its life ----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to watch."""
        self._following = [asyncio.create_task(one) for one in (self._follow(), self._catch_up())]

    async def close(self) -> None:
        """Watch no more; what runs on jobs goes on."""
        tasks = [*self._following, *self._burying.values()]
        tasks += [task for watching in self._watching.values() for task in watching]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(server.close() for server in self._servers.values()), return_exceptions=True)
        self._servers.clear()

    async def _follow(self) -> None:
        while True:
            try:
                self.reconcile()
            except Exception as error:
                self._log.error("jobs not followed", exc_info=error)
            await asyncio.sleep(_RECONCILE_S)

    async def _catch_up(self) -> None:
        """Jobs may have ended while nobody watched: what they have completed is fetched from their folders."""
        while True:
            await asyncio.sleep(_CATCH_UP_S)
            for job, expected in self._homecoming.arrivals.jobs().items():
                if job not in self._servers and job not in self._burying:
                    try:
                        await self._homecoming.completed_in(job, expected)
                    except Exception as error:
                        self._log.error("recordings not fetched", job=job, exc_info=error)

    def reconcile(self) -> None:
        """Take up jobs that serve now, and let go of those that do not any more."""
        serving = {job.id: job for job in self._serving()}
        for id, server in list(self._servers.items()):
            if serving.get(id) != server.job:
                self._let_go(server, another=id in serving)
        for id, job in serving.items():
            if id not in self._servers:
                server = self._servers[id] = JobServer(job)
                watching = [server.watch(), self._homecoming.attend(server)]
                self._watching[id] = [asyncio.create_task(one) for one in watching]

    def _let_go(self, server: JobServer, *, another: bool) -> None:
        """It serves no more, or (`another`) at another address: then the next one knows of all that it knew."""
        del self._servers[server.id]
        for task in self._watching.pop(server.id):
            task.cancel()
        if not another:
            server.over = True
            self._remember_past(server)
        self._burying[server.id] = asyncio.create_task(self._bury(server, another))

    async def _bury(self, server: JobServer, another: bool) -> None:
        await server.close()
        try:
            if not another:
                for sid, changed in (await self._homecoming.rest_of(server)).items():
                    if sid in self._past:
                        self._past[sid] = self._past[sid] | changed
        except Exception as error:
            self._log.error("recordings not fetched", job=server.id, exc_info=error)
        finally:
            self._burying.pop(server.id, None)
            for sid in server.simulations if not another else ():
                if sid in self._past and self._past[sid]["state"] not in ENDED:
                    self._past[sid] = self._past[sid] | _broken_off(server.id)

    def _remember_past(self, server: JobServer) -> None:
        for one in reversed(server.told()):
            # A job that ends in order stops its runs; how they have ended, their recordings say a little later.
            ending = {"text": f"its job {server.id} ends"}
            self._past[one["id"]] = one if one["state"] in ENDED else one | ending
        for sid in list(self._past)[:-_MOST_PAST]:
            del self._past[sid]

    # --- what there is -----------------------------------------------------------------------------------

    def find(self, id: str) -> JobServer | None:
        """The job that serves under this id."""
        return self._servers.get(id)

    def get(self, id: str) -> JobServer:
        """Raises Problem 404 if no such job serves."""
        server = self.find(id)
        if server is None:
            known = ["local", *self._servers]
            raise not_found("server", id, nearest(id, known) or f": there is {' and '.join(known)}")
        return server

    def of_simulation(self, sid: str) -> JobServer | None:
        """The job on which a simulation with such an id runs, whether it is known or not."""
        job, dash, number = sid.rpartition("-")
        return self.find(job) if dash and number else None

    def of_recording(self, experiment: str, recording: str) -> JobServer | None:
        """The job on which a simulation has, or had, this recording."""
        for server in self._servers.values():
            for one in server.simulations.values():
                if one["experiment"] == experiment and one["recording"] == recording:
                    return server
        return None

    def past(self, sid: str) -> dict[str, Any] | None:
        """A simulation of a job that has ended, as it was at last."""
        return self._past.get(sid)

    def forget_past(self, sid: str) -> None:
        self._past.pop(sid, None)

    @contextlib.asynccontextmanager
    async def sending(self, job: str, experiment: str) -> AsyncIterator[None]:
        """While an experiment is sent to a job, or taken back: nobody else does so meanwhile."""
        async with self._sending.setdefault((job, experiment), asyncio.Lock()):
            yield

    async def servers(self) -> list[Server]:
        """All jobs that serve; each is asked, at the same time, and none longer than its limit."""
        await self.look()
        return [server.shown() for server in self._servers.values()]

    async def simulations(self) -> list[dict[str, Any]]:
        """All simulations on jobs, those of the past included."""
        await self.look()
        return [*(one for server in self._servers.values() for one in server.told()), *self._past.values()]

    def running(self, experiment: str) -> list[str]:
        """The ids of those of an experiment that run on jobs, as far as is known."""
        return [
            one["id"]
            for server in self._servers.values()
            for one in server.simulations.values()
            if one["experiment"] == experiment and one["state"] not in ENDED
        ]

    async def look(self) -> None:
        """Ask all how they stand, within the limit of one of them.

        One that was silent when it was asked last keeps nobody waiting: it is asked again all the time.
        """
        await asyncio.gather(*(server.look() for server in self._servers.values() if server.ready))


def no_jobs() -> Sequence[ServingJob]:
    """For a site without a cluster."""
    return ()


def _broken_off(job: str) -> dict[str, Any]:
    text = f"it ended with its job {job}"
    return {"state": "failed", "outcome": "fault", "ended_at": stamp(), "text": text}
