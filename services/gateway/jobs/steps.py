"""What the steps of a job used, as the scheduler's accounting tells it, or else what the job's script saw of them."""

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

ACCOUNTED = "steps.txt"
SEEN = "steps.live"

_LARGEST = 1024 * 1024
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[KMGT]?)")
_TIME = re.compile(r"((?P<days>\d+)-)?((?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d+(\.\d+)?)")
_HIDDEN = ("extern", "trial")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStep:
    """One step: `peak_rss_mb` of its largest process, in 10^6 bytes; None where the scheduler does not know."""

    name: str
    elapsed_s: float
    peak_rss_mb: float | None = None
    cpu_s: float | None = None
    energy_J: float | None = None


def read_steps(folder: Path) -> list[JobStep]:
    """The steps that the job's script noted at its end (and now and then before); [] if it has noted none."""
    seen = {step.name: step for step in parse_seen(_text(folder / SEEN))}
    accounted = parse_steps(_text(folder / ACCOUNTED))
    return [_completed(step, seen.get(step.name)) for step in accounted] or list(seen.values())


def _completed(step: JobStep, seen: JobStep | None) -> JobStep:
    """With what was seen of a step that still ran, of which the accounting knows little then: the script's own."""
    if step.peak_rss_mb is not None or seen is None:
        return step
    return replace(step, peak_rss_mb=seen.peak_rss_mb, cpu_s=seen.cpu_s)


def parse_steps(text: str) -> list[JobStep]:
    """From `sacct --parsable2 --noheader --format=JobID,JobName,ElapsedRaw,MaxRSS,TotalCPU,ConsumedEnergyRaw`."""
    steps = []
    for id, title, elapsed, size, cpu, energy in _rows(text, 6):
        _, dot, step = id.partition(".")
        name = f"{title}.{step}" if step.isdigit() else step
        if dot and name and not name.startswith(_HIDDEN) and elapsed.isdigit():
            step_ = JobStep(
                name=name,
                elapsed_s=float(elapsed),
                peak_rss_mb=_megabytes(size),
                cpu_s=_seconds(cpu),
                energy_J=_joules(energy),
            )
            steps.append(step_)
    return steps


def parse_seen(text: str) -> list[JobStep]:
    """From lines `SECONDS|JobID|MaxRSS|AveCPU|NTasks|ConsumedEnergyRaw` of sstat, one for each look at each step.

    A step lasted at least from the first look to the last one.
    """
    first: dict[str, float] = {}
    steps: dict[str, JobStep] = {}
    for at, id, size, cpu, tasks, energy in _rows(text, 6):
        name = id.partition(".")[2]
        if not name or name.startswith(_HIDDEN) or not at.isdigit():
            continue
        begun = first.setdefault(name, float(at))
        each = _seconds(cpu)
        steps[name] = JobStep(
            name=f"step.{name}" if name.isdigit() else name,
            elapsed_s=float(at) - begun,
            peak_rss_mb=_megabytes(size),
            cpu_s=each * int(tasks) if each is not None and tasks.isdigit() else each,
            energy_J=_joules(energy),
        )
    return list(steps.values())


def _rows(text: str, columns: int) -> Iterable[list[str]]:
    for line in text.splitlines():
        row = [word.strip() for word in line.split("|")]
        if len(row) == columns:
            yield row


def _megabytes(text: str) -> float | None:
    found = _SIZE.fullmatch(text)
    return round(float(found["number"]) * _UNITS[found["unit"]] / 1e6, 1) if found else None


def _seconds(text: str) -> float | None:
    """From `[DAYS-][HOURS:]MINUTES:SECONDS`."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    hours = int(found["days"] or 0) * 24 + int(found["hours"] or 0)
    return round(hours * 3600 + int(found["minutes"]) * 60 + float(found["seconds"]), 3)


def _joules(text: str) -> float | None:
    """A cluster that measures no energy says 0."""
    return float(text) if text.isdigit() and int(text) > 0 else None


def _text(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(_LARGEST).decode("utf-8", "replace")
    return ""
