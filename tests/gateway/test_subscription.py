"""A subscription: what one listener gets, in which order, and what it is told to have missed."""

import math

import numpy as np

from services.gateway.history import RING_FRAMES, History
from services.gateway.raster import Raster
from services.gateway.subscription import MOST_BYTES, Subscription, Wish

from .frames import opened, said, spikes, state, tip


def of(history, *wishes, since=None, run="", raster=None):
    made = Subscription(history, raster or Raster())
    made.replace([wish if isinstance(wish, Wish) else Wish(topic=wish) for wish in wishes], since or {}, run)
    return made


def feed(history, *frames):
    for frame in frames:
        assert history.take(frame) is not None


def taken(subscription, now=0.0):
    return [(name, seq) for name, seq, _ in opened(subscription.take(now))]


def test_a_late_listener_gets_what_is_kept_then_what_is_live():
    history = History()
    feed(history, said(0, "a"), tip(0), said(1, "b"), tip(1))
    listener = of(history, "engine/log", "body/tip")
    assert taken(listener) == [("engine/log", 0), ("engine/log", 1), ("body/tip", 1)]
    feed(history, tip(2), said(2, "c"))
    assert taken(listener) == [("body/tip", 2), ("engine/log", 2)]
    assert taken(listener) == []


def test_who_comes_back_gets_each_message_once():
    history = History()
    feed(history, *(said(seq, "x") for seq in range(5)))
    assert taken(of(history, "engine/log", since={"engine/log": 2})) == [("engine/log", 3), ("engine/log", 4)]
    assert taken(of(history, "engine/log", since={"engine/log": 4})) == []
    assert taken(of(history, "engine/log", since={"engine/log": -1})) == [("engine/log", seq) for seq in range(5)]


def test_what_was_known_of_another_run_does_not_count():
    history = History()
    feed(history, said(0, "x", run="8b4c"), said(1, "y", run="8b4c"))
    assert len(taken(of(history, "engine/log", since={"engine/log": 7}, run="7f3a"))) == 2
    assert len(taken(of(history, "engine/log", since={"engine/log": 0}, run="8b4c"))) == 1


def test_a_listener_follows_into_the_next_run():
    history = History()
    feed(history, said(0, "x"), said(1, "y"))
    listener = of(history, "engine/log", "body/tip")
    taken(listener)
    feed(history, said(0, "new", run="8b4c"), tip(0, run="8b4c"))
    assert taken(listener) == [("engine/log", 0), ("body/tip", 0)]
    assert listener.missed == {}


def test_all_frames_of_a_topic_without_a_rate_come_and_gaps_are_counted():
    history = History()
    feed(history, tip(0))
    listener = of(history, "body/tip")
    taken(listener)
    feed(history, *(tip(seq) for seq in range(1, RING_FRAMES + 6)))
    got = taken(listener)
    assert [seq for _, seq in got] == list(range(6, RING_FRAMES + 6))
    assert listener.missed == {"body/tip": 5}
    feed(history, tip(RING_FRAMES + 9))
    taken(listener)
    assert listener.missed == {"body/tip": 5 + 3}


def test_of_a_topic_with_a_rate_the_newest_comes_when_it_is_due():
    history = History()
    listener = of(history, Wish(topic="body/tip", hz=10))
    feed(history, tip(0), tip(1))
    assert taken(listener, 5.0) == [("body/tip", 1)]
    feed(history, tip(2))
    assert taken(listener, 5.02) == []
    assert 0.05 < listener.due_in_s(5.02) < 0.1
    feed(history, tip(3))
    assert taken(listener, 5.1) == [("body/tip", 3)]
    assert listener.due_in_s(5.1) == math.inf
    assert listener.missed == {}


def test_a_rate_is_kept_over_time():
    history = History()
    listener = of(history, Wish(topic="body/tip", hz=10))
    came = 0
    for tick in range(300):
        feed(history, tip(tick))
        came += len(listener.take(tick / 30))
    assert 95 <= came <= 105


def test_a_listener_of_a_paused_run_sees_where_it_stands():
    history = History()
    feed(history, tip(7), state(8))
    assert taken(of(history, "body/tip", "engine/state")) == [("body/tip", 7), ("engine/state", 8)]


def test_a_changed_wish_goes_on_where_it_was():
    history = History()
    feed(history, tip(0), said(0, "x"))
    listener = of(history, "body/tip", "engine/log")
    taken(listener)
    feed(history, tip(1), said(1, "y"))
    listener.replace([Wish(topic="body/tip", hz=30), Wish(topic="engine/log")], {"engine/log": 0})
    assert taken(listener, 1.0) == [("body/tip", 1), ("engine/log", 1)]


def test_a_batch_ends_where_it_becomes_too_large():
    history = History()
    listener = of(history, "body/tip")
    block = np.zeros(MOST_BYTES * 3 // 5, np.uint8)
    feed(history, *(tip(seq, image=block) for seq in range(3)))
    assert [seq for _, seq in taken(listener)] == [0, 1]
    assert listener.due_in_s(0.0) == 0.0
    assert [seq for _, seq in taken(listener)] == [2]


def test_a_picture_is_thinned_to_the_pixels_that_are_wanted():
    history = History()
    from reafference.frames import Stream

    from .frames import parts

    image = np.arange(240 * 320 * 3, dtype=np.uint32).astype(np.uint8).reshape(240, 320, 3)
    frame = parts("body/camera/eye", Stream(step=0, t_ns=1, arrays={"image": image}), seq=4)
    feed(history, frame)
    ((name, seq, small),) = opened(of(history, Wish(topic="body/camera/eye", points=5000)).take(0.0))
    assert (name, seq) == ("body/camera/eye", 4)
    stride = 240 // small.arrays["image"].shape[0]
    assert small.arrays["image"].shape[0] * small.arrays["image"].shape[1] <= 5000
    assert np.array_equal(small.arrays["image"], image[::stride, ::stride])
    ((_, _, whole),) = opened(of(history, Wish(topic="body/camera/eye", points=10**6)).take(0.0))
    assert np.array_equal(whole.arrays["image"], image)


def test_a_raster_waits_and_is_merged():
    raster, history = Raster(), History()
    raster.know({"raster": {"A": [[1, 3]]}})
    listener = of(history, "brain/raster", raster=raster)
    feed(history, spikes(0, [1], [10_000_000]), spikes(1, [3, 9], [30_000_000, 31_000_000]))
    ((name, seq, frame),) = opened(listener.take(0.0))
    assert (name, seq) == ("brain/raster", 1)
    assert frame.arrays["cell"].tolist() == [0, 2]
    assert frame.arrays["dt_us"].tolist() == [10_000, 30_000]
    assert frame.arrays["counts"].tolist() == [2]
    assert (int(frame.arrays["t0_ns"]), int(frame.arrays["t1_ns"])) == (0, 40_000_000)
    feed(history, spikes(2, [], []))
    ((_, _, frame),) = opened(listener.take(0.1))
    assert (int(frame.arrays["t0_ns"]), int(frame.arrays["t1_ns"])) == (40_000_000, 60_000_000)
    assert listener.missed == {}


def test_after_a_cut_frames_go_on_from_another_number_and_none_is_missed():
    history = History()
    feed(history, said(0, "a"), *(tip(seq) for seq in range(3)))
    listener = of(history, "engine/log", "body/tip")
    taken(listener)
    history.cut(0)
    feed(history, tip(100), tip(101))
    assert taken(listener) == [("body/tip", 100), ("body/tip", 101)]
    history.cut(0)
    feed(history, tip(5))
    assert taken(listener) == [("body/tip", 5)]
    assert listener.missed == {}


def test_a_whole_subscription_gets_every_frame_whatever_its_rate():
    history = History()
    raster = Raster()
    raster.know({"raster": {"E": [[1, 4]]}})
    listener = of(history, Wish(topic="body/tip", hz=1), Wish(topic="brain/raster"), raster=raster)
    listener.whole = True
    feed(history, *(tip(seq) for seq in range(4)), spikes(0, [1, 2], [1, 2]), spikes(1, [3], [20_000_001]))
    assert [name for name, _ in taken(listener)] == ["body/tip"] * 4 + ["brain/raster"] * 2
    listener.whole = False
    feed(history, *(tip(seq) for seq in range(4, 8)))
    assert taken(listener, now=10.0) == [("body/tip", 7)]
