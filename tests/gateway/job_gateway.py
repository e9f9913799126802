"""The gateway of a job for tests: a real one, in a process of its own, and a line to it that can be cut."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

from reafference.tls import trusting_alone
from services.gateway.jobs import certificate
from services.gateway.jobs.serving_job import ServingJob
from services.gateway.people import People
from tests.ports import free_port
from tests.stands import descendants

from .doors import Door

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60


def in_time(act, seconds, tries=3):
    """Whether it can be done in less than so many seconds; a busy machine has a few tries."""
    for _ in range(tries):
        began = time.monotonic()
        act()
        if time.monotonic() - began < seconds:
            return True
    return False


class JobGateway:
    """`reaf serve` as a job starts it, on a free port of the loopback; a context manager."""

    def __init__(self, folder: Path, job="j4", *, places=2):
        self.folder, self.id, self.places = folder, job, places
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.token = People(self.home / "tokens.json").make("site", "admin")[1]
        certificate.make(folder / "door", job)
        self.certificate = (folder / "door" / certificate.CERTIFICATE).read_text()
        self.url = ""

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.end()

    def start(self, port=0):
        command = [sys.executable, "-m", "services.gateway", "--serve", "--home", str(self.home), "--port", str(port)]
        door = self.folder / "door"
        command += ["--certificate", str(door / certificate.CERTIFICATE)]
        command += ["--certificate-key", str(door / certificate.KEY)]
        command += ["--places", str(self.places), "--server-id", self.id, "--id-prefix", f"{self.id}-"]
        environment = {**os.environ, "REAF_PARENT_PID": str(os.getpid())}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        assert readable, "the job's gateway says nothing"
        self.url = json.loads(self.process.stdout.readline())["url"].rstrip("/")

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()

    def client(self):
        """One that asks it directly, as the site."""
        head = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(
            base_url=f"{self.url}/api", headers=head, timeout=60, verify=trusting_alone(self.certificate)
        )

    def lose(self):
        """All its processes at one stroke, as a node is lost."""
        everyone = [self.process.pid, *descendants(self.process.pid)]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # nobody sees another one end
            for pid in everyone:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        self.process.wait()

    def job(self, url="", **more):
        """As the cluster tells of it."""
        return ServingJob(
            id=self.id,
            title="A job",
            url=url or self.url,
            token=self.token,
            certificate=self.certificate,
            places=self.places,
            folder=self.folder,
            **more,
        )


class Wire:
    """A relay on the loopback, as a tunnel is one. `cut` ends it, `silence` lets it stand and carry nothing."""

    def __init__(self, url):
        self._far = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
        self.port = free_port()
        self.url = f"{url.partition(':')[0]}://127.0.0.1:{self.port}"
        self._open = threading.Event()
        self._open.set()
        self._lines: set[socket.socket] = set()
        self.carried = 0
        self.mend()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.cut()
        self._open.set()

    def _serve(self, door):
        with contextlib.suppress(OSError):
            while True:
                near, _ = door.accept()
                threading.Thread(target=self._line, args=(near,), daemon=True).start()

    def _line(self, near):
        self._open.wait(PATIENCE_S)
        try:
            far = socket.create_connection(self._far, PATIENCE_S)
        except OSError:
            near.close()
            return
        self._lines |= {near, far}
        threading.Thread(target=self._carry, args=(near, far), daemon=True).start()
        self._carry(far, near)

    def _carry(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._open.wait(PATIENCE_S)
                target.sendall(data)
                self.carried += len(data)
                self._passes(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._lines.discard(end)

    def _passes(self, data):
        """Nobody looks at what is carried."""

    def cut(self):
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)  # else whoever waits for a caller takes one more
        self._door.close()
        for line in list(self._lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self._door = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, args=(self._door,), daemon=True).start()

    def silence(self):
        self._open.clear()

    def speak(self):
        self._open.set()


class Site(Door):
    """A server that has jobs: the list `jobs` is what serves."""

    def __init__(self, home, jobs=(), **more):
        self.jobs = list(jobs)
        super().__init__(home, serving=lambda: list(self.jobs), **more)

    def until(self, true, seconds=PATIENCE_S):
        """Wait until it is true; what it was."""
        end = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < end, "it has not become true"
            time.sleep(0.05)
        return found

    def server(self, id="j4"):
        """One of GET servers, or None."""
        return next((one for one in self.vera.get("/servers").json() if one["id"] == id), None)

    def ready(self, id="j4"):
        """Wait until a job answers."""
        return self.until(lambda: (found := self.server(id)) and found["ready"] and found)
