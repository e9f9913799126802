"""Starts the services of one run, here or at their stands, and sees that none is left behind.

`python -m services.engine.launch EXPERIMENT …` takes the engine's command line. It speaks in lines of JSON on
standard output: `wires` (the private folder with the sockets), `warning`, `started`, `ended`, `failed`, `logs`.
It runs no user code. A service with a stand in REAF_STANDS is started there, any other as our own child; either way
we know at once when it dies, and tell the engine.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reafference import codec
from reafference.config import Addresses, pick_doors
from reafference.errors import PeerLost, ReafferenceError
from reafference.frames import Gone, Hello, Order, Welcome
from reafference.process import Leave, die_with, usable_cores
from reafference.sockets import Sender, StepPeer, Waiting, Wires
from reafference.stand import WIRES_PREFIX
from reafference.stand_client import Request, Stands

from . import brain_place, documents, experiment, mpi_job
from .__main__ import overrides, parser
from .brain_place import BrainPlace
from .children import Child, LocalChild, StandChild
from .experiment import KINDS, PARTICIPANTS, Experiment

_TURN_MS = 100
# How long each may live on after the engine has ended: in order, and after a fault. Then SIGTERM, then SIGKILL.
_GRACE_S = {"recorder": (30.0, 2.5)}
_GRACE_OTHERS_S = (2.0, 0.0)
_KILL_AFTER_S = 0.7
# Nobody waits for these within a step, so they give way to those who are waited for.
_PATIENT = (documents.RECORDER, "gateway")
_NICE = 5
_DOORS = "REAF_DOORS"
# Settings of the launch that its services share, wherever they are started.
_SHARED = ("REAF_KEYS", "REAF_INSECURE", "REAF_LOG_LEVEL", "REAF_PATIENCE_S", "REAF_JOIN_S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a launch finds. `doors` are tcp://HOST:PORT of this run, or empty; `shared` settings for all services."""

    folder: Path
    stands: Stands
    brain: BrainPlace
    doors: str
    shared: Mapping[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Launch, watch, clean up; returns the exit status of the run."""
    return launched(Launch, list(sys.argv[1:] if arguments is None else arguments))


def launched(launch: "type[Launch]", given: list[str]) -> int:
    """Carry a launch out; returns the exit status of the run."""
    leave = Leave()
    die_with(int(os.environ.get("REAF_PARENT_PID", "0")))
    folder: Path | None = None
    try:
        given = [*given, *brain_place.layout(os.environ)]
        asked = parser().parse_args(given)
        wanted = experiment.load(asked.experiment, overrides(asked))
        stands = Stands.load(os.environ)
        brain = BrainPlace.find(stands) if "brain" in wanted.participants else BrainPlace(cores=usable_cores())
        brain.check(wanted)
        doors = pick_doors(os.environ[_DOORS]) if os.environ.get(_DOORS) else ""
        folder = Path(tempfile.mkdtemp(prefix=WIRES_PREFIX if stands.folder else "reaf-", dir=stands.folder))
        shared = {name: os.environ[name] for name in _SHARED if name in os.environ}
        around = Surroundings(folder=folder, stands=stands, brain=brain, doors=doors, shared=shared)
        return launch(around, wanted, given, leave).run()
    except ReafferenceError as error:
        say("failed", code=error.code, text=error.text)
        return error.exit_status
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def say(event: str, **fields: Any) -> None:
    """One line for whoever started us; nobody listening is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps({"event": event, **fields}), flush=True)


class Launch:
    """The processes of one run."""

    def __init__(self, around: Surroundings, wanted: Experiment, arguments: list[str], leave: Leave) -> None:
        self._around, self._wanted, self._arguments, self._leave = around, wanted, arguments, leave
        self._folder = around.folder
        self._addresses = Addresses.in_folder(self._folder)
        self._children: dict[str, Child] = {}
        self._run_folder = ""
        self._passed_on = False

    def run(self) -> int:
        """Start all, wait for all; the exit status of the engine, or 5 if it was lost.

        Raises PeerLost if a stand does not start its service.
        """
        say("wires", folder=str(self._folder), **({"doors": self._around.doors} if self._around.doors else {}))
        for text in self._warnings():
            say("warning", text=text)
        with Wires() as wires:
            peer = StepPeer(wires, self._addresses.step, Sender("launcher"))
            waiting = Waiting(peer)
            try:
                for name, module, arguments in self._services():
                    self._start(name, module, arguments)
                    waiting.add(self._children[name].handle)
                peer.send(Hello(name="launcher", role="launcher", pid=os.getpid()))
                while any(child.ending is None for child in self._children.values()):
                    waiting.until(_TURN_MS)
                    self._hear(peer)
                    for child in self._children.values():
                        handle = child.handle
                        if child.look():
                            waiting.remove(handle)
                            self._report(child, peer)
                    self._pass_on_wish_to_leave(peer)
                    self._hurry()
            finally:
                for child in self._children.values():
                    child.kill()
        self._keep_logs()
        return self._status()

    def _warnings(self) -> list[str]:
        """What a person should know before such a run."""
        names = [path.stem for path in sorted((self._wanted.folder / "state_machines").glob("*.py"))]
        kept = [f"state machines are kept with the experiment and not run: {', '.join(names)}"] if names else []
        return kept + self._around.brain.warnings(self._wanted)

    def _services(self) -> list[tuple[str, str, list[str]]]:
        """Name, module and arguments of each service, in the order of starting."""
        record = self._wanted.document.record.enabled
        return [
            ("engine", "services.engine", self._arguments),
            *([(documents.RECORDER, "services.recorder", [])] if record else []),
            *((name, f"services.{name}", []) for name in self._wanted.participants if name in PARTICIPANTS),
            *((name, KINDS[str(table["kind"])], [name]) for name, table in self._wanted.document.simulators.items()),
            ("gateway", "services.gateway", ["--private"]),
        ]

    # --- starting ------------------------------------------------------------------------------------

    def _start(self, name: str, module: str, arguments: Sequence[str]) -> None:
        stand = self._around.stands.of_module(module)
        log = self._folder / f"{name}.log"
        niceness = _NICE if name in _PATIENT else 0
        if stand is None:
            command, environment = self._command(name, module, arguments), self._local_environment(name)
            child: Child = LocalChild.start(
                name, command, environment, log, keep_output=name == "engine", niceness=niceness
            )
        else:
            child = StandChild.start(name, stand, self._request(name, module, arguments, log, niceness), log)
        self._children[name] = child
        say("started", service=name, **child.where)

    def _command(self, name: str, module: str, arguments: Sequence[str]) -> list[str]:
        if not self._is_job(name):
            return [sys.executable, "-m", module, *arguments]
        job = mpi_job.command(
            module,
            ranks=self._wanted.ranks,
            threads=self._wanted.threads,
            cores=self._around.brain.cores,
            mpi=self._wanted.mpi,
            environment=self._local_environment(name),
        )
        return [sys.executable, "-m", "services.engine.leash", str(os.getpid()), *job]

    def _request(self, name: str, module: str, arguments: Sequence[str], log: Path, niceness: int) -> Request:
        environment = {**self._around.shared, **self._environment(name)}
        if name == "brain" and self._around.doors:
            environment["REAF_WIRES"] = self._around.doors  # it may run where our folder is not
        return Request(
            module=module,
            arguments=tuple(arguments),
            environment=environment,
            ranks=self._wanted.ranks if self._is_job(name) else 1,
            threads=self._wanted.threads if name == "brain" else 1,
            mpi_arguments=self._wanted.mpi.arguments if self._is_job(name) else (),
            hostfile=self._wanted.mpi.hostfile if self._is_job(name) else "",
            log=str(log),
            output="collect" if name == "engine" else "log",
            about={"service": name, "wires": str(self._folder)},
            niceness=niceness,
        )

    def _is_job(self, name: str) -> bool:
        return name == "brain" and self._wanted.ranks > 1

    def _local_environment(self, name: str) -> dict[str, str]:
        crowded = self._around.brain.crowded(self._wanted)
        job = mpi_job.environment(self._folder, crowded=crowded) if self._is_job(name) else {}
        return {**job, **self._environment(name), "REAF_PARENT_PID": str(os.getpid())}

    def _environment(self, name: str) -> dict[str, str]:
        return {
            "REAF_WIRES": str(self._folder),
            **({_DOORS: self._around.doors} if self._around.doors else {}),
            "PYTHONUNBUFFERED": "1",
            # Libraries that start a thread per core would fight with the brain for them.
            "OMP_NUM_THREADS": str(self._wanted.threads if name == "brain" else 1),
            "OPENBLAS_NUM_THREADS": "1",
            "NUMBA_NUM_THREADS": "1",
            **({"OMP_WAIT_POLICY": "passive"} if self._around.brain.crowded(self._wanted) else {}),
        }

    # --- watching ------------------------------------------------------------------------------------

    def _hear(self, peer: StepPeer) -> None:
        for parts in peer.receive():
            with contextlib.suppress(ReafferenceError):
                frame = codec.decode(parts).frame
                if isinstance(frame, Welcome):
                    self._run_folder = frame.run_folder

    def _report(self, child: Child, peer: StepPeer) -> None:
        assert child.ending is not None
        ending = child.ending
        say("ended", service=child.name, status=ending.status, how=ending.how, peak_rss_mb=ending.peak_rss_mb)
        if child.name == "engine":
            self._pass_on_last_words(child)
        elif self._children["engine"].ending is None:
            with contextlib.suppress(PeerLost):
                peer.send(self._gone(child))

    def _gone(self, child: Child) -> Gone:
        assert child.ending is not None
        if self._is_job(child.name):
            with contextlib.suppress(OSError):
                how, code = mpi_job.how_it_ended(child.log.read_text(encoding="utf-8", errors="replace"))
                if how:
                    return Gone(name=child.name, how=how, code=code)
        return Gone(name=child.name, how=f"{child.ending.how}{child.ending.words}")

    def _pass_on_last_words(self, engine: Child) -> None:
        assert engine.ending is not None
        for line in engine.output().splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(line)
                say("failed", code=said["code"], text=said["text"])
                return
        status = engine.ending.status
        if status < 0 or status == ReafferenceError.exit_status:
            # Killed, or an exception that nobody foresaw: it could not say anything itself.
            say("engine", how=engine.ending.how + engine.ending.words)

    def _pass_on_wish_to_leave(self, peer: StepPeer) -> None:
        if self._leave.asked and not self._passed_on:
            self._passed_on = True
            peer.send(Order(what="stop", reason="the launcher was told to end"))

    def _hurry(self) -> None:
        """Once the engine has ended nobody has a reason to stay for long."""
        engine = self._children["engine"]
        if engine.ending is None:
            return
        status, now = engine.ending.status, time.monotonic()
        engine.asked_at = engine.asked_at or now
        for child in self._children.values():
            if child.ending is not None:
                continue
            in_order, after_fault = self._grace_of(child)
            grace = after_fault if status else in_order
            if status < 0 and not child.asked_at:
                grace = 0.0  # nobody will say bye to them any more
            if not child.asked_at and now - engine.asked_at >= grace:
                child.asked_at = now
                child.send(signal.SIGTERM)
            patience = _KILL_AFTER_S if child.name != documents.RECORDER else 2.5
            if child.asked_at and now - child.asked_at >= patience:
                child.send(signal.SIGKILL)

    def _grace_of(self, child: Child) -> tuple[float, float]:
        """Seconds in order, and after a fault. A recorder that has nothing to close has no reason to stay either."""
        begun = bool(self._run_folder) and (Path(self._run_folder) / "recording.mcap").exists()
        return _GRACE_S[child.name] if child.name in _GRACE_S and begun else _GRACE_OTHERS_S

    # --- afterwards ----------------------------------------------------------------------------------

    def _keep_logs(self) -> None:
        """Move the logs to the recording, if there is one."""
        target = Path(self._run_folder)
        if not self._run_folder or not target.is_dir():
            return
        with contextlib.suppress(OSError):
            (target / "logs").mkdir(exist_ok=True)
            for log in self._folder.glob("*.log"):
                shutil.move(log, target / "logs" / log.name)

    def _status(self) -> int:
        ending = self._children["engine"].ending
        return PeerLost.exit_status if ending is None or ending.status < 0 else ending.status


if __name__ == "__main__":
    sys.exit(main())
