"""Virtual Coach: the files that the runs of an experiment have written."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter

from .. import paths
from ..people import Reader
from ..recordings import files_of
from . import profile as coach_profile
from .access import House

router = APIRouter()

Kind = Literal["csv", "profiler"]
_KINDS: tuple[Kind, ...] = ("csv", "profiler")
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "reafference:files")
_NUMBERED = re.compile(r"(.+T\d\d-\d\d-\d\d)-(\d+)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FOLDERS = {"csv": "csv_records_", "profiler": "profiler_data_"}
_OWN_TABLES, _EXPORTED = "csv", "export"


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file of the run whose folder is `run`; `folder` sorts by time. `path` is None for one made when it is read."""

    name: str
    folder: str
    run: Path
    path: Path | None

    @property
    def size(self) -> int:
        """How many bytes there are of it now."""
        if self.path is not None:
            return self.path.stat().st_size
        return _size_made(self.run, self.name, self.run.stat().st_mtime_ns)

    def uuid(self, experiment: str) -> str:
        """Its key, which follows from what it is."""
        return uuid_of(experiment, f"{self.folder}/{self.name}")

    def data(self) -> bytes:
        """What is in it now; raises Problem 404 if it has gone."""
        return self.path.read_bytes() if self.path else coach_profile.content(self.run, self.name)


@lru_cache(1000)
def _size_made(run: Path, name: str, changed_ns: int) -> int:
    """As many runs are listed again and again, and a profile may be long. Files of a run come and go whole."""
    return len(coach_profile.content(run, name))


def uuid_of(experiment: str, path: str) -> str:
    """The key of a file of an experiment, always the same."""
    return str(uuid.uuid5(_SPACE, f"{experiment}/{path}"))


@router.get("/experiment/{id}/files/{kind}")
def list_run_files(id: str, kind: Kind, gateway: House, person: Reader) -> list[dict[str, Any]]:
    """The files of all runs; of one that goes on, what it has written so far."""
    held = gateway.storage.held(id)
    return [
        {"uuid": file.uuid(id), "name": file.name, "folder": file.folder, "size": file.size}
        for file in run_files(held, kind)
    ]


def run_files(held: Path, kind: Kind) -> Iterator[RunFile]:
    """The files of the runs of an experiment, whose recordings are in the folder `held`, the oldest first."""
    for run in runs_in(held):
        into = _FOLDERS[kind] + sortable(run.name)
        if kind == "csv":
            for name, path in tables_of(run):
                yield RunFile(name, into, run, path)
        else:
            for name in coach_profile.names(run):
                yield RunFile(name, into, run, None)


def run_file(held: Path, experiment: str, key: str) -> RunFile | None:
    """The file of a run with this key; None if it is that of no such file."""
    if not is_uuid(key):
        return None
    files = (file for kind in _KINDS for file in run_files(held, kind))
    return next((file for file in files if file.uuid(experiment) == key), None)


def runs_in(recordings: Path) -> list[Path]:
    """The folders of the runs, the oldest first."""
    if not recordings.is_dir():
        return []
    found = [entry for entry in recordings.iterdir() if entry.is_dir() and not entry.is_symlink()]
    return sorted((entry for entry in found if not paths.flaw_of(entry.name)), key=lambda entry: sortable(entry.name))


def tables_of(run: Path) -> list[tuple[str, Path]]:
    """Name and place of each table of a run: of its own recorders first, then what has been exported of it."""
    own = {name: run / _OWN_TABLES / name for name, _ in files_of(run / _OWN_TABLES)}
    exported = {name: run / _EXPORTED / name for name, _ in files_of(run / _EXPORTED) if name.endswith(".csv")}
    return [*own.items(), *((name, path) for name, path in exported.items() if name not in own)]


def is_uuid(key: str) -> bool:
    """Whether this may be the key of a file; else it is a path."""
    return _UUID.fullmatch(key) is not None


def sortable(name: str) -> str:
    """The name of a run folder, so that `…-10` comes after `…-2`."""
    numbered = _NUMBERED.fullmatch(name)
    return f"{numbered[1]}_{int(numbered[2]):04d}" if numbered else name
