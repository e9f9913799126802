"""`python -m services.gateway`: the bus and the front door, as a process."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reafference import __version__, codec
from reafference.client import Monitor
from reafference.clock import Deadline
from reafference.config import Addresses
from reafference.frames import Bye, Hello, StateNote, Welcome
from reafference.sockets import BusOut, Sender, StepHost, Waiting, Wires
from reafference.topics import Topic

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30


class OverUnix(http.client.HTTPConnection):
    """HTTP over a socket in a folder."""

    def __init__(self, path):
        super().__init__("gateway", timeout=PATIENCE_S)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(str(self._path))


class Gateway:
    """A gateway of one local run, started as the launcher starts it."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.gateway", "--private"],
            cwd=ROOT,
            env={**os.environ, "REAF_WIRES": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def get(self, path="/health"):
        """Status and content of an answer, once the door is open."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            connection = OverUnix(self.folder / "http")
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
            except (ConnectionError, FileNotFoundError):
                assert self.process.poll() is None, self.process.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            finally:
                connection.close()

    def until(self, wanted):
        """The health, once `wanted` is true of it."""
        deadline = time.monotonic() + PATIENCE_S
        while not wanted(health := self.get()[1]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return health


@pytest.fixture
def addresses(tmp_path):
    return Addresses.in_folder(tmp_path)


@pytest.fixture
def wires():
    with Wires() as opened:
        yield opened


@pytest.fixture
def gateway(tmp_path):
    made = Gateway(tmp_path)
    yield made
    made.process.kill()
    made.process.communicate()


def greeted(wires, addresses):
    """An engine's end of the step wire, to which the gateway has said hello."""
    host = StepHost(wires, addresses.step, Sender("engine", "7f3a"))
    assert Waiting(host).until(PATIENCE_S * 1000)
    ((name, parts),) = host.receive()
    hello = codec.decode(parts).frame
    assert isinstance(hello, Hello)
    assert (name, hello.name, hello.role) == ("gateway", "gateway", "operator")
    host.send("gateway", Welcome(run="7f3a", version=(1, 0)))
    return host


def test_health_is_answered_before_there_is_an_engine(gateway):
    status, health = gateway.get()
    assert status == 200
    assert health == {
        "status": "ok",
        "service": "gateway",
        "version": __version__,
        "protocol": "1.3",
        "bus": "ok",
        "engine": None,
        "problem": "",
    }


def test_health_tells_what_the_engine_does(gateway, wires, addresses):
    host = greeted(wires, addresses)
    host.send("gateway", StateNote(step=7, t_ns=140, state="running", steps=50))
    health = gateway.until(lambda health: health["engine"])
    assert health["engine"] == {"state": "running", "step": 7, "steps": 50}
    host.send("gateway", StateNote(step=7, t_ns=140, state="fault", steps=50, text="the brain was lost"))
    health = gateway.until(lambda health: health["problem"])
    assert (health["engine"]["state"], health["problem"]) == ("fault", "the brain was lost")


def test_the_interface_describes_itself(gateway):
    status, description = gateway.get("/openapi.json")
    assert status == 200
    assert (description["info"]["title"], description["info"]["version"]) == ("Reafference", __version__)
    assert "/health" in description["paths"]


def test_the_bus_is_forwarded_through_it(gateway, wires, addresses):
    gateway.get()
    source, deadline, seq = BusOut(wires, addresses.bus_in), Deadline.after_s(PATIENCE_S), -1
    with Monitor(addresses.bus_out, ("engine/state",)) as monitor:
        received = None
        while received is None:  # until both subscriptions and connections are there
            assert not deadline.passed()
            seq += 1
            note = StateNote(step=seq, t_ns=0, state="running")
            topic = Topic("7f3a", "engine", "state").wire()
            source.send(codec.encode(note, run="7f3a", src="engine", seq=seq, topic=topic))
            received = monitor.next(Deadline.after_s(0.05))
        assert (received.envelope.run, received.frame.state) == ("7f3a", "running")
        assert 0 <= received.frame.step <= seq


def test_sigterm_ends_it_in_order(gateway, tmp_path):
    gateway.get()
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(PATIENCE_S) == 0
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        OverUnix(tmp_path / "http").request("GET", "/health")


def test_it_ends_with_its_engine(gateway, wires, addresses):
    host = greeted(wires, addresses)
    host.send("gateway", Bye())
    assert gateway.process.wait(PATIENCE_S) == 0


def test_without_wires_it_says_what_to_set(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REAF_")}
    command = [sys.executable, "-m", "services.gateway", "--private"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "set REAF_STEP, or REAF_WIRES" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bus_that_cannot_be_opened_is_named(tmp_path):
    environment = {**os.environ, "REAF_WIRES": str(tmp_path / "nowhere")}
    command = [sys.executable, "-m", "services.gateway", "--private"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the bus xsub wire cannot use ipc://" in done.stderr
