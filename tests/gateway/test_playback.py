"""Playing a recording: the stream of a simulation, from a file, with a hand on its time."""

import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from reafference import codec
from services.gateway.recorded_frames import Playing
from services.recorder.store import read, recording_of

from .doors import PATIENCE_S, ROOT, Door
from .runs import uploaded
from .watching import Listener

STEPS = 300
STEP_S = 0.02
TO_S = STEPS * STEP_S
FIRST = ("run/start", "run/ports", "run/stop", "engine/log", "engine/edits")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """The folder of a recorded run of a small motor cortex with its limb."""
    folder = tmp_path_factory.mktemp("recorded") / "run"
    order = ["experiments/mouse_reach", "--set", "area_mm2=0.02", "--steps", str(STEPS), "--no-overview"]
    command = [sys.executable, "-m", "reafference.cli", "run", *order, "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.fixture(scope="module")
def path(door, recording):
    """Where the recording lies in the storage of the server."""
    experiment = uploaded(door.otto)
    shutil.copytree(recording, door.storage.recordings(experiment) / "r1")
    return f"experiments/{experiment}/recordings/r1"


@pytest.fixture(scope="module")
def written(recording):
    """The frames in the file: topic → their bytes by `seq`."""
    found = {}
    for topic, packed in read(recording_of(recording)):
        place = codec.place(packed.parts())
        found.setdefault(topic, {})[place.seq] = [bytes(part) for part in packed.parts()[1:]]
    return found


class Viewer(Listener):
    """Somebody who plays a recording; also keeps the parts of each frame."""

    def __init__(self, door, path, name="vera", **more):
        super().__init__(door.url, "", door.secrets[name], path=path, **more)

    @property
    def place(self):
        """What the server said last of where it is."""
        told = [text for text in self.texts if text["type"] == "playback"]
        return told[-1] if told else {"t_s": None, "playing": None, "cut": 0}

    def seek(self, t_s):
        """Go there, and wait until everything before it has come."""
        cut, self.frames = self.place["cut"], []
        self.say(do="seek", t_s=t_s)
        self.until(lambda: self.place["cut"] > cut)
        self.frames = []
        return self.until(lambda: self.times("engine/clock")[-1:] == [pytest.approx(t_s)])

    def times(self, topic):
        return [frame.t_ns / 1e9 for _, frame in self.of(topic)]


def viewer(door, path, *topics, **more):
    return Viewer(door, path, **more).subscribe(*FIRST, *topics)


def processes():
    """Command lines of the tools that read recordings for playback."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "services.recorder frames" in line and "r1" in line]


def test_what_is_kept_comes_first_and_nothing_moves_until_it_is_told_to(door, path, recording):
    with viewer(door, path, "body/joints") as one:
        one.until(lambda: one.of("run/stop") and one.place["to_s"])
        one.listen(0.5)
        assert one.topics()[0] == "run/start"
        assert one.of("body/joints") == []
        assert one.place | {"cut": 0} == {
            "type": "playback", "t_s": 0.0, "from_s": 0.0, "to_s": pytest.approx(TO_S),
            "step_s": STEP_S, "playing": False, "speed": 1.0, "cut": 0,
        }  # fmt: skip


def test_every_frame_is_the_one_in_the_recording_byte_by_byte(door, path, written):
    streams = ("body/joints", "body/links", "brain/spikes", "engine/clock", "engine/inputs/body")
    parts = []

    class Keeping(Viewer):
        def take(self, seconds):
            before = codec.open_batch
            codec.open_batch = lambda data: kept(before(data))
            try:
                return super().take(seconds)
            finally:
                codec.open_batch = before

    def kept(opened):
        parts.extend(opened[1])
        return opened

    with Keeping(door, path) as one:
        one.subscribe(*FIRST, *streams).say(do="play", speed=20)
        one.until(lambda: len(one.of("engine/clock")) == STEPS)
    got = {}
    for topic, *rest in parts:
        got.setdefault(topic.decode().split("/", 1)[1].rstrip("/"), {})[codec.place([topic, *rest]).seq] = rest
    for topic in (*streams, "run/start", "run/stop"):
        assert got[topic] == written[topic], topic
