"""Starts the services of one run as local processes and sees that none is left behind.

`python -m services.engine.launch EXPERIMENT …` takes the engine's command line. It speaks in lines of JSON on
standard output: `wires` (the private folder with the sockets), `warning`, `started`, `ended`, `failed`, `logs`.
It runs no user code. As their parent it knows at once when a service dies, and tells the engine.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reafference import codec
from reafference.config import Addresses
from reafference.errors import BadExperiment, PeerLost, ReafferenceError
from reafference.frames import Gone, Hello, Order, Welcome
from reafference.process import Leave, die_with, usable_cores
from reafference.sockets import Sender, StepPeer, Waiting, Wires

from . import documents, experiment, mpi_job
from .__main__ import overrides, parser
from .experiment import KINDS, PARTICIPANTS, Experiment

_TURN_MS = 100
# How long each may live on after the engine has ended: in order, and after a fault. Then SIGTERM, then SIGKILL.
_GRACE_S = {"recorder": (30.0, 2.5)}
_GRACE_OTHERS_S = (2.0, 0.0)
_KILL_AFTER_S = 0.7
# Nobody waits for these within a step, so they give way to those who are waited for.
_PATIENT = (documents.RECORDER, "gateway")
_NICE = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Launch, watch, clean up; returns the exit status of the run."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    leave = Leave()
    die_with(int(os.environ.get("REAF_PARENT_PID", "0")))
    try:
        wanted = experiment.load(parser().parse_args(given).experiment, overrides(parser().parse_args(given)))
        check_mpi(wanted)
    except ReafferenceError as error:
        say("failed", code=error.code, text=error.text)
        return error.exit_status
    folder = Path(tempfile.mkdtemp(prefix="reaf-"))
    try:
        return Launch(folder, wanted, given, leave).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def say(event: str, **fields: Any) -> None:
    """One line for whoever started us; nobody listening is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps({"event": event, **fields}), flush=True)


@dataclass(slots=True)
class Child:
    """A service that runs, or ran."""

    name: str
    process: subprocess.Popen[bytes]
    pidfd: int
    status: int | None = None
    asked_at: float = 0.0

    @property
    def alive(self) -> bool:
        return self.status is None


class Launch:
    """The processes of one run."""

    def __init__(self, folder: Path, wanted: Experiment, arguments: list[str], leave: Leave) -> None:
        self._folder, self._wanted, self._arguments, self._leave = folder, wanted, arguments, leave
        self._addresses = Addresses.in_folder(folder)
        self._children: dict[str, Child] = {}
        self._run_folder = ""
        self._passed_on = False

    def run(self) -> int:
        """Start all, wait for all; the exit status of the engine, or 5 if it was lost."""
        say("wires", folder=str(self._folder))
        for text in warnings(self._wanted):
            say("warning", text=text)
        with Wires() as wires:
            peer = StepPeer(wires, self._addresses.step, Sender("launcher"))
            waiting = Waiting(peer)
            try:
                for name, module, arguments in self._services():
                    self._start(name, module, arguments)
                    waiting.add(self._children[name].pidfd)
                peer.send(Hello(name="launcher", role="launcher", pid=os.getpid()))
                while any(child.alive for child in self._children.values()):
                    waiting.until(_TURN_MS)
                    self._hear(peer)
                    for child in self._newly_ended():
                        waiting.remove(child.pidfd)
                        self._report(child, peer)
                    self._pass_on_wish_to_leave(peer)
                    self._hurry()
            finally:
                self._kill_all()
        self._keep_logs()
        return self._status()

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

    def _start(self, name: str, module: str, arguments: Sequence[str]) -> None:
        log = self._folder / f"{name}.log"
        environment = self._environment(name)
        with log.open("wb") as errors:
            process = subprocess.Popen(
                self._command(name, module, arguments, environment),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if name == "engine" else errors,
                stderr=errors,
                process_group=0,  # a Ctrl-C in the terminal is not for the services
            )
        if name in _PATIENT:
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        self._children[name] = Child(name, process, os.pidfd_open(process.pid))
        say("started", service=name, pid=process.pid)

    def _command(self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        if not self._is_job(name):
            return [sys.executable, "-m", module, *arguments]
        job = mpi_job.command(
            module,
            ranks=self._wanted.ranks,
            threads=self._wanted.threads,
            cores=usable_cores(),
            mpi=self._wanted.mpi,
            environment=environment,
        )
        return [sys.executable, "-m", "services.engine.leash", str(os.getpid()), *job]

    def _is_job(self, name: str) -> bool:
        return name == "brain" and self._wanted.ranks > 1

    def _environment(self, name: str) -> Mapping[str, str]:
        threads = self._wanted.threads if name == "brain" else 1
        crowded = self._wanted.ranks * self._wanted.threads + 1 > usable_cores()
        return {
            **(mpi_job.environment(self._folder, crowded=crowded) if self._is_job(name) else {}),
            "REAF_WIRES": str(self._folder),
            "REAF_PARENT_PID": str(os.getpid()),
            "PYTHONUNBUFFERED": "1",
            # Libraries that start a thread per core would fight with the brain for them.
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": "1",
            "NUMBA_NUM_THREADS": "1",
            **({"OMP_WAIT_POLICY": "passive"} if crowded else {}),
        }

    def _hear(self, peer: StepPeer) -> None:
        for parts in peer.receive():
            with contextlib.suppress(ReafferenceError):
                frame = codec.decode(parts).frame
                if isinstance(frame, Welcome):
                    self._run_folder = frame.run_folder

    def _newly_ended(self) -> list[Child]:
        # wait4 tells what a process used. Nothing else may ask for its status (as Popen's own calls would).
        ended = []
        for child in self._children.values():
            if child.alive:
                pid, status, usage = os.wait4(child.process.pid, os.WNOHANG)
                if pid:
                    child.status = child.process.returncode = os.waitstatus_to_exitcode(status)
                    ended.append(child)
                    say(
                        "ended",
                        service=child.name,
                        status=child.status,
                        how=how_it_ended(child.status),
                        peak_rss_mb=round(usage.ru_maxrss * 1024 / 1e6, 1),
                    )
        return ended

    def _report(self, child: Child, peer: StepPeer) -> None:
        os.close(child.pidfd)
        if child.name == "engine":
            self._pass_on_last_words(child)
        elif self._children["engine"].alive:
            with contextlib.suppress(PeerLost):
                peer.send(self._gone(child))

    def _gone(self, child: Child) -> Gone:
        log = self._folder / f"{child.name}.log"
        if self._is_job(child.name):
            with contextlib.suppress(OSError):
                how, code = mpi_job.how_it_ended(log.read_text(encoding="utf-8", errors="replace"))
                if how:
                    return Gone(name=child.name, how=how, code=code)
        how = how_it_ended(child.status or 0)
        words = _last_words(log) if (child.status or 0) > 0 else ""
        return Gone(name=child.name, how=f"{how}{words}")

    def _pass_on_last_words(self, engine: Child) -> None:
        assert engine.process.stdout is not None
        for line in engine.process.stdout.read().splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(line)
                say("failed", code=said["code"], text=said["text"])
                return
        if engine.status is not None and (engine.status < 0 or engine.status == ReafferenceError.exit_status):
            # Killed, or an exception that nobody foresaw: it could not say anything itself.
            words = _last_words(self._folder / "engine.log") if engine.status > 0 else ""
            say("engine", how=how_it_ended(engine.status) + words)

    def _pass_on_wish_to_leave(self, peer: StepPeer) -> None:
        if self._leave.asked and not self._passed_on:
            self._passed_on = True
            peer.send(Order(what="stop", reason="the launcher was told to end"))

    def _hurry(self) -> None:
        """Once the engine has ended nobody has a reason to stay for long."""
        engine = self._children["engine"]
        if engine.alive:
            return
        now = time.monotonic()
        engine.asked_at = engine.asked_at or now
        for child in self._children.values():
            if not child.alive:
                continue
            in_order, after_fault = self._grace_of(child)
            grace = after_fault if engine.status else in_order
            if engine.status and engine.status < 0 and not child.asked_at:
                grace = 0.0  # nobody will say bye to them any more
            if not child.asked_at and now - engine.asked_at >= grace:
                child.asked_at = now
                os.kill(child.process.pid, signal.SIGTERM)
            patience = _KILL_AFTER_S if child.name != documents.RECORDER else 2.5
            if child.asked_at and now - child.asked_at >= patience:
                os.kill(child.process.pid, signal.SIGKILL)

    def _grace_of(self, child: Child) -> tuple[float, float]:
        """Seconds in order, and after a fault. A recorder that has nothing to close has no reason to stay either."""
        begun = bool(self._run_folder) and (Path(self._run_folder) / "recording.mcap").exists()
        return _GRACE_S[child.name] if child.name in _GRACE_S and begun else _GRACE_OTHERS_S

    def _kill_all(self) -> None:
        for child in self._children.values():
            if child.alive:
                child.process.kill()
                child.process.wait()

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
        status = self._children["engine"].status
        return PeerLost.exit_status if status is None or status < 0 else status


def check_mpi(wanted: Experiment) -> None:
    """Raises BadExperiment if the brain shall be several processes and this machine cannot start them."""
    if wanted.ranks == 1:
        return
    if wanted.mpi.hostfile and not Path(wanted.mpi.hostfile).is_file():
        raise BadExperiment(f"brain.mpi.hostfile: there is no file {wanted.mpi.hostfile!r}")
    missing = [
        *(["mpiexec (Debian: apt install openmpi-bin)"] if shutil.which("mpiexec") is None else []),
        *(["the package mpi4py (make venv)"] if importlib.util.find_spec("mpi4py") is None else []),
    ]
    if missing:
        raise BadExperiment(
            f"brain.ranks: a brain of {wanted.ranks} processes needs {' and '.join(missing)}, and NEST with MPI "
            "(make nest-mpi); without them use threads (--ranks 1 --threads N)"
        )


def warnings(wanted: Experiment) -> list[str]:
    """What a person should know before such a run."""
    return [*_of_state_machines(wanted.folder), *_of_cores(wanted)]


def _of_state_machines(folder: Path) -> list[str]:
    names = [path.stem for path in sorted((folder / "state_machines").glob("*.py"))]
    return [f"state machines are kept with the experiment and not run: {', '.join(names)}"] if names else []


def _of_cores(wanted: Experiment) -> list[str]:
    cores, ranks, threads = usable_cores(), wanted.ranks, wanted.threads
    if ranks * threads <= cores or wanted.mpi.hostfile:
        return []
    asked = f"{threads} threads" if ranks == 1 else f"{ranks} ranks of {threads} thread{'s' if threads > 1 else ''}"
    better = f"--threads {cores}" if ranks == 1 else f"--ranks {min(ranks, cores)} --threads {max(1, cores // ranks)}"
    return [
        f"the brain asks for {asked}, but this machine has {cores} core{'s' if cores > 1 else ''}: its threads take "
        f"turns and wait without spinning, so steps will be slower than with {better}"
    ]


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"its process ended with status {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
    return f"its process was killed by {name}"


def _last_words(log: Path) -> str:
    """The last line of a log, for the sentence about its end."""
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                return f" ({json.loads(lines[-1]).get('text', lines[-1])})"
            return f" ({lines[-1][:300]})"
    return ""


if __name__ == "__main__":
    sys.exit(main())
