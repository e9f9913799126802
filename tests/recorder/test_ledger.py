"""services.recorder.ledger: which frames have come, which steps are complete."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reafference.errors import SequenceGap
from reafference.frames import Packed
from services.recorder.ledger import Entry, Ledger


def entry(topic, seq, t_ns=0):
    return Entry(topic, seq, t_ns, 0, Packed(topic.encode(), b"%d" % seq))


def names(complete):
    return [(step.step, [(e.topic, e.seq) for e in step.entries]) for step in complete]


@st.composite
def runs(draw):
    """What each sender puts on the tap, in its own order. Streams may leave steps out; the engine's marks list the
    last number of each."""
    steps = draw(st.integers(1, 6))
    sent = {"brain": [], "body": [], "engine": []}
    seqs, expected = {}, []
    for step in range(steps):
        own = []
        for topic in ("brain/sinks", "brain/spikes", "body/joints", "engine/inputs"):
            for _ in range(draw(st.integers(0, 2))):
                seqs[topic] = seqs.get(topic, -1) + 1
                sent[topic.split("/")[0]].append(("frame", topic, seqs[topic]))
                own.append((topic, seqs[topic]))
        sent["engine"].append(("mark", step, dict(seqs)))
        expected.append((step, [*sorted(own), ("engine/clock", step)]))
    return sent, expected


@given(runs(), st.data())
def test_any_order_between_senders_gives_the_same_steps(run, data):
    sent, expected = run
    queues = {name: list(frames) for name, frames in sent.items() if frames}
    ledger, found = Ledger(), []
    while queues:
        name = data.draw(st.sampled_from(sorted(queues)))
        kind, what, seqs = queues[name].pop(0)
        if not queues[name]:
            del queues[name]
        if kind == "mark":
            ledger.mark(what, seqs, entry("engine/clock", what))
        else:
            ledger.take(entry(what, seqs))
        found += ledger.complete()
        assert ledger.complete() == []
    assert names(found) == expected
    assert ledger.rest() == ()


def test_a_step_is_complete_only_when_everything_its_mark_lists_is_there():
    ledger = Ledger()
    ledger.mark(0, {"brain/sinks": 0, "body/joints": 1}, entry("engine/clock", 0))
    ledger.take(entry("brain/sinks", 0))
    ledger.take(entry("body/joints", 0))
    assert ledger.complete() == []
    ledger.take(entry("body/joints", 1))
    assert names(ledger.complete()) == [
        (0, [("body/joints", 0), ("body/joints", 1), ("brain/sinks", 0), ("engine/clock", 0)])
    ]


def test_frames_of_later_steps_wait_for_their_own_mark():
    ledger = Ledger()
    for seq in range(3):
        ledger.take(entry("brain/sinks", seq))
    ledger.mark(0, {"brain/sinks": 0}, entry("engine/clock", 0))
    assert names(ledger.complete()) == [(0, [("brain/sinks", 0), ("engine/clock", 0)])]
    ledger.mark(1, {"brain/sinks": 1}, entry("engine/clock", 1))
    assert names(ledger.complete()) == [(1, [("brain/sinks", 1), ("engine/clock", 1)])]


def test_several_steps_may_become_complete_at_once():
    ledger = Ledger()
    for step in range(3):
        ledger.mark(step, {"brain/sinks": step}, entry("engine/clock", step))
    for seq in range(3):
        ledger.take(entry("brain/sinks", seq))
    assert [step.step for step in ledger.complete()] == [0, 1, 2]


@pytest.mark.parametrize(("seqs", "got", "due"), [([1], 1, 0), ([0, 2], 2, 1), ([0, 0], 0, 1), ([0, 1, 0], 0, 2)])
def test_gaps_and_doubles_are_found(seqs, got, due):
    ledger = Ledger()
    for seq in seqs[:-1]:
        ledger.take(entry("brain/sinks", seq))
    with pytest.raises(SequenceGap, match=f"got brain/sinks number {got} where {due} was due"):
        ledger.take(entry("brain/sinks", seqs[-1]))


def test_a_mark_is_numbered_like_any_frame():
    ledger = Ledger()
    ledger.mark(0, {}, entry("engine/clock", 0))
    with pytest.raises(SequenceGap, match="engine/clock"):
        ledger.mark(2, {}, entry("engine/clock", 2))


def test_topics_are_numbered_each_for_itself():
    ledger = Ledger()
    ledger.take(entry("brain/sinks", 0))
    ledger.take(entry("body/joints", 0))
    ledger.take(entry("brain/sinks", 1))
    assert ledger.has_all({"brain/sinks": 1, "body/joints": 0})
    assert not ledger.has_all({"body/joints": 1})
    assert not ledger.has_all({"never/seen": 0})
    assert ledger.has_all({})


def test_what_belongs_to_no_complete_step_is_the_rest_in_the_order_of_time():
    ledger = Ledger()
    ledger.take(entry("run/start", 0))
    ledger.take(entry("brain/sinks", 0, t_ns=20))
    ledger.mark(0, {"body/joints": 0}, entry("engine/clock", 0, t_ns=20))
    ledger.take(entry("brain/sinks", 1, t_ns=10))
    assert [(e.topic, e.seq) for e in ledger.rest()] == [
        ("run/start", 0),
        ("brain/sinks", 1),
        ("brain/sinks", 0),
        ("engine/clock", 0),
    ]
    assert ledger.rest() == ()
