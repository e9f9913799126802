"""reafference.participant: the loop a simulator lives in."""

import gc
import re
from dataclasses import replace

import numpy as np
import pytest

from reafference import codec, participant
from reafference.codec import INLINE_BELOW
from reafference.digest import Digest
from reafference.errors import (
    BadExperiment,
    EngineLost,
    Leaving,
    NotAllowed,
    ReafferenceError,
    ScriptError,
    StepCancelled,
)
from reafference.frames import (
    Beat,
    Bye,
    Edit,
    ErrorFrame,
    Halt,
    Halted,
    Order,
    Port,
    Ports,
    Prepare,
    Progress,
    Ready,
    StepDone,
)
from reafference.simulator import Changed, never
from reafference.testing import ScriptedPeer, grant, plan

PORTS = Ports(
    inputs=(Port(name="drive", shape=(2,), dtype="<f8", unit="Hz"),),
    outputs=(
        Port(name="sinks.count", shape=(), dtype="<i8", unit="1"),
        Port(name="sinks.echo", shape=(2,), dtype="<f8", unit="Hz"),
        Port(name="spikes.sender", shape=(-1,), dtype="<i8", unit="1"),
        Port(name="timing.run", shape=(), dtype="<i8", unit="ns", digest=False),
    ),
    facts={"neurons": 2},
)


@pytest.fixture(autouse=True)
def _thawed():
    """What `serve` froze for a run does not stay for the life of the tests."""
    yield
    gc.unfreeze()


class Counting:
    """Counts its steps, echoes its input, and spikes as often as it has counted."""

    def __init__(self):
        self.advanced = self.prepared = self.closed = 0

    def prepare(self, plan, report):
        self.prepared += 1
        self.advanced = 0
        return PORTS

    def advance(self, step):
        self.advanced += 1
        return {
            "sinks.count": np.array(self.advanced),
            "sinks.echo": step.inputs.get("drive", np.zeros(2)) * 1.0,
            "spikes.sender": np.arange(self.advanced),
            "timing.run": np.array(self.advanced * 1000 + id(self) % 997),
        }

    def close(self):
        self.closed += 1


class Failing(Counting):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def advance(self, step):
        raise self.error


class Returning(Counting):
    def __init__(self, **outputs):
        super().__init__()
        self.outputs = {name.replace("__", "."): value for name, value in outputs.items()}

    def advance(self, step):
        return self.outputs


PREPARE = Prepare(plan=plan())


def served(simulator, *frames):
    peer = ScriptedPeer([PREPARE, *frames])
    participant.serve(simulator, peer, "toy")
    return peer


def kinds(peer):
    return [frame.kind for frame in peer.sent]


def only_error(peer):
    (error,) = [frame for frame in peer.sent if isinstance(frame, ErrorFrame)]
    return error


# --- in order -------------------------------------------------------------------------------------------


def test_a_life_in_order():
    simulator = Counting()
    peer = served(simulator, grant(0), grant(1), Halt(step=1), Bye(), grant(2))
    assert kinds(peer) == ["ready", "done", "done", "halted", "bye"]
    assert peer.sent[0] == Ready(ports=PORTS)
    assert simulator.advanced == 2


def test_a_repeated_step_is_answered_from_memory():
    simulator = Counting()
    peer = served(simulator, grant(0), grant(0), Halt(step=0))
    assert simulator.advanced == 1
    assert kinds(peer) == ["ready", "done", "done", "halted"]
    assert peer.sent[1] is peer.sent[2]
    assert len(peer.streams) == 2  # each stream once


@pytest.mark.parametrize("steps", [[1], [0, 2], [0, 1, 0], [0, -1]])
def test_a_step_out_of_order_is_refused_and_the_next_one_still_taken(steps):
    simulator = Counting()
    peer = served(simulator, *map(grant, steps))
    assert only_error(peer).code == "out_of_order"
    assert only_error(peer).step == steps[-1]
    expected = len(steps) - 1
    assert f"was granted step {steps[-1]}, its next one is {expected}" in only_error(peer).text
    again = served(simulator, *map(grant, steps), grant(expected))
    assert kinds(again)[-1] == "done"


def test_a_slow_participant_is_granted_every_third_step_only():
    simulator = Counting()
    peer = ScriptedPeer([Prepare(plan=plan(every=3)), grant(0, every=3), grant(3, every=3), grant(4, every=3)])
    participant.serve(simulator, peer, "toy")
    assert simulator.advanced == 2
    assert [frame.t_ns for frame in peer.sent if isinstance(frame, StepDone)] == [60_000_000, 120_000_000]
    assert "its next one is 6" in only_error(peer).text


def test_a_step_ends_where_its_length_says():
    peer = served(Counting(), grant(0), grant(1))
    assert [(f.step, f.t_ns) for f in peer.sent if isinstance(f, StepDone)] == [(0, 20_000_000), (1, 40_000_000)]
    assert {(r.frame.step, r.frame.t_ns) for r in peer.streams} == {(0, 20_000_000), (1, 40_000_000)}


def test_inputs_reach_the_simulator_and_are_read_only():
    seen = []

    class Looking(Counting):
        def advance(self, step):
            seen.append(step)
            return super().advance(step)

    peer = served(Looking(), grant(0, {"drive": np.array([1.5, -2.0])}), grant(1))
    assert list(seen[0].inputs["drive"]) == [1.5, -2.0]
    assert not seen[0].inputs["drive"].flags.writeable
    assert (seen[0].number, seen[0].t_ns, seen[0].dt_ns) == (0, 0, 20_000_000)
    assert seen[1].inputs == {}
    echoes = [r.frame.arrays["echo"] for r in peer.streams if "echo" in r.frame.arrays]
    assert [list(echo) for echo in echoes] == [[1.5, -2.0], [0.0, 0.0]]


# --- what rides, what is published -------------------------------------------------------------------------


def test_only_what_is_wanted_rides_in_the_answer_but_everything_is_published_once():
    peer = served(Counting(), grant(0, want=["sinks", "timing", "spikes", "nothing_of_ours"]), grant(1, want=[]))
    first, second = (frame for frame in peer.sent if isinstance(frame, StepDone))
    assert [packed.topic for packed in first.outputs] == [b"test/toy/sinks/", b"test/toy/spikes/"]
    assert second.outputs == ()
    topics = [received.topic for received in peer.streams]
    assert sorted(topics) == sorted([b"test/toy/sinks/", b"test/toy/spikes/"] * 2)


def test_times_ride_in_the_answer_and_are_no_stream():
    simulator = Counting()
    peer = served(simulator, grant(0), grant(1))
    times = [frame.timing for frame in peer.sent if isinstance(frame, StepDone)]
    assert times == [{"run": 1000 + id(simulator) % 997}, {"run": 2000 + id(simulator) % 997}]
    assert not any(b"timing" in received.topic for received in peer.streams)
    assert all(frame.busy_ns > 0 for frame in peer.sent if isinstance(frame, StepDone))


def test_the_very_bytes_that_ride_are_published():
    peer = served(Counting(), grant(0, want=["sinks"]))
    done = peer.sent[1]
    assert any(packed is done.outputs[0] for packed in peer.published)


def test_numbers_count_per_stream_and_the_answer_tells_the_last_ones():
    class Blinking(Counting):
        """Its camera has a picture every other step."""

        def advance(self, step):
            outputs = super().advance(step)
            return {n: v for n, v in outputs.items() if not n.startswith("spikes") or step.number % 2}

    peer = served(Blinking(), *map(grant, range(4)))
    numbers = {}
    for received in peer.streams:
        numbers.setdefault(received.topic, []).append(received.envelope.seq)
    assert numbers == {
        b"test/toy/sinks/": [0, 1, 2, 3],
        b"test/toy/spikes/": [0, 1],
    }
    told = [frame.seqs for frame in peer.sent if isinstance(frame, StepDone)]
    assert told[0] == {"sinks": 0}
    assert told[3] == {"sinks": 3, "spikes": 1}


def test_arrays_of_one_stream_travel_in_one_frame_under_their_own_names():
    peer = served(Counting(), grant(0))
    (sinks,) = [r.frame for r in peer.streams if r.topic == b"test/toy/sinks/"]
    assert sorted(sinks.arrays) == ["count", "echo"]


# --- halting ----------------------------------------------------------------------------------------------


def test_halted_carries_the_digest_of_all_deterministic_output():
    peer = served(Counting(), grant(0), grant(1), Halt(step=1))
    halted = peer.sent[-1]
    digest = Digest(PORTS.outputs)
    for received in peer.streams:
        digest.update(received.topic.decode().split("/")[2], received.frame.step, received.frame.arrays)
    assert halted.step == 1
    assert halted.digest == digest.hexdigest()
    assert halted.seqs == {"sinks": 1, "spikes": 1}
    assert halted.facts["peak_rss_mb"] > 1


def test_two_equal_runs_have_the_same_digest_although_their_times_differ():
    kept_alive = Counting(), Counting()
    first, second = (served(simulator, grant(0), grant(1), Halt(step=1)).sent[-1] for simulator in kept_alive)
    assert first.digest == second.digest


def test_another_input_gives_another_digest():
    first = served(Counting(), grant(0), Halt(step=0)).sent[-1]
    second = served(Counting(), grant(0, {"drive": np.array([0.0, 1e-300])}), Halt(step=0)).sent[-1]
    assert first.digest != second.digest


def test_who_never_made_a_step_has_halted_before_the_first():
    assert served(Counting(), Halt(step=-1)).sent[-1].step == -1
    peer = ScriptedPeer([Halt(step=-1)])
    participant.serve(Counting(), peer, "toy")
    assert peer.sent == [Halted(step=-1)]


def test_preparing_again_begins_a_new_run():
    simulator = Counting()
    peer = served(simulator, grant(0), grant(1), Halt(step=1), PREPARE, grant(0), Halt(step=0))
    assert kinds(peer) == ["ready", "done", "done", "halted", "ready", "done", "halted"]
    assert simulator.prepared == 2
    assert [r.envelope.seq for r in peer.streams if r.topic == b"test/toy/sinks/"] == [0, 1, 0]
    assert peer.sent[-1].digest == served(Counting(), grant(0), Halt(step=0)).sent[-1].digest


def test_what_an_earlier_run_left_is_collected_again():
    gc.unfreeze()
    frozen = []

    class Noting(Counting):
        def prepare(self, plan, report):
            frozen.append(gc.get_freeze_count())
            return super().prepare(plan, report)

    served(Noting(), PREPARE)
    assert frozen == [0, 0]
    assert gc.get_freeze_count() > 0


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_an_exception_of_the_simulator_becomes_one_line():
    peer = served(Failing(ValueError("too\n  hot:\t900 K")), grant(0))
    error = only_error(peer)
    assert (error.code, error.step) == ("simulator_failed", 0)
    assert error.text == "the toy failed in step 0: ValueError: too hot: 900 K"
    assert "Traceback" in error.detail["trace"]
    assert "test_participant.py" in error.detail["trace"]


def test_an_error_of_the_family_keeps_its_code_and_detail():
    peer = served(Failing(ScriptError("bad script", detail={"file": "brain.py", "line": 3})), grant(0))
    error = only_error(peer)
    assert (error.code, error.text) == ("script_error", "bad script")
    assert error.detail == {"file": "brain.py", "line": 3}


def test_who_cannot_be_built_says_why():
    class Unbuildable(Counting):
        def prepare(self, plan, report):
            raise self.reason

    simulator = Unbuildable()
    simulator.reason = KeyError("weight")
    error = only_error(served(simulator))
    assert (error.code, error.text) == ("simulator_failed", "the toy could not be built: KeyError: 'weight'")
    simulator.reason = BadExperiment("brain.area_mm2: expected more than 0", detail={"key": "brain.area_mm2"})
    error = only_error(served(simulator))
    assert (error.code, error.detail) == ("bad_experiment", {"key": "brain.area_mm2"})


def test_a_failed_building_leaves_nothing_to_step():
    class Unbuildable(Counting):
        def prepare(self, plan, report):
            if self.prepared:
                raise BadExperiment("no more")
            return super().prepare(plan, report)

    peer = served(Unbuildable(), grant(0), PREPARE, grant(0))
    assert kinds(peer) == ["ready", "done", "error", "error"]
    assert peer.sent[-1].code == "unknown_kind"


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"sinks__voltage": np.zeros(1)}, "returned 'sinks.voltage', which it had not declared"),
        ({"sinks__echo": np.zeros(3)}, r"'sinks.echo' as float64 \(3,\), it had declared float64 \(2,\)"),
        ({"sinks__echo": np.zeros((2, 1))}, r"float64 \(2, 1\), it had declared float64 \(2,\)"),
        ({"sinks__echo": np.zeros(2, np.float32)}, "as float32"),
        ({"sinks__echo": [0.0, 1.0, 2.0]}, r"as float64 \(3,\)"),
        ({"spikes__sender": np.zeros((2, 2), np.int64)}, r"it had declared int64 \(-1,\)"),
        ({"sinks__count": 1.5}, "as float64"),
    ],
)
def test_an_output_that_was_not_declared_so_is_a_port_mismatch(outputs, words):
    error = only_error(served(Returning(**outputs), grant(0)))
    assert error.code == "port_mismatch"
    assert re.search(words, error.text)


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_a_port_of_varying_length_takes_any_number_of_rows(rows):
    peer = served(Returning(spikes__sender=np.arange(rows)), grant(0))
    assert kinds(peer) == ["ready", "done"]


def test_plain_numbers_and_lists_are_taken_as_arrays():
    peer = served(Returning(sinks__count=3, sinks__echo=[1.0, 2.0]), grant(0))
    assert kinds(peer) == ["ready", "done"]


def test_a_step_before_building_and_a_strange_frame_are_refused():
    peer = ScriptedPeer([grant(0), Order(what="pause"), Beat(number=1)])
    participant.serve(Counting(), peer, "toy")
    assert [frame.code for frame in peer.sent] == ["unknown_kind"] * 3
    assert "toy cannot act on a 'step' frame now" in peer.sent[0].text


def test_an_error_of_the_engine_ends_it():
    with pytest.raises(NotAllowed, match="no place"):
        served(Counting(), ErrorFrame(code="not_allowed", text="no place"))


@pytest.mark.parametrize("error", [EngineLost("silent"), Leaving("told to end")])
def test_a_link_that_ends_ends_it(error):
    with pytest.raises(type(error)):
        served(Counting(), error)


def test_a_copy_that_cannot_be_sent_is_an_error_of_that_step():
    class Full(ScriptedPeer):
        def publish(self, packed):
            raise ReafferenceError("no room")

    peer = Full([PREPARE, grant(0)])
    participant.serve(Counting(), peer, "toy")
    assert kinds(peer) == ["ready", "done", "error"]
    assert peer.sent[-1].step == 0


# --- progress -----------------------------------------------------------------------------------------------


def test_progress_is_passed_on_but_not_faster_than_one_can_read():
    class Slow(Counting):
        def prepare(self, plan, report):
            for done in range(1, 1001):
                report("connecting", done, 1000, "M1")
            return super().prepare(plan, report)

    peer = served(Slow())
    notes = [frame for frame in peer.sent if isinstance(frame, Progress)]
    assert notes[0] == Progress(service="toy", task="connecting", done=1, total=1000, detail="M1")
    assert notes[-1].done == 1000
    assert len(notes) < 500


def test_who_writes_into_a_large_array_that_it_gave_away_is_told_so():
    class Camera(Counting):
        def prepare(self, plan, report):
            self.image = np.zeros(INLINE_BELOW, np.uint8)
            return Ports(outputs=(Port(name="camera.eye", shape=(INLINE_BELOW,), dtype="|u1", unit="1"),))

        def advance(self, step):
            self.image[0] = step.number
            return {"camera.eye": self.image}

    error = only_error(served(Camera(), grant(0), grant(1)))
    assert error.step == 1
    assert "read-only" in error.text


# --- edits and cancelling ---------------------------------------------------------------------------------


class Tunable(Counting):
    """Scales its echo; can get another port, and fail in each way."""

    def __init__(self):
        super().__init__()
        self.scale, self.seen = 1.0, []

    def edit(self, what, arguments, report):
        report("tuning", 1, 1)
        self.seen.append(arguments)
        match what:
            case "scale":
                self.scale = float(arguments["by"][0])
                return Changed({"by": arguments["by"], "most": np.inf})
            case "grow":
                return Changed(ports=replace(PORTS, outputs=(*PORTS.outputs, MORE)))
            case "break":
                raise RuntimeError("it tore")
        raise BadExperiment(f"no edit {what!r}")

    def advance(self, step):
        outputs = super().advance(step)
        return outputs | {"more.of_it": 1.0 * np.ones(3)} if self.seen and step.number else outputs


MORE = Port(name="more.of_it", shape=(3,), dtype="<f8", unit="1")


def edit(what, number=5, **arguments):
    """As it comes over the wire."""
    made = Edit(id=number, to="toy", what=what, arguments=arguments)
    return codec.decode(codec.encode(made, run="r", src="engine").parts()).frame


def test_an_edit_takes_arrays_and_is_answered_with_its_number():
    simulator = Tunable()
    peer = served(simulator, edit("scale", by=np.array([2.0, np.inf])))
    assert kinds(peer) == ["ready", "progress", "edited"]
    answer = peer.sent[-1]
    assert (answer.id, answer.ports, answer.step) == (5, None, -1)
    assert list(answer.result["by"]) == [2.0, np.inf]
    (given,) = simulator.seen
    assert given["by"].dtype == np.float64
    assert not given["by"].flags.writeable


def test_ports_that_an_edit_brings_hold_from_the_next_step_on():
    peer = served(Tunable(), grant(0), edit("grow"), grant(1), Halt(step=1))
    assert kinds(peer) == ["ready", "done", "progress", "edited", "done", "halted"]
    assert MORE in peer.sent[3].ports.outputs
    assert [r.envelope.seq for r in peer.streams if b"more" in r.topic] == [0]
    digest = Digest([*PORTS.outputs, MORE])
    for received in peer.streams:
        digest.update(received.topic.decode().split("/")[2], received.frame.step, received.frame.arrays)
    assert peer.sent[-1].digest == digest.hexdigest()


def test_an_edit_that_is_refused_says_which_one_and_the_next_step_is_made():
    peer = served(Tunable(), edit("tickle"), grant(0))
    assert kinds(peer) == ["ready", "progress", "error", "done"]
    assert (only_error(peer).code, only_error(peer).detail) == ("bad_experiment", {"edit": 5})


def test_an_edit_that_leaves_nobody_knows_what_is_no_refusal():
    error = only_error(served(Tunable(), edit("break")))
    assert (error.code, error.text) == ("simulator_failed", "the toy failed in the edit 'break': RuntimeError: it tore")
    assert "edit" not in error.detail


def test_who_cannot_be_edited_can_be_reset_and_goes_on_at_the_present_time():
    plans = []

    class Noting(Counting):
        def prepare(self, plan, report):
            plans.append(plan)
            return super().prepare(plan, report)

    simulator = Noting()
    peer = served(simulator, grant(0), grant(1), edit("reset"), grant(2), edit("tickle"))
    assert kinds(peer) == ["ready", "done", "done", "edited", "done", "error"]
    assert peer.sent[3].ports == PORTS
    assert [plan.t_ns for plan in plans] == [0, 40_000_000]
    assert [r.envelope.seq for r in peer.streams if b"sinks" in r.topic] == [0, 1, 2]
    assert simulator.advanced == 1
    assert only_error(peer).text == "the toy has no edit 'tickle': it can be reset, and nothing else"


def test_a_reset_that_fails_is_no_refusal_for_what_there_was_is_gone():
    class Once(Counting):
        def prepare(self, plan, report):
            if self.prepared:
                raise BadExperiment("the file is gone")
            return super().prepare(plan, report)

    error = only_error(served(Once(), edit("reset")))
    assert (error.code, error.text) == ("simulator_failed", "the toy could not be reset: the file is gone")
    assert "edit" not in error.detail


def test_an_edit_before_building_is_refused():
    peer = ScriptedPeer([edit("scale")])
    participant.serve(Counting(), peer, "toy")
    assert (peer.sent[0].code, peer.sent[0].detail) == ("unknown_kind", {"edit": 5})


def test_who_can_be_cancelled_sees_that_the_engine_has_sent_something():
    class Patient(Counting):
        cancelled = staticmethod(never)

        def advance(self, step):
            if self.cancelled():
                raise StepCancelled(f"gave up in step {step.number}")
            return super().advance(step)

    peer = ScriptedPeer([PREPARE, grant(0), grant(1), Halt(step=0)])
    simulator = Patient()

    def send(frame, before=peer.send):
        before(frame)
        peer.cut_in = frame.kind == "done"  # something arrives in the middle of the second step

    peer.send = send
    participant.serve(simulator, peer, "toy")
    assert kinds(peer) == ["ready", "done", "error", "halted"]
    assert (only_error(peer).code, only_error(peer).step) == ("step_cancelled", 1)
    assert peer.sent[-1].step == 0
    assert peer.sent[-1].digest == served(Counting(), grant(0), Halt(step=0)).sent[-1].digest


def test_another_run_is_signed_for_as_such():
    other = Prepare(plan=replace(plan(), run="other"))
    peer = served(Counting(), grant(0), Halt(step=0), other, grant(0))
    topics = {r.topic.decode().split("/")[0]: r.envelope.run for r in peer.streams}
    assert topics == {"test": "test", "other": "other"}
