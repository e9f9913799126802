"""Watching a run from the bus: `Monitor`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from .. import codec
from ..clock import Deadline
from ..codec import Received
from ..errors import NotAllowed, ReafferenceError
from ..keys import KeyRing
from ..sockets import BusIn, Refusal, Wires
from ..topics import Topic


@dataclass(slots=True)
class Monitor:
    """Listens to the bus. The bus may drop frames to a slow listener; `missed` counts them per topic.

        with Monitor("ipc:///run/user/1000/reaf/bus-out", ["brain/sinks"]) as monitor:
            for received in monitor.frames(Deadline.after_s(10)):
                print(received.frame.step)

    `streams` are topic names without the run; none means everything. `keys` is the folder with the one key that is
    ours and the public ones of the servers, for an address on another machine. Raises NotAllowed while waiting if the
    gateway there does not know that key.
    """

    address: str
    streams: tuple[str, ...] = ()
    run: str = ""
    insecure: bool = False
    keys: Path | None = None
    missed: dict[str, int] = field(default_factory=dict)
    _wires: Wires = field(init=False)
    _bus: BusIn = field(init=False)
    _refusal: Refusal = field(init=False)
    _seqs: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ring = None if self.keys is None else KeyRing.of_only(self.keys)
        self._wires = Wires(insecure=self.insecure, keys=ring)
        # Without the run the prefix of a topic is not known; then everything comes and we choose.
        chosen = [f"{stream}/" for stream in self.streams] or [""]
        prefixes = [f"{self.run}/{stream}".encode() for stream in chosen] if self.run else [b""]
        self._bus = BusIn(self._wires, self.address, prefixes)
        self._refusal = self._wires.refusal_of(self._bus.socket, self.address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._refusal.close()
        self._wires.close()

    def next(self, deadline: Deadline) -> Received | None:
        """The next frame of a chosen stream, or None when the deadline has passed."""
        while (parts := self._bus.receive(deadline)) is not None:
            received = self._taken(parts)
            if received is not None:
                return received
        if self._refusal.came():
            raise NotAllowed(f"the gateway at {self.address} refuses our key: it must lie among those that it allows")
        return None

    def frames(self, deadline: Deadline) -> Iterator[Received]:
        """Frames of the chosen streams until the deadline."""
        while (received := self.next(deadline)) is not None:
            yield received

    def latest(self) -> dict[str, Received]:
        """The newest frame of each chosen stream that has arrived; older ones are left out, not missed."""
        newest = {}
        for parts in self._bus.waiting():
            received = self._taken(parts)
            if received is not None:
                newest[Topic.parse(received.topic).name] = received
        return newest

    def _taken(self, parts: list[bytes]) -> Received | None:
        try:
            received = codec.decode(parts)
            topic = Topic.parse(received.topic)
        except ReafferenceError:
            return None
        if self.streams and topic.name not in self.streams:
            return None
        key, seq = (topic.run, topic.name), received.envelope.seq
        # What was sent before we subscribed was not meant for us.
        gap = seq - self._seqs.get(key, seq - 1) - 1
        if gap > 0:
            self.missed[topic.name] = self.missed.get(topic.name, 0) + gap
        self._seqs[key] = seq
        return received
