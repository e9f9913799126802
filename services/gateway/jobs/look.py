"""A look at jobs: what their scheduler knows, and what they have left in their folders. Blocking."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..schedulers.scheduler import Phase, Scheduler, Seen
from .cluster_job import Job
from .folder import LOG
from .status import STATUS, JobStatus, read_status
from .steps import JobStep, read_steps

_STEPS = ("steps.txt", "steps.live")
_MOST_TAIL = 256 * 1024

Look = tuple[str, Seen | None, JobStatus]
"""The scheduler's id of a job, what it knows of it (None: nothing), and what the job says itself."""


def looked_at(scheduler: Scheduler, jobs: Sequence[Job]) -> dict[str, Look]:
    """All jobs by their ids. Those whose number was never told are looked for. Raises SchedulerError."""
    numbers = {job.id: job.scheduler_id or scheduler.find(Path(job.folder)) or "" for job in jobs}
    known = [number for number in numbers.values() if number]
    seen = dict(scheduler.look(known)) if known else {}
    found: dict[str, Look] = {}
    for job in jobs:
        number, folder = numbers[job.id], Path(job.folder)
        if number in seen and seen[number].phase != "waiting":
            scheduler.fetch(number, folder, _wanted(seen[number].phase))
        found[job.id] = (number, seen.get(number), read_status(folder))
    return found


def _wanted(phase: Phase) -> tuple[str, ...]:
    """What there is to fetch of a job: at its end what it leaves as well."""
    return (STATUS,) if phase == "running" else (STATUS, *_STEPS, LOG)


def steps_of(folder: Path) -> tuple[JobStep, ...]:
    """What the steps of a job used, as far as that was noted."""
    try:
        return tuple(read_steps(folder))
    except (OSError, ValueError):
        return ()


def tail(path: Path, lines: int) -> str:
    """The last lines of a file, and not more of it than can be shown; empty where there is none yet."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _MOST_TAIL))
            raw = file.read(_MOST_TAIL)
    except OSError:
        return ""
    whole = raw.decode("utf-8", errors="replace").splitlines()
    if size > _MOST_TAIL:
        whole = whole[1:]
    return "".join(f"{line}\n" for line in whole[-lines:])
