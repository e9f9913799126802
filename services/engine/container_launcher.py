"""`python -m services.engine.container_launcher SOCKET`: starts a further set of containers for each run.

It speaks as a stand does (PROTOCOL.md, "Stands"); a start request may name the version of the images, and
`{"do":"images"}` lists those there are. It alone sees the socket of the container engine, and runs no code of a
user: every run has a process here, container_run.py, which makes a set and has the run started inside it.
Started again after it was killed, it takes up the sets whose runs go on and removes the others.
"""

import argparse
import contextlib
import json
import os
import re
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from reafference import __version__, logs, stand_client
from reafference.errors import BadExperiment, PeerLost, ReafferenceError
from reafference.stand import Connection, Process, Refused, Stand

from .container_run import LEFT_BEHIND, SetJob
from .container_template import ABOUT, KEEP
from .container_wish import MODULE, chosen, label, start_wish
from .docker_engine import DockerEngine, Found

_RUN = "services.engine.container_run"
_NAME = "launcher.stand"
_SET = "set-"
_SWEEP = "sweep"
_CALL_S = 5  # while the container engine is asked nobody else is answered
_ASK_S = 3.0
_MOST_BYTES = 100_000  # of an argument of a command line
_PREFIX = re.compile(r"[a-z0-9][a-z0-9._/:-]*", re.ASCII)
_KILLED_TWICE = 128 + 15


class Launcher(Stand):
    """A stand whose processes each look after one set of containers."""

    def __init__(self, path: str, docker: DockerEngine, common: SetJob, tag: str, most: int) -> None:
        super().__init__(path, "engine")
        self.patience_s = common.leave_s
        self._docker, self._common, self._tag, self._most = docker, common, tag, most
        self._handlers["images"] = self._images
        self._sets: dict[Process, str] = {}  # which set a process looks after
        self._log = logs.configure("launcher")

    # --- requests ---

    def _start(self, connection: Connection, asked: dict[str, Any]) -> None:
        if connection.process is not None:
            raise Refused("start: one connection is for one process")
        if self._ending:
            raise Refused("the launcher of containers is ending")
        if len(self._living()) >= self._most:
            raise Refused(
                f"all {self._most} sets of containers are taken: end a simulation, or allow more with REAF_MOST_SETS"
            )
        try:
            wish = start_wish(asked)
            tag = chosen(wish.tag, self._tag, self._docker.tags())
        except ReafferenceError as error:
            raise Refused(error.text) from None
        set_id = f"{_SET}{secrets.token_hex(4)}"
        wish = replace(wish, about={**wish.about, "set": set_id, "image": tag})
        job = self._job(set_id, tag=tag, wish=asdict(wish))
        connection.follow(self._look_after("start", job, wish.about, keep=wish.keep), owner=True)

    def _images(self, connection: Connection, asked: dict[str, Any]) -> None:
        try:
            tags = self._docker.tags()
        except ReafferenceError as error:
            raise Refused(error.text) from None
        connection.say(
            {"event": "images", "images": tags, "own": self._tag, "most": self._most, "running": len(self._living())}
        )

    def _health(self, connection: Connection, asked: dict[str, Any]) -> None:
        running = len(self._living())
        connection.say({"event": "health", "service": "launcher", "version": __version__, "running": running})

    def _worth_listing(self, process: Process) -> bool:
        return process.wish.arguments[0] != _SWEEP and super()._worth_listing(process)

    # --- sets ---

    def _job(self, set_id: str, **fields: Any) -> SetJob:
        return SetJob(**{**asdict(self._common), "set_id": set_id, **fields})

    def _look_after(self, what: str, job: SetJob, about: Mapping[str, Any], *, keep: bool) -> Process:
        argument = job.argument()
        if len(argument) > _MOST_BYTES:
            raise Refused(f"the request is longer than {_MOST_BYTES} bytes")
        process = self._begin(_process([what, argument], about, keep=keep), [])
        self._sets[process] = job.set_id
        self._log.info(
            "set begun" if what == "start" else "set taken up",
            set=job.set_id,
            image=label(about.get("image")),
            simulation=label(about.get("id")),
            owner=label(about.get("owner")),
        )
        process.wish.module = MODULE  # those who list shall find what was asked for
        return process

    def _living(self) -> set[str]:
        """The sets that a process looks after."""
        return {set_id for process, set_id in self._sets.items() if not process.ended}

    def _reap(self) -> None:
        super()._reap()
        for process in [process for process in self._sets if process.ended]:
            set_id = self._sets.pop(process)
            self._log.info("set over", set=set_id, status=process.popen.returncode)
            if _left_behind(process):
                self._sweep([set_id])

    def _sweep(self, left: Sequence[str]) -> None:
        """Remove sets that nobody looks after; those that cannot be now are when the launcher starts again."""
        if left and not self._ending:
            self._log.warning("sets left behind", sets=list(left))
            with contextlib.suppress(Refused):
                self._begin(_process([_SWEEP, self._job("").argument(), *left], {}, keep=False), [])

    def _tidy(self) -> None:
        """Take up the sets of the launcher that was here before, as far as their runs go on."""
        by_set: dict[str, list[Found]] = {}
        for one in self._docker.of_sets(self._common.project):
            by_set.setdefault(one.set_id, []).append(one)
        runs = {set_id: self._run_of(set_id, containers) for set_id, containers in by_set.items()}
        for set_id, run in runs.items():
            if run is not None:
                about = json.loads(by_set[set_id][0].labels.get(ABOUT, "{}"))
                self._look_after("adopt", self._job(set_id, process=run), about, keep=True)
        folders = {folder.name for folder in Path(self._common.stands).glob(f"{_SET}*")}
        self._sweep(sorted((set(by_set) | folders) - self._living()))

    def _run_of(self, set_id: str, containers: Sequence[Found]) -> str | None:
        """The number of the run that goes on in a set, as the stand in it lists it."""
        kept = all(one.labels.get(KEEP) == "1" for one in containers)
        if not kept or not any(one.service == "engine" and one.alive for one in containers):
            return None
        with contextlib.suppress(PeerLost, KeyError, IndexError):
            return str(stand_client.running(Path(self._common.stands) / set_id / "engine.stand", _ASK_S)[0]["id"])
        return None


def _process(arguments: list[str], about: Mapping[str, Any], *, keep: bool) -> dict[str, Any]:
    """The request for a process of ours. Nothing of the environment that a client asks for is for us."""
    made: dict[str, Any] = {"module": _RUN, "arguments": arguments, "output": "lines"}
    return made | {"about": dict(about), "keep": keep}


def _left_behind(process: Process) -> bool:
    status = process.popen.returncode
    return status < 0 or status in (LEFT_BEHIND, _KILLED_TWICE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Stand until SIGTERM; returns the exit status."""
    given = _parser(os.environ).parse_args(arguments)
    try:
        return _stand(given)
    except (ReafferenceError, Refused) as error:
        print(f"reaf: {error}", file=sys.stderr, flush=True)
        return getattr(error, "exit_status", 2)


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.engine.container_launcher", description=__doc__)
    parser.add_argument("socket", type=Path, help="where it listens")
    stands = environ.get("REAF_STANDS", "/run/reafference")
    parser.add_argument("--stands", type=Path, default=Path(stands), help="the folder that all containers share")
    project = environ.get("REAF_PROJECT", "")
    parser.add_argument("--project", default=project, help="of compose (default: that of this container)")
    images = environ.get("REAF_IMAGES", "") or "reafference-"
    parser.add_argument("--images", default=images, help="what stands before engine, brain … in the names of images")
    tag = environ.get("REAF_TAG", "") or __version__
    parser.add_argument("--tag", default=tag, help="the version that is taken if none is asked for")
    most = environ.get("REAF_MOST_SETS", "") or "2"
    parser.add_argument("--most", type=int, default=most, help="how many sets may stand at once (REAF_MOST_SETS)")
    ready = environ.get("REAF_SET_READY_S", "") or "60"
    parser.add_argument(
        "--ready", type=float, default=ready, help="seconds that the stands of a set may take to answer"
    )
    leave = environ.get("REAF_SET_LEAVE_S", "") or "45"
    parser.add_argument("--leave", type=float, default=leave, help="seconds that a run and its set may take to end")
    return parser


def _stand(given: argparse.Namespace) -> int:
    if not _PREFIX.fullmatch(given.images):
        raise BadExperiment(f"--images is {given.images!r}, but must be the beginning of a name, such as reafference-")
    if not 1 <= given.most <= 1000 or given.ready <= 0 or given.leave <= 0:
        raise BadExperiment("--most must be from 1 to 1000, --ready and --leave more than 0 s")
    docker = DockerEngine(given.images, _CALL_S)
    project = given.project or docker.project_of(socket.gethostname())
    common = SetJob(
        set_id="",
        project=project,
        images=given.images,
        stands=str(given.stands),
        ready_s=given.ready,
        leave_s=given.leave,
    )
    with _known_as(given.socket.absolute(), given.stands / _NAME):
        return Launcher(str(given.socket.absolute()), docker, common, given.tag, given.most).serve()


@contextlib.contextmanager
def _known_as(path: Path, name: Path) -> Iterator[None]:
    """Let the socket be found among the stands.

    It may lie in a folder that only the gateway sees besides us: then it is found among the stands as a link, which
    leads nowhere in the containers where users' code runs.
    """
    if path == name:
        yield
        return
    made = name.with_name(f".{name.name}.{os.getpid()}")
    made.unlink(missing_ok=True)
    made.symlink_to(path)
    made.replace(name)
    try:
        yield
    finally:
        if name.is_symlink():
            name.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
