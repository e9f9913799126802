"""The recorder of a simulation, for published clients: start, stop, save, and so on.

A run is recorded as a whole anyway. `start` and `stop` mark stretches of it, in a file beside its recording; `save`
makes of them a recording of its own in a zip file, in the folder `recordings` of the experiment.
"""

import asyncio
import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter

from .. import archive
from ..house import Gateway
from ..problems import Problem
from ..recordings import files_of
from ..simulation import Simulation
from ..storage import replace_file
from .access import House, Seen, Steered

router = APIRouter()

_MARKS = "stretches.json"
_SAVE_S = 600.0
_CLOCK = "engine/clock"

Command = Literal["start", "stop", "save", "reset", "cancel"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of simulated time, in nanoseconds; `to_ns` is None while it goes on."""

    from_ns: int
    to_ns: int | None = None


@router.get("/simulation/{number}/recorder/is-recording")
async def is_recording(simulation: Seen) -> Any:
    """Whether a stretch goes on."""
    marks = _read(simulation)
    return {"value": bool(marks) and marks[-1].to_ns is None}


@router.post("/simulation/{number}/recorder/{command}")
async def command_recorder(command: Command, simulation: Steered, gateway: House) -> Any:
    """Do it. What is so already is no error."""
    folder = await simulation.written()
    if folder is None:
        raise Problem(400, "out_of_order", "nothing of this simulation has been recorded")
    marks, now_ns = _read(simulation), _now_ns(simulation)
    match command:
        case "start":
            _keep(folder, begun(marks, now_ns))
        case "stop":
            _keep(folder, ended(marks, now_ns))
        case "save":
            name = await asyncio.to_thread(_save, gateway, folder, ended(marks, now_ns))
            return {"value": "success", "filename": name}
        case "reset" | "cancel":
            (folder / _MARKS).unlink(missing_ok=True)
    return {"value": "success"}


@router.get("/simulation/{number}/csv-recorders")
async def csv_recorders(simulation: Seen) -> Any:
    """The files of CSV recorders."""
    return _csv_files(simulation)


@router.put("/simulation/{number}/csv-recorders")
async def save_csv_recorders(simulation: Steered) -> Any:
    """They are written as the run goes on, so there is nothing left to be saved."""
    return _csv_files(simulation)


def _csv_files(simulation: Simulation) -> list[dict[str, Any]]:
    folder = simulation.recording
    found = files_of(folder / "csv") if folder is not None else []
    return [{"name": name, "size": size} for name, size in found]


def begun(marks: list[Mark], now_ns: int) -> list[Mark]:
    """With a stretch that goes on from now."""
    return marks if marks and marks[-1].to_ns is None else [*marks, Mark(now_ns)]


def ended(marks: list[Mark], now_ns: int) -> list[Mark]:
    """With the last stretch ended now; one in which no time has passed is none."""
    if not marks or marks[-1].to_ns is not None:
        return marks
    last = Mark(marks[-1].from_ns, now_ns)
    return [*marks[:-1], last] if now_ns > last.from_ns else marks[:-1]


def _now_ns(simulation: Simulation) -> int:
    """Simulated time, as far as anybody here has heard."""
    newest = simulation.history.newest(_CLOCK)
    note = simulation.status.note
    return max(newest.place.t_ns if newest else 0, note.t_ns if note else 0)


def _read(simulation: Simulation) -> list[Mark]:
    folder = simulation.recording
    if folder is None:
        return []
    try:
        kept = json.loads((folder / _MARKS).read_text(encoding="utf-8"))
        return [Mark(int(first), None if last is None else int(last)) for first, last in kept]
    except (OSError, ValueError, TypeError):
        return []


def _keep(folder: Path, marks: list[Mark]) -> None:
    replace_file(folder / _MARKS, json.dumps([[mark.from_ns, mark.to_ns] for mark in marks]).encode())


def _save(gateway: Gateway, folder: Path, marks: list[Mark]) -> str:
    """Blocking: the name of the zip file. Raises Problem."""
    if not marks:
        raise Problem(400, "out_of_order", "nothing has been recorded that could be saved: start, run, stop, then save")
    stretches = ",".join(f"{mark.from_ns}:{mark.to_ns}" for mark in marks)
    recordings = folder.parent
    with tempfile.TemporaryDirectory(dir=recordings, prefix=".cut-") as made:
        arguments = ["cut", str(folder), f"--stretches={stretches}", "--out", made]
        told = gateway.tools.run("services.recorder", arguments, _SAVE_S)
        if told.status:
            raise Problem(400, "out_of_order", told.last_words)
        name = _free(recordings)
        part = Path(made) / ".part"
        with part.open("wb") as zipped:
            archive.pack(Path(made), [path for path, _ in files_of(Path(made)) if path != part.name], zipped, name[:-4])
        part.rename(recordings / name)
    return name


def _free(recordings: Path) -> str:
    """The name of a zip file that is made now."""
    stem = datetime.now(UTC).strftime("recording_%Y-%m-%d_%H-%M-%S")
    name, number = f"{stem}.zip", 1
    while (recordings / name).exists():
        number += 1
        name = f"{stem}-{number}.zip"
    return name
