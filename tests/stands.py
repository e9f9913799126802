"""Stands of services, as containers have them: a process for each, with their sockets in one folder."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from reafference.errors import PeerLost
from reafference.stand_client import health

PATIENCE_S = 30
SERVICES = ("engine", "brain", "body", "recorder")


def descendants(pid):
    """All processes below this one; any of them, or a thread, can end while we look."""
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii").split()
                for child in map(int, children):
                    found += [child, *descendants(child)]
    return found


class StandSet:
    """A context manager. `environ` is what a gateway, or a launch, needs to find them."""

    def __init__(self, folder: Path, services=SERVICES, **environ):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.services = folder, services
        self.environ = {"REAF_STANDS": str(folder), "REAF_STANDS_OF": ",".join(SERVICES), **environ}
        self.processes = {}

    def __enter__(self):
        for service in self.services:
            self.start(service)
        return self

    def __exit__(self, *exception):
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(PATIENCE_S)
            finally:
                process.kill()
                process.wait()

    def path(self, service):
        return self.folder / f"{service}.stand"

    def start(self, service):
        """Begin one, and wait until it answers."""
        command = [sys.executable, "-m", "reafference.stand", str(self.path(service)), "--service", service]
        self.processes[service] = subprocess.Popen(command, env={**os.environ, **self.environ})
        end = time.monotonic() + PATIENCE_S
        while not self.answers(service):
            assert self.processes[service].poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)

    def kill(self, service):
        """With all that runs there, at the same moment, as a container is killed."""
        below = descendants(self.processes[service].pid)
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)  # what is told to end by the stand's death shall not begin with it
        self.processes[service].kill()
        self.processes[service].wait()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def answers(self, service):
        try:
            return health(self.path(service), 1.0)
        except PeerLost:
            return None

    def running(self):
        """How many processes run at the stands."""
        return sum(self.answers(service).running for service in self.services)

    def until_quiet(self):
        """Wait until nothing runs any more."""
        end = time.monotonic() + PATIENCE_S
        while running := self.running():
            assert time.monotonic() < end, f"{running} processes were left behind"
            time.sleep(0.05)
        return self
