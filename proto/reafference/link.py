"""A service's connection to its engine: what it needs of the world, and the same made of wires."""

import os
import time
from collections.abc import Iterator
from typing import Protocol

from . import codec
from .clock import Deadline
from .config import ServiceConfig
from .errors import EngineLost, Leaving, NotAllowed, OutOfOrder, ReafferenceError, from_code
from .frames import ErrorFrame, Frame, Hello, Packed, Role, Welcome
from .process import Leave, usable_cores
from .pulse import PulseEcho, PulseWatch
from .sockets import BusOut, Sender, StepPeer, TapOut, Waiting, Wires
from .topics import Topic

_TURN_MS = 250
_AWAKE_NS = 1_500_000


def error_frame(error: ReafferenceError, step: int = -1) -> ErrorFrame:
    """The error as it travels."""
    return ErrorFrame(step=step, code=error.code, text=error.text, retry=error.retry, detail=error.detail)


class Link(Protocol):
    """What a participant needs of the world."""

    def frames(self) -> Iterator[Frame]:
        """Yield what the engine sends, until the link ends; raises EngineLost or Leaving."""
        ...

    def send(self, frame: Frame) -> None: ...

    def sign(self, stream: str, seq: int, frame: Frame) -> Packed:
        """The frame as it will travel on bus and tap."""
        ...

    def publish(self, packed: Packed) -> None:
        """Send a copy to monitors and recorder."""
        ...

    def begin(self, run: str) -> None:
        """Sign for this run from now on."""
        ...

    def pending(self) -> bool:
        """Whether the engine has sent something that has not been taken yet; never waits."""
        ...


class WireLink:
    """A link made of wires: step, bus, tap and pulse."""

    def __init__(self, wires: Wires, config: ServiceConfig, role: Role, leave: Leave) -> None:
        self._wires, self._config, self._role, self._leave = wires, config, role, leave
        self._sender = Sender(config.name)
        self.step = StepPeer(wires, config.addresses.step, self._sender)
        self.waiting = Waiting(self.step)
        self.welcome: Welcome | None = None
        self._topics: dict[str, bytes] = {}
        self._pulse: PulseEcho | None = None
        self._watch: PulseWatch | None = None
        self._bus: BusOut | None = None
        self._tap: TapOut | None = None

    def __enter__(self) -> "WireLink":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pulse:
            self._pulse.close()

    def join(self) -> Welcome:
        """Say hello, wait for the welcome, open the other wires.

        Raises EngineLost when no engine answers in time, and the engine's own error when it refuses us.
        """
        config = self._config
        self.step.send(Hello(name=config.name, role=self._role, pid=os.getpid(), ranks=config.ranks))
        deadline = Deadline.after_s(self._config.join_s)
        refusal = self._wires.refusal_of(self.step.socket, config.addresses.step)
        while not deadline.passed():
            self._check_leave()
            if refusal.came():
                raise NotAllowed(
                    f"the engine at {config.addresses.step} refuses the key of {config.name!r}: "
                    "it must lie among the keys that it allows (allowed/NAME.key)"
                )
            if not self.waiting.until(min(_TURN_MS, deadline.left_ms())):
                continue
            for parts in self.step.receive():
                refusal.close()
                return self._admit(codec.decode(parts).frame)
        raise EngineLost(
            f"no engine answered at {self._config.addresses.step} within {self._config.join_s:g} s: "
            f"start it first, or check the address{' and the keys' if config.keys else ''}"
        )

    def _admit(self, frame: Frame) -> Welcome:
        if isinstance(frame, ErrorFrame):
            raise from_code(frame.code, frame.text, frame.detail)
        if not isinstance(frame, Welcome):
            raise OutOfOrder(f"the engine answered hello with a {frame.kind!r} frame")
        self._sender.run = frame.run
        insecure = self._config.insecure
        if frame.pulse_beat:
            name, ring = self._config.name, self._config.ring()
            self._pulse = PulseEcho(frame.pulse_beat, frame.pulse_echo, name, insecure=insecure, keys=ring)
            self._watch = PulseWatch(self._wires, frame.pulse_beat)
        self._bus = BusOut(self._wires, frame.bus) if frame.bus else None
        self._tap = TapOut(self._wires, frame.tap) if frame.tap else None
        self.welcome = frame
        return frame

    def frames(self) -> Iterator[Frame]:
        if self._watch:
            self._watch.reset()
        brisk, several_cores = False, usable_cores() > 1
        while True:
            self.check()
            began_ns = time.perf_counter_ns()
            # Whoever was last to answer is asked again as soon as the engine has had its turn. To be woken costs a
            # fifth of a millisecond, so then we stay awake; whoever has to wait for another one sleeps.
            if not (brisk and self.waiting.awake(_AWAKE_NS)):
                self.waiting.until(_TURN_MS)
            brisk = time.perf_counter_ns() - began_ns < _AWAKE_NS and several_cores
            yield from self.arrived()

    def check(self) -> None:
        """Raises Leaving if this process was told to end, EngineLost if the engine has been silent too long."""
        self._check_leave()
        if self._watch and self._watch.silent_s() > self._config.patience_s:
            raise EngineLost(f"the engine has been silent for {self._config.patience_s:g} s")

    def arrived(self) -> Iterator[Frame]:
        """What has come on the step wire, without waiting."""
        for parts in self.step.receive():
            try:
                frame = codec.decode(parts).frame
            except ReafferenceError as error:
                self.send(error_frame(error))
                continue
            yield frame
            # Whoever took the frame may have been busy for long; silence counts from now.
            if self._watch:
                self._watch.reset()

    def send(self, frame: Frame) -> None:
        self.step.send(frame)

    def sign(self, stream: str, seq: int, frame: Frame) -> Packed:
        topic = self._topics.get(stream)
        if topic is None:
            topic = self._topics[stream] = Topic(self._sender.run, self._config.name, stream).wire()
        return self._sender.sign(frame, seq, topic)

    def publish(self, packed: Packed) -> None:
        if self._tap:
            self._tap.send(packed)
        if self._bus:
            self._bus.send(packed)

    def begin(self, run: str) -> None:
        self._sender.run = run
        self._topics.clear()

    def pending(self) -> bool:
        return self.waiting.until(0)

    def _check_leave(self) -> None:
        if self._leave.asked:
            error = Leaving(f"the {self._config.name} was told to end (SIGTERM)")
            self.send(error_frame(error))
            raise error
