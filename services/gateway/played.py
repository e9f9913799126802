"""A recording that is played in a place of the server, as if it were a simulation.

Whoever follows simulations can follow it: by the page, the live stream, or the topics of published clients. It can be
started, paused, stopped and put back to its beginning; there is nothing in it that could be changed.
"""

import asyncio
import contextlib
import shutil
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reafference import codec
from reafference.errors import OutOfOrder
from reafference.frames import OrderKind, Outcome, RunStart, RunStop, StateNote
from reafference.frames import State as EngineState
from reafference.topics import parsed

from .launching import Starter
from .problems import Problem, not_found
from .recorded_frames import Parts, RecordedFrames
from .recordings import RECORDING, SUMMARY
from .simulation import Simulation
from .status import State

_END_S = 20.0
_LATE_S = 0.25
_CLOCK, _FUNCTIONS = "engine/clock", "engine/functions"
_ONLY = "a recording is played here: it can be started, paused, stopped and reset as a whole, but not be changed"


def found_in(recordings: Path, wish: str) -> Path:
    """The recording that is meant by a path or a name: a run folder or a zip file among those of an experiment.

    Raises Problem 404 if there is none.
    """
    name = wish.replace("\\", "/").rstrip("/").rpartition("/")[2]
    for one in (name, f"{name}.zip"):
        place = recordings / one
        whole = (place / RECORDING).is_file() if place.is_dir() else place.suffix == ".zip" and place.is_file()
        if whole and not one.startswith(".") and not place.is_symlink():
            return place
    raise not_found("recording", wish[:200])


@dataclass(eq=False)
class Played(Simulation):
    """`source` is the run folder, or the zip file, that is played."""

    source: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._playing = self._leaving = False
        self._goal: int | None = 0
        self._t_ns = self._end_ns = 0
        self._dt_ns = 1
        self._first_functions: Parts = []
        self._ordered = asyncio.Event()
        self._from = (0.0, 0)

    # --- its life ------------------------------------------------------------------------------------

    async def conduct(self, starter: Starter, arguments: Sequence[str]) -> None:
        """Open the recording and play it as ordered, until its end or until it is stopped."""
        ticking = asyncio.create_task(self._tick())
        try:
            with tempfile.TemporaryDirectory(prefix="reaf-play-") as made:
                frames = await RecordedFrames.open(await asyncio.to_thread(_unpacked, self.source, Path(made)))
                try:
                    self._learn_all(frames.kept)
                    await self._play(frames)
                finally:
                    await frames.close()
            self._conclude()
        except Problem as problem:
            self.status.blame("bad_experiment", problem.detail)
        except Exception as error:
            self._log.error("playing broke off", exc_info=error)
            self.status.blame("internal", f"the server could not play on: {error}")
        finally:
            ticking.cancel()
            self.status.over(0)
            self.history.settle()
            self.occupies = False
            self.changed()

    def _learn_all(self, kept: list[Parts]) -> None:
        """Take in what comes first: the last commit mark, the documents, the messages, the functions."""
        for parts in kept:
            name = parsed(parts[0]).name
            if name == _CLOCK:
                self._end_ns = codec.place(parts).t_ns
            elif name == _FUNCTIONS:
                self._first_functions = self._first_functions or parts
            else:
                self._show(parts)
        if isinstance(self.start, RunStart):
            self._dt_ns, self.status.run = max(self.start.dt_ns, 1), self.start.run

    async def _play(self, frames: RecordedFrames) -> None:
        step: list[Parts] | None = None
        while not self._leaving:
            self._ordered.clear()
            if self._goal is not None:
                self._goal, self._t_ns, step = None, 0, None
                self.history.cut(0)
                if self._first_functions:
                    self._show(self._first_functions)
                frames.seek(0)
                self._tell("ready")
            elif not self._playing:
                await self._ordered.wait()
            else:
                step = step or await frames.step()
                if self._ordered.is_set():
                    continue  # the step came late: what was ordered meanwhile goes first
                if step is None:
                    return
                if await self._due(_end_of(step)):
                    for parts in step:
                        self._show(parts)
                    self._t_ns, step = _end_of(step), None
                    self._tell("running")

    async def _due(self, end_ns: int) -> bool:
        """Wait until the step that ends then is to be shown; False if there is another order before that."""
        now = time.monotonic()
        if end_ns - self._t_ns > 1.5 * self._dt_ns:
            self._from = (now, end_ns)  # what lies between was not recorded
        at, from_ns = self._from
        wait_s = at + (end_ns - from_ns) / 1e9 - now
        if wait_s < -_LATE_S:
            self._from = (now, end_ns)
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._ordered.wait()
                return False
        return True

    def _conclude(self) -> None:
        outcome: Outcome = "stopped" if self._leaving else "finished"
        steps = self._t_ns // self._dt_ns
        self.status.hear(RunStop(step=steps - 1, t_ns=self._t_ns, outcome=outcome, steps=steps), time.monotonic())

    def _show(self, parts: Parts) -> None:
        frame = self.history.take(parts)
        if frame is not None:
            self._learn(frame)
        self._wake()

    def _tell(self, state: EngineState) -> None:
        """Say where it stands, in the engine's words."""
        facts = {
            "dt_ns": self._dt_ns,
            "real_ns": self._t_ns,
            "limit": {"kind": "simulated", "s": self._end_ns / 1e9, "left_s": (self._end_ns - self._t_ns) / 1e9},
        }
        note = StateNote(step=self._t_ns // self._dt_ns, t_ns=self._t_ns, state=state, facts=facts)
        before = self.status.state
        self.status.hear(note, time.monotonic())
        self.changed(at_once=self.status.state != before)

    # --- what can be asked of it ---------------------------------------------------------------------

    async def order(self, what: OrderKind, wanted: State, reason: str) -> None:
        """Play, or pause. Raises OutOfOrder when it is over, or for another order."""
        if self.status.ended or what not in ("start", "resume", "pause"):
            raise OutOfOrder(_ONLY if not self.status.ended else f"it is {self.status.state}: play it again")
        self._playing = what != "pause"
        self._from = (time.monotonic(), self._t_ns)
        self._tell("running" if self._playing else "paused")
        self._ordered.set()

    async def reset(self, what: str, by: str) -> None:
        """Go back to the beginning. Raises OutOfOrder for a part of it."""
        if what != "full" or self.status.ended:
            raise OutOfOrder(_ONLY)
        self._playing, self._goal = False, 0
        self._ordered.set()
        await self.until(lambda: self._goal is None or self.status.ended, _END_S)

    async def stop(self, reason: str) -> None:
        """End it."""
        await self.end(reason)

    async def cancel(self, reason: str) -> None:
        """End it."""
        await self.end(reason)

    async def end(self, reason: str, patience_s: float = _END_S) -> None:
        """End it; returns when it has."""
        self.status.stop_asked = self._leaving = True
        self._ordered.set()
        await self.until(lambda: not self.occupies, patience_s)

    async def step(self, reason: str, steps: int = 1) -> None:
        """Raises OutOfOrder."""
        raise OutOfOrder(_ONLY)

    async def edit(
        self, to: str, what: str, arguments: Mapping[str, Any] | None = None, *, by: str, timeout_s: float = 0.0
    ) -> dict[str, Any]:
        """Raises OutOfOrder."""
        raise OutOfOrder(_ONLY)


def _unpacked(source: Path, into: Path) -> Path:
    """The run folder of a recording. Raises Problem 422 where there is none in a zip file."""
    if source.is_dir():
        return source
    try:
        with zipfile.ZipFile(source) as zipped:
            for entry in zipped.infolist():
                name = entry.filename.rpartition("/")[2]
                if name in (RECORDING, SUMMARY) and entry.filename.count("/") < 2:
                    with zipped.open(entry) as packed, (into / name).open("wb") as file:
                        shutil.copyfileobj(packed, file)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise Problem(422, "invalid", f"{source.name} cannot be unpacked: {error}") from None
    return into


def _end_of(step: list[Parts]) -> int:
    """When this step ends; its commit mark is the last of its frames."""
    return codec.place(step[-1]).t_ns
