"""The doors of the wires: who is let in with which key, and that nobody else disturbs. On a loopback address."""

import contextlib
import os
import resource
import socket as net
import time
from types import SimpleNamespace

import pytest
import structlog
import zmq

from reafference import codec, keys
from reafference.client.monitor import Monitor
from reafference.clock import Deadline
from reafference.config import Addresses, ServiceConfig, pick_doors
from reafference.doorkeeper import WITHOUT, Seldom
from reafference.errors import BadExperiment, NoKeys, NotAllowed
from reafference.frames import Bye, Clock, ErrorFrame, Hello
from reafference.keys import KeyRing
from reafference.link import WireLink
from reafference.locks import lock_options
from reafference.pulse import PulseEcho, PulseHost
from reafference.sockets import BusIn, BusOut, BusProxy, Sender, StepHost, StepPeer, TapIn, TapOut, Waiting, Wires

PATIENCE_S = 20.0
QUIET_MS = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("doors") / "keys"
    keys.make(made, ranks=2, monitors=["lab"])
    return made


@pytest.fixture
def doors():
    return Addresses.at(pick_doors("tcp://127.0.0.1"))


@pytest.fixture
def said():
    """What was logged, by every thread."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
def opened(folder):
    """Wires of anybody, by name, with that name's keys; closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda name, where=folder: stack.enter_context(Wires(keys=KeyRing(where, name)))


@pytest.fixture
def strange(tmp_path):
    """Keys of another installation, whose owner knows our servers."""

    def made(folder, *, knows_us=True):
        keys.make(tmp_path / "strange", monitors=["lab"])
        for server in keys.SERVERS if knows_us else ():
            (tmp_path / "strange" / f"{server}.key").write_bytes((folder / f"{server}.key").read_bytes())
        return tmp_path / "strange"

    return made


@pytest.fixture
def engine(opened, doors, tmp_path):
    """Both ends of the engine's step wire."""
    return StepHost(opened("engine"), f"ipc://{tmp_path}/step", Sender("engine", "7f3a"), doors.step)


def come(host, wanted=1, timeout_s=PATIENCE_S, until=lambda: False):
    """The first `wanted` frames, as (name, frame); what has come `until` something is so."""
    found, deadline, waiting = [], Deadline.after_s(timeout_s), Waiting(host)
    while len(found) < wanted and not deadline.passed() and not until():
        waiting.until(min(20, deadline.left_ms()))
        found += [(name, codec.decode(parts).frame) for name, parts in host.receive()]
    return found


def answered(peer, timeout_s=PATIENCE_S):
    """The next frame that a peer gets."""
    waiting, deadline = Waiting(peer), Deadline.after_s(timeout_s)
    while not deadline.passed():
        waiting.until(deadline.left_ms())
        for parts in peer.receive():
            return codec.decode(parts).frame
    raise AssertionError("no answer came")


def nothing_comes(wire):
    assert not Waiting(wire).until(QUIET_MS)


def await_word(said, word, **fields):
    """Until this was logged."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        for line in tuple(said):
            if line["event"] == word and fields.items() <= line.items():
                return line
        time.sleep(0.01)
    raise AssertionError(f"{word!r} was not said; but {said}")


def hello(name):
    return Hello(name=name, role="participant")


def joined(engine, opened, doors, name="brain"):
    peer = StepPeer(opened(name), doors.step, Sender(name))
    peer.send(hello(name))
    assert come(engine) == [(name, hello(name))]
    return peer


def test_a_service_is_known_by_its_key(engine, opened, doors):
    brain = joined(engine, opened, doors)
    assert engine.by_door("brain")
    assert not engine.by_door("body")
    engine.send("brain", Bye())
    assert answered(brain) == Bye()
    brain.send(Bye())
    assert come(engine) == [("brain", Bye())]


def test_the_wire_of_one_machine_needs_no_keys_beside_the_door(engine, opened, doors, tmp_path):
    brain = joined(engine, opened, doors)
    with Wires() as wires:
        body = StepPeer(wires, f"ipc://{tmp_path}/step", Sender("body"))
        body.send(hello("body"))
        assert come(engine) == [("body", hello("body"))]
        assert not engine.by_door("body")
        for name, peer in (("body", body), ("brain", brain)):
            engine.send(name, Bye())
            assert answered(peer) == Bye()


def test_another_name_than_that_of_the_key_is_refused(engine, opened, doors, said):
    brain = joined(engine, opened, doors)
    liar = StepPeer(opened("body"), doors.step, Sender("brain"))
    liar.send(hello("brain"))
    assert come(engine, until=lambda: liar.socket.poll(0)) == []
    error = answered(liar)
    assert isinstance(error, ErrorFrame)
    assert (error.code, error.text) == ("not_allowed", "'brain' cannot speak with the key of 'body'")
    assert await_word(said, "refused", peer="body")["code"] == "not_allowed"
    liar.send(Bye())  # what it says further is nobody's
    assert come(engine, until=lambda: liar.socket.poll(0)) == []
    assert answered(liar).code == "out_of_order"
    engine.send("brain", Bye())
    assert answered(brain) == Bye()
    nothing_comes(liar)


def test_a_name_of_routing_is_worth_nothing_at_the_door(engine, opened, doors, folder):
    brain = joined(engine, opened, doors)
    ring = KeyRing(folder, "body")
    with zmq.Context() as context:
        thief = context.socket(zmq.DEALER)
        for option, value in lock_options("step peer", doors.step, ring).items():
            thief.setsockopt(option, value)
        thief.setsockopt(zmq.LINGER, 0)
        thief.setsockopt(zmq.ROUTING_ID, b"brain")
        thief.connect(doors.step)
        thief.send_multipart(Sender("brain").sign(Bye()).parts())
        assert come(engine, until=lambda: thief.poll(0)) == []
        assert codec.decode(thief.recv_multipart()).frame.code == "out_of_order"
        engine.send("brain", Bye())
        assert answered(brain) == Bye()
        assert not thief.poll(QUIET_MS)
        thief.close()


def test_who_comes_again_with_the_same_key_takes_its_place(engine, opened, doors):
    first = joined(engine, opened, doors)
    second = joined(engine, opened, doors)
    engine.send("brain", Bye())
    assert answered(second) == Bye()
    first.send(Bye())
    assert come(engine, until=lambda: first.socket.poll(0)) == []
    assert answered(first).code == "out_of_order"


def test_who_comes_by_the_other_wire_takes_its_place_as_well(engine, opened, doors, tmp_path):
    joined(engine, opened, doors)
    with Wires() as wires:
        near = StepPeer(wires, f"ipc://{tmp_path}/step", Sender("brain"))
        near.send(hello("brain"))
        assert come(engine) == [("brain", hello("brain"))]
        engine.send("brain", Bye())
        assert answered(near) == Bye()


@pytest.mark.parametrize("parts", [[b"hello"], [b"hello", b"x"], [b"hello", b"\x80"], [b""], [b"a", b"b", b"c"]])
def test_a_key_is_no_licence_for_rubbish(engine, opened, doors, parts):
    brain = joined(engine, opened, doors)
    babbler = StepPeer(opened("body"), doors.step, Sender("body"))
    babbler.socket.send_multipart(parts)
    assert come(engine, until=lambda: babbler.socket.poll(0)) == []
    assert answered(babbler).code in ("bad_frame", "out_of_order")
    assert come(engine, timeout_s=0.1) == []
    engine.send("brain", Bye())
    assert answered(brain) == Bye()


def attempt(doors, ring=None):
    """A DEALER of a stranger, who says hello as the brain."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    if ring is not None:
        for option, value in lock_options("step peer", doors.step, ring).items():
            socket.setsockopt(option, value)
    socket.connect(doors.step)
    with contextlib.suppress(zmq.Again):  # it was sent away already
        socket.send_multipart(Sender("brain").sign(hello("brain")).parts(), zmq.NOBLOCK)
    return contextlib.closing(SimpleNamespace(socket=socket, close=lambda: context.destroy(linger=0)))


def test_who_has_no_key_is_not_heard(engine, opened, doors, said):
    brain = joined(engine, opened, doors)
    with attempt(doors) as stranger:
        line = await_word(said, "refused at the door", wire="step")
        assert line["peer"] in ("127.0.0.1", "unknown: it was gone at once")
        assert (line["service"], line["text"]) == ("engine", WITHOUT)
        assert come(engine, timeout_s=0.3) == []
        nothing_comes(stranger)
    engine.send("brain", Bye())
    assert answered(brain) == Bye()


def test_who_is_not_on_the_list_is_not_heard(engine, opened, doors, said, folder, strange):
    joined(engine, opened, doors)
    with attempt(doors, KeyRing(strange(folder), "brain")) as stranger:
        line = await_word(said, "refused at the door", text="its key is not among those allowed")
        assert (line["wire"], line["peer"]) == ("step", "127.0.0.1")
        assert come(engine, timeout_s=0.3) == []
        nothing_comes(stranger)


def test_who_does_not_know_the_server_is_not_heard(engine, opened, doors, said, folder, strange):
    joined(engine, opened, doors)
    with attempt(doors, KeyRing(strange(folder, knows_us=False), "brain")) as stranger:
        assert await_word(said, "refused at the door")["text"] == WITHOUT
        assert come(engine, timeout_s=0.3) == []
        nothing_comes(stranger)


def test_a_stranger_who_tries_again_and_again_is_told_of_once(engine, opened, doors, said, folder, strange):
    ring, why = KeyRing(strange(folder), "brain"), "its key is not among those allowed"
    with attempt(doors, ring):
        await_word(said, "refused at the door", text=why)
    for _ in range(9):
        with attempt(doors, ring):
            assert come(engine, timeout_s=0.1) == []
    # Who hangs up before its key is looked at is told of as somebody without one.
    assert len([line for line in said if line.get("text") == why]) == 1


def test_seldom_is_once_for_each_thing_and_not_for_too_many():
    seldom = Seldom(every_s=3600, most=3)
    assert [seldom.due(thing) for thing in "aabbccdd"] == [True, False] * 3 + [False, False]
    now_and_then = Seldom(every_s=0.0, most=1)
    assert all(now_and_then.due(thing) for thing in "abab")


@pytest.mark.parametrize(("name", "wire"), [("monitor-lab", "step"), ("brain.1", "step")])
def test_a_key_opens_its_own_door_only(engine, opened, doors, said, name, wire):
    peer = StepPeer(opened(name), doors.step, Sender(name))
    peer.send(hello(name))
    line = await_word(said, "refused at the door", text=f"{name!r} has no business there")
    assert line["wire"] == wire
    assert come(engine, timeout_s=0.3) == []


def test_somebody_can_be_allowed_while_the_door_is_open(engine, opened, doors, tmp_path, folder, said):
    late = tmp_path / "late"
    keys.make(late)
    for server in keys.SERVERS:
        (late / f"{server}.key").write_bytes((folder / f"{server}.key").read_bytes())
    public = late / "body.key"
    public.rename(late / "late.key")
    (late / "body.key_secret").rename(late / "late.key_secret")
    peer = StepPeer(opened("late", late), doors.step, Sender("late"))
    peer.send(hello("late"))
    await_word(said, "refused at the door")
    try:
        (folder / "allowed" / "late.key").write_bytes((late / "late.key").read_bytes())
        # Who was refused does not try again by itself.
        again = StepPeer(opened("late", late), doors.step, Sender("late"))
        again.send(hello("late"))
        assert come(engine) == [("late", hello("late"))]
    finally:
        (folder / "allowed" / "late.key").unlink()


# --- pulse, tap and bus -----------------------------------------------------------------------------


@pytest.fixture
def heart(opened, doors, tmp_path):
    where = f"ipc://{tmp_path}/beat", f"ipc://{tmp_path}/echo"
    return PulseHost(opened("engine"), *where, Sender("engine"), (doors.pulse_beat, doors.pulse_echo))


def heard(heart, name, beats=3, timeout_s=PATIENCE_S):
    """Whether echoes of `name` come."""
    heart.watch(name)
    waiting, until = Waiting(heart), time.monotonic() + timeout_s
    first = heart._heard[name]
    while time.monotonic() < until:
        waiting.until(heart.due_ms())
        if name in heart.turn():
            return False
        if heart._heard[name] >= first + beats:
            return True
    raise AssertionError("neither heard nor lost")


@pytest.mark.parametrize("name", ["brain", "brain.1", "body"])
def test_the_pulse_is_echoed_from_afar_under_the_name_of_the_key(heart, doors, folder, name):
    echo = PulseEcho(doors.pulse_beat, doors.pulse_echo, name, keys=KeyRing(folder, name))
    try:
        assert heard(heart, name)
    finally:
        echo.close()


def test_nobody_echoes_for_another_one(heart, doors, folder):
    echo = PulseEcho(doors.pulse_beat, doors.pulse_echo, "brain", keys=KeyRing(folder, "body"))
    try:
        assert not heard(heart, "brain")
        assert heard(heart, "body")
    finally:
        echo.close()


def test_the_tap_takes_from_both_sides(opened, doors, tmp_path, said):
    tap = TapIn(opened("recorder"), f"ipc://{tmp_path}/tap", doors.tap)
    packed = [Sender(name).sign(Clock(step=0, t_ns=0, seqs={}), topic=b"r/x/y/") for name in ("brain", "body")]
    with Wires() as wires:
        TapOut(opened("brain"), doors.tap).send(packed[0])
        TapOut(wires, f"ipc://{tmp_path}/tap").send(packed[1])
        taken, waiting, deadline = set(), Waiting(tap), Deadline.after_s(PATIENCE_S)
        while len(taken) < 2 and not deadline.passed():
            waiting.until(deadline.left_ms())
            taken |= {codec.decode(parts).envelope.src for parts in tap.receive()}
        assert taken == {"brain", "body"}
        TapOut(opened("monitor-lab"), doors.tap).send(packed[0])
        await_word(said, "refused at the door", wire="tap")
        nothing_comes(tap)


@pytest.fixture
def bus(folder, doors, tmp_path):
    where = f"ipc://{tmp_path}/in", f"ipc://{tmp_path}/out"
    made = BusProxy(*where, keys=KeyRing(folder, "gateway"), doors=(doors.bus_in, doors.bus_out))
    try:
        yield made
    finally:
        made.close()


def published(source, received, timeout_s=PATIENCE_S):
    """Publish until it is received; whether it was."""
    until, number = time.monotonic() + timeout_s, 0
    while time.monotonic() < until:
        source.send(Sender("brain", "r").sign(Clock(step=number, t_ns=0, seqs={}), number, b"r/brain/clock/"))
        number += 1
        if received():
            return True
    return False


def test_a_monitor_listens_from_afar_with_its_key(bus, opened, doors, folder, tmp_path):
    keys.give(folder, "monitor-lab", tmp_path / "lab")
    source = BusOut(opened("brain"), doors.bus_in)
    with Monitor(doors.bus_out, ("brain/clock",), keys=tmp_path / "lab") as monitor:
        assert published(source, lambda: monitor.next(Deadline.after_s(0.05)))


def test_a_monitor_whose_key_is_not_allowed_is_told_so(bus, doors, folder, strange, said):
    ring = strange(folder)
    for other in ring.glob("*.key_secret"):
        if other.stem != "monitor-lab":
            other.unlink()
    with Monitor(doors.bus_out, keys=ring) as monitor, pytest.raises(NotAllowed, match="refuses our key"):
        listen(monitor)
    assert await_word(said, "refused at the door", wire="bus-out")["service"] == "gateway"


def listen(monitor):
    for _ in range(100):
        monitor.next(Deadline.after_s(0.2))


def test_a_monitor_cannot_publish(bus, opened, doors, tmp_path, said):
    with Wires() as wires:
        listener = BusIn(wires, f"ipc://{tmp_path}/out", [b""])
        source = BusOut(opened("brain"), doors.bus_in)
        assert published(source, lambda: listener.receive(Deadline.after_s(0.05)))
        liar = BusOut(opened("monitor-lab"), doors.bus_in)
        list(listener.waiting())
        assert not published(liar, lambda: listener.receive(Deadline.after_s(0.05)), timeout_s=1.0)
        await_word(said, "refused at the door", wire="bus-in")


# --- people who mean no good ------------------------------------------------------------------------


def target(doors):
    host, _, port = doors.step.removeprefix("tcp://").rpartition(":")
    return host, int(port)


RUBBISH = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "noise": bytes(range(256)) * 64,
    "half a greeting": b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03",
    "a greeting and noise": b"\xff"
    + bytes(8)
    + b"\x7f\x03\x01CURVE"
    + bytes(15)
    + b"\x00"
    + bytes(31)
    + b"\x04\xff" * 99,
    "a huge command": b"\xff"
    + bytes(8)
    + b"\x7f\x03\x01CURVE"
    + bytes(15)
    + b"\x00"
    + bytes(31)
    + b"\x06"
    + b"\x7f" * 8,
}


@pytest.mark.parametrize("kind", RUBBISH)
def test_rubbish_at_the_door_disturbs_nobody(engine, opened, doors, kind):
    brain = joined(engine, opened, doors)
    for _ in range(20):
        with net.create_connection(target(doors), timeout=PATIENCE_S) as line, contextlib.suppress(OSError):
            line.sendall(RUBBISH[kind])
    assert come(engine, timeout_s=0.1) == []
    engine.send("brain", Bye())
    assert answered(brain) == Bye()


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_a_thousand_who_connect_and_say_nothing_are_sent_away(engine, opened, doors):
    brain = joined(engine, opened, doors)
    before = descriptors()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft > 3000, "the test itself needs that many"
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(net.create_connection(target(doors), timeout=PATIENCE_S)) for _ in range(1000)]
        engine.send("brain", Bye())
        assert answered(brain) == Bye()
        joined(engine, opened, doors, "body")
        until = time.monotonic() + PATIENCE_S
        # Each is closed from the other side, once its handshake has taken too long.
        while lines and time.monotonic() < until:
            lines = [line for line in lines if not is_closed(line)]
            time.sleep(0.05)
        assert lines == []
    assert descriptors() < before + 50


def is_closed(line):
    line.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        try:
            while line.recv(4096):
                pass
        except ConnectionError:
            pass
        return True
    return False


def test_what_a_door_has_opened_is_closed_with_it(folder, doors, tmp_path):
    for number in range(30):
        with Wires(keys=KeyRing(folder, "engine")) as wires:
            host = StepHost(wires, f"ipc://{tmp_path}/step{number}", Sender("engine"), doors.step)
            with attempt(doors), net.create_connection(target(doors), timeout=PATIENCE_S):
                assert come(host, timeout_s=0.01) == []
        if number == 5:
            before = descriptors()
    assert descriptors() <= before + 3


# --- without keys -----------------------------------------------------------------------------------


def test_a_door_without_keys_is_refused_unless_that_is_meant(tmp_path):
    far = "tcp://192.0.2.1:5600"
    with Wires() as wires, pytest.raises(NoKeys, match=r"reaf keys FOLDER.*REAF_KEYS"):
        StepHost(wires, f"ipc://{tmp_path}/step", Sender("engine"), far)
    with Wires(insecure=True) as wires, pytest.raises(BadExperiment, match="Cannot assign requested address"):
        StepHost(wires, f"ipc://{tmp_path}/step", Sender("engine"), far)


def test_a_wire_without_keys_that_leaves_the_machine_is_told_of(said):
    with Wires(insecure=True) as wires:
        StepPeer(wires, "tcp://192.0.2.1:5600", Sender("brain"))
    assert await_word(said, "not encrypted")["address"] == "tcp://192.0.2.1:5600"


def test_on_a_bench_who_comes_is_who_it_says(doors, tmp_path):
    with Wires(insecure=True) as wires:
        host = StepHost(wires, f"ipc://{tmp_path}/step", Sender("engine"), doors.step)
        peer = StepPeer(wires, doors.step, Sender("brain"))
        peer.send(hello("brain"))
        assert come(host) == [("brain", hello("brain"))]
        host.send("brain", Bye())
        assert answered(peer) == Bye()


def test_names_that_are_not_proven_stay_on_this_machine(opened, doors):
    with pytest.raises(BadExperiment, match=r"leave .* to REAF_DOORS"):
        StepHost(opened("engine"), doors.step, Sender("engine"))


def test_a_key_that_is_missing_is_said_to_be(folder, doors, tmp_path):
    keys.give(folder, "body", tmp_path / "body")
    with Wires(keys=KeyRing(tmp_path / "body", "engine")) as wires, pytest.raises(NoKeys, match=r"engine\.key_secret"):
        StepHost(wires, f"ipc://{tmp_path}/step", Sender("engine"), doors.step)
    with Wires(keys=KeyRing(tmp_path / "body", "brain")) as wires, pytest.raises(NoKeys, match=r"brain\.key_secret"):
        StepPeer(wires, doors.step, Sender("brain"))


# --- the service's side -----------------------------------------------------------------------------


def link(wires, doors, folder, name="brain", join_s=PATIENCE_S):
    config = ServiceConfig(name=name, addresses=doors, keys=folder, join_s=join_s)
    return WireLink(wires, config, "participant", SimpleNamespace(asked=False))


def test_a_service_whose_key_is_refused_says_so_at_once(engine, opened, doors, folder, strange):
    where = strange(folder)
    began = time.monotonic()
    with link(opened("brain", where), doors, where) as joining, pytest.raises(NotAllowed, match="refuses the key"):
        joining.join()
    assert time.monotonic() - began < PATIENCE_S / 2


def test_a_service_that_nobody_answers_is_told_to_look_at_its_keys(opened, doors, folder):
    with (
        link(opened("brain"), doors, folder, join_s=0.3) as joining,
        pytest.raises(Exception, match="check the address and the keys"),
    ):
        joining.join()
