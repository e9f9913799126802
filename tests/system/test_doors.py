"""Engine and brain on different hosts: encrypted, each known by its key, and strangers disturb nobody."""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import reaf
from apart import DOORS, FAR, apart

from reafference import keys
from reafference.client import Operator
from reafference.clock import Deadline
from reafference.config import Addresses
from reafference.doorkeeper import WITHOUT
from reafference.frames import StateNote
from reafference.sockets import Waiting, Wires
from tests import mpiexec

MAY = bool(os.environ.get("CI")) or (os.geteuid() == 0 and shutil.which("ip") is not None)
pytestmark = pytest.mark.skipif(not MAY, reason="network namespaces take root and iproute2")
STEPS = 20
SHORT = (reaf.MOUSE, *reaf.SMALL, "--steps", str(STEPS))
LONG = (reaf.MOUSE, *reaf.SMALL, "--steps", "100000")

# One who does not know the way in: it says hello as the brain by the step wire, with what keys it has.
STRANGER = """
import os, sys
from reafference.clock import Deadline
from reafference.codec import decode
from reafference.config import ServiceConfig
from reafference.frames import Hello
from reafference.keys import KeyRing
from reafference.sockets import Sender, StepPeer, Waiting, Wires

config = ServiceConfig.load("brain", os.environ)
ring = KeyRing(config.keys, sys.argv[1]) if config.keys else None
with Wires(insecure=True, keys=ring) as wires:
    peer = StepPeer(wires, config.addresses.step, Sender("brain"))
    peer.send(Hello(name="brain", role="participant"))
    waiting, deadline = Waiting(peer), Deadline.after_s(3)
    waiting.until(deadline.left_ms())
    for parts in peer.receive():
        frame = decode(parts).frame
        print("answered", frame.kind, getattr(frame, "code", ""), getattr(frame, "text", ""), flush=True)
print("left", flush=True)
"""


@pytest.fixture
def parted(tmp_path):
    with apart(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """Of the same run on one host."""
    one = reaf.run(tmp_path_factory.mktemp("one"), *SHORT)
    assert one.status == 0, one.said
    return one.summary["digest"]


def summary(parted):
    return json.loads((parted.run / "summary.json").read_text())


def told(parted):
    """What the engine says of its end, in one line of JSON."""
    return next(json.loads(line) for line in parted.log("engine").splitlines() if line.startswith('{"code"'))


def await_steps(parted, timeout_s=60.0):
    """Until the run goes on and has written something."""
    recording, until = parted.run / "recording.mcap", time.monotonic() + timeout_s
    while not (recording.exists() and recording.stat().st_size > 100_000):
        assert time.monotonic() < until, parted.all_logs()
        time.sleep(0.05)


def all_ended(parted, timeout_s=30.0):
    """Every service ends by itself; nothing is left."""
    statuses = {name: parted.ended(name, timeout_s) for name in parted.services if name not in ("gateway",)}
    until = time.monotonic() + timeout_s
    while parted.processes() and time.monotonic() < until:
        time.sleep(0.05)
    assert not parted.processes(), parted.all_logs()
    return statuses


def test_a_brain_on_another_host_gives_the_digest_of_one_host(parted, digest):
    parted.start_engine(*SHORT)
    parted.start_brain()
    assert parted.ended("engine") == 0, parted.all_logs()
    assert set(all_ended(parted).values()) == {0}
    assert summary(parted)["digest"] == digest
    assert reaf.tool(parted.folder, "verify", parted.run).returncode == 0
    said = parted.all_logs()
    assert "refused" not in said, said


@contextlib.contextmanager
def person(parted):
    """An operator on the first host; it may wait for a state of the run."""
    with Wires() as wires:
        operator = Operator(wires, Addresses.in_folder(parted.wires).step, "console")
        waiting = Waiting(operator)

        def until(state):
            deadline = Deadline.after_s(60)
            while not deadline.passed():
                waiting.until(100)
                if any(isinstance(frame, StateNote) and frame.state == state for frame in operator.arrived()):
                    return
            raise AssertionError(f"never {state}:\n{parted.all_logs()}")

        yield SimpleNamespace(order=operator.order, until=until)


def let_strangers_try(parted, folders):
    """One without a key, one with a wrong key, and one with a right key that is not the brain's: what each was told."""
    for name, (folder, key) in folders.items():
        command = [sys.executable, "-c", STRANGER, key]
        parted.spawn(name, command, {"REAF_WIRES": DOORS, "REAF_KEYS": str(folder)}, place=1)
    for name in folders:
        parted.ended(name)
    # A warning that this wire is not encrypted stands before or behind it, as the two outputs come.
    return {
        name: next(line for line in parted.log(name).splitlines() if line.startswith(("left", "answered")))
        for name in folders
    }


def test_strangers_are_refused_and_named_and_the_run_is_the_same(parted, digest, tmp_path):
    keys.make(tmp_path / "strange")
    for server in keys.SERVERS:
        (tmp_path / "strange" / f"{server}.key").write_bytes((parted.keys / f"{server}.key").read_bytes())
    keys.give(parted.keys, "body", tmp_path / "body's")
    folders = {"none": ("", "brain"), "wrong": (tmp_path / "strange", "brain"), "body's": (tmp_path / "body's", "body")}
    parted.start_engine(*SHORT, "--hold")
    parted.start_brain()
    with person(parted) as console:
        console.until("ready")
        console.order("step", steps=5)
        console.until("paused")
        said = let_strangers_try(parted, folders)
        console.order("resume")
        parted.ended("engine")
    assert said == {
        "none": "left",
        "wrong": "left",
        "body's": "answered error not_allowed 'brain' cannot speak with the key of 'body'",
    }
    told_of = [json.loads(line) for line in parted.log("engine").splitlines() if '"refused' in line]
    peers = {line["peer"] for line in told_of}
    assert {FAR, "body"} <= peers <= {FAR, "body", "unknown: it was gone at once"}
    assert {line["text"] for line in told_of} == {
        WITHOUT,
        "its key is not among those allowed",
        "'brain' cannot speak with the key of 'body'",
    }
    assert set(all_ended(parted).values()) == {0}
    assert summary(parted)["digest"] == digest


def test_a_cut_between_the_hosts_is_a_named_end_within_seconds(parted):
    parted.start_engine(*LONG)
    parted.start_brain()
    await_steps(parted)
    parted.cut()
    cut = time.monotonic()
    assert parted.ended("engine", 30) == 5
    assert time.monotonic() - cut < 12.0
    assert "brain" in told(parted)["text"] or "no sign of life" in told(parted)["text"]
    assert told(parted)["code"] == "peer_lost"
    statuses = all_ended(parted)
    assert statuses["brain"] == 5  # it has heard nothing of its engine
    assert "the engine has been silent for 10 s" in parted.log("brain")
    assert reaf.tool(parted.folder, "verify", parted.run).returncode in (0, 1)
    assert summary(parted)["steps"] > 0


@mpiexec.ranks_wanted()
def test_a_rank_on_another_host_that_falls_silent_is_named(parted):
    parted.start_engine(*LONG, "--ranks", "2")
    parted.start_brain(ranks=2)
    await_steps(parted)
    wanted = b"OMPI_COMM_WORLD_RANK=1"
    (silent,) = [pid for pid in parted.processes() if wanted in environment(pid)]
    os.kill(silent, signal.SIGSTOP)
    assert parted.ended("engine", 30) == 5
    assert "rank 1 gave no sign of life for 2 s" in told(parted)["text"]


def environment(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []


# Reads what crosses the cable until it is killed, and says at each sight of plain text, and now and then how much came.
LISTENER = """
import socket, sys
ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
ear.bind(("cable0", 0))
print("listening", flush=True)
heard, words = 0, [word.encode() for word in sys.argv[1:]]
while True:
    packet = ear.recv(70000)
    heard += len(packet)
    for word in words:
        if word in packet:
            print("plain", word.decode(), flush=True)
    if heard > 20_000:
        heard = 0
        print("much", flush=True)
"""


@pytest.mark.parametrize("bench", [False, True])
def test_what_crosses_the_cable_cannot_be_read(parted, bench):
    parted.spawn("listener", [sys.executable, "-c", LISTENER, "brain/sinks", "excitation"], {}, place=1)
    parted.await_word("listener", "listening")
    if bench:  # the same without keys, which has to be meant: then it can
        parted.variables = {"REAF_KEYS": "", "REAF_INSECURE": "1"}
    parted.start_engine(*SHORT)
    parted.start_brain(REAF_INSECURE="1" if bench else "", **({"REAF_KEYS": ""} if bench else {}))
    assert parted.ended("engine") == 0, parted.all_logs()
    parted.await_word("listener", "much")
    if bench:  # it may be behind
        parted.await_word("listener", "plain")
    assert ("plain" in parted.log("listener")) is bench


def test_without_keys_no_door_is_opened(parted):
    parted.variables = {"REAF_KEYS": ""}
    parted.start_engine(*SHORT)
    for name in ("engine", "recorder", "gateway"):
        assert parted.ended(name) == 2, parted.all_logs()
    assert told(parted)["code"] == "no_keys"
    assert "make keys (reaf keys FOLDER)" in told(parted)["text"]
