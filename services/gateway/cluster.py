"""The jobs of this site on its cluster: handed over, watched, told about, ended.

One task looks after all jobs: it asks the scheduler for all of them in one question, reads what the jobs say of
themselves, and keeps what changed in `jobs.json`. So a server that starts again goes on where it stopped; jobs live
without it.
"""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import structlog

from reafference.errors import ReafferenceError

from .jobs import jobs_file as cluster_jobs_file
from .jobs import order as cluster_order
from .jobs import places as cluster_places
from .jobs.cluster_job import Job, Order, judged
from .jobs.facts import FRESH_S, OLD_S, ClusterFacts
from .jobs.folder import END, LOG, SCRIPT, prepare_folder
from .jobs.look import looked_at, steps_of, tail
from .jobs.order import Bounds
from .jobs.serving_job import ServingJob
from .jobs.settings import ClusterSettings
from .jobs.status import JobStatus
from .people import Person
from .problems import Problem, not_found
from .schedulers.scheduler import Node, Offer, Refused, Scheduler, SchedulerError, Seen, Silent

Launch = Callable[[str, str, str], Awaitable[None]]
"""Launches an experiment on a job in the name of its owner: the job's id, the experiment's, the owner's name."""

_LONGEST_WAIT_S = 60.0
_FRESH_S = 5.0
_AGAIN_S = 10.0
_MOST_OVER = 200


class Cluster:
    """The cluster of this site. Without settings there is none: it has no jobs and takes none.

    `on_serving` is called once for a job that serves and was asked to run an experiment. `changed` is set for a moment
    whenever a job is another than before.
    """

    def __init__(
        self, home: Path | None = None, settings: ClusterSettings | None = None, scheduler: Scheduler | None = None
    ) -> None:
        self.settings = settings
        self.on_serving: Launch | None = None
        self.problem = ""
        self._home, self._scheduler = home, scheduler
        self._last, jobs = cluster_jobs_file.read(home) if home and settings else (0, [])
        self._jobs = {job.id: job for job in jobs}
        self._places = cluster_places.Places()
        self._submitting: set[str] = set()
        self._launching: set[asyncio.Task[None]] = set()
        self._listeners: list[Callable[[], None]] = []
        self._failures = 0
        self._silent_since: float | None = None
        self._wake = asyncio.Event()
        self._looked = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._keeper: ThreadPoolExecutor | None = None
        self._facts = ClusterFacts(scheduler) if scheduler else None
        self._log = structlog.get_logger()

    # --- its life ----------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether this site has a cluster."""
        return self.settings is not None and self._scheduler is not None

    def open(self) -> None:
        """Begin to watch."""
        if self.connected and self._task is None:
            self._keeper = ThreadPoolExecutor(1, "jobs")
            self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Watch no more. Jobs go on, and are found again."""
        tasks = [*([self._task] if self._task else []), *self._launching]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._keeper:
            await asyncio.to_thread(self._keeper.shutdown)
        if self._scheduler:
            await asyncio.to_thread(self._scheduler.close)
        self._task = self._keeper = None

    def listen(self, listener: Callable[[], None]) -> None:
        """Call this whenever a job has changed; it must return at once."""
        self._listeners.append(listener)

    # --- what there is -----------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """All jobs, newest first."""
        return list(reversed(self._jobs.values()))

    def job(self, id: str) -> Job:
        """Raises Problem 404 if there is no such job."""
        try:
            return self._jobs[id]
        except KeyError:
            raise not_found("job", id) from None

    def serving(self) -> list[ServingJob]:
        """The jobs on which simulations can be launched now."""
        shared = self._scheduler is not None and self._scheduler.shared
        found = (self._places.of(job, shared) for job in self._jobs.values() if job.state == "serving")
        return [place for place in found if place is not None]

    async def bounds(self) -> Bounds:
        """The most that a job may ask for. Raises Problem 409 without a cluster."""
        settings, _ = self._there()
        with contextlib.suppress(Problem):
            return cluster_order.bounds(settings, await self.nodes(OLD_S))
        return cluster_order.bounds(settings)

    async def offer(self) -> Offer | None:
        """Partitions and accounts; None while the scheduler does not tell. Raises Problem 409 without a cluster."""
        self._there()
        assert self._facts is not None
        return await self._facts.offer()

    async def nodes(self, not_older_s: float = FRESH_S) -> Sequence[Node]:
        """All nodes. Raises Problem 409 without a cluster, 503 while the scheduler does not tell."""
        self._there()
        assert self._facts is not None
        return await self._facts.nodes(not_older_s)

    async def log(self, job: Job, lines: int) -> str:
        """The last lines of what the job's script has said."""
        _, scheduler = self._there()
        with contextlib.suppress(SchedulerError):
            if job.scheduler_id:
                await asyncio.to_thread(scheduler.fetch, job.scheduler_id, Path(job.folder), (LOG,))
        return await asyncio.to_thread(tail, Path(job.folder) / LOG, lines)

    # --- what can be done --------------------------------------------------------------------------------

    async def submit(self, order: Order, person: Person) -> Job:
        """Hand over a job; it waits, or starts. One that is broken off meanwhile is looked for later.

        Raises Problem 409 without a cluster or with too many jobs, 422 for what the cluster cannot give or its
        scheduler refuses.
        """
        settings, _ = self._there()
        order = cluster_order.completed(order, settings)
        cluster_order.check(order, settings, await self.bounds(), await self.offer())
        job = await self._begun(order, person)
        try:
            number = await asyncio.to_thread(self._hand_over, job)
        except (Refused, ReafferenceError) as error:
            await self._undone(job)
            raise Problem(422, "invalid", f"the job could not be submitted: {error.text}") from None
        except Silent as error:
            # Perhaps it was taken: it is looked for, and the job is not lost.
            self._set(replace(self.job(job.id), trouble=f"nobody knows yet whether it was taken: {error.text}"))
        except Exception:
            await self._undone(job)
            raise
        else:
            self._set(replace(self.job(job.id), scheduler_id=number))
            self._log.info("job submitted", job=job.id, scheduler_id=number, by=person.name)
        finally:
            self._submitting.discard(job.id)
        await self._keep()
        await self._fresh()
        return self.job(job.id)

    async def abort(self, job: Job) -> Job:
        """End a job: in order if it runs, so that recordings are complete; at once if it waits, or is asked again."""
        settings, scheduler = self._there()
        if job.over:
            raise Problem(409, "conflict", f"the job {job.id} has ended already")
        at_once = job.aborted or job.state == "waiting"
        now = time.time()
        self._set(replace(self.job(job.id), aborted=True, abort_by=now if at_once else now + settings.stop_s))
        if not at_once:
            with contextlib.suppress(SchedulerError):  # then it is ended by the scheduler, a little later
                await asyncio.to_thread(scheduler.put, job.scheduler_id, Path(job.folder), END, b"aborted\n")
        await self._keep()
        await self._fresh()
        return self.job(job.id)

    async def forget(self, job: Job) -> None:
        """Remove one that has ended, with its folder: experiments and recordings that lie there go with it."""
        _, scheduler = self._there()
        if not job.over:
            raise Problem(409, "conflict", f"the job {job.id} is {job.state}: abort it before you delete it")
        self._jobs.pop(job.id, None)
        await self._keep()
        with contextlib.suppress(SchedulerError):
            if job.scheduler_id:
                await asyncio.to_thread(scheduler.forget, job.scheduler_id)
        await asyncio.to_thread(shutil.rmtree, job.folder, True)
        self._tell()

    # --- handing over ------------------------------------------------------------------------------------

    def _there(self) -> tuple[ClusterSettings, Scheduler]:
        if self.settings is None or self._scheduler is None:
            text = "this server is connected to no cluster: describe one in cluster.toml and start it again"
            raise Problem(409, "conflict", text)
        return self.settings, self._scheduler

    async def _begun(self, order: Order, person: Person) -> Job:
        """A job that is known here and not to the scheduler; it is kept before anybody else hears of it."""
        settings, scheduler = self._there()
        living = [job for job in self._jobs.values() if not job.over]
        if len(living) >= settings.limits.jobs:
            raise Problem(409, "busy", f"there are {len(living)} jobs already, which is the most here: abort one")
        listen = cluster_places.free_port(settings, living) if settings.reach == "tunnel" else 0
        self._last += 1
        id = f"j{self._last}"
        assert self._home is not None
        root = Path(settings.folder) if scheduler.shared else self._home / "jobs"
        # Several sites may share a folder, and none shall take another's for its own.
        folder = root / f"{id}-{os.urandom(4).hex()}"
        job = Job(
            id=id,
            order=order,
            owner=person.name,
            folder=str(folder),
            place=str(folder) if scheduler.shared else "",
            submitted_at=time.time(),
            listen=listen,
        )
        self._submitting.add(id)
        self._set(job)
        self._drop_old()
        await self._keep()
        return job

    def _hand_over(self, job: Job) -> str:
        """Write the folder and submit it; blocking. The scheduler's id."""
        settings, scheduler = self._there()
        place = job.folder if scheduler.shared else ""
        prepare_folder(cluster_order.request_of(job.order, settings, job.id, place, job.listen), Path(job.folder))
        return scheduler.submit(Path(job.folder), SCRIPT)

    async def _undone(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        self._submitting.discard(job.id)
        await asyncio.to_thread(shutil.rmtree, job.folder, True)
        await self._keep()
        self._tell()

    def _drop_old(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.over]
        for id in ended[:-_MOST_OVER]:
            del self._jobs[id]

    # --- watching ----------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look again and again: as often as the settings say, more rarely while nobody answers; not without jobs."""
        assert self.settings is not None
        while True:
            # What asks to be looked at from here on is looked at once more.
            self._wake.clear()
            try:
                await self._look()
            except Exception as error:
                self._failures += 1
                self._log.error("jobs cannot be watched", exc_info=error)
            async with self._looked:
                self._looked.notify_all()
            living = any(not job.over for job in self._jobs.values())
            pause = min(self.settings.poll_s * 2**self._failures, _LONGEST_WAIT_S) if living else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    async def _fresh(self) -> None:
        """Let what was done be seen, if that does not take long."""
        if self._task is None or self._failures:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FRESH_S), self._looked:
                self._wake.set()
                await self._looked.wait()

    async def _look(self) -> None:
        """One question for all jobs, and what each says of itself."""
        assert self._scheduler is not None
        living = [job for job in self._jobs.values() if not job.over and job.id not in self._submitting]
        if not living:
            self._answered()
            return
        try:
            found = await asyncio.to_thread(looked_at, self._scheduler, living)
        except SchedulerError as error:
            self._unanswered(error.text)
            return
        self._answered()
        before = dict(self._jobs)
        for id, (number, seen, status) in found.items():
            # Somebody may have changed it meanwhile, or removed it.
            present = self._jobs.get(id)
            if present is not None and not present.over:
                self._judge(replace(present, scheduler_id=number), seen, status)
        await self._abort_late()
        if any(_lasting(before.get(id)) != _lasting(job) for id, job in self._jobs.items()):
            await self._keep()
        await self._launch_wanted()

    def _judge(self, job: Job, seen: Seen | None, status: JobStatus) -> None:
        now = judged(job, seen, status, time.time())
        if now.over:
            now = replace(now, steps=steps_of(Path(job.folder)))
            self._places.drop(job.id)
        if now.state != job.state:
            self._log.info("job changed", job=job.id, state=now.state, reason=now.reason, text=now.text)
        self._set(now)

    async def _abort_late(self) -> None:
        """End by the scheduler what does not wait for an end in order, or has taken too long for one."""
        assert self._scheduler is not None
        for job in list(self._jobs.values()):
            if job.over or not job.scheduler_id or job.abort_by is None or time.time() < job.abort_by:
                continue
            try:
                await asyncio.to_thread(self._scheduler.cancel, job.scheduler_id)
            except SchedulerError as error:
                self._set(replace(self.job(job.id), trouble=f"it cannot be aborted yet: {error.text}"))
            else:
                self._set(replace(self.job(job.id), abort_by=time.time() + _AGAIN_S))
                self._wake_soon()

    def _wake_soon(self) -> None:
        """The scheduler takes a moment to end a job."""
        asyncio.get_running_loop().call_later(0.3, self._wake.set)

    async def _launch_wanted(self) -> None:
        """Launch the experiments that jobs were asked to run, once each."""
        for job in list(self._jobs.values()):
            if job.state == "serving" and job.order.experiment and not job.launched and self.on_serving:
                self._set(replace(job, launched=True))
                await self._keep()
                task = asyncio.create_task(self._launch(self.on_serving, job))
                self._launching.add(task)
                task.add_done_callback(self._launching.discard)

    async def _launch(self, launch: Launch, job: Job) -> None:
        try:
            await launch(job.id, job.order.experiment, job.owner)
        except Exception as error:
            words = error.detail if isinstance(error, Problem) else str(error) or type(error).__name__
            self._log.warning("experiment not launched", job=job.id, reason=words)
            if job.id in self._jobs:
                note = f"{job.order.experiment} could not be launched on it: {words}"
                self._set(replace(self._jobs[job.id], note=note))
                await self._keep()

    def _answered(self) -> None:
        self._failures, self._silent_since, self.problem = 0, None, ""

    def _unanswered(self, text: str) -> None:
        """The scheduler is silent; the jobs are as they were, as far as anybody knows."""
        self._failures += 1
        self._silent_since = self._silent_since or time.monotonic()
        silent_s = round(time.monotonic() - self._silent_since)
        self.problem = f"the scheduler has not answered for {silent_s} s ({text}): it is asked again"
        if self._failures == 1:
            self._log.warning("scheduler does not answer", reason=text)
        for job in list(self._jobs.values()):
            if not job.over and job.id not in self._submitting:
                self._set(replace(job, trouble=self.problem))

    # --- keeping -----------------------------------------------------------------------------------------

    def _set(self, job: Job) -> None:
        if self._jobs.get(job.id) != job:
            self._jobs[job.id] = job
            self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            try:
                listener()
            except Exception as error:  # a listener's trouble is not the jobs'
                self._log.error("change of a job not heard", exc_info=error)

    async def _keep(self) -> None:
        """Write the jobs down, in the order in which they changed."""
        assert self._home is not None
        assert self._keeper is not None
        jobs = list(self._jobs.values())
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._keeper, cluster_jobs_file.write, self._home, self._last, jobs)


def _lasting(job: Job | None) -> Job | None:
    """A job without what is only true for the moment."""
    return job and replace(job, trouble="", missed=0)
