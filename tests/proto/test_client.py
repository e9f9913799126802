"""reafference.client: watching and steering a run."""

import numpy as np
import pytest

from reafference import codec
from reafference.client import Monitor, Operator
from reafference.clock import Deadline
from reafference.frames import Bye, Clock, Order, StateNote, Stream, Welcome
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
