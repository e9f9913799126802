"""The jobs of this site in `jobs.json` of the home folder, so that a server that starts again knows them."""

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reafference import plain
from reafference.errors import BadExperiment

from .cluster_job import Job

FILE = "jobs.json"
# What is only true for the moment.
_MOMENTARY = {"trouble": "", "missed": 0}


def read(home: Path) -> tuple[int, list[Job]]:
    """The number of the last job, and the jobs, oldest first. Raises BadExperiment for a file that cannot be read."""
    path = home / FILE
    try:
        kept: Any = json.loads(path.read_text(encoding="utf-8"))
        jobs = [plain.load(Job, one, strict=False) for one in kept["jobs"]]
        return int(kept["last"]), jobs
    except FileNotFoundError:
        return 0, []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadExperiment(f"{path} cannot be understood ({error}): restore it, or remove it to begin anew") from None


def write(home: Path, last: int, jobs: Iterable[Job]) -> None:
    """Keep them; the file is whole at any moment, and private."""
    rows = [plain.dump(job) | _MOMENTARY for job in jobs]
    handle, name = tempfile.mkstemp(dir=home, prefix=".jobs-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"last": last, "jobs": rows}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(name, home / FILE)
