"""What has come over a bus is kept as far as somebody may still want it, and no further."""

import numpy as np

from services.gateway import history
from services.gateway.history import KEPT_FRAMES, RING_BYTES, RING_FRAMES, History

from .frames import parts, said, state, tip


def names(frames):
    return [(frame.name, frame.place.seq) for frame in frames]


def filled(*frames):
    made = History()
    for frame in frames:
        made.take(frame)
    return made


def test_frames_of_a_topic_come_in_order_after_a_number():
    known = filled(tip(0), state(0), tip(1), tip(2))
    assert names(known.after("body/tip", 0)) == [("body/tip", 0), ("body/tip", 1), ("body/tip", 2)]
    assert names(known.after("body/tip", 3)) == [("body/tip", 2)]
    assert known.after("body/tip", known.order) == []
    assert known.after("body/unknown", 0) == []


def test_a_ring_holds_the_newest_frames():
    known = filled(*(tip(seq) for seq in range(RING_FRAMES + 10)))
    seqs = [frame.place.seq for frame in known.after("body/tip", 0)]
    assert seqs == list(range(10, RING_FRAMES + 10))


def test_a_ring_of_large_frames_is_shorter_and_keeps_the_newest():
    picture = np.zeros(RING_BYTES // 3, np.uint8)
    known = filled(*(tip(seq, image=picture) for seq in range(8)))
    assert [frame.place.seq for frame in known.after("body/tip", 0)] == [6, 7]
    huge = filled(tip(0), tip(1, image=np.zeros(2 * RING_BYTES, np.uint8)))
    assert [frame.place.seq for frame in huge.after("body/tip", 0)] == [1]


def test_messages_are_kept_all_and_states_are_not():
    known = filled(*(frame for seq in range(1000) for frame in (said(seq, "x"), state(seq))))
    assert len(known.after("engine/log", 0)) == 1000
    assert names(known.after("engine/state", 0)) == [("engine/state", 999)]


def test_even_messages_have_a_limit(monkeypatch):
    monkeypatch.setattr(history, "KEPT_FRAMES", 100)
    known = filled(*(said(seq, "x") for seq in range(150)))
    assert [frame.place.seq for frame in known.after("engine/log", 0)] == list(range(50, 150))
    assert KEPT_FRAMES >= 10_000


def test_another_run_takes_the_place_of_the_one_before():
    known = filled(tip(0), said(0, "old"), said(0, "new", run="8b4c"))
    assert known.run == "8b4c"
    assert names(known.all(("engine/log", "body/tip"))) == [("engine/log", 0)]
    assert known.take(said(1, "a straggler")) is None
    assert known.run == "8b4c"


def test_what_is_no_frame_is_left_out():
    known = filled([b"nonsense"], [b"7f3a/body/tip/", b"\xc1"], [b"7f3a/body/tip/"], [])
    assert (known.order, known.run) == (0, "")


def test_a_frame_knows_the_time_of_the_one_before():
    known = filled(tip(0), tip(4))
    assert [frame.before_ns for frame in known.after("body/tip", 0)] == [0, 20_000_000]


def test_when_nothing_comes_any_more_the_newest_frames_stay():
    known = filled(tip(0), tip(1), said(0, "a"), said(1, "b"))
    known.settle()
    assert names(known.all(("body/tip", "engine/log"))) == [("body/tip", 1), ("engine/log", 0), ("engine/log", 1)]


def test_the_very_bytes_of_the_bus_stand_in_a_batch():
    sent = tip(3)
    frame = History().take(sent)
    from reafference import codec

    assert codec.open_batch(codec.batch(17, [frame.bound])) == (17, [sent])
    assert parts("body/tip", frame.frame, seq=3)[0] == sent[0]


def test_after_a_cut_only_what_is_kept_is_there_and_time_goes_on_from_elsewhere():
    known = filled(said(0, "a"), state(0), tip(0), tip(1))
    known.cut(3_000_000_000)
    assert names(known.all(["engine/log", "engine/state", "body/tip"])) == [("engine/log", 0)]
    later = known.take(tip(200))
    assert later.before_ns == 3_000_000_000
    assert known.take(tip(201)).before_ns == later.place.t_ns
    assert later.order == 5
    assert known.cuts == 1
