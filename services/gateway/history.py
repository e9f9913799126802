"""What has come over the bus of one simulation: the newest frames of every topic, and all of those that are kept.

Nobody waits here and nothing is copied for a listener. Whoever wants frames asks for those after a number: a
listener that never comes costs nothing, however many there are.
"""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from reafference import codec
from reafference.codec import Place
from reafference.errors import ReafferenceError
from reafference.frames import Frame
from reafference.topics import parsed

KEPT = ("run/start", "run/ports", "run/stop", "engine/log", "engine/edits")
"""Topics of which everything is kept."""
NEWEST = ("engine/state", "engine/functions")
"""Topics of which the newest frame is kept, for everybody."""

RING_FRAMES = 256
RING_BYTES = 4_000_000
KEPT_FRAMES = 20_000
KEPT_BYTES = 32_000_000


@dataclass(eq=False)
class BusFrame:
    """One frame of the bus, whose number is `order`. `before_ns` is the time of the one before on its topic."""

    order: int
    name: str
    place: Place
    parts: Sequence[bytes]
    before_ns: int
    came_at: float
    derived: dict[Any, Any] = field(default_factory=dict)
    """What has been made of it for listeners, so that it is made once."""

    @cached_property
    def bound(self) -> bytes:
        """As it stands in a batch."""
        return codec.bound(self.parts)

    @cached_property
    def frame(self) -> Frame:
        """Decoded. Raises as codec.decode."""
        return codec.decode(self.parts).frame

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))


@dataclass(slots=True)
class _Ring:
    """Frames of one topic, bounded in number and bytes; the newest always stays."""

    most: int
    most_bytes: int
    frames: deque[BusFrame] = field(default_factory=deque)
    bytes: int = 0

    def add(self, frame: BusFrame) -> None:
        self.frames.append(frame)
        self.bytes += frame.size
        while len(self.frames) > 1 and (len(self.frames) > self.most or self.bytes > self.most_bytes):
            self.bytes -= self.frames.popleft().size

    def after(self, order: int) -> list[BusFrame]:
        """Those with a higher number, oldest first."""
        found = []
        for frame in reversed(self.frames):
            if frame.order <= order:
                break
            found.append(frame)
        found.reverse()
        return found


class History:
    """The frames of the run that is going on. Another run replaces it when its first frame comes."""

    def __init__(self) -> None:
        self.run = ""
        self.order = 0
        self.cuts = 0
        self._before_ns = 0
        self._past: set[str] = set()
        self._rings: dict[str, _Ring] = {}

    def take(self, parts: Sequence[bytes], came_at: float | None = None) -> BusFrame | None:
        """Note a frame that came just now, or at `came_at`; None if it is none, or belongs to a run that is over."""
        if not parts:
            return None
        try:
            topic, place = parsed(parts[0]), codec.place(parts)
        except ReafferenceError:
            return None
        if topic.run != self.run and not self._begin(topic.run):
            return None
        ring = self._rings.get(topic.name) or self._new_ring(topic.name)
        before = ring.frames[-1].place.t_ns if ring.frames else self._before_ns
        self.order += 1
        came_at = time.monotonic() if came_at is None else came_at
        frame = BusFrame(self.order, topic.name, place, parts, before, came_at)
        ring.add(frame)
        return frame

    def knows(self, parts: Sequence[bytes]) -> bool:
        """Whether this frame of the present run, or one that came after it on its topic, is known already."""
        try:
            topic, place = parsed(parts[0]), codec.place(parts)
        except (ReafferenceError, IndexError):
            return False
        newest = self.newest(topic.name) if topic.run == self.run else None
        return newest is not None and place.seq <= newest.place.seq

    def names(self) -> list[str]:
        """The topics on which something has come in this run."""
        return list(self._rings)

    def newest(self, name: str) -> BusFrame | None:
        """The newest frame of a topic."""
        ring = self._rings.get(name)
        return ring.frames[-1] if ring and ring.frames else None

    def after(self, name: str, order: int) -> list[BusFrame]:
        """Frames of a topic that are still there and have a higher number, oldest first."""
        ring = self._rings.get(name)
        return ring.after(order) if ring else []

    def all(self, names: Iterable[str]) -> list[BusFrame]:
        """What there is of these topics, in the order of the bus."""
        found = [frame for name in names for frame in self.after(name, 0)]
        return sorted(found, key=lambda frame: frame.order)

    def cut(self, t_ns: int) -> None:
        """What comes next goes on from another time: forget all that is not kept."""
        self.cuts += 1
        self._before_ns = t_ns
        self._rings = {name: ring for name, ring in self._rings.items() if name in KEPT}

    def settle(self) -> None:
        """Nothing comes any more: keep the newest frame of each topic, and what is kept."""
        for name, ring in self._rings.items():
            if name not in KEPT:
                ring.most = 1
                while len(ring.frames) > 1:
                    ring.bytes -= ring.frames.popleft().size

    def _begin(self, run: str) -> bool:
        if run in self._past:
            return False  # a straggler
        self._past.add(run)
        self.run, self._rings, self._before_ns = run, {}, 0
        return True

    def _new_ring(self, name: str) -> _Ring:
        if name in KEPT:
            ring = _Ring(KEPT_FRAMES, KEPT_BYTES)
        elif name in NEWEST:
            ring = _Ring(1, KEPT_BYTES)
        else:
            ring = _Ring(RING_FRAMES, RING_BYTES)
        self._rings[name] = ring
        return ring
