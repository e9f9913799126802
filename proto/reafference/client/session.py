"""A server as a script sees it: its catalogue, its storage, its simulations."""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from .door import Door, loaded
from .jobs import Jobs
from .recordings import Recordings
from .refusals import Changed, Invalid, ServerError
from .resources import Experiment, File, Limit, Me, Server, Status
from .simulation import Simulation
from .standalone import StandaloneBrain, brain_document, brain_files

LAUNCH_S = 3600.0
_UPLOAD_S = 600.0
_LEFT_OUT = ("recordings", "runs", "__pycache__")


class Session:
    """One server and one token. Close it at the end, or use it in a `with`; simulations go on without it.

        with reafference.client.connect() as session:
            experiment = session.clone("mouse_reach")
            with session.launch(experiment, set={"area_mm2": 0.02}) as sim:
                sim.run(for_s=1.0)

    Wherever an experiment is asked for, its id or the Experiment will do. What the server refuses raises a
    ServerError.
    """

    def __init__(self, door: Door, *, at_end: Callable[[], None] | None = None) -> None:
        self._door, self._at_end = door, at_end

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Session at {self.url}>"

    def close(self) -> None:
        """Say no more to the server; one that was started for this session ends, with all that it runs."""
        self._door.close()
        if self._at_end:
            self._at_end()

    @property
    def url(self) -> str:
        return self._door.url

    @property
    def token(self) -> str:
        return self._door.token

    def me(self) -> Me:
        """Whom the token belongs to, and its role."""
        return loaded(Me, self._door.get("me"))

    # --- catalogue ------------------------------------------------------------------------------------------

    def templates(self) -> tuple[Experiment, ...]:
        """The experiments that come with the server; clone one to use it."""
        return _all(Experiment, self._door.get("templates"))

    def experiments(self) -> tuple[Experiment, ...]:
        """The experiments in the storage."""
        return _all(Experiment, self._door.get("experiments"))

    def experiment(self, experiment: Experiment | str) -> Experiment:
        """One of them, as it is now."""
        return loaded(Experiment, self._door.get("experiments", _id(experiment)))

    def servers(self) -> tuple[Server, ...]:
        """Where simulations can run, and how many of the places are taken."""
        return _all(Server, self._door.get("servers"))

    def simulations(self) -> tuple[Status, ...]:
        """All simulations that run, or have ended since the server started: owner, age, limit, state, server."""
        return _all(Status, self._door.get("simulations"))

    def simulation(self, simulation: str) -> Simulation:
        """One that is there already, to join it. Raises NotFound."""
        self._door.get("simulations", simulation)
        return Simulation(self._door, simulation)

    # --- cluster --------------------------------------------------------------------------------------------

    @property
    def jobs(self) -> Jobs:
        """Jobs on the cluster of the server."""
        return Jobs(self._door)

    # --- storage --------------------------------------------------------------------------------------------

    def clone(self, source: Experiment | str, name: str | None = None) -> Experiment:
        """A copy of a template or of an experiment, of your own."""
        body = {"source": _id(source)} | ({"name": name} if name else {})
        return loaded(Experiment, self._door.post("experiments", body=body))

    def rename(self, experiment: Experiment | str, *, name: str | None = None, title: str | None = None) -> Experiment:
        """Another name, or another title; with another name it may have another id."""
        given = {"name": name, "title": title}
        body = {key: value for key, value in given.items() if value is not None}
        return loaded(Experiment, self._door.patch("experiments", _id(experiment), body=body))

    def delete(self, experiment: Experiment | str) -> None:
        """Delete it with all its recordings."""
        self._door.delete("experiments", _id(experiment))

    def upload(self, path: Path | str, name: str | None = None) -> Experiment:
        """A folder with an experiment.toml, or a zip of one, as a new experiment."""
        where = Path(path)
        if where.is_dir():
            raw, name = zipped(files_below(where)), name or where.resolve().name
        else:
            raw, name = where.read_bytes(), name or where.stem
        return loaded(Experiment, self._door.upload("experiments", "upload", raw=raw, name=name, patience_s=_UPLOAD_S))

    def download(self, experiment: Experiment | str, path: Path | str) -> Path:
        """Write it as a zip, without recordings, to `path` (a file, or a folder to put it into)."""
        raw, _ = self._door.read("experiments", _id(experiment), "download", patience_s=_UPLOAD_S)
        where = Path(path)
        target = where / f"{_id(experiment)}.zip" if where.is_dir() else where
        target.write_bytes(raw)
        return target

    def files(self, experiment: Experiment | str) -> tuple[File, ...]:
        return _all(File, self._door.get("experiments", _id(experiment), "files"))

    def read_file(self, experiment: Experiment | str, path: str) -> bytes:
        """A file of an experiment; `.decode()` makes a text of it."""
        return self._door.read("experiments", _id(experiment), "files", path)[0]

    def write_file(
        self, experiment: Experiment | str, path: str, content: str | bytes, *, instead_of: str | bytes | None = None
    ) -> None:
        """Write a file of an experiment.

        With `instead_of`, only if that is what it holds; raises Changed where somebody else has changed it.
        """
        where = ("experiments", _id(experiment), "files", path)
        etag = ""
        if instead_of is not None:
            found, etag = self._door.read(*where)
            if found != _bytes(instead_of):
                raise Changed(f"{path} has been changed by somebody else: read it again", status=412)
        self._door.write(*where, raw=_bytes(content), etag=etag)

    def delete_file(self, experiment: Experiment | str, path: str) -> None:
        self._door.delete("experiments", _id(experiment), "files", path)

    def check(self, experiment: Experiment | str) -> tuple[dict[str, Any], ...]:
        """What is wrong with the experiment file and its scripts, without running them; nothing is good news."""
        answer = self._door.post("experiments", _id(experiment), "check", patience_s=_UPLOAD_S)
        return tuple(dict(problem) for problem in answer["problems"])

    def recordings(self, experiment: Experiment | str) -> Recordings:
        """What its runs have left."""
        return Recordings(self._door, _id(experiment))

    # --- launching ------------------------------------------------------------------------------------------

    def launch(
        self,
        experiment: Experiment | str,
        *,
        ranks: int | None = None,
        threads: int | None = None,
        seed: int | None = None,
        steps: int | None = None,
        limit: Limit | float | None = None,
        set: Mapping[str, Any] | None = None,
        server: str = "local",
        image: str = "",
        name: str | None = None,
        record: bool | None = None,
        pace: float | None = None,
        start: bool = False,
        timeout_s: float = LAUNCH_S,
    ) -> Simulation:
        """Build an experiment and return it when it is loaded: paused, or started where `start` says so.

        `ranks` MPI processes of `threads` threads make the brain; `limit` is in simulated seconds, or a Limit;
        `set` overrides keys of the experiment file; `pace` is 1 for real time, 0 for as fast as possible. `server` is
        one of `servers()`; on "containers" the run has containers of its own, of the version `image`. Raises
        Busy when there is no place, Failed with the reason when it cannot be built, Late after `timeout_s`.
        """
        given = {
            "ranks": ranks,
            "threads": threads,
            "seed": seed,
            "steps": steps,
            "limit": _limit(limit),
            "set": dict(set) if set else None,
            "server": None if server == "local" else server,
            "image": image or None,
            "name": name,
            "record": record,
            "pace": pace,
        }
        body = {key: value for key, value in given.items() if value is not None} | {"experiment": _id(experiment)}
        status = loaded(Status, self._door.post("simulations", body=body))
        simulation = Simulation(self._door, status.id)
        simulation.built(timeout_s)
        if start:
            simulation.start()
        return simulation

    def brain(
        self,
        script: Path | str | None = None,
        *,
        model: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        populations: Mapping[str, Any] | None = None,
        sources: Mapping[str, Mapping[str, Any]] | None = None,
        sinks: Mapping[str, Mapping[str, Any]] | None = None,
        ranks: int = 1,
        threads: int = 1,
        resolution_ms: float = 0.1,
        step_ms: float = 10.0,
        seed: int = 1,
        name: str = "brain",
        timeout_s: float = LAUNCH_S,
    ) -> StandaloneBrain:
        """A brain without a body: a network of NEST on so many MPI processes and threads, to be driven from here.

            with session.brain(script="import nest\\n...", ranks=2, threads=2) as brain:
                brain.run(100.0)
                print(brain.rates_hz())

        `script` is a text with a function build() that makes the network and returns its populations, or the path of
        such a file; or else `model` names one that comes with the server. `sources` and `sinks` are groups of devices
        as in an experiment file; a recorder of all spikes is always there. `step_ms` is how often the brain
        can be looked at and changed.
        """
        tables = {"parameters": parameters, "populations": populations, "sources": sources, "sinks": sinks}
        kernel = {"ranks": ranks, "threads": threads, "resolution_ms": resolution_ms}
        document = brain_document(script, model, tables, kernel, name=name, step_ms=step_ms, seed=seed)
        raw = zipped(brain_files(document, script))
        uploaded = self._door.upload("experiments", "upload", raw=raw, name=name, patience_s=_UPLOAD_S)
        experiment = loaded(Experiment, uploaded)

        def launch() -> Simulation:
            return self.launch(experiment, timeout_s=timeout_s)

        try:
            return StandaloneBrain(self._door, experiment.id, document, launch)
        except ServerError:
            self.delete(experiment)
            raise


def files_below(folder: Path) -> dict[str, bytes]:
    """The files of an experiment folder by their paths, without recordings and what is hidden."""
    found = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and not any(part in _LEFT_OUT or part.startswith(".") for part in inner.parts):
            found[inner.as_posix()] = path.read_bytes()
    if "experiment.toml" not in found:
        raise Invalid(f"{folder} has no experiment.toml: give the folder of an experiment", code="invalid")
    return found


def zipped(files: Mapping[str, bytes]) -> bytes:
    """These files as a zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, raw in files.items():
            archive.writestr(path, raw)
    return stream.getvalue()


def check_address(url: str) -> str:
    """Raises Invalid for what cannot be the address of a server."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid(f"{url!r} is no address of a server: write it as http://127.0.0.1:8080", code="invalid")
    return url.rstrip("/")


def _id(experiment: Experiment | str) -> str:
    return experiment if isinstance(experiment, str) else experiment.id


def _all(cls: type[Any], answer: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(loaded(cls, item) for item in answer)


def _bytes(content: str | bytes) -> bytes:
    return content.encode("utf-8") if isinstance(content, str) else content


def _limit(limit: Limit | float | None) -> dict[str, Any] | None:
    if limit is None:
        return None
    return {"kind": limit.kind, "s": limit.s} if isinstance(limit, Limit) else {"kind": "simulated", "s": float(limit)}
