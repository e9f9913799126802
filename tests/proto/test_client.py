"""reafference.client: watching and steering a run."""

import threading

import numpy as np
import pytest

from reafference import codec
from reafference.client import Monitor, Operator
from reafference.clock import Deadline
from reafference.errors import BadExperiment, OutOfOrder, PeerLate, ReafferenceError
from reafference.frames import (
    Bye,
    Clock,
    Edit,
    Edited,
    ErrorFrame,
    Hello,
    Order,
    StateNote,
    Stream,
    Welcome,
)
from reafference.sockets import BusOut, BusProxy, Sender, StepHost, Waiting, Wires
from reafference.topics import Topic

PATIENCE_S = 20.0


@pytest.fixture
def wires():
    with Wires() as opened:
        yield opened


class Source:
    """Publishes numbered streams on a bus of its own."""

    def __init__(self, wires, folder):
        self.address = f"ipc://{folder}/out"
        self.proxy = BusProxy(f"ipc://{folder}/in", self.address)
        self.bus = BusOut(wires, f"ipc://{folder}/in")

    def send(self, name, seq, run="7f3a", value=0.0):
        service, _, stream = name.partition("/")
        frame = Stream(step=seq, t_ns=seq * 20, arrays={"value": np.array(value)})
        self.bus.send(codec.encode(frame, run=run, src=service, seq=seq, topic=Topic(run, service, stream).wire()))

    def heard_by(self, monitor, name="brain/sinks", run="7f3a"):
        """Send until the subscription is live; the number of the last one that was taken, which is also the last
        one sent."""
        deadline, seq = Deadline.after_s(PATIENCE_S), -1
        while not deadline.passed():
            seq += 1
            self.send(name, seq, run)
            received = monitor.next(Deadline.after_s(0.05))
            if received is not None:
                while received.envelope.seq < seq:
                    received = monitor.next(deadline)
                return seq
        raise AssertionError("the subscription never came through")


@pytest.fixture
def source(wires, tmp_path):
    made = Source(wires, tmp_path)
    yield made
    made.proxy.close()


def take(monitor, count):
    deadline = Deadline.after_s(PATIENCE_S)
    return [monitor.next(deadline) for _ in range(count)]


def test_a_monitor_counts_what_the_bus_dropped_as_missed(source):
    with Monitor(source.address, ("brain/sinks", "brain/spikes")) as monitor:
        last = source.heard_by(monitor)
        assert monitor.missed == {}
        for seq in (last + 1, last + 5, last + 6, last + 10):
            source.send("brain/sinks", seq)
        source.send("brain/spikes", 40)  # the first of a stream is no gap: it was sent before we came
        source.send("brain/spikes", 42)
        seqs = [received.envelope.seq for received in take(monitor, 6)]
        assert seqs == [last + 1, last + 5, last + 6, last + 10, 40, 42]
        assert monitor.missed == {"brain/sinks": 6, "brain/spikes": 1}


def test_a_monitor_hears_the_chosen_streams_only(source):
    with Monitor(source.address, ("brain/sinks",)) as monitor:
        last = source.heard_by(monitor)
        for name in ("brain/sinks2", "body/sinks", "brain/sinks"):
            source.send(name, last + 1)
        received = take(monitor, 1)[0]
        assert Topic.parse(received.topic).name == "brain/sinks"
        assert received.frame.step == last + 1
        assert monitor.next(Deadline.after_s(0)) is None


def test_a_monitor_of_one_run_hears_no_other(source):
    with Monitor(source.address, ("brain/sinks",), run="7f3a") as monitor:
        last = source.heard_by(monitor)
        source.send("brain/sinks", 7, run="beef")
        source.send("brain/sinks", last + 1)
        assert take(monitor, 1)[0].envelope.run == "7f3a"


@pytest.mark.parametrize("run", ["", "7f3a"])
def test_no_streams_means_all_of_them(source, run):
    with Monitor(source.address, run=run) as monitor:
        last = source.heard_by(monitor)
        source.send("body/joints", 0)
        source.send("brain/sinks", last + 1)
        assert [Topic.parse(r.topic).name for r in take(monitor, 2)] == ["body/joints", "brain/sinks"]


def test_the_latest_of_each_stream_leaves_older_ones_out_without_missing_them(source):
    with Monitor(source.address, ("brain/sinks", "body/joints")) as monitor:
        last = source.heard_by(monitor)
        for number in range(10):
            source.send("brain/sinks", last + 1 + number, value=number)
            source.send("body/joints", number, value=-number)
        newest, deadline = {}, Deadline.after_s(PATIENCE_S)
        while newest.get("body/joints", -1) < 9 and not deadline.passed():
            for name, received in monitor.latest().items():
                newest[name] = received.frame.step
        assert newest == {"brain/sinks": last + 10, "body/joints": 9}
        assert monitor.missed == {}
        assert monitor.latest() == {}


def test_frames_come_until_the_deadline(source):
    with Monitor(source.address, ("brain/sinks",)) as monitor:
        last = source.heard_by(monitor)
        source.send("brain/sinks", last + 1)
        frames = monitor.frames(Deadline.after_s(PATIENCE_S))
        assert next(frames).frame.step == last + 1
        assert list(monitor.frames(Deadline.after_s(0))) == []


def test_what_cannot_be_read_is_left_out(source):
    with Monitor(source.address) as monitor:
        last = source.heard_by(monitor)
        good = codec.encode(Clock(step=1, t_ns=2, seqs={}), run="r", src="engine", topic=b"no topic at all")
        source.bus.send(good)
        source.bus.send(codec.Packed(b"7f3a/brain/sinks/", b"no header"))
        source.send("brain/sinks", last + 1)
        assert take(monitor, 1)[0].envelope.seq == last + 1


def test_an_operator_says_hello_orders_and_leaves(wires, tmp_path):
    address = f"ipc://{tmp_path}/step"
    host = StepHost(wires, address, Sender("engine", "7f3a"))
    operator = Operator(wires, address, "console")

    def next_at_host():
        assert Waiting(host).until(20_000)
        ((name, parts),) = host.receive()
        assert name == "console"
        return codec.decode(parts)

    assert next_at_host().frame.role == "operator"
    host.send("console", Welcome(run="7f3a", version=(1, 0), run_folder="/runs/1"))
    host.send("console", StateNote(step=0, t_ns=0, state="lobby"))
    host.socket.send_multipart([b"console", b"state", b"no header"])
    host.send("console", StateNote(step=1, t_ns=0, state="running"))
    heard = []
    while len(heard) < 3:
        assert Waiting(operator).until(20_000)
        heard += operator.arrived()
    assert [frame.kind for frame in heard] == ["welcome", "state", "state"]
    assert operator.welcome.run_folder == "/runs/1"
    operator.order("pause", "lunch")
    got = next_at_host()
    assert (got.frame, got.envelope.run) == (Order(what="pause", reason="lunch"), "7f3a")
    operator.leave()
    assert next_at_host().frame == Bye()


# --- edits and resets -------------------------------------------------------------------------------------------


class Engine:
    """Answers an operator from a thread; `heard` is what came after hello."""

    def __init__(self, wires, address, answer):
        self.host, self.answer, self.heard = StepHost(wires, address, Sender("engine", "7f3a")), answer, []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        waiting, deadline = Waiting(self.host), Deadline.after_s(PATIENCE_S)
        while not deadline.passed():
            waiting.until(50)
            for name, parts in self.host.receive():
                frame = codec.decode(parts).frame
                if isinstance(frame, Hello):
                    self.host.send(name, Welcome(run="7f3a", version=(1, 1)))
                    continue
                self.heard.append(frame)
                for answer in self.answer(frame):
                    if answer is None:
                        return
                    self.host.send(name, answer)


@pytest.fixture
def operator_of(tmp_path):
    """An operator whose engine answers by this function; what it yields is sent, None ends it."""
    engines = []
    with Wires() as theirs, Wires() as ours:

        def make(answer):
            address = f"ipc://{tmp_path}/step"
            engines.append(Engine(theirs, address, answer))
            return Operator(ours, address, "console"), engines[-1]

        yield make
        for engine in engines:
            engine.thread.join(PATIENCE_S)
            assert not engine.thread.is_alive()


def test_an_edit_gives_its_result_and_keeps_what_came_before_it(operator_of):
    def answer(frame):
        yield StateNote(step=4, t_ns=0, state="paused")
        yield Edited(id=frame.id + 100)  # of somebody else
        yield Edited(id=frame.id, result={"V_th": np.array([1.0, np.inf]), "n": 2}, step=4)
        yield StateNote(step=5, t_ns=0, state="running")
        yield None

    operator, engine = operator_of(answer)
    result = operator.edit("brain", "get", {"of": [1, 2]}, timeout_s=2.5)
    assert (list(result["V_th"]), result["n"]) == ([1.0, np.inf], 2)
    assert engine.heard == [Edit(id=1, to="brain", what="get", arguments={"of": [1, 2]}, timeout_s=2.5)]
    engine.thread.join(PATIENCE_S)
    kept, deadline = [], Deadline.after_s(PATIENCE_S)
    while len(kept) < 5 and not deadline.passed():
        kept += [frame.kind for frame in operator.arrived()]
    assert kept == ["welcome", "state", "edited", "edited", "state"]


def test_an_edit_that_is_refused_raises_the_error_that_was_meant(operator_of):
    def answer(frame):
        yield ErrorFrame(code="leaving", text="of something else")
        yield ErrorFrame(code="bad_experiment", text="no such population", detail={"edit": frame.id, "key": "M2"})
        yield None

    operator, _ = operator_of(answer)
    with pytest.raises(BadExperiment, match="no such population") as caught:
        operator.silence("M2")
    assert caught.value.detail["key"] == "M2"


def test_an_edit_without_outcome_is_given_up(operator_of):
    operator, _ = operator_of(lambda frame: [None])
    with pytest.raises(PeerLate, match=r"the edit 'look' had no outcome within 0\.2 s"):
        operator.edit("brain", "look", patience_s=0.2)


def test_every_edit_of_the_brain_has_a_method(operator_of):
    asked = []

    def answer(frame):
        asked.append((frame.to, frame.what, dict(frame.arguments)))
        yield Edited(id=frame.id)
        if frame.what == "reset":
            yield None

    operator, _ = operator_of(answer)
    operator.set_parameters("A", {"V_th": -50.0})
    assert operator.get_parameters("A", ("V_th",)) == {}
    operator.silence("A")
    operator.lesion("A")
    operator.restore("A")
    operator.stimulate("A", rate_hz=40.0, duration_ms=100.0)
    operator.stimulate("A", amplitude_pA=300.0, duration_ms=100.0)
    operator.switch("drive", False)
    operator.replace_brain("brain = 1")
    operator.set_populations({"A": {"from": 0, "to": 4}})
    operator.reset("body")
    assert asked == [
        ("brain", "set_parameters", {"population": "A", "parameters": {"V_th": -50.0}}),
        ("brain", "get_parameters", {"population": "A", "names": ["V_th"]}),
        ("brain", "silence", {"population": "A"}),
        ("brain", "lesion", {"population": "A"}),
        ("brain", "restore", {"population": "A"}),
        ("brain", "stimulate", {"population": "A", "duration_ms": 100.0, "rate_hz": 40.0}),
        ("brain", "stimulate", {"population": "A", "duration_ms": 100.0, "amplitude_pA": 300.0}),
        ("brain", "switch", {"device": "drive", "on": False}),
        ("brain", "replace_brain", {"script": "brain = 1"}),
        ("brain", "set_populations", {"populations": {"A": {"from": 0, "to": 4}}}),
        ("body", "reset", {}),
    ]


def test_a_full_reset_is_over_when_another_run_is_ready(operator_of):
    def answer(frame):
        yield StateNote(step=3, t_ns=0, state="ready")  # of the run that is to be reset
        yield Welcome(run="beef", version=(1, 1), run_folder="/runs/1-2")
        yield StateNote(step=0, t_ns=0, state="preparing")
        yield StateNote(step=0, t_ns=0, state="ready")
        yield None

    operator, engine = operator_of(answer)
    operator.reset()
    assert engine.heard == [Order(what="reset", scope="full")]
    assert operator.welcome.run_folder == "/runs/1-2"


@pytest.mark.parametrize(
    ("last", "error", "words"),
    [
        (ErrorFrame(code="out_of_order", text="it is being built"), OutOfOrder, "it is being built"),
        (StateNote(step=0, t_ns=0, state="fault", text="the body was lost"), ReafferenceError, "the body was lost"),
        (Bye(), ReafferenceError, "the run ended before it could be reset"),
    ],
)
def test_a_reset_that_comes_to_nothing_says_why(operator_of, last, error, words):
    operator, _ = operator_of(lambda frame: [last, None])
    with pytest.raises(error, match=words):
        operator.reset()
