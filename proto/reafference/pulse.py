"""The pulse: beats of the engine, and their echoes from a thread that needs no interpreter."""

import contextlib
import time
from collections.abc import Iterator

import zmq
from zmq.devices import ThreadDevice

from . import codec, doors
from .errors import ReafferenceError
from .frames import Beat
from .keys import KeyRing
from .locks import check_address, lock_options
from .sockets import NAMES, Sender, Wires, drain, send

BEAT_NS = 250_000_000
LOST_AFTER_BEATS = 8


class PulseHost:
    """Beats for all, and who has answered them."""

    def __init__(self, wires: Wires, beat: str, echo: str, sender: Sender, doors: tuple[str, str] = ("", "")) -> None:
        self._beat = wires.bound("pulse beat", beat, doors[0])
        self.socket = wires.bound("pulse echo", echo)
        self._door = wires.bound("pulse door", doors[1]) if doors[1] else None
        self._sender = sender
        self._number = 0
        self._next_ns = time.monotonic_ns()
        self._sent_ns = 0
        self._heard: dict[str, int] = {}

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], ...]:
        """For waiting."""
        return (self.socket, self._door) if self._door else (self.socket,)

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
        for who, parts in self._echoes():
            beat = _beat(parts)
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
            send(self._beat, self._sender.sign(Beat(number=self._number), topic=b"beat").parts())
        return lost

    def _echoes(self) -> Iterator[tuple[str, list[bytes]]]:
        for name, *parts in drain(self.socket):
            yield name.decode(NAMES), parts
        if self._door:
            for owner, route, parts in doors.received(self._door):
                yield owner or route.decode(NAMES), parts


def _beat(parts: list[bytes]) -> Beat | None:
    """An echo; None for anything else, which is no sign of life."""
    with contextlib.suppress(ReafferenceError):
        frame = codec.decode(parts).frame
        return frame if isinstance(frame, Beat) else None
    return None


class PulseEcho:
    """Answers the pulse from a thread without interpreter, so that a long NEST call is not a death."""

    def __init__(self, beat: str, echo: str, name: str, *, insecure: bool = False, keys: KeyRing | None = None) -> None:
        for address in (beat, echo):
            check_address(address, insecure=insecure or keys is not None)
        locks = [lock_options("pulse watch", address, keys) for address in (beat, echo)]
        self._context = zmq.Context()
        device = ThreadDevice(zmq.QUEUE, zmq.SUB, zmq.DEALER)
        device.context_factory = lambda: self._context
        device.setsockopt_in(zmq.SUBSCRIBE, b"")
        device.setsockopt_in(zmq.LINGER, 0)
        device.setsockopt_out(zmq.LINGER, 0)
        if keys is None or not echo.startswith("tcp://"):
            device.setsockopt_out(zmq.ROUTING_ID, name.encode("ascii"))
        for set_option, lock in zip((device.setsockopt_in, device.setsockopt_out), locks, strict=True):
            for option, value in lock.items():
                set_option(option, value)
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
        for _ in drain(self.socket):
            self._heard_ns = time.monotonic_ns()
        return (time.monotonic_ns() - self._heard_ns) / 1e9

    def reset(self) -> None:
        """Start counting anew, after a time in which beats could not be taken."""
        self._heard_ns = time.monotonic_ns()
