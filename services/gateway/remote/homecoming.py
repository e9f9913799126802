"""Recordings of runs on jobs come home: when a run there has ended, its recording is brought into our storage.

Whoever looks for it finds it among the recordings of the experiment as if it had run here. Where that fails, the
simulation says why, and where the recording lies on the cluster.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from ..problems import Problem
from ..recordings import RECORDING, files_of, recording_in, summary_in
from ..status import ENDED
from ..storage import Storage
from ..tools import Tools
from .arrivals import Arrivals, Expected
from .job_server import JobServer
from .recording_transfer import FromFolder, FromJob, Source, bring

_LOOK_S = 0.5
_LAST_WORDS_S = 90.0
"""How long a job that has ended may take until its recordings are complete."""
_STILL_S = 20.0
"""After so much time without a byte it is taken for what was left behind."""
_TOOL_S = 1800.0
_AGAIN_S = 5.0
_PASSING = ("unavailable", "busy", "peer_late")
"""Reasons that may be gone a little later."""


class Homecoming:
    """Brings recordings of all jobs home, one after the other from each."""

    def __init__(self, storage: Storage, tools: Tools) -> None:
        self._storage, self._tools = storage, tools
        self.arrivals = Arrivals(storage.home / "arrivals.json")
        self._given_up: set[tuple[str, str]] = set()  # job, simulation
        self._log = structlog.get_logger()

    async def attend(self, server: JobServer) -> None:
        """Bring what its simulations leave, as long as the job serves; until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                for simulation in list(server.simulations.values()):
                    self.arrivals.expect(server.job, simulation["experiment"])
                    if server.ready and self._to_bring(server, simulation):
                        await self._bring_of(server, simulation)
            except Exception as error:
                self._log.error("recordings not fetched", job=server.id, exc_info=error)
                await asyncio.sleep(_AGAIN_S)

    def _to_bring(self, server: JobServer, simulation: Mapping[str, Any]) -> bool:
        if simulation["state"] not in ENDED or not simulation["recording"] or not _quiet(server):
            return False
        known = self.arrivals.settled(server.id, simulation["experiment"], simulation["recording"])
        return not known and (server.id, simulation["id"]) not in self._given_up

    async def _bring_of(self, server: JobServer, simulation: Mapping[str, Any]) -> None:
        """All recordings of its experiment that nobody writes to any more: a full reset begins another one."""
        sid, experiment = simulation["id"], simulation["experiment"]
        busy = {one["recording"] for one in server.simulations.values() if one["state"] not in ENDED}
        try:
            source = FromJob(server)
            for recording in await source.recordings(experiment):
                if recording not in busy and not self.arrivals.settled(server.id, experiment, recording):
                    await self._bring(source, server, sid, experiment, recording)
            server.notes.pop(sid, None)
            if not self.arrivals.settled(server.id, experiment, simulation["recording"]):
                self._nothing_there(server, simulation)
        except Problem as problem:
            where = place_on_cluster(server.job.shown or str(server.job.folder or ""), experiment)
            server.notes[sid] = f"its recording has not been fetched yet ({problem.detail}){where}"
            if problem.code not in _PASSING:
                server.notes[sid] = f"its recording could not be fetched ({problem.detail}){where}"
                self._given_up.add((server.id, sid))
            self._log.warning("recording not fetched", job=server.id, simulation=sid, reason=problem.detail)

    def _nothing_there(self, server: JobServer, simulation: Mapping[str, Any]) -> None:
        """A run that could not be built leaves nothing."""
        self.arrivals.settle(server.id, simulation["experiment"], simulation["recording"])
        if simulation["recorded_bytes"]:
            raise Problem(404, "not_found", "it is not there")

    async def _bring(self, source: Source, server: JobServer, sid: str, experiment: str, recording: str) -> None:
        def told(have: int, total: int) -> None:
            server.notes[sid] = f"its recording is being fetched: {have / 1e6:,.1f} of {total / 1e6:,.1f} MB"

        await self._take_in(source, server.id, experiment, recording, told)

    async def _take_in(self, source: Source, job: str, experiment: str, recording: str, told: Any) -> Path:
        """The recording in its place among those of the experiment; raises Problem."""
        home = await asyncio.to_thread(self._storage.recordings, experiment)
        arriving = home / f".arriving-{job}-{recording}"
        await bring(source, experiment, recording, arriving, told)
        if not recording_in(arriving).outcome:
            await asyncio.to_thread(self._mend, arriving)
        await asyncio.to_thread(self._verify, arriving)
        place = await asyncio.to_thread(_put, arriving, home, recording, job)
        self.arrivals.settle(job, experiment, recording)
        self._log.info("recording fetched", job=job, experiment=experiment, recording=place.name)
        return place

    def _mend(self, folder: Path) -> None:
        """Whoever wrote it was lost. What cannot be mended is kept as it is."""
        with contextlib.suppress(Problem):
            self._tools.run("services.recorder", ["mend", str(folder)], _TOOL_S)

    def _verify(self, folder: Path) -> None:
        """Raises Problem 502 where it is not what the run has written."""
        if not (folder / RECORDING).exists():
            return
        told = self._tools.run("services.recorder", ["verify", str(folder)], _TOOL_S)
        if told.status and recording_in(folder).outcome not in ("", "fault"):
            raise Problem(502, "bad_frame", f"it is not as it was written: {told.last_words}")

    # --- jobs that have ended ----------------------------------------------------------------------------

    async def rest_of(self, server: JobServer) -> dict[str, dict[str, Any]]:
        """Bring what is left of a job that has ended, from its folder; what is known better now of its simulations."""
        expected = self.arrivals.jobs().get(server.id, Expected())
        known = {one["id"]: one for one in server.told()}
        problems = await self.rest_in(server.id, expected, [one["recording"] for one in known.values()])
        return {sid: self._afterwards(server.id, one, problems) for sid, one in known.items()}

    async def completed_in(self, job: str, expected: Expected) -> None:
        """Bring what is complete in the folder of a job that does not serve; it may have ended, or not."""
        root = Path(expected.folder) / "home" / "experiments"
        if not expected.folder or not await asyncio.to_thread(root.is_dir):
            return
        for experiment in expected.experiments:
            with contextlib.suppress(Problem):
                for recording in await FromFolder(root).recordings(experiment):
                    folder = root / experiment / "recordings" / recording
                    complete = (await asyncio.to_thread(summary_in, folder)).get("outcome")
                    if complete and not self.arrivals.settled(job, experiment, recording):
                        await self._take_in(FromFolder(root), job, experiment, recording, _unheard)

    async def rest_in(self, job: str, expected: Expected, named: list[str]) -> dict[str, str]:
        """Bring what is left in the folder of a job; by experiment, why something could not be brought."""
        problems: dict[str, str] = {}
        for experiment in expected.experiments:
            try:
                await self._bring_rest(job, expected, experiment, named)
            except Problem as problem:
                where = place_on_cluster(expected.shown or expected.folder, experiment)
                problems[experiment] = f"its recording could not be fetched ({problem.detail}){where}"
                self._log.warning("recording not fetched", job=job, experiment=experiment, reason=problem.detail)
        if not problems:
            self.arrivals.forget(job)
        return problems

    async def _bring_rest(self, job: str, expected: Expected, experiment: str, named: list[str]) -> None:
        root = Path(expected.folder) / "home" / "experiments"
        missing = [one for one in named if one and not self.arrivals.settled(job, experiment, one)]
        if not expected.folder or not await asyncio.to_thread(root.is_dir):
            if missing:
                raise Problem(404, "not_found", "the job has ended, and its files cannot be reached from here")
            return
        source = FromFolder(root)
        for recording in await source.recordings(experiment):
            if not self.arrivals.settled(job, experiment, recording):
                await self._until_complete(root / experiment / "recordings" / recording)
                await self._take_in(source, job, experiment, recording, _unheard)

    async def _until_complete(self, folder: Path) -> None:
        """A job that ends in order completes its recordings; one that was killed writes nothing any more."""
        loop = asyncio.get_running_loop()
        begun_at = changed_at = loop.time()
        seen: list[tuple[str, int]] = []
        while not (await asyncio.to_thread(summary_in, folder)).get("outcome"):
            now, found = loop.time(), await asyncio.to_thread(files_of, folder)
            if found != seen:
                seen, changed_at = found, now
            if now - changed_at > _STILL_S or now - begun_at > _LAST_WORDS_S:
                return
            await asyncio.sleep(_LOOK_S)

    def _afterwards(self, job: str, simulation: Mapping[str, Any], problems: Mapping[str, str]) -> dict[str, Any]:
        """What its recording says of how it ended."""
        experiment, recording = simulation["experiment"], simulation["recording"]
        changed: dict[str, Any] = {}
        if experiment in problems and not self.arrivals.settled(job, experiment, recording):
            changed["warnings"] = [*simulation["warnings"], problems[experiment]]
        with contextlib.suppress(Problem):
            told = recording_in(self._storage.recording(experiment, recording))
            if simulation["state"] not in ENDED and told.outcome:
                state = "halted" if told.outcome == "fault" else "stopped"
                changed |= {"state": state, "outcome": told.outcome, "text": told.text}
                changed |= {"step": told.steps, "t_s": told.simulated_s}
        return changed


def place_on_cluster(folder: str, experiment: str) -> str:
    """Where recordings of an experiment lie, as the end of a sentence; empty where nobody knows."""
    return f": on the cluster it lies in {folder}/home/experiments/{experiment}/recordings" if folder else ""


def _unheard(have: int, total: int) -> None:
    """Nobody asks how far it has come."""


def _quiet(server: JobServer) -> bool:
    """Whether no run that has ended still has processes, which may write."""
    running = sum(one["state"] not in ENDED for one in server.simulations.values())
    return server.machine is not None and server.machine.busy <= running


def _put(arriving: Path, home: Path, recording: str, job: str) -> Path:
    """Move what has arrived to where all see it."""
    place = home / recording
    if place.exists() and recording_in(place).run == recording_in(arriving).run:
        shutil.rmtree(arriving, ignore_errors=True)
        return place
    if place.exists():
        place = home / f"{recording}-{job}"
    arriving.rename(place)
    return place
