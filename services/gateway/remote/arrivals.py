"""What is expected home from jobs, and what has come: kept in a file, for the server may be started anew in between."""

import contextlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..jobs.serving_job import ServingJob
from ..storage import replace_file


@dataclass(slots=True)
class Expected:
    """Of one job: where its files lie, the experiments it was sent, and the recordings that need no fetching any more
    as EXPERIMENT/RECORDING: they are here, or have been deleted here since."""

    folder: str = ""
    shown: str = ""
    experiments: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)


class Arrivals:
    """By the ids of jobs."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._jobs: dict[str, Expected] = _read(file)

    def jobs(self) -> dict[str, Expected]:
        """Those from which something may still come."""
        return dict(self._jobs)

    def expect(self, job: ServingJob, experiment: str) -> None:
        """Something of this experiment will come from the job."""
        known = self._jobs.setdefault(job.id, Expected())
        folder = str(job.folder or "")
        if experiment not in known.experiments or (known.folder, known.shown) != (folder, job.shown):
            known.folder, known.shown = folder, job.shown
            known.experiments = sorted({*known.experiments, experiment})
            self._keep()

    def settled(self, job: str, experiment: str, recording: str) -> bool:
        """Whether this one needs no fetching."""
        known = self._jobs.get(job)
        return known is not None and f"{experiment}/{recording}" in known.settled

    def settle(self, job: str, experiment: str, recording: str) -> None:
        """It is here."""
        self._jobs.setdefault(job, Expected()).settled.append(f"{experiment}/{recording}")
        self._keep()

    def forget(self, job: str) -> None:
        """Nothing comes from it any more."""
        if self._jobs.pop(job, None) is not None:
            self._keep()

    def _keep(self) -> None:
        if not self._jobs and not self._file.exists():
            return
        text = json.dumps({job: asdict(known) for job, known in self._jobs.items()}, indent=1)
        replace_file(self._file, text.encode())


def _read(file: Path) -> dict[str, Expected]:
    """What was kept; of a file that cannot be read, nothing: at worst a recording comes twice."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {job: Expected(**known) for job, known in kept.items()}
    return {}
