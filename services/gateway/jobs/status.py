"""What a job on a cluster says about itself: the file that it rewrites at each change, and its exit statuses."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal["unknown", "starting", "serving", "ending", "ended"]
STATUS = "status.json"
_STATES = ("starting", "serving", "ending", "ended")
_LARGEST = 64 * 1024

EXIT_STATUSES: Mapping[int, str] = {
    0: "it ended as it was asked to",
    20: "its time limit came: runs were stopped and their recordings completed",
    21: "one of its nodes was lost",
    22: "the container, or the Python of the environment, could not be started",
    23: "the tunnel could not be opened",
    24: "its gateway failed",
    25: "the job's folder cannot be used, or the nodes lack what the job needs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """What the job last said. `at` is its clock, in seconds since 1970; 0 before it said anything.

    `url` is where its gateway listens, as seen on its first node; `host` that node, `address` its address towards the
    others. `tunnel`: "" without one, "opening", "open" or "broken". `exit_status` once it has ended, else None.
    """

    state: State = "unknown"
    text: str = ""
    at: float = 0.0
    url: str = ""
    host: str = ""
    address: str = ""
    port: int = 0
    tunnel: str = ""
    scheduler_id: str = ""
    started_at: float = 0.0
    ready_after_s: float | None = None
    exit_status: int | None = None


def read_status(folder: Path) -> JobStatus:
    """What the job in this folder last said; "unknown" before it has begun."""
    with contextlib.suppress(OSError), (folder / STATUS).open("rb") as file:
        return parse_status(file.read(_LARGEST))
    return JobStatus()


def parse_status(text: bytes | str) -> JobStatus:
    """The same from the file's content; "unknown" for anything else. It comes from a machine of somebody else."""
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        return JobStatus()
    if not isinstance(said, dict) or said.get("state") not in _STATES:
        return JobStatus()
    return JobStatus(**{name: said[name] for name, kinds in _KINDS.items() if _fits(said.get(name), kinds)})


_KINDS: Mapping[str, tuple[type, ...]] = {
    "state": (str,),
    "text": (str,),
    "at": (int, float),
    "url": (str,),
    "host": (str,),
    "address": (str,),
    "port": (int,),
    "tunnel": (str,),
    "scheduler_id": (str,),
    "started_at": (int, float),
    "ready_after_s": (int, float),
    "exit_status": (int,),
}


def _fits(value: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
