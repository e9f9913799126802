"""reafference.testing: the stand-ins themselves."""

from dataclasses import replace

import numpy as np
import pytest

from reafference.errors import EngineLost, PortMismatch
from reafference.frames import Beat, Bye, Port, Ports
from reafference.simulator import Changed
from reafference.testing import HandClock, LocalPeer, ScriptedPeer, grant, plan


class Integrator:
    """Adds up what it is given."""

    def prepare(self, plan, report):
        report("building", 1, 1)
        self.sum, self.steps, self.closed = np.zeros(2), [], 0
        self.seed = plan.seed
        return Ports(
            inputs=(
                Port(name="rate", shape=(2,), dtype="<f8", unit="Hz", rest=np.array([1.0, 0.0])),
                Port(name="events", shape=(-1,), dtype="<i8", unit="1"),
            ),
            outputs=(
                Port(name="sum.value", shape=(2,), dtype="<f8", unit="1"),
                Port(name="echo.events", shape=(-1,), dtype="<i8", unit="1"),
            ),
        )

    def advance(self, step):
        self.steps.append(step)
        self.sum = self.sum + step.inputs["rate"]
        return {"sum.value": self.sum, "echo.events": step.inputs["events"]}

    def close(self):
        self.closed += 1


def test_a_local_peer_steps_a_simulator_on_resting_inputs():
    with LocalPeer(Integrator()) as peer:
        assert list(peer.step()["sum.value"]) == [1.0, 0.0]
        assert peer.step()["echo.events"].shape == (0,)
        assert peer.t_ns == 40_000_000
        assert [port.name for port in peer.ports.outputs] == ["sum.value", "echo.events"]


def test_inputs_keep_what_they_were_given_last():
    peer = LocalPeer(Integrator())
    peer.step({"rate": [2, 3], "events": [7]})
    assert list(peer.step()["sum.value"]) == [4.0, 6.0]
    assert list(peer.step({"events": []})["echo.events"]) == []


def test_the_simulator_sees_steps_as_from_an_engine():
    simulator = Integrator()
    peer = LocalPeer(simulator, plan(step_ms=5, every=2, seed=9))
    peer.step()
    peer.step()
    assert [(s.number, s.t_ns, s.dt_ns) for s in simulator.steps] == [(0, 0, 10_000_000), (2, 10_000_000, 10_000_000)]
    assert simulator.seed == 9
    assert not simulator.steps[0].inputs["rate"].flags.writeable


def test_preparing_again_begins_at_rest():
    peer = LocalPeer(Integrator())
    peer.step({"rate": [5, 5]})
    peer.prepare()
    assert peer.t_ns == 0
    assert list(peer.step()["sum.value"]) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"rat": 1}, r"takes no port 'rat' \(did you mean 'rate'\?\)"),
        ({"rate": 1.0}, "declared as <f8"),
        ({"rate": [1, 2, 3]}, r"'rate' is float64 \(3,\)"),
        ({"events": [[1]]}, r"'events' is int64 \(1, 1\), declared as <i8 \(-1,\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, words):
    with pytest.raises(PortMismatch, match=words):
        LocalPeer(Integrator()).step(inputs)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"sum.valu": np.zeros(2)}, r"declared no port 'sum.valu' \(did you mean 'sum.value'\?\)"),
        ({"sum.value": np.zeros(3)}, r"is float64 \(3,\), declared as <f8 \(2,\)"),
        ({"sum.value": np.zeros(2, np.float32)}, "is float32"),
    ],
)
def test_outputs_that_were_declared_otherwise_are_refused(outputs, words):
    class Wrong(Integrator):
        def advance(self, step):
            return outputs

    with pytest.raises(PortMismatch, match=words):
        LocalPeer(Wrong()).step()


def test_closing_closes_the_simulator():
    simulator = Integrator()
    with LocalPeer(simulator):
        assert simulator.closed == 0
    assert simulator.closed == 1


def test_a_scripted_peer_gives_frames_and_raises_what_is_among_them():
    peer = ScriptedPeer([Bye(), EngineLost("gone"), Bye()])
    given = peer.frames()
    assert next(given) == Bye()
    with pytest.raises(EngineLost):
        next(given)


def test_a_scripted_peer_keeps_what_is_sent_and_published():
    peer = ScriptedPeer([], name="brain")
    peer.send(Bye())
    peer.publish(peer.sign("pulse", 4, Beat(number=2)))
    assert peer.sent == [Bye()]
    (received,) = peer.streams
    assert (received.topic, received.envelope.seq, received.frame) == (b"test/brain/pulse/", 4, Beat(number=2))


def test_a_grant_carries_its_inputs_packed():
    made = grant(3, {"rate": np.ones(2)}, want=["sum"], step_ms=10, every=2)
    assert (made.step, made.t_ns, made.dt_ns, made.want) == (3, 30_000_000, 20_000_000, ("sum",))
    assert made.inputs[0].topic == b"test/engine/inputs/toy/"


def test_the_hands_of_a_clock_move_when_one_moves_them():
    clock = HandClock()
    assert clock.monotonic_ns() == clock.time_ns() == clock.perf_counter_ns() == 0
    clock.advance_s(1.5)
    assert clock.monotonic_ns() == clock.time_ns() == clock.perf_counter_ns() == 1_500_000_000


class Growing(Integrator):
    """Takes another input once it is asked to."""

    def edit(self, what, arguments, report):
        ports = Integrator.prepare(self, plan(), report)
        more = Port(name="more", shape=(), dtype="<f8", unit="1", rest=np.array(4.0))
        return Changed({"what": what, **arguments}, replace(ports, inputs=(*ports.inputs, more)))


def test_a_local_peer_edits_a_simulator_and_its_inputs_stay():
    with LocalPeer(Growing()) as peer:
        peer.step({"rate": [5, 6]})
        assert peer.edit("grow", {"by": 1}) == {"what": "grow", "by": 1}
        assert list(peer.step()["sum.value"]) == [5.0, 6.0]
        peer.step({"more": 2.0})
        assert peer.t_ns == 60_000_000
