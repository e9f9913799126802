"""The three wires and the pulse. All socket options stand in one table; nobody else makes sockets.

    step   ROUTER ⇄ DEALER        engine binds    ordered, lossless, by name
    bus    PUB → XSUB/XPUB → SUB  gateway binds   never blocks a sender, may drop
    tap    PUSH → PULL            recorder binds  lossless, never waits: a full tap is an error
    pulse  PUB → SUB/DEALER → ROUTER, engine binds; echoed by a thread that needs no interpreter

Whoever binds may have a door as well: a second address, for other machines, where keys are wanted (keys.py).
Every object here is owned by one thread and is a context manager.
"""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import structlog
import zmq

from . import codec, doors
from .clock import Deadline
from .doorkeeper import Doorkeeper
from .errors import BadExperiment, PeerLost, ReafferenceError, TapFull
from .frames import Frame, Hello, Packed
from .keys import KeyRing
from .locks import LOCKS, check_address, leaves, lock_options

COPY_BELOW = 1024 * 1024
"""Zero-copy sending pays from this size on; below it the bookkeeping costs more than the copy."""

_LAST_WORDS_MS = 1000
_PLENTY = 100_000
_HELLO = Hello.kind.encode()
# Names are ASCII, but whoever connects without one gets arbitrary bytes from the library: each must come back
# as it was, so that even a stranger can be answered.
NAMES = "latin-1"

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
    "step door": (
        zmq.ROUTER,
        # No handover: connections here make no names, which belong to keys.
        {zmq.ROUTER_MANDATORY: 1, zmq.SNDHWM: 10_000, zmq.RCVHWM: 10_000, zmq.LINGER: _LAST_WORDS_MS},
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
    "pulse door": (zmq.ROUTER, {zmq.RCVHWM: 1000, zmq.LINGER: 0}),
    "pulse watch": (zmq.SUB, {zmq.RCVHWM: 4, zmq.LINGER: 0}),
}


class Wires:
    """One messaging context and what was opened in it; closing it never waits for long."""

    def __init__(self, *, insecure: bool = False, keys: KeyRing | None = None) -> None:
        self._context = zmq.Context()
        self._insecure = insecure
        self._keys = keys
        self._doorkeeper: Doorkeeper | None = None
        self._doors: list[zmq.Socket[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._doorkeeper:
            for door in self._doors:
                if not door.closed:
                    close_door(door)
            self._doorkeeper.close()
        self._context.destroy()

    def bound(self, kind: str, address: str, door: str = "") -> zmq.Socket[bytes]:
        """Raises NoKeys or BadExperiment for an address that cannot be used. `door` is a second one, by tcp."""
        socket = self._made(kind)
        self._bind(socket, kind, address)
        if door:
            self._bind(socket, kind, door)
        return socket

    def connected(self, kind: str, address: str, identity: str = "") -> zmq.Socket[bytes]:
        """Raises as `bound`. Where keys say who we are, `identity` is left out."""
        self._check(address)
        socket = self._made(kind)
        self._set(socket, lock_options(kind, address, self._keys))
        if identity and not self.locked(address):
            socket.setsockopt(zmq.ROUTING_ID, identity.encode("ascii"))
        self._attach(socket, kind, address, zmq.Socket.connect)
        return socket

    def refusal_of(self, socket: zmq.Socket[bytes], address: str) -> "Refusal":
        """Hear it if who is at this address refuses our key."""
        return Refusal(self._context, socket if self.locked(address) else None)

    def locked(self, address: str) -> bool:
        """Whether what goes to this address is encrypted, and names are proven by keys."""
        return self._keys is not None and address.startswith("tcp://")

    def _check(self, address: str) -> None:
        check_address(address, insecure=self._insecure or self._keys is not None)
        if self._keys is None and leaves(address):
            text = "others can read and write this wire: REAF_INSECURE=1 is for a closed bench only"
            structlog.get_logger().warning("not encrypted", address=address, text=text)

    def _made(self, kind: str) -> zmq.Socket[bytes]:
        socket_type, options = OPTIONS[kind]
        socket: zmq.Socket[bytes] = self._context.socket(socket_type)
        self._set(socket, options)
        return socket

    def _bind(self, socket: zmq.Socket[bytes], kind: str, address: str) -> None:
        # Options hold for what is bound after them: what is bound before, by ipc, knows no keys.
        self._check(address)
        self._set(socket, lock_options(kind, address, self._keys, server=True))
        if self._keys is not None and self.locked(address):
            self._doorkeeper = self._doorkeeper or Doorkeeper(self._context, self._keys)
            self._doorkeeper.watch(socket, LOCKS[kind][1])
            self._doors.append(socket)
        self._attach(socket, kind, address, zmq.Socket.bind)

    def _attach(self, socket: zmq.Socket[bytes], kind: str, address: str, attach: Any) -> None:
        try:
            attach(socket, address)
        except zmq.ZMQError as error:
            socket.disable_monitor()
            socket.close(linger=0)
            raise BadExperiment(f"the {kind} wire cannot use {address}: {error.strerror}") from None

    @staticmethod
    def _set(socket: zmq.Socket[bytes], options: Mapping[int, Any]) -> None:
        for option, value in options.items():
            socket.setsockopt(option, value)


class Refusal:
    """Tells whether the other end of a socket has refused our key. Close it once that is settled."""

    def __init__(self, context: "zmq.Context[Any]", socket: zmq.Socket[bytes] | None) -> None:
        self._watched, self._ear = socket, None
        if socket is not None:
            where = f"inproc://refusal-{id(self)}"
            socket.monitor(where, zmq.EVENT_HANDSHAKE_FAILED_AUTH)
            self._ear = context.socket(zmq.PAIR)
            self._ear.setsockopt(zmq.LINGER, 0)
            self._ear.connect(where)

    def came(self) -> bool:
        return self._ear is not None and any(True for _ in drain(self._ear))

    def close(self) -> None:
        if self._watched is not None and self._ear is not None:
            self._watched.disable_monitor()
            self._ear.close(linger=0)
            self._ear = None


def close_door(socket: zmq.Socket[bytes], linger: int | None = None) -> None:
    """Close a socket that may have a door: nobody must be told of it any more, for nobody would read that."""
    socket.disable_monitor()
    socket.close(linger)


def send(socket: zmq.Socket[bytes], parts: list[Any]) -> None:
    """All parts, without waiting; raises zmq.Again when the queue is full."""
    *first, last = parts
    for part in first:
        socket.send(part, zmq.NOBLOCK | zmq.SNDMORE, copy=_small(part))
    socket.send(last, zmq.NOBLOCK, copy=_small(last))


def _small(part: Any) -> bool:
    return (len(part) if type(part) is bytes else memoryview(part).nbytes) < COPY_BELOW


def drain(socket: zmq.Socket[bytes]) -> Iterator[list[bytes]]:
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
    """The engine's end of the step wire: frames to and from peers by name. `door` is for peers on other machines."""

    def __init__(self, wires: Wires, address: str, sender: Sender, door: str = "") -> None:
        self.socket = wires.bound("step host", address)
        self._sender = sender
        opened = wires.bound("step door", door) if door else None
        self._door = doors.StepDoor(opened, lambda frame: sender.sign(frame).parts()) if opened else None

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], ...]:
        """For waiting."""
        return (self.socket, self._door.socket) if self._door else (self.socket,)

    def by_door(self, name: str) -> bool:
        """Whether `name` is on another machine."""
        return self._door is not None and self._door.route(name) is not None

    def send(self, name: str, frame: Frame) -> None:
        """Raises PeerLost when nobody of that name is connected, or its queue is full."""
        self.send_packed(name, self._sender.sign(frame))

    def send_packed(self, name: str, packed: Packed) -> None:
        route = self._door.route(name) if self._door else None
        try:
            if self._door and route is not None:
                send(self._door.socket, [route, *packed.parts()])
            else:
                send(self.socket, [name.encode(NAMES), *packed.parts()])
        except zmq.Again:
            raise PeerLost(f"{name} does not take its messages: its queue is full") from None
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                raise PeerLost(f"{name} is not connected") from None
            raise

    def receive(self) -> Iterator[tuple[str, list[bytes]]]:
        """What has arrived, as (name, parts); never waits."""
        for raw, *parts in drain(self.socket):
            name = raw.decode(NAMES)
            if self._door and parts and parts[0] == _HELLO:
                self._door.forget(name)
            yield name, parts
        if self._door:
            yield from self._door.receive()


class StepPeer:
    """A service's end of the step wire."""

    def __init__(self, wires: Wires, address: str, sender: Sender) -> None:
        self.socket = wires.connected("step peer", address, sender.src)
        self._sender = sender

    def send(self, frame: Frame) -> None:
        with contextlib.suppress(zmq.Again):  # an engine that takes nothing any more is seen by its pulse
            send(self.socket, self._sender.sign(frame).parts())

    def receive(self) -> Iterator[list[bytes]]:
        return drain(self.socket)


class BusOut:
    """Copies for whoever listens; what does not fit is dropped here and seen there as a gap."""

    def __init__(self, wires: Wires, address: str) -> None:
        self.socket = wires.connected("bus out", address)

    def send(self, packed: Packed) -> None:
        send(self.socket, packed.parts())


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
        return drain(self.socket)


class BusProxy:
    """The bus itself: services publish into `inward`, monitors subscribe at `outward`.

    The forwarding runs in a thread that holds no interpreter lock.
    """

    def __init__(
        self,
        inward: str,
        outward: str,
        *,
        insecure: bool = False,
        keys: KeyRing | None = None,
        doors: tuple[str, str] = ("", ""),
    ) -> None:
        self._wires = Wires(insecure=insecure, keys=keys)
        try:
            xsub = self._wires.bound("bus xsub", inward, doors[0])
            xpub = self._wires.bound("bus xpub", outward, doors[1])
        except ReafferenceError:
            self._wires.close()
            raise
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
                close_door(socket, linger=0)

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
            send(self.socket, packed.parts())
        except zmq.Again:
            raise TapFull("the tap is full although the recorder's window should fit into it") from None


class TapIn:
    """The recorder's end of the tap."""

    def __init__(self, wires: Wires, address: str, door: str = "") -> None:
        self.socket = wires.bound("tap in", address, door)

    def receive(self) -> Iterator[list[bytes]]:
        return drain(self.socket)


class Waiting:
    """Waits for any of several wires at once."""

    def __init__(self, *wires: Any) -> None:
        self._poller = zmq.Poller()
        for wire in wires:
            self.add(wire)

    def add(self, wire: Any) -> None:
        """`wire` is one of the objects above, or a file descriptor."""
        for socket in _sockets(wire):
            self._poller.register(socket, zmq.POLLIN)

    def remove(self, wire: Any) -> None:
        for socket in _sockets(wire):
            self._poller.unregister(socket)

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


def _sockets(wire: Any) -> tuple[Any, ...]:
    if hasattr(wire, "sockets"):
        return tuple(wire.sockets)
    return (getattr(wire, "socket", wire),)
