"""Recordings: the run folders of an experiment, as their summaries tell of them."""

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reafference import jsontext

from . import paths

SUMMARY = "summary.json"
OVERVIEW = "overview.png"
RECORDING = "recording.mcap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A run folder. `outcome` is "" as long as it is being written, or where its recorder was lost."""

    id: str
    run: str
    title: str
    started_at: str
    outcome: str
    text: str
    steps: int
    simulated_s: float
    seed: int | None
    neurons: int | None
    synapses: int | None
    bytes: int


def ids_in(folder: Path) -> list[str]:
    """The recordings in a folder, newest first: their names begin with the time."""
    with contextlib.suppress(OSError):
        return sorted((entry.name for entry in os.scandir(folder) if _counts(entry)), reverse=True)
    return []


def recording_in(folder: Path) -> Recording:
    """What the summary in a run folder says."""
    told = summary_in(folder)
    return Recording(
        id=folder.name,
        run=_of(told, "run", str, ""),
        title=_of(told, "title", str, ""),
        started_at=_of(told, "started_at", str, ""),
        outcome=_of(told, "outcome", str, ""),
        text=_of(told, "text", str, ""),
        steps=_of(told, "steps", int, 0),
        simulated_s=float(_of(told, "simulated_s", (int, float), 0.0)),
        seed=_of(told, "seed", int, None),
        neurons=_of(told, "neurons", int, None),
        synapses=_of(told, "synapses", int, None),
        bytes=sum(size for _, size in files_of(folder)),
    )


def files_of(folder: Path) -> list[tuple[str, int]]:
    """Path and size of each file of a run folder."""
    found = []
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            file = Path(where) / name
            with contextlib.suppress(OSError):
                state = os.lstat(file)
                if stat.S_ISREG(state.st_mode):
                    found.append((file.relative_to(folder).as_posix(), state.st_size))
    return found


def summary_in(folder: Path) -> dict[str, Any]:
    """The summary of a run folder; empty if there is none yet."""
    with contextlib.suppress(OSError, ValueError):
        told = jsontext.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        return told if isinstance(told, dict) else {}
    return {}


def _of(told: dict[str, Any], key: str, kind: Any, otherwise: Any) -> Any:
    value = told.get(key)
    return value if isinstance(value, kind) and not isinstance(value, bool) else otherwise


def _counts(entry: os.DirEntry[str]) -> bool:
    """A run that was not to be recorded leaves a folder too, with its profile."""
    if not entry.is_dir(follow_symlinks=False) or paths.flaw_of(entry.name):
        return False
    return any((Path(entry.path) / name).exists() for name in (RECORDING, SUMMARY))
