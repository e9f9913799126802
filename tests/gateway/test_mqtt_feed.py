"""What a broker is still to be told, and what it reads: decided without one."""

import json

import numpy as np
import pytest

from reafference import codec
from reafference.frames import Message, RunStop, StateNote, Stream
from reafference.topics import Topic
from services.gateway.history import RING_FRAMES, History
from services.gateway.mqtt.feed import MOST_FRAMES, Feed
from services.gateway.mqtt.payload import as_json
from services.gateway.mqtt.settings import MqttSettings


class Bus:
    """Puts frames into a history as they would come over the bus."""

    def __init__(self):
        self.history, self.seqs = History(), {}

    def put(self, name, frame, run="r1"):
        topic = Topic.parse(f"{run}/{name}".encode())
        seq = self.seqs[run, name] = self.seqs.get((run, name), -1) + 1
        packed = codec.encode(frame, run=run, src=topic.service, seq=seq, topic=topic.wire())
        return self.history.take([bytes(part) for part in packed.parts()])

    def joints(self, step, run="r1"):
        return self.put("body/joints", Stream(step=step, t_ns=step * 10**7, arrays={"position": np.zeros(2)}), run)

    def log(self, text="hello", run="r1"):
        return self.put("engine/log", Message(source="transfer function", type="runtime", text=text), run)

    def state(self, state, run="r1"):
        return self.put("engine/state", StateNote(step=0, t_ns=0, state=state), run)

    def stop(self, run="r1"):
        return self.put("run/stop", RunStop(step=0, t_ns=0, outcome="finished", steps=1), run)


def names(items):
    return [item.name if item.frame else f"-{item.name}" for item in items]


def send(feed, now, items=None):
    """All that is due, sent."""
    sent = feed.due(now) if items is None else items
    for item in sent:
        feed.sent(item, now)
    return [item for item in sent if item.frame is not None]


def feed_of(bus, **settings):
    return Feed(bus.history, MqttSettings(**settings))


def test_of_a_stream_the_newest_goes_at_its_rate_and_of_messages_all():
    bus = Bus()
    feed = feed_of(bus, hz=10.0)
    seqs = []
    for step in range(100):
        bus.joints(step)
        bus.log()
        seqs += [(item.name, item.frame.place.seq) for item in send(feed, now=100.0 + step * 0.02)]
    assert [seq for name, seq in seqs if name == "engine/log"] == list(range(100))
    assert len([seq for name, seq in seqs if name == "body/joints"]) == pytest.approx(20, abs=1)
    assert feed.missed == {}


def test_a_handful_is_bounded_and_what_is_left_comes_next():
    bus = Bus()
    feed = feed_of(bus)
    for _ in range(MOST_FRAMES + 10):
        bus.log()
    assert len(send(feed, 0.0)) == MOST_FRAMES
    assert feed.more
    assert len(send(feed, 0.0)) == 10
    assert not feed.more


def test_what_broke_off_is_sent_again_and_nothing_twice():
    bus = Bus()
    feed = feed_of(bus)
    for _ in range(3):
        bus.log()
    items = [item for item in feed.due(0.0) if item.frame]
    feed.sent(items[0], 0.0)
    feed.failed(items[1], 0.0)
    assert [item.frame.place.seq for item in send(feed, 1.0)] == [1, 2]
    assert feed.missed == {}


def test_a_large_frame_that_breaks_the_connection_again_and_again_is_given_up():
    bus = Bus()
    feed = feed_of(bus)
    bus.log("x" * 100_000)
    bus.log()
    for _ in range(3):
        first = next(item for item in feed.due(0.0) if item.frame)
        assert first.frame.size > 100_000
        feed.failed(first, 0.0)
    assert [item.frame.place.seq for item in send(feed, 0.0)] == [1]
    assert feed.missed == {"engine/log": 1}


def test_what_the_broker_keeps_is_due_again_with_each_connection():
    bus = Bus()
    feed = feed_of(bus)
    bus.state("ready")
    bus.log()
    assert names(send(feed, 0.0)) == ["engine/state", "engine/log"]
    assert send(feed, 1.0) == []
    feed.begin(outage_s=5.0)
    assert names(send(feed, 2.0)) == ["engine/state"]
    assert feed.missed == {}


def test_samples_that_were_due_without_a_broker_are_counted():
    bus = Bus()
    feed = feed_of(bus, hz=10.0, rates={"body/tip": 0.0})
    bus.joints(0)
    send(feed, 0.0)
    for step in range(1, RING_FRAMES + 101):
        bus.joints(step)
        bus.put("body/tip", Stream(step=step, t_ns=step, arrays={}))
    feed.begin(outage_s=2.0)
    while send(feed, 10.0):
        pass
    assert feed.missed == {"body/joints": 20, "body/tip": 100}


def test_a_pause_is_no_loss():
    bus = Bus()
    feed = feed_of(bus, hz=10.0)
    bus.joints(0)
    send(feed, 0.0)
    feed.begin(outage_s=100.0)
    bus.joints(1)
    assert len(send(feed, 100.0)) == 1
    assert feed.missed == {}


def test_another_run_lets_the_documents_of_the_former_one_be_forgotten():
    bus = Bus()
    feed = feed_of(bus)
    bus.state("running")
    bus.stop()
    send(feed, 0.0)
    bus.state("ready", run="r2")
    items = feed.due(1.0)
    assert names(items) == ["-run/start", "-run/ports", "-run/stop", "-engine/functions", "engine/state"]
    assert all(item.retained and item.certain for item in items)
    send(feed, 1.0, items)
    bus.stop(run="r2")
    assert names(send(feed, 2.0)) == ["run/stop"]


def test_what_is_not_wanted_is_never_due():
    bus = Bus()
    feed = feed_of(bus, topics=("engine/#",), without=("engine/log",))
    bus.log()
    bus.joints(0)
    bus.state("ready")
    assert names(send(feed, 0.0)) == ["engine/state"]


# --- as JSON ------------------------------------------------------------------------------------------------


def told(frame, most_values=2000, name="body/joints"):
    return json.loads(as_json(Bus().put(name, frame), most_values))


def stream(**arrays):
    return Stream(step=3, t_ns=80_000_000, arrays=arrays)


def test_a_stream_as_json():
    found = told(stream(position=np.array([0.5, np.inf, -np.inf, np.nan]), touch=np.array(True)))
    assert found == {
        "kind": "stream",
        "run": "r1",
        "src": "body",
        "seq": 0,
        "step": 3,
        "t_s": 0.08,
        "arrays": {"position": [0.5, "Infinity", "-Infinity", "NaN"], "touch": True},
    }


def test_numbers_that_json_has_no_form_for_in_a_document():
    note = StateNote(step=1, t_ns=10**9, state="running", facts={"a": np.inf, "b": [np.nan], "c": {"d": 1}})
    found = told(note, name="engine/state")
    assert (found["t_s"], found["facts"]) == (1.0, {"a": "Infinity", "b": ["NaN"], "c": {"d": 1}})


def test_arrays_of_one_length_are_thinned_alike():
    sender, time_ns = np.arange(10_000), np.arange(10_000) * 7
    found = told(stream(sender=sender, time_ns=time_ns), most_values=3000, name="brain/spikes")
    assert found["arrays"]["sender"] == list(range(0, 10_000, 4))
    assert found["arrays"]["time_ns"] == [7 * one for one in found["arrays"]["sender"]]
    assert found["thinned"]["sender"] == {"every": 4, "of": [10_000]}


def test_points_stay_whole_and_pictures_keep_their_form():
    found = told(stream(position=np.zeros((1000, 3))), most_values=300)
    assert (len(found["arrays"]["position"]), len(found["arrays"]["position"][0])) == (100, 3)
    found = told(stream(image=np.zeros((240, 320, 3), np.uint8)), most_values=2000, name="body/camera/eye")
    image = np.array(found["arrays"]["image"])
    every = found["thinned"]["image"]["every"]
    assert image.shape == (-(-240 // every), -(-320 // every), 3)
    assert 1000 < image.size <= 2000
