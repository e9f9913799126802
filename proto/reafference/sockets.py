"""The three wires and the pulse. All socket options stand in one table; nobody else makes sockets.

    step   ROUTER ⇄ DEALER        engine binds    ordered, lossless, by name
    bus    PUB → XSUB/XPUB → SUB  gateway binds   never blocks a sender, may drop
    tap    PUSH → PULL            recorder binds  lossless, never waits: a full tap is an error
    pulse  PUB → SUB/DEALER → ROUTER, engine binds; echoed by a thread that needs no interpreter

Every object here is owned by one thread and is a context manager.
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import zmq
from zmq.devices import ThreadDevice

from . import codec
from .clock import Deadline
from .errors import BadExperiment, NoKeys, PeerLost, ReafferenceError, TapFull
from .frames import Beat, Frame, Packed

COPY_BELOW = 1024 * 1024
"""Zero-copy sending pays from this size on; below it the bookkeeping costs more than the copy."""

BEAT_NS = 250_000_000
LOST_AFTER_BEATS = 8

_LAST_WORDS_MS = 1000
_PLENTY = 100_000
# Names are ASCII, but whoever connects without one gets arbitrary bytes from the library: each must come back
# as it was, so that even a stranger can be answered.
_NAMES = "latin-1"

# kind: (socket type, options). HWM counts messages; LINGER bounds what closing may wait for.
OPTIONS: Mapping[str, tuple[int, Mapping[int, int]]] = {
    "step host": (
        zmq.ROUTER,
        {
            zmq.ROUTER_MANDATORY: 1,  # a send to someone who is gone raises instead of vanishing
            zmq.ROUTER_HANDOVER: 1,  # a service that comes back under its name takes its place
            zmq.SNDHWM: 10_000,
            zmq.RCVHWM: 10_000,
            zmq.LINGER: _LAST_WORDS_MS,
        },
    ),
    "step peer": (
        zmq.DEALER,
        {zmq.SNDHWM: 10_000, zmq.RCVHWM: 10_000, zmq.LINGER: _LAST_WORDS_MS},
    ),
    "bus out": (zmq.PUB, {zmq.SNDHWM: 256, zmq.LINGER: _LAST_WORDS_MS}),
    "bus in": (zmq.SUB, {zmq.RCVHWM: 1000, zmq.LINGER: 0}),
    "bus xsub": (zmq.XSUB, {zmq.RCVHWM: 256, zmq.LINGER: 0}),
    "bus xpub": (zmq.XPUB, {zmq.SNDHWM: 256, zmq.LINGER: 0}),
    "bus control": (zmq.PAIR, {zmq.LINGER: 0}),
    "tap out": (zmq.PUSH, {zmq.SNDHWM: _PLENTY, zmq.LINGER: _LAST_WORDS_MS}),
    "tap in": (zmq.PULL, {zmq.RCVHWM: _PLENTY, zmq.LINGER: 0}),
    "pulse beat": (zmq.PUB, {zmq.SNDHWM: 16, zmq.LINGER: 0}),
    "pulse echo": (zmq.ROUTER, {zmq.RCVHWM: 1000, zmq.LINGER: 0}),
    "pulse watch": (zmq.SUB, {zmq.RCVHWM: 4, zmq.LINGER: 0}),
}

# To the end: behind a semicolon the library would take a second address, of another machine perhaps.
_HOME = re.compile(r"(ipc|inproc)://|tcp://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:(\d+|\*))?\Z")


def check_address(address: str, *, insecure: bool = False) -> str:
    """`address` itself, if it needs no keys.

    Raises NoKeys for a tcp address that other machines can reach, unless `insecure` says that this is meant.
    """
    if not re.match(r"(ipc|inproc|tcp)://.", address):
        raise BadExperiment(f"{address!r} is not an address: write ipc://FILE or tcp://HOST:PORT")
    if not insecure and not _HOME.match(address):
        raise NoKeys(
            f"{address} leaves this machine and would not be encrypted: use ipc or a loopback address, "
            "or set insecure = true on a closed bench"
        )
    return address


class Wires:
    """One messaging context and what was opened in it; closing it never waits for long."""

    def __init__(self, *, insecure: bool = False) -> None:
        self._context = zmq.Context()
        self._insecure = insecure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._context.destroy()

    def bound(self, kind: str, address: str) -> zmq.Socket[bytes]:
        return self._open(kind, address, zmq.Socket.bind)

    def connected(self, kind: str, address: str, identity: str = "") -> zmq.Socket[bytes]:
        return self._open(kind, address, zmq.Socket.connect, identity)

    def _open(self, kind: str, address: str, attach: Any, identity: str = "") -> zmq.Socket[bytes]:
        check_address(address, insecure=self._insecure)
        socket_type, options = OPTIONS[kind]
        socket = self._context.socket(socket_type)
        for option, value in options.items():
            socket.setsockopt(option, value)
        if identity:
            socket.setsockopt(zmq.ROUTING_ID, identity.encode("ascii"))
        try:
            attach(socket, address)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise BadExperiment(f"the {kind} wire cannot use {address}: {error.strerror}") from None
        return socket


def _send(socket: zmq.Socket[bytes], parts: list[Any]) -> None:
    """All parts, without waiting; raises zmq.Again when the queue is full."""
    *first, last = parts
    for part in first:
        socket.send(part, zmq.NOBLOCK | zmq.SNDMORE, copy=_small(part))
    socket.send(last, zmq.NOBLOCK, copy=_small(last))


def _small(part: Any) -> bool:
    return (len(part) if type(part) is bytes else memoryview(part).nbytes) < COPY_BELOW


def _drain(socket: zmq.Socket[bytes]) -> Iterator[list[bytes]]:
    with contextlib.suppress(zmq.Again):
        while True:
            yield socket.recv_multipart(flags=zmq.NOBLOCK)


@dataclass(slots=True)
class Sender:
    """Who signs the frames: the service's name, and the run once it is known."""

    src: str
    run: str = "-"

    def sign(self, frame: Frame, seq: int = 0, topic: bytes | None = None) -> Packed:
        return codec.encode(frame, run=self.run, src=self.src, seq=seq, topic=topic)


class StepHost:
    """The engine's end of the step wire: frames to and from peers by name."""

    def __init__(self, wires: Wires, address: str, sender: Sender) -> None:
        self.socket = wires.bound("step host", address)
        self._sender = sender

    def send(self, name: str, frame: Frame) -> None:
        """Raises PeerLost when nobody of that name is connected, or its queue is full."""
        self.send_packed(name, self._sender.sign(frame))

    def send_packed(self, name: str, packed: Packed) -> None:
        try:
            _send(self.socket, [name.encode(_NAMES), *packed.parts()])
        except zmq.Again:
            raise PeerLost(f"{name} does not take its messages: its queue is full") from None
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                raise PeerLost(f"{name} is not connected") from None
            raise

    def receive(self) -> Iterator[tuple[str, list[bytes]]]:
        """What has arrived, as (name, parts); never waits."""
        for name, *parts in _drain(self.socket):
            yield name.decode(_NAMES), parts


class StepPeer:
    """A service's end of the step wire."""

    def __init__(self, wires: Wires, address: str, sender: Sender) -> None:
        self.socket = wires.connected("step peer", address, sender.src)
        self._sender = sender

    def send(self, frame: Frame) -> None:
        with contextlib.suppress(zmq.Again):  # an engine that takes nothing any more is seen by its pulse
            _send(self.socket, self._sender.sign(frame).parts())

    def receive(self) -> Iterator[list[bytes]]:
        return _drain(self.socket)


class BusOut:
    """Copies for whoever listens; what does not fit is dropped here and seen there as a gap."""

    def __init__(self, wires: Wires, address: str) -> None:
        self.socket = wires.connected("bus out", address)

    def send(self, packed: Packed) -> None:
        _send(self.socket, packed.parts())


class BusIn:
    """A monitor's end of the bus."""

    def __init__(self, wires: Wires, address: str, topics: Iterable[bytes]) -> None:
        self.socket = wires.connected("bus in", address)
        for topic in topics:
            self.socket.setsockopt(zmq.SUBSCRIBE, topic)

    def receive(self, deadline: Deadline) -> list[bytes] | None:
        """The parts of the next frame, or None when the deadline has passed."""
        if self.socket.poll(deadline.left_ms()):
            return self.socket.recv_multipart()
        return None

    def waiting(self) -> Iterator[list[bytes]]:
        return _drain(self.socket)


class BusProxy:
    """The bus itself: services publish into `inward`, monitors subscribe at `outward`.

    The forwarding runs in a thread that holds no interpreter lock.
    """

    def __init__(self, inward: str, outward: str, *, insecure: bool = False) -> None:
        self._wires = Wires(insecure=insecure)
        xsub = self._wires.bound("bus xsub", inward)
        xpub = self._wires.bound("bus xpub", outward)
        inside = f"inproc://bus-control-{id(self)}"
        control = self._wires.bound("bus control", inside)
        self._control = self._wires.connected("bus control", inside)
        self._thread = threading.Thread(target=self._forward, args=(xsub, xpub, control), name="bus", daemon=True)
        self._thread.start()

    @staticmethod
    def _forward(xsub: zmq.Socket[bytes], xpub: zmq.Socket[bytes], control: zmq.Socket[bytes]) -> None:
        try:
            zmq.proxy_steerable(xsub, xpub, None, control)
        finally:
            for socket in (xsub, xpub, control):
                socket.close(linger=0)

    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        if self._thread.is_alive():
            self._control.send(b"TERMINATE")
            self._thread.join(2)
        self._wires.close()


class TapOut:
    """A sender's end of the tap."""

    def __init__(self, wires: Wires, address: str) -> None:
        self.socket = wires.connected("tap out", address)

    def send(self, packed: Packed) -> None:
        """Raises TapFull where it would have to wait: the barrier lets no more steps run than fit."""
        try:
            _send(self.socket, packed.parts())
        except zmq.Again:
            raise TapFull("the tap is full although the recorder's window should fit into it") from None


class TapIn:
    """The recorder's end of the tap."""

    def __init__(self, wires: Wires, address: str) -> None:
        self.socket = wires.bound("tap in", address)

    def receive(self) -> Iterator[list[bytes]]:
        return _drain(self.socket)


class PulseHost:
    """Beats for all, and who has answered them."""

    def __init__(self, wires: Wires, beat: str, echo: str, sender: Sender) -> None:
        self._beat = wires.bound("pulse beat", beat)
        self.socket = wires.bound("pulse echo", echo)
        self._sender = sender
        self._number = 0
        self._next_ns = time.monotonic_ns()
        self._sent_ns = 0
        self._heard: dict[str, int] = {}

    def watch(self, name: str) -> None:
        """Expect echoes of `name` from now on."""
        self._heard[name] = self._number

    def forget(self, name: str) -> None:
        self._heard.pop(name, None)

    def due_ms(self) -> int:
        """How long one may wait before `turn` has to be called again."""
        return max(0, -(-(self._next_ns - time.monotonic_ns()) // 1_000_000))

    def turn(self) -> list[str]:
        """Send a beat if it is time, take the echoes; the names that missed too many beats."""
        for name, *parts in _drain(self.socket):
            who, beat = name.decode(_NAMES), _beat(parts)
            if who in self._heard and beat is not None:
                self._heard[who] = max(self._heard[who], beat.number)
        now = time.monotonic_ns()
        if now < self._next_ns:
            return []
        # Beats that we ourselves were too busy to send cannot have been missed by anyone.
        self._next_ns = max(self._next_ns + BEAT_NS, now + BEAT_NS // 2)
        lost = [who for who, heard in self._heard.items() if self._number - heard >= LOST_AFTER_BEATS]
        self._number += 1
        with contextlib.suppress(zmq.Again):
            _send(self._beat, self._sender.sign(Beat(number=self._number), topic=b"beat").parts())
        return lost


def _beat(parts: list[bytes]) -> Beat | None:
    """An echo; None for anything else, which is no sign of life."""
    with contextlib.suppress(ReafferenceError):
        frame = codec.decode(parts).frame
        return frame if isinstance(frame, Beat) else None
    return None


class PulseEcho:
    """Answers the pulse from a thread without interpreter, so that a long NEST call is not a death."""

    def __init__(self, beat: str, echo: str, name: str, *, insecure: bool = False) -> None:
        check_address(beat, insecure=insecure)
        check_address(echo, insecure=insecure)
        self._context = zmq.Context()
        device = ThreadDevice(zmq.QUEUE, zmq.SUB, zmq.DEALER)
        device.context_factory = lambda: self._context
        device.setsockopt_in(zmq.SUBSCRIBE, b"")
        device.setsockopt_in(zmq.LINGER, 0)
        device.setsockopt_out(zmq.LINGER, 0)
        device.setsockopt_out(zmq.ROUTING_ID, name.encode("ascii"))
        device.connect_in(beat)
        device.connect_out(echo)
        device.daemon = True
        device.start()
        self._device = device

    def close(self) -> None:
        self._context.term()
        self._device.join(2)


class PulseWatch:
    """Tells how long the engine has been silent."""

    def __init__(self, wires: Wires, beat: str) -> None:
        self.socket = wires.connected("pulse watch", beat)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._heard_ns = time.monotonic_ns()

    def silent_s(self) -> float:
        """Seconds since the last beat was taken; call it while waiting, for nobody else takes them."""
        for _ in _drain(self.socket):
            self._heard_ns = time.monotonic_ns()
        return (time.monotonic_ns() - self._heard_ns) / 1e9

    def reset(self) -> None:
        """Start counting anew, after a time in which beats could not be taken."""
        self._heard_ns = time.monotonic_ns()


class Waiting:
    """Waits for any of several wires at once."""

    def __init__(self, *wires: Any) -> None:
        self._poller = zmq.Poller()
        for wire in wires:
            self.add(wire)

    def add(self, wire: Any) -> None:
        """`wire` is one of the objects above, or a file descriptor."""
        self._poller.register(getattr(wire, "socket", wire), zmq.POLLIN)

    def remove(self, wire: Any) -> None:
        self._poller.unregister(getattr(wire, "socket", wire))

    def awake(self, nanoseconds: int) -> bool:
        """Whether something arrived before the time was over; does not sleep, and so keeps a core busy."""
        end_ns = time.perf_counter_ns() + nanoseconds
        while not self._poller.poll(0):
            if time.perf_counter_ns() > end_ns:
                return False
        return True

    def until(self, milliseconds: int) -> bool:
        """Whether something arrived before the time was over."""
        return bool(self._poller.poll(milliseconds))
