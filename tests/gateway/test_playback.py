"""Playing a recording: the stream of a simulation, from a file, with a hand on its time."""

import contextlib
import itertools
import shutil
import subprocess
import sys
import time

import pytest
from websockets.exceptions import ConnectionClosed

from reafference import codec
from reafference.topics import Topic
from services.gateway.recorded_frames import Playing
from services.recorder.store import read, recording_of

from .doors import PATIENCE_S, ROOT, SMALL, Door
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


BREAKS_AT = 40
BREAKING = f"""
from reafference import transfer


@transfer(writes="body.Foot1")
def hold(step, log):
    if step == {BREAKS_AT}:
        raise ValueError("enough")
    return 0.5
"""


@pytest.fixture(scope="module")
def broken(door, tmp_path_factory):
    """Where the recording of a limb lies whose transfer function fails in its 41st step."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "experiment.toml").write_text(SMALL["experiment.toml"].replace("steps = 10", "steps = 80"))
    (folder / "transfer.py").write_text(BREAKING)
    command = [sys.executable, "-m", "reafference.cli", "run", str(folder), "--no-overview", "--out"]
    done = subprocess.run([*command, str(folder / "run")], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    experiment = uploaded(door.otto)
    shutil.copytree(folder / "run", door.storage.recordings(experiment) / "r1")
    return f"experiments/{experiment}/recordings/r1"


class Viewer(Listener):
    """Somebody who plays a recording; also keeps the parts of each frame."""

    def __init__(self, door, path, name="vera", **more):
        super().__init__(door.url, "", door.secrets[name], path=path, **more)

    @property
    def place(self):
        """What the server said last of where it is."""
        told = [text for text in self.texts if text["type"] == "playback"]
        return told[-1] if told else {"t_s": None, "playing": None, "cut": 0}

    def jump(self, t_s):
        """Go there, and wait until the server says so."""
        cut, self.frames = self.place["cut"], []
        self.say(do="seek", t_s=t_s)
        return self.until(lambda: self.place["cut"] > cut and self.place["t_s"] == pytest.approx(t_s))

    def seek(self, t_s):
        """Go there, and wait until everything before it has come."""
        self.jump(t_s).frames = []
        return self.until(lambda: self.times("engine/clock")[-1:] == [pytest.approx(t_s)])

    def times(self, topic):
        return [frame.t_ns / 1e9 for _, frame in self.of(topic)]


def viewer(door, path, *topics, **more):
    return Viewer(door, path, **more).subscribe(*FIRST, *topics)


def tools_of(door):
    """The processes that read recordings of this server."""
    listed = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "services.recorder frames" in line and str(door.home) in line]


def test_what_is_kept_comes_first_and_nothing_moves_until_it_is_told_to(door, path):
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
    with viewer(door, path, *streams) as one:
        one.say(do="play", speed=20)
        one.until(lambda: len(one.of("engine/clock")) == STEPS)
    got = {}
    for topic, *rest in one.parts:
        got.setdefault(Topic.parse(topic).name, {})[codec.place([topic, *rest]).seq] = rest
    for topic in (*streams, "run/start", "run/stop"):
        assert got[topic] == written[topic], topic


def test_it_goes_where_it_is_told_with_the_seconds_before(door, path):
    with viewer(door, path, "engine/clock", {"topic": "body/joints", "hz": 2}) as one:
        one.seek(5.0)
        assert one.times("engine/clock") == pytest.approx([1.0 + STEP_S * k for k in range(1, 201)])
        assert one.times("body/joints") == one.times("engine/clock")  # a rate is for what moves
        assert one.place["t_s"] == pytest.approx(5.0)
        assert not one.place["playing"]
        one.listen(0.5)
        assert one.times("engine/clock")[-1] == pytest.approx(5.0)


def test_a_time_within_a_step_is_the_beginning_of_that_step(door, path):
    with viewer(door, path, "engine/clock") as one:
        one.say(do="seek", t_s=1.039)
        one.until(lambda: one.place["t_s"] == pytest.approx(1.02))
        one.say(do="seek", t_s=1e9)
        one.until(lambda: one.place["t_s"] == pytest.approx(TO_S))


def test_after_going_back_the_same_frames_come_again_and_none_is_missed(door, path):
    with viewer(door, path, "engine/clock", "body/joints") as one:
        first = one.seek(2.0).of("body/joints")
        one.seek(4.0)
        again = one.seek(2.0).of("body/joints")
        assert [seq for seq, _ in again] == [seq for seq, _ in first] == list(range(100))
        assert not any(text["type"] == "missed" for text in one.texts)


def test_the_raster_after_a_jump_covers_exactly_the_seconds_before(door, path, written):
    with viewer(door, path, "engine/clock", {"topic": "brain/raster", "most_per_s": 1e6}) as one:
        one.seek(5.5)
        rasters = [frame.arrays for _, frame in one.of("brain/raster")]
    bounds = [(int(each["t0_ns"]), int(each["t1_ns"])) for each in rasters]
    assert bounds[0][0] == 1_500_000_000
    assert bounds[-1][1] == 5_500_000_000
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))
    spikes = [codec.decode([b"-/brain/spikes/", *parts]).frame for parts in written["brain/spikes"].values()]
    expected = sum(len(frame.arrays["sender"]) for frame in spikes if 1_500_000_000 < frame.t_ns <= 5_500_000_000)
    assert sum(len(each["cell"]) for each in rasters) == expected > 0


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_it_plays_at_the_speed_that_was_asked_for(door, path, speed):
    with viewer(door, path, "engine/clock") as one:
        # What a pause of the machine costs is not made up for: it is enough that one of some is right.
        assert any(speed_of(one, speed) == pytest.approx(speed, rel=0.3) for _ in range(5))
        assert one.place["speed"] == speed


def speed_of(one, speed):
    """Play from the beginning; how fast that was in the second after the first step."""
    one.say(do="pause")
    one.jump(0.0).frames = []
    one.say(do="play", speed=speed)
    one.until(lambda: one.times("engine/clock"))
    begun, from_s = time.monotonic(), one.times("engine/clock")[-1]
    one.listen(1.0)
    return (one.times("engine/clock")[-1] - from_s) / (time.monotonic() - begun)


def test_it_stops_at_the_end_and_begins_again(door, path):
    with viewer(door, path, "engine/clock") as one:
        one.seek(TO_S - 0.1)
        one.say(do="play", speed=1)
        one.until(lambda: one.times("engine/clock")[-1:] == [pytest.approx(TO_S)] and not one.place["playing"])
        one.frames = []
        one.say(do="play", speed=4)
        one.until(lambda: one.times("engine/clock"))
        assert one.times("engine/clock")[0] == pytest.approx(STEP_S)


def test_a_pause_holds_it_where_it_is(door, path):
    with viewer(door, path, "engine/clock") as one:
        one.say(do="play", speed=1)
        one.until(lambda: len(one.of("engine/clock")) > 5)
        one.say(do="pause")
        one.until(lambda: not one.place["playing"])
        held = one.place["t_s"]
        one.until(lambda: one.times("engine/clock")[-1] == pytest.approx(held))  # it is told before the last batch
        one.listen(0.6)
        assert one.times("engine/clock")[-1] == pytest.approx(held)


def test_transfer_functions_are_shown_as_they_were_at_that_time(door, broken):
    with viewer(door, broken, "engine/clock", "engine/functions") as one:
        one.until(lambda: one.of("engine/log"))
        assert "ValueError: enough" in one.of("engine/log")[0][1].text
        for t_s, active in ((1.2, False), (0.5, True), (1.6, False), (0.0, True)):
            one.jump(t_s).until(lambda: one.of("engine/functions"))
            one.until(lambda t_s=t_s: one.times("engine/clock")[-1:] == ([pytest.approx(t_s)] if t_s else []))
            (function,) = one.of("engine/functions")[-1][1].functions
            assert function["name"] == "hold"
            assert (function["problem"] is None) == active


def test_many_jumps_in_a_row_end_at_the_last(door, path):
    with viewer(door, path, "engine/clock") as one:
        for t_s in (1.0, 5.0, 2.0, 4.0, 3.0):
            one.say(do="seek", t_s=t_s)
        one.until(lambda: one.place["t_s"] == pytest.approx(3.0) and one.times("engine/clock")[-1:] == [3.0])
        one.listen(0.5)
        assert one.times("engine/clock")[-1] == 3.0


def test_the_tool_ends_with_its_viewer(door, path):
    with viewer(door, path) as one:
        one.until(lambda: one.of("run/stop"))
        until_tools(door, 1)  # that of the test before may still be ending
    until_tools(door, 0)


def until_tools(door, count):
    deadline = time.monotonic() + PATIENCE_S
    while len(tools_of(door)) != count:
        assert time.monotonic() < deadline, tools_of(door)
        time.sleep(0.05)


def test_only_so_many_are_played_at_a_time(door, path):
    door.gateway.playing = Playing(most=1)
    try:
        with viewer(door, path) as one:
            one.until(lambda: one.of("run/start"))
            code, reason = refused(door, path)
            assert code == 4429
            assert reason.startswith("no more than 1 recordings")
        again(door, path)
    finally:
        door.gateway.playing = Playing()


def again(door, path):
    """Play it as soon as the place is free."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(ConnectionClosed), viewer(door, path) as one:
            one.until(lambda: one.of("run/start"))
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def refused(door, path, name="vera"):
    """Code and reason with which a connection is closed."""
    with Viewer(door, path, name) as one, pytest.raises(ConnectionClosed) as closed:
        one.listen(PATIENCE_S)
    return closed.value.rcvd.code, closed.value.rcvd.reason


def test_what_is_not_there_or_cannot_be_played_says_so(door, path):
    assert refused(door, path.replace("r1", "r2"))[0] == 4404
    empty = door.home / path.replace("r1", "r3")
    empty.mkdir()
    code, reason = refused(door, path.replace("r1", "r3"))
    assert code == 4409
    assert "has no recording" in reason


def test_nobody_plays_without_a_token(door, path):
    with Listener(door.url, "", "wrong", path=path) as one, pytest.raises(ConnectionClosed) as closed:
        one.listen(PATIENCE_S)
    assert closed.value.rcvd.code == 4401


@pytest.mark.parametrize("message", [{"do": "seek", "t_s": -1}, {"do": "play", "speed": 0}, {"do": "fly"}])
def test_an_order_that_makes_no_sense_closes_the_connection(door, path, message):
    with viewer(door, path) as one:
        one.say(**message)
        with pytest.raises(ConnectionClosed) as closed:
            one.listen(PATIENCE_S)
    assert closed.value.rcvd.code == 1003
