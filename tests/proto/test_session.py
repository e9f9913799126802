"""reafference.session: what can wait is done after the answer."""

import numpy as np
import pytest

from reafference import codec, participant
from reafference.frames import ErrorFrame, Halt, Halted, Port, Ports, Prepare, StepDone
from reafference.testing import LocalPeer, ScriptedPeer, grant, plan

PORTS = Ports(
    outputs=(
        Port(name="sinks.count", shape=(), dtype="<i8", unit="1"),
        Port(name="spikes.sender", shape=(-1,), dtype="<i8", unit="1"),
    )
)


class Deferring:
    """Leaves its spikes for later, unless somebody waits for them."""

    def __init__(self, **later):
        self.later = later or {"spikes.sender": np.arange(3)}
        self.calls, self.deferred = [], ()

    def prepare(self, plan, report):
        return PORTS

    def advance(self, step):
        self.calls.append("advance")
        self.deferred = () if "spikes.sender" in step.want else ("spikes.sender",)
        return {"sinks.count": np.array(step.number)} | ({} if self.deferred else self.later)

    def afterwards(self):
        self.calls.append("afterwards")
        return {name.replace("__", "."): value for name, value in self.later.items()}

    def close(self): ...


class Listening(ScriptedPeer):
    """Notes in the simulator's own list when something leaves."""

    def __init__(self, given, simulator):
        super().__init__([Prepare(plan=plan()), *given])
        self.simulator = simulator

    def send(self, frame):
        super().send(frame)
        self.simulator.calls.append(frame.kind)

    def publish(self, packed):
        super().publish(packed)
        self.simulator.calls.append(packed.topic.decode().split("/")[2])


def served(simulator, *frames):
    peer = Listening(frames, simulator)
    participant.serve(simulator, peer, "toy")
    return peer


def test_the_answer_leaves_before_what_nobody_waits_for_is_fetched():
    simulator = Deferring()
    served(simulator, grant(0))
    assert simulator.calls == ["ready", "advance", "done", "sinks", "afterwards", "spikes"]


def test_the_answer_counts_what_is_still_to_come():
    peer = served(Deferring(), grant(0), grant(1))
    assert [frame.seqs for frame in peer.sent if isinstance(frame, StepDone)] == [
        {"sinks": 0, "spikes": 0},
        {"sinks": 1, "spikes": 1},
    ]
    assert [r.envelope.seq for r in peer.streams if b"spikes" in r.topic] == [0, 1]
    assert [(r.frame.step, r.frame.t_ns) for r in peer.streams if b"spikes" in r.topic] == [
        (0, 20_000_000),
        (1, 40_000_000),
    ]


def test_what_somebody_waits_for_is_not_left_for_later():
    simulator = Deferring()
    peer = served(simulator, grant(0, want=["spikes.sender"]))
    assert "afterwards" not in simulator.calls
    done = next(frame for frame in peer.sent if isinstance(frame, StepDone))
    assert [packed.topic for packed in done.outputs] == [b"test/toy/spikes/"]


class Halving(Deferring):
    """Leaves one array of a stream for later, and has the other at once."""

    def prepare(self, plan, report):
        return Ports(outputs=(*PORTS.outputs, Port(name="sinks.slow", shape=(), dtype="int64", unit="")))

    def advance(self, step):
        self.deferred = ("sinks.slow",)
        return {"sinks.count": np.array(step.number)}

    def afterwards(self):
        return {"sinks.slow": np.array(7)}


def test_of_a_stream_that_is_left_half_for_later_the_answer_has_the_first_half_and_the_bus_all():
    peer = served(Halving(), grant(0, want=["sinks.count"]), grant(1, want=["sinks.count"]))
    answers = [frame for frame in peer.sent if isinstance(frame, StepDone)]
    assert [answer.seqs for answer in answers] == [{"sinks": 0}, {"sinks": 1}]
    (riding,) = answers[1].outputs
    assert set(codec.decode(riding.parts()).frame.arrays) == {"count"}
    published = [(r.envelope.seq, {name: int(a) for name, a in r.frame.arrays.items()}) for r in peer.streams]
    assert published == [(0, {"count": 0, "slow": 7}), (1, {"count": 1, "slow": 7})]


def test_later_or_at_once_makes_no_difference_to_the_digest():
    digests = {
        next(frame.digest for frame in served(Deferring(), grant(0, want=want), Halt(step=0)).sent[::-1])
        for want in ([], ["spikes.sender"])
    }
    assert len(digests) == 1


def test_a_repeated_step_is_not_finished_twice():
    simulator = Deferring()
    served(simulator, grant(0), grant(0))
    assert simulator.calls.count("afterwards") == 1


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ({"sinks__count": np.array(1)}, "gave sinks.count after step 0, it had promised spikes.sender"),
        ({"spikes__sender": np.zeros(2)}, "returned 'spikes.sender' as float64"),
        ({"other__x": np.zeros(2)}, "gave other.x after step 0, it had promised spikes.sender"),
    ],
)
def test_what_comes_later_is_held_to_its_promise(later, words):
    peer = served(Deferring(**later), grant(0))
    (error,) = [frame for frame in peer.sent if isinstance(frame, ErrorFrame)]
    assert (error.code, error.step) == ("port_mismatch", 0)
    assert words in error.text


def test_a_failure_after_the_answer_is_told_too():
    class Failing(Deferring):
        def afterwards(self):
            raise OSError("the recorder is stuck")

    peer = served(Failing(), grant(0), Halt(step=0))
    assert [frame.kind for frame in peer.sent] == ["ready", "done", "error", "halted"]
    assert peer.sent[2].text == "the toy failed after step 0: OSError: the recorder is stuck"
    assert isinstance(peer.sent[3], Halted)


def test_a_local_peer_gives_both_at_once():
    with LocalPeer(Deferring()) as peer:
        assert sorted(peer.step()) == ["sinks.count", "spikes.sender"]
        assert sorted(peer.step(want=["spikes.sender"])) == ["sinks.count", "spikes.sender"]
