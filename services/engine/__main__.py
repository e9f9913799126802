"""`python -m services.engine EXPERIMENT`: run one experiment with the services that join.

Where the wires are comes from the environment (REAF_WIRES, or one variable for each). The exit status is 0, or
that of the error which ended the run. Standard output carries one line of JSON, `{"code", "text"}`, if the
engine ended because of an error; everything else goes to standard error.
"""

import argparse
import contextlib
import cProfile
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reafference import logs
from reafference.config import ServiceConfig
from reafference.errors import ReafferenceError
from reafference.frames import RunStop
from reafference.process import Leave, die_with, wake_promptly
from reafference.sockets import Wires

from . import dialects, documents, experiment
from .loop import Loop


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the engine; returns the exit status."""
    given = parser().parse_args(arguments)
    leave = Leave()
    # What transfer functions print must not mix with the one line this process says.
    say = os.dup(1)
    os.dup2(2, 1)
    try:
        config = ServiceConfig.load("engine", os.environ)
        die_with(config.parent_pid)
        wake_promptly()
        log = logs.configure("engine", config.log_level)
        status, stop = _run(given, config, leave, log)
        if status:
            _say_why(say, stop.code, stop.text)
        return status
    except ReafferenceError as error:
        _say_why(say, error.code, error.text)
        return error.exit_status


def _say_why(descriptor: int, code: str, text: str) -> None:
    os.write(descriptor, json.dumps({"code": code, "text": text}).encode() + b"\n")


def _run(given: argparse.Namespace, config: ServiceConfig, leave: Leave, log: Any) -> tuple[int, RunStop]:
    """The exit status and the last document of the run."""
    wanted = experiment.load(given.experiment, overrides(given))
    functions = dialects.load(wanted)
    folder = documents.make_run_folder(given.out, given.runs)
    try:
        with Wires(insecure=config.insecure, keys=config.ring()) as wires:
            loop = Loop(
                wires,
                config.addresses,
                wanted,
                functions,
                folder,
                leave,
                log,
                autostart=not given.hold,
                doors=config.doors,
            )
            try:
                stop = _profiled(loop) if given.cprofile else loop.run()
            finally:
                folder = loop.folder
        log.info("run ended", outcome=stop.outcome, steps=stop.steps, code=stop.code, text=stop.text)
        return loop.exit_status, stop
    finally:
        documents.remove_if_unused(folder)


def _profiled(loop: Loop) -> RunStop:
    """As `loop.run`; how often and how long each Python function ran is left in the run folder."""
    profile = cProfile.Profile()
    try:
        return profile.runcall(loop.run)
    finally:
        # No reason to lose how the run itself ended.
        with contextlib.suppress(OSError):
            profile.dump_stats(loop.folder / documents.CPROFILE)


def overrides(given: argparse.Namespace) -> list[tuple[str, Any]]:
    """What the command line puts over the file; raises BadExperiment."""
    short = {
        "experiment.steps": given.steps,
        "experiment.seed": given.seed,
        "threads": given.threads,
        "ranks": given.ranks,
        "brain.mpi.hostfile": None if given.hostfile is None else str(given.hostfile),
        "brain.mpi.arguments": None if given.mpi_args is None else shlex.split(given.mpi_args),
    }
    return [
        *(experiment.parse_override(text) for text in given.set),
        *((key, value) for key, value in short.items() if value is not None),
    ]


def parser() -> argparse.ArgumentParser:
    """The engine's command line, which the launcher shares."""
    made = argparse.ArgumentParser(prog="python -m services.engine", description=__doc__)
    made.add_argument("experiment", type=Path, help="folder of the experiment, or its file")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    made.add_argument("--steps", type=int, help="how many CLE steps")
    made.add_argument("--seed", type=int, help="master seed")
    made.add_argument("--threads", type=int, help="threads of the brain, in each of its processes")
    made.add_argument("--ranks", type=int, help="processes of the brain, started by mpiexec")
    made.add_argument("--hostfile", type=Path, help="the hosts of these processes, as mpiexec wants it")
    made.add_argument("--mpi-args", help="further arguments of mpiexec, in one word")
    made.add_argument("--out", type=Path, help="the folder of this run")
    made.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders are made")
    made.add_argument("--cprofile", action="store_true", help="run the engine under Python's cProfile")
    made.add_argument("--hold", action="store_true", help="wait for an operator's order to start")
    return made


if __name__ == "__main__":
    sys.exit(main())
