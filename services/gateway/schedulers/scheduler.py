"""What the server wants of the scheduler of a cluster, whichever it is.

All calls block, and each comes back within a limit of its own: with an answer, with Silent or with Refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Phase = Literal["waiting", "running", "ended"]
NodeState = Literal["idle", "mixed", "allocated", "down", "other"]


class SchedulerError(Exception):
    """The scheduler could not do what it was asked to; `text` is one sentence."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Silent(SchedulerError):
    """No answer, or none that can be understood: nobody knows whether it was done."""


class Refused(SchedulerError):
    """The scheduler said no; it was not done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the scheduler knows of a job.

    `word` is its own name of the state ("PENDING"), `reason` why it waits or has ended, empty where there is none.
    `nodes` are those it has been given. Times are in seconds since 1970, None where it has not come so far.
    `exit_status` is that of the script; None before its end, and where a signal ended it.
    """

    phase: Phase
    word: str
    reason: str = ""
    nodes: tuple[str, ...] = ()
    submitted_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    exit_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the cluster, with its cores and how many of them are in use."""

    name: str
    state: NodeState
    cores: int = 0
    cores_used: int = 0
    sockets: int = 0
    memory_gb: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A part of the cluster that jobs can be sent to; `time_limit_s` is None where it has none."""

    name: str
    nodes: int = 0
    time_limit_s: int | None = None
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the cluster has for us: its partitions, and the accounts that our user may charge."""

    partitions: tuple[Partition, ...] = ()
    accounts: tuple[str, ...] = ()


class Scheduler(Protocol):
    """One way to a cluster. Safe to use from several threads.

    A job is named by the id that `submit` gave it. Files of a job are named by their path inside of its folder.
    """

    shared: bool
    """Whether the folders of jobs lie on a file system that this machine sees too."""

    def submit(self, folder: Path, script: str) -> str:
        """Hand over the script in a folder that lies ready; its id. Raises Refused or Silent."""
        ...

    def find(self, folder: Path) -> str | None:
        """The id of a job that was submitted from this folder; for one whose answer was lost."""
        ...

    def look(self, ids: Sequence[str]) -> Mapping[str, Seen]:
        """How these jobs stand; one that it does not know any more is missing."""
        ...

    def cancel(self, id: str) -> None:
        """End a job at once; nothing if it has ended."""
        ...

    def nodes(self) -> Sequence[Node]:
        """All nodes; empty where it does not tell."""
        ...

    def offer(self) -> Offer:
        """Partitions and accounts."""
        ...

    def fetch(self, id: str, folder: Path, names: Sequence[str]) -> None:
        """Bring these files of a job up to date in `folder`, which is ours; nothing where they lie there anyway."""
        ...

    def put(self, id: str, folder: Path, name: str, content: bytes) -> None:
        """Put a small file into a job's folder."""
        ...

    def forget(self, id: str) -> None:
        """Remove what it keeps of a job that has ended, where it keeps anything."""
        ...

    def close(self) -> None:
        """Say no more."""
        ...
