"""The live stream: what a listener gets, whenever it comes and however slow it is."""

import itertools
import os
import statistics
import time
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from .doors import Door
from .runs import Run, uploaded
from .watching import KEPT, PATIENCE_S, Listener


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("home"), places=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def limb(door):
    return uploaded(door.otto)


@pytest.fixture(scope="module")
def shared(door, limb):
    """One that runs, in real time, for the tests that only look."""
    with Run(door.otto, limb) as run:
        run.built().put("/state", state="started")
        yield run


def listener(door, run, name="vera", **more):
    return Listener(door.url, run.id, door.secrets[name], **more)


def seqs(listening, topic):
    return [seq for seq, _ in listening.of(topic)]


def told(listening):
    """The steps of which the transfer function has told."""
    return [frame.text for _, frame in listening.of("engine/log")]


def test_a_late_listener_gets_all_that_is_kept(door, shared):
    shared.request("PATCH", "/parameters", json={"strength": 0.3})
    with listener(door, shared) as late:
        late.subscribe(*KEPT).until(lambda: len(late.of("engine/edits")) >= 1)
        late.until(lambda: late.of("engine/log"))
        assert late.topics()[0] == "run/start"
        assert seqs(late, "engine/log") == list(range(len(late.of("engine/log"))))
        assert told(late)[0] == "step 0"
        assert late.of("engine/functions")[0][1].functions
        assert [frame.what for _, frame in late.of("engine/edits")][-1] == "set_parameters"
        assert late.of("engine/state")


def test_who_comes_back_has_no_gap_and_nothing_twice(door, shared):
    with listener(door, shared) as first:
        first.subscribe("engine/log").until(lambda: len(first.of("engine/log")) > 20)
    time.sleep(0.5)
    last = seqs(first, "engine/log")[-1]
    with listener(door, shared) as again:
        again.subscribe("engine/log", since={"engine/log": last})
        again.until(lambda: len(again.of("engine/log")) > 20)
    both = seqs(first, "engine/log") + seqs(again, "engine/log")
    assert both == list(range(len(both)))


def test_two_listeners_see_the_same(door, shared):
    topics = ("engine/log", "body/joints", "engine/clock")
    with listener(door, shared) as one, listener(door, shared, "olga") as other:
        one.subscribe(*topics)
        other.subscribe(*topics)

        def both(topic):
            """The frames that both have, by number."""
            ours, theirs = dict(one.of(topic)), dict(other.of(topic))
            return {seq: (ours[seq], theirs[seq]) for seq in sorted(ours.keys() & theirs.keys())}

        one.until(lambda: other.listen(0.05) and all(len(both(topic)) > 10 for topic in topics))
        for topic in topics:
            common = list(both(topic))
            for each in (one, other):
                assert [seq for seq in seqs(each, topic) if common[0] <= seq <= common[-1]] == common
            assert all(str(ours) == str(theirs) for ours, theirs in both(topic).values())


def test_a_rate_is_kept_and_the_rest_is_not_called_missed(door, shared):
    began = time.monotonic()
    with listener(door, shared) as slow:
        slow.subscribe({"topic": "body/links", "hz": 5}).until(lambda: len(slow.of("body/links")) >= 12)
        assert len(slow.of("body/links")) <= 5 * (time.monotonic() - began) + 3
        steps = [frame.step for _, frame in slow.of("body/links")]
        assert (
            statistics.median(later - earlier for earlier, later in itertools.pairwise(steps)) <= 15
        )  # of 50 a second
        assert not [text for text in slow.texts if text["type"] == "missed"]


def test_who_draws_nothing_gets_four_batches_and_then_the_newest(door, shared):
    with listener(door, shared, drawing=False) as stuck:
        stuck.subscribe("body/joints", {"topic": "body/tip", "hz": 30})
        stuck.until(lambda: len(stuck.batches) == 4)
        before = stuck.of("body/joints")[-1][0]
        stuck.until(lambda: stuck.simulation["step"] > before + 350)  # more than are kept
        assert stuck.batches == [1, 2, 3, 4]
        stuck.draw()
        stuck.until(lambda: stuck.batches[-1] >= 5)
        stuck.listen(1)
        assert 5 <= stuck.batches[-1] <= 8
        came = seqs(stuck, "body/joints")
        gaps = came[-1] - came[0] + 1 - len(came)
        assert gaps > 0

        def missed():
            told = (text["topics"] for text in stuck.texts if text["type"] == "missed")
            return sum(topics.get("body/joints", 0) for topics in told)

        stuck.until(lambda: missed() >= gaps)
        assert missed() == gaps


def test_batches_come_thirty_times_a_second_at_most(door, shared):
    began = time.monotonic()
    with listener(door, shared) as eager:
        eager.subscribe("engine/clock", "body/joints", "body/muscles").listen(2)
        eager.until(lambda: eager.batches)
        assert eager.batches[-1] <= 31 * (time.monotonic() - began)


def test_where_it_stands_is_told_at_each_change_and_every_second(door, shared):
    began = time.monotonic()
    with listener(door, shared) as watching:
        watching.until(lambda: watching.simulation)
        assert watching.simulation["state"] == "started"
        watching.until(lambda: "vera" in watching.simulation["people"])

        def steps():
            return {text["simulation"]["step"] for text in watching.texts if text["type"] == "simulation"}

        watching.listen(3).until(lambda: len(steps()) >= 3)
        assert len(steps()) <= 4 + (time.monotonic() - began)  # the first, ours, that of who left before, and the ticks
        shared.put("/state", state="paused")
        watching.until(lambda: watching.simulation["state"] == "paused")
        known = len(watching.texts)
        watching.say(do="status")
        watching.until(lambda: len(watching.texts) > known)
        shared.put("/state", state="started")
        watching.until(lambda: watching.simulation["state"] == "started")


def test_a_listener_of_a_paused_run_sees_where_the_body_is(door, shared):
    shared.put("/state", state="paused")
    try:
        last = shared.get()["step"] - 1
        with listener(door, shared) as early:  # the step that was under way at the pause may still come
            early.subscribe("body/links").until(lambda: any(frame.step >= last for _, frame in early.of("body/links")))
        with listener(door, shared) as late:
            late.subscribe("body/links", {"topic": "body/joints", "hz": 10})
            late.until(lambda: late.of("body/links") and late.of("body/joints"))
            assert len(late.listen(0.5).of("body/links")) == 1
    finally:
        shared.put("/state", state="started")


@pytest.mark.parametrize("text", ["{", '{"do": "dance"}', '{"do": "subscribe"}', "[]", '{"do":"drawn","batch":"x"}'])
def test_a_message_that_cannot_be_understood_ends_the_connection(door, shared, text):
    with listener(door, shared) as strange:
        strange.socket.send(text)
        with pytest.raises(ConnectionClosed) as closed:
            strange.listen(PATIENCE_S)
        assert (closed.value.rcvd.code, "cannot be understood" in closed.value.rcvd.reason) == (1003, True)


@pytest.mark.parametrize(("sid", "token", "code"), [("", "", 4401), ("", "wrong", 4401), ("s99", None, 4404)])
def test_who_may_not_listen_is_told_why(door, shared, sid, token, code):
    secret = door.secrets["vera"] if token is None else token
    with Listener(door.url, sid or shared.id, secret) as refused:
        with pytest.raises(ConnectionClosed) as closed:
            refused.listen(PATIENCE_S)
        assert closed.value.rcvd.code == code


def test_many_who_draw_nothing_cost_no_memory(door, shared):
    def rss():
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    with listener(door, shared) as first:
        first.subscribe("body/links").listen(1)
        before = rss()
        with ExitStack() as stack:
            idle = [stack.enter_context(listener(door, shared, drawing=False)) for _ in range(30)]
            for one in idle:
                one.subscribe("body/links", "body/muscle_points", "body/muscles", "engine/log")
            first.listen(5)
            after = rss()
            seen = seqs(first, "body/links")
        assert seen == list(range(seen[0], seen[-1] + 1))
        assert after - before < 60


class TestReset:
    """Tests that end the simulation, last of all."""

    def test_a_listener_follows_into_the_next_run_and_is_told_when_it_is_gone(self, door, shared):
        with listener(door, shared) as watching:
            watching.subscribe(*KEPT, "body/tip").until(lambda: len(watching.of("body/tip")) > 3)
            shared.post("/reset", what="full")
            shared.put("/state", state="started")
            watching.until(lambda: len(watching.of("run/start")) == 2)
            first, second = (frame.run for _, frame in watching.of("run/start"))
            assert first != second
            count = len(watching.frames)
            watching.until(lambda: [one for one in watching.frames[count:] if one.envelope.run == second])
            watching.until(lambda: watching.simulation["run"] == second)
            since = {"engine/log": 10_000}
            with listener(door, shared) as again:
                again.subscribe("engine/log", since=since, run=first).until(lambda: again.of("engine/log"))
                assert seqs(again, "engine/log")[0] == 0
            shared.put("/state", state="stopped")
            watching.until(lambda: watching.of("run/stop"))
            watching.until(lambda: watching.simulation["state"] == "stopped")
            assert shared.request("DELETE").status_code == 204
            with pytest.raises(ConnectionClosed) as closed:
                watching.listen(PATIENCE_S)
            assert closed.value.rcvd.code == 4000
            assert watching.texts[-1] == {"type": "gone"}
