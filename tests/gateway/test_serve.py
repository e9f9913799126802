"""`reaf serve`: a process that says where it is, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from services.gateway.serve import bound
from tests.gateway.doors import ROOT
from tests.stands import descendants as children_of

PATIENCE_S = 120


class Served:
    """`reaf serve` as a person starts it."""

    def __init__(self, home, *more):
        command = [sys.executable, "-m", "reafference.cli", "serve", "--home", str(home), "--port", "0", "--json"]
        self.process = subprocess.Popen(
            [*command, *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        self.told = json.loads(line) if line else {}

    def client(self):
        header = {"Authorization": f"Bearer {self.told['token']}"} if self.told["token"] else {}
        return httpx.Client(base_url=self.told["url"] + "api", headers=header, timeout=PATIENCE_S)

    def end(self, number=signal.SIGTERM):
        """Exit status and what was said to the person."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, words = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, words


@pytest.fixture
def serve(tmp_path):
    served = []

    def begin(*more, home=tmp_path / "home"):
        served.append(Served(home, *more))
        return served[-1]

    yield begin
    for one in served:
        one.end()


def gone(pids):
    """Whether none of these runs, after a moment."""
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_the_first_start_shows_a_token_and_later_ones_do_not(serve):
    first = serve()
    with first.client() as ada:
        assert ada.get("/me").json() == {"name": "admin", "role": "admin"}
    token = first.told["token"]
    status, words = first.end()
    assert status == 0
    assert token in words
    assert first.told["url"] in words
    again = serve()
    assert again.told["token"] is None
    answer = httpx.get(again.told["url"] + "api/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["role"] == "admin"
    assert token not in again.end()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_and_leaves_no_process(serve, number):
    served = serve()
    with served.client() as client:
        id = client.post("/experiments", json={"source": "mouse_reach"}).json()["id"]
        wish = {"experiment": id, "set": {"area_mm2": 0.02}, "start": False}
        sid = client.post("/simulations", json=wish).json()["id"]
        deadline = time.monotonic() + PATIENCE_S
        while (simulation := client.get(f"/simulations/{sid}").json())["state"] != "paused":
            assert simulation["state"] in ("created", "initialised"), simulation
            assert time.monotonic() < deadline
            time.sleep(0.1)
    processes = children_of(served.process.pid)
    assert len(processes) >= 5
    assert served.end(number)[0] == 0
    assert gone(processes)


def test_it_dies_with_whoever_started_it(serve):
    served = serve()
    processes = children_of(served.process.pid)
    assert processes
    served.process.kill()
    assert gone(processes)


def test_one_home_has_one_server(serve, tmp_path):
    serve()
    status, words = serve().end()
    assert status == 2
    assert "another server" in words


def test_without_tokens_only_for_this_machine(serve):
    status, words = serve("--no-tokens", "--host", "0.0.0.0").end()
    assert status == 2
    assert "--no-tokens" in words
    assert serve("--no-tokens").client().get("/me").json() == {"name": "you", "role": "admin"}


def test_a_port_that_is_taken_is_said_in_one_sentence(serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, words = serve("--port", str(taken.getsockname()[1])).end()
    assert status == 2
    assert "cannot be listened on" in words
    assert "Traceback" not in words


def test_other_machines_are_let_in_with_a_warning(serve):
    served = serve("--host", "0.0.0.0")
    assert "SSH tunnel" in served.end()[1]


def test_answers_are_not_held_back_until_the_first_half_of_them_is_acknowledged():
    with bound("127.0.0.1", 0) as door:
        with socket.create_connection(door.getsockname()):
            door.setblocking(True)
            taken, _ = door.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
