"""reafference.sockets: the three wires and the pulse, on real sockets."""

import itertools
import os
import subprocess
import sys
import time
from contextlib import ExitStack

import numpy as np
import pytest
import zmq

from reafference import codec, pulse, sockets
from reafference.clock import Deadline
from reafference.errors import BadExperiment, NoKeys, PeerLost, TapFull
from reafference.frames import Beat, Bye, Hello, Order, Packed, Stream
from reafference.locks import check_address
from reafference.pulse import BEAT_NS, LOST_AFTER_BEATS, PulseEcho, PulseHost, PulseWatch
from reafference.sockets import (
    BusIn,
    BusOut,
    BusProxy,
    Sender,
    StepHost,
    StepPeer,
    TapIn,
    TapOut,
    Waiting,
    Wires,
)
from reafference.testing import HandClock

PATIENCE_MS = 20_000
"""Far beyond what anything here takes; reached only where something never comes."""


@pytest.fixture
def wires():
    with Wires() as opened:
        yield opened


@pytest.fixture
def address(tmp_path):
    return lambda name: f"ipc://{tmp_path}/{name}"


@pytest.fixture
def closing():
    with ExitStack() as stack:
        yield lambda thing: stack.callback(thing.close) and thing


def come(wire, count=1):
    """The next `count` messages of a wire."""
    waiting, found = Waiting(wire), []
    while len(found) < count:
        assert waiting.until(PATIENCE_MS), f"only {len(found)} of {count} messages came"
        found += wire.receive()
    return found


def frame_of(parts):
    return codec.decode(parts).frame


def sending(send):
    """Send again and again, until it raises."""
    deadline = Deadline.after_s(PATIENCE_MS / 1000)
    while not deadline.passed():
        send()


def with_options(monkeypatch, **changes):
    """The table of options with some high-water marks changed."""
    table = {kind: (socket_type, dict(options)) for kind, (socket_type, options) in sockets.OPTIONS.items()}
    for kind, options in changes.items():
        table[kind.replace("_", " ")][1].update(options)
    monkeypatch.setattr(sockets, "OPTIONS", table)


# --- step -----------------------------------------------------------------------------------------------


def test_the_step_wire_carries_frames_by_name(wires, address):
    host = StepHost(wires, address("step"), Sender("engine", "7f3a"))
    brain = StepPeer(wires, address("step"), Sender("brain"))
    body = StepPeer(wires, address("step"), Sender("body"))
    brain.send(Hello(name="brain", role="participant"))
    body.send(Hello(name="body", role="participant"))
    assert {name: frame_of(parts).name for name, parts in come(host, 2)} == {"brain": "brain", "body": "body"}
    host.send("body", Order(what="pause"))
    host.send("brain", Order(what="resume"))
    assert frame_of(come(brain)[0]) == Order(what="resume")
    got = codec.decode(come(body)[0])
    assert got.frame == Order(what="pause")
    assert (got.envelope.run, got.envelope.src) == ("7f3a", "engine")


def test_frames_of_one_peer_keep_their_order(wires, address):
    host = StepHost(wires, address("step"), Sender("engine"))
    peer = StepPeer(wires, address("step"), Sender("brain"))
    for number in range(500):
        peer.send(Beat(number=number))
    assert [frame_of(parts).number for _, parts in come(host, 500)] == list(range(500))


def test_who_was_never_there_is_lost(wires, address):
    host = StepHost(wires, address("step"), Sender("engine"))
    with pytest.raises(PeerLost, match="brain is not connected"):
        host.send("brain", Bye())


def test_who_has_gone_is_lost(wires, address):
    host = StepHost(wires, address("step"), Sender("engine"))
    with Wires() as others:
        StepPeer(others, address("step"), Sender("brain")).send(Bye())
        come(host)
    with pytest.raises(PeerLost, match="brain is not connected"):
        sending(lambda: host.send("brain", Bye()))  # the library notices in a thread of its own


def test_who_takes_nothing_is_lost_once_the_queue_is_full(wires, address, monkeypatch):
    with_options(monkeypatch, step_host={zmq.SNDHWM: 4}, step_peer={zmq.RCVHWM: 4})
    host = StepHost(wires, address("step"), Sender("engine"))
    peer = StepPeer(wires, address("step"), Sender("brain"))
    peer.send(Bye())
    come(host)
    bulky = Packed(b"step", bytes(100_000))
    with pytest.raises(PeerLost, match="brain does not take its messages"):
        sending(lambda: host.send_packed("brain", bulky))


def test_who_comes_back_under_its_name_takes_its_place(wires, address):
    host = StepHost(wires, address("step"), Sender("engine"))
    first = StepPeer(wires, address("step"), Sender("brain"))
    first.send(Beat(number=1))
    come(host)
    second = StepPeer(wires, address("step"), Sender("brain"))
    second.send(Beat(number=2))
    assert frame_of(come(host)[0][1]) == Beat(number=2)
    host.send("brain", Bye())
    assert frame_of(come(second)[0]) == Bye()
    assert list(first.receive()) == []


def test_a_stranger_without_a_name_can_be_answered(wires, address):
    host = StepHost(wires, address("step"), Sender("engine"))
    stranger = zmq.Context.instance().socket(zmq.DEALER)  # the library gives it a name of arbitrary bytes
    try:
        stranger.connect(address("step"))
        stranger.send_multipart([b"what", b"ever"])
        name, parts = come(host)[0]
        assert parts == [b"what", b"ever"]
        host.send(name, Bye())
        assert stranger.poll(PATIENCE_MS)
        assert frame_of(stranger.recv_multipart()) == Bye()
    finally:
        stranger.close(linger=0)


def test_a_peer_that_finds_no_engine_does_not_wait(wires, address):
    peer = StepPeer(wires, address("step"), Sender("brain"))
    peer.send(Bye())
    assert list(peer.receive()) == []


# --- tap ------------------------------------------------------------------------------------------------


def pictures(number, size):
    arrays = {"image": np.full(size, number % 251, np.uint8)}
    return codec.encode(
        Stream(step=number, t_ns=0, arrays=arrays), run="r", src="body", seq=number, topic=b"r/body/eye/"
    )


def test_the_tap_loses_nothing_and_keeps_the_order_of_each_sender(wires, address):
    sink = TapIn(wires, address("tap"))
    senders = [TapOut(wires, address("tap")) for _ in range(3)]
    for number in range(300):
        for sender in senders:
            sender.send(pictures(number, 100))
    seqs = [codec.decode(parts).envelope.seq for parts in come(sink, 900)]
    assert sorted(seqs) == sorted(list(range(300)) * 3)


@pytest.mark.parametrize("size", [1000, codec.INLINE_BELOW, sockets.COPY_BELOW, 3 * sockets.COPY_BELOW])
def test_small_and_large_arrays_come_through_whole(wires, address, size):
    sink, source = TapIn(wires, address("tap")), TapOut(wires, address("tap"))
    for number in range(3):
        source.send(pictures(number, size))
    for number, parts in enumerate(come(sink, 3)):
        image = frame_of(parts).arrays["image"]
        assert image.shape == (size,)
        assert (image == number).all()


def test_a_tap_that_would_have_to_wait_is_full(wires, address, monkeypatch):
    with_options(monkeypatch, tap_out={zmq.SNDHWM: 4}, tap_in={zmq.RCVHWM: 4})
    sink, source = TapIn(wires, address("tap")), TapOut(wires, address("tap"))
    numbers = itertools.count()
    with pytest.raises(TapFull, match="the tap is full"):
        sending(lambda: source.send(pictures(next(numbers), 60_000)))
    taken = next(numbers) - 1  # all but the one that was refused
    got = come(sink, taken)
    assert [codec.decode(parts).envelope.seq for parts in got] == list(range(taken))


def test_what_was_sent_before_the_recorder_listened_is_not_lost(wires, address):
    source = TapOut(wires, address("tap"))
    source.send(pictures(0, 10))
    assert len(come(TapIn(wires, address("tap")))) == 1


# --- bus ------------------------------------------------------------------------------------------------


@pytest.fixture
def bus(address, closing):
    return closing(BusProxy(address("in"), address("out")))


def live(source, *monitors):
    """Send until every monitor hears it: subscriptions take a moment to arrive. Nothing is left in the queues."""
    number, deadline = 0, Deadline.after_s(PATIENCE_MS / 1000)
    heard = dict.fromkeys(monitors, 0)
    while 0 in heard.values():
        number += 1
        source.send(Packed(b"r/test/live/", b"%d" % number))
        for monitor in monitors:
            parts = monitor.receive(Deadline.after_s(0.02))
            heard[monitor] = int(parts[1]) if parts else heard[monitor]
        assert not deadline.passed()
    for monitor in monitors:
        while heard[monitor] < number:
            heard[monitor] = int(monitor.receive(deadline)[1])


def test_the_bus_copies_to_whoever_subscribed_to_the_topic(wires, address, bus):
    source = BusOut(wires, address("in"))
    everything = BusIn(wires, address("out"), [b""])
    rate = BusIn(wires, address("out"), [b"r/brain/rate/", b"r/test/live/"])
    live(source, everything, rate)
    source.send(Packed(b"r/brain/rates/", b"1"))
    source.send(Packed(b"r/brain/rate/", b"2"))
    deadline = Deadline.after_s(PATIENCE_MS / 1000)
    assert everything.receive(deadline) == [b"r/brain/rates/", b"1"]
    assert everything.receive(deadline) == [b"r/brain/rate/", b"2"]
    assert rate.receive(deadline) == [b"r/brain/rate/", b"2"]


def test_a_stuck_monitor_never_blocks_the_bus_and_loses_what_does_not_fit(wires, address, bus):
    source = BusOut(wires, address("in"))
    stuck = BusIn(wires, address("out"), [b""])
    live(source, stuck)
    for number in range(5000):
        source.send(Packed(b"r/test/numbers/", b"%d" % number, (bytes(2000),)))
    numbers = []
    deadline = Deadline.after_s(PATIENCE_MS / 1000)
    while not numbers or numbers[-1] != -1:
        source.send(Packed(b"r/test/numbers/", b"-1"))
        parts = stuck.receive(deadline)
        assert parts is not None
        numbers.append(int(parts[1]))
    seen = [number for number in numbers if number >= 0]
    assert 0 < len(seen) < 5000
    assert seen == sorted(set(seen))  # what came is in order and whole


def test_a_bus_without_a_proxy_swallows_what_is_sent(wires, address):
    source = BusOut(wires, address("in"))
    for number in range(1000):
        source.send(Packed(b"r/test/numbers/", b"%d" % number))


def test_the_proxy_starts_and_stops_and_starts_again(wires, address):
    for _ in range(3):
        bus = BusProxy(address("in"), address("out"))
        assert bus.alive()
        source, monitor = BusOut(wires, address("in")), BusIn(wires, address("out"), [b""])
        live(source, monitor)
        bus.close()
        assert not bus.alive()
        bus.close()  # once more does no harm
        source.socket.close(linger=0)
        monitor.socket.close(linger=0)


def test_a_quiet_bus_gives_nothing_within_the_deadline(wires, address, bus):
    monitor = BusIn(wires, address("out"), [b""])
    assert monitor.receive(Deadline.after_s(0.01)) is None
    assert list(monitor.waiting()) == []


# --- pulse ----------------------------------------------------------------------------------------------

_BUSY = """
import ctypes, sys, time
from reafference.pulse import PulseEcho
echo = PulseEcho(sys.argv[1], sys.argv[2], sys.argv[3])
print("up", flush=True)
sys.stdin.readline()
until = time.monotonic() + float(sys.argv[4])
if sys.argv[3] == "in_c":
    ctypes.PyDLL(None).sleep(round(float(sys.argv[4])))  # unlike CDLL this keeps the interpreter lock
else:
    while time.monotonic() < until:
        sum(range(1000))
print("done", flush=True)
sys.stdin.readline()
"""
_BUSY_S = 3.0


def test_the_pulse_finds_who_is_busy_in_python_and_in_c_alive(wires, address):
    assert _BUSY_S * 1e9 > BEAT_NS * (LOST_AFTER_BEATS + 2)  # long enough to be missed by an echo in Python
    host = PulseHost(wires, address("beat"), address("echo"), Sender("engine"))
    names = ("in_c", "in_python")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _BUSY, address("beat"), address("echo"), name, str(_BUSY_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in names
    ]
    try:
        assert [child.stdout.readline() for child in children] == [b"up\n"] * 2
        for name, child in zip(names, children, strict=True):
            host.watch(name)
            child.stdin.write(b"go\n")
            child.stdin.flush()
        waiting = Waiting(host, *(child.stdout.fileno() for child in children))
        busy, lost = {child.stdout.fileno() for child in children}, []
        while busy:
            waiting.until(host.due_ms())
            lost += host.turn()
            for descriptor in list(busy):
                os.set_blocking(descriptor, False)
                try:
                    assert os.read(descriptor, 100).startswith(b"done")
                except BlockingIOError:
                    continue
                busy.discard(descriptor)
                waiting.remove(descriptor)
        assert lost == []
    finally:
        for child in children:
            child.kill()
            child.communicate()


@pytest.fixture
def clock(monkeypatch):
    hands = HandClock(now_ns=1)
    monkeypatch.setattr(pulse, "time", hands)
    return hands


def beaten(host, clock):
    """What one more beat tells."""
    clock.advance_s(BEAT_NS / 1e9)
    return host.turn()


def test_who_stops_echoing_is_lost_after_eight_beats(wires, address, clock):
    host = PulseHost(wires, address("beat"), address("echo"), Sender("engine"))
    host.watch("body")
    echo = PulseEcho(address("beat"), address("echo"), "body")
    waiting = Waiting(host)
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not waiting.until(50):  # until the subscription has arrived
        host.watch("body")
        assert beaten(host, clock) == []
        assert time.monotonic() < deadline
    # Fewer than the queue of the pulse holds: within a millisecond the library need not notice that they were taken.
    for _ in range(LOST_AFTER_BEATS + 2):
        assert beaten(host, clock) == []
        while host._heard["body"] < host._number:
            assert waiting.until(PATIENCE_MS)
            host.turn()
    echo.close()
    assert [beaten(host, clock) for _ in range(LOST_AFTER_BEATS)] == [[]] * LOST_AFTER_BEATS
    assert beaten(host, clock) == ["body"]
    host.forget("body")
    assert beaten(host, clock) == []


def test_who_is_not_watched_is_not_missed(wires, address, clock):
    host = PulseHost(wires, address("beat"), address("echo"), Sender("engine"))
    assert [beaten(host, clock) for _ in range(20)] == [[]] * 20


def test_beats_that_were_never_sent_are_not_missed(wires, address, clock):
    host = PulseHost(wires, address("beat"), address("echo"), Sender("engine"))
    host.watch("body")
    clock.advance_s(100)
    assert host.turn() == []
    assert host.turn() == []


def test_a_beat_is_due_four_times_a_second(wires, address, clock):
    host = PulseHost(wires, address("beat"), address("echo"), Sender("engine"))
    assert host.due_ms() == 0
    host.turn()
    assert host.due_ms() == 250
    clock.advance_s(0.1)
    assert host.due_ms() == 150


def test_other_things_on_the_pulse_are_no_sign_of_life(wires, address, clock):
    host = PulseHost(wires, address("beat"), address("echo"), Sender("engine"))
    impostor = StepPeer(wires, address("echo"), Sender("body"))
    host.watch("body")
    for _ in range(LOST_AFTER_BEATS):
        impostor.socket.send_multipart([b"beat", b"no header"])
        impostor.send(Bye())
        assert Waiting(host).until(PATIENCE_MS)
        assert beaten(host, clock) == []
    assert beaten(host, clock) == ["body"]


def test_the_silence_of_the_engine_is_counted(wires, address, clock):
    host = PulseHost(wires, address("beat"), address("echo"), Sender("engine"))
    watch = PulseWatch(wires, address("beat"))
    clock.advance_s(5)
    assert watch.silent_s() == 5
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while watch.silent_s() > 0:
        beaten(host, clock)
        Waiting(watch).until(50)
        assert time.monotonic() < deadline
    clock.advance_s(3)
    assert watch.silent_s() >= 3
    watch.reset()
    assert watch.silent_s() == 0


# --- addresses and keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "tcp://192.168.1.7:5555",
        "tcp://*:5555",
        "tcp://0.0.0.0:5555",
        "tcp://example.org:5555",
        "tcp://[fe80::1]:5555",
        "tcp://localhost.example.org:1",
        "tcp://127.0.0.1.example.org:1",
        "tcp://127.0.0.1:0;192.168.1.7:5555",
    ],
)
def test_an_address_that_leaves_the_machine_needs_keys(wires, address, tmp_path):
    sender = Sender("x")
    for opening in (
        lambda: StepHost(wires, address, sender),
        lambda: StepPeer(wires, address, sender),
        lambda: BusOut(wires, address),
        lambda: BusIn(wires, address, [b""]),
        lambda: TapOut(wires, address),
        lambda: TapIn(wires, address),
        lambda: PulseHost(wires, address, address, sender),
        lambda: PulseEcho(address, f"ipc://{tmp_path}/e", "x"),
        lambda: PulseEcho(f"ipc://{tmp_path}/e", address, "x"),
        lambda: BusProxy(address, address),
    ):
        with pytest.raises(NoKeys, match="would not be encrypted"):
            opening()


@pytest.mark.parametrize("address", ["ipc:///tmp/x", "inproc://x", "tcp://127.0.0.1:5555", "tcp://127.8.9.10:*"])
def test_an_address_at_home_needs_none(address):
    assert check_address(address) == address


def test_leaving_the_machine_can_be_meant():
    assert check_address("tcp://192.168.1.7:5555", insecure=True) == "tcp://192.168.1.7:5555"


@pytest.mark.parametrize("address", ["", "5555", "udp://1.2.3.4:5", "tcp:/127.0.0.1:5", "ipc://"])
def test_what_is_no_address_is_said_to_be_none(wires, address):
    with pytest.raises(BadExperiment, match="is not an address"):
        TapOut(wires, address)


def test_an_address_that_cannot_be_used_is_named(wires, tmp_path):
    with pytest.raises(BadExperiment, match="the tap in wire cannot use ipc:///nowhere/tap: No such file"):
        TapIn(wires, "ipc:///nowhere/tap")
    first = TapIn(wires, "tcp://127.0.0.1:*")
    with pytest.raises(BadExperiment, match="Address already in use"):
        TapIn(wires, first.socket.getsockopt_string(zmq.LAST_ENDPOINT))


def test_waiting_takes_files_as_well(wires, address):
    reading, writing = os.pipe()
    try:
        waiting = Waiting(TapIn(wires, address("tap")), reading)
        assert not waiting.until(0)
        os.write(writing, b"x")
        assert waiting.until(PATIENCE_MS)
        waiting.remove(reading)
        assert not waiting.until(0)
    finally:
        os.close(reading)
        os.close(writing)
