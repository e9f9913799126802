"""What one listener wants of a simulation's bus, and how far it has come. Knows no socket."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .camera import thinned
from .history import KEPT, NEWEST, BusFrame, History
from .raster import MOST_PER_S, RASTER, SPIKES, Level, Raster

MOST_BYTES = 2_000_000
"""A batch ends here; what is left comes with the next one."""

_CAMERA = "body/camera/"
_EARLY_S = 0.01
_LATE_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One topic. `hz`: the most frames a second of wall time (0: all); `points`: the most pixels (0: all)."""

    topic: str
    hz: float = 0.0
    points: int = 0
    most_per_s: float = MOST_PER_S


@dataclass(slots=True)
class _Thread:
    """How far one wish has come: the number of the last frame taken, its `seq`, when the next one is due."""

    wish: Wish
    order: int
    seq: int | None = None
    due_at: float = 0.0
    level: Level | None = None


@dataclass(slots=True)
class Subscription:
    """The wishes of one listener.

    `missed` counts, by topic, what it wanted and nobody can give it any more; who tells it clears the count.
    While it is `whole`, every frame counts, whatever rate was wished for.
    """

    history: History
    raster: Raster
    missed: dict[str, int] = field(default_factory=dict)
    whole: bool = False
    _threads: list[_Thread] = field(default_factory=list)
    _run: str = ""
    _cuts: int = 0

    def replace(self, wishes: Sequence[Wish], since: Mapping[str, int], run: str = "") -> None:
        """Want these from now on.

        `since` has, for topics that are kept, the last sequence number that is known, in `run` (if named). Of other
        topics the newest frame comes at once, for there may be no further one for long.
        """
        self._run = self.history.run
        known = since if run in ("", self.history.run) else {}
        before = {thread.wish.topic: thread for thread in self._threads}
        self._threads = [self._thread(wish, known, before.get(wish.topic)) for wish in wishes]

    def _thread(self, wish: Wish, known: Mapping[str, int], before: _Thread | None) -> _Thread:
        name = wish.topic
        level = self.raster.level(wish.most_per_s) if name == RASTER else None
        if name in KEPT or name in NEWEST:
            if name in known:
                seen = [frame for frame in self.history.after(name, 0) if frame.place.seq <= known[name]]
                return _Thread(wish, seen[-1].order if seen else 0, known[name])
            return _Thread(wish, 0)
        if before is not None:
            return _Thread(wish, before.order, before.seq, level=level)
        newest = self.history.newest(SPIKES if name == RASTER else name)
        return _Thread(wish, newest.order - (name != RASTER) if newest else 0, level=level)

    def take(self, now: float) -> list[bytes]:
        """Frames to be sent now, as they stand in a batch and in the order of the bus."""
        self._follow_run()
        found: list[tuple[int, bytes]] = []
        room = MOST_BYTES
        for thread in self._threads:
            if room <= 0:
                break
            for order, bound in self._of(thread, now, room):
                found.append((order, bound))
                room -= len(bound)
        found.sort(key=lambda item: item[0])
        return [bound for _, bound in found]

    def due_in_s(self, now: float) -> float:
        """When there is something to take, if nothing new comes: 0 for now, infinity for never."""
        waits = [
            max(thread.due_at - now, 0.0)
            for thread in self._threads
            if (newest := self.history.newest(_source(thread.wish.topic))) and newest.order > thread.order
        ]
        return min(waits, default=math.inf)

    def _follow_run(self) -> None:
        if (self._run, self._cuts) != (self.history.run, self.history.cuts):
            # Another run counts its frames from the beginning; after a cut they go on from another number.
            self._run, self._cuts = self.history.run, self.history.cuts
            for thread in self._threads:
                thread.seq = None

    def _of(self, thread: _Thread, now: float, room: int) -> list[tuple[int, bytes]]:
        wish = thread.wish
        if wish.topic == RASTER:
            return self._spikes(thread, now)
        if wish.hz > 0 and wish.topic not in KEPT and not self.whole:
            return self._newest(thread, now)
        taken = []
        for frame in self.history.after(wish.topic, thread.order):
            bound = _shape(frame, wish)
            self._pass(thread, frame, count=wish.topic not in NEWEST)
            taken.append((frame.order, bound))
            room -= len(bound)
            if room <= 0:
                break
        return taken

    def _newest(self, thread: _Thread, now: float) -> list[tuple[int, bytes]]:
        newest = self.history.newest(thread.wish.topic)
        if newest is None or newest.order <= thread.order or now < thread.due_at - _EARLY_S:
            return []
        # A tick that came late shall not make the next one late as well.
        thread.due_at = max(thread.due_at, now - _LATE_S) + 1 / thread.wish.hz
        self._pass(thread, newest, count=False)
        return [(newest.order, _shape(newest, thread.wish))]

    def _spikes(self, thread: _Thread, now: float) -> list[tuple[int, bytes]]:
        frames = self.history.after(SPIKES, thread.order)
        if not frames or thread.level is None:
            return []
        rate_per_s = self.raster.rate_per_s(self.history.after(SPIKES, 0), now)
        shown = thread.level.follow(rate_per_s, now)
        for frame in frames:
            self._pass(thread, frame, count=True)
        if self.whole:
            return [(frame.order, self.raster.bound([frame], shown)) for frame in frames]
        return [(frames[-1].order, self.raster.bound(frames, shown))]

    def _pass(self, thread: _Thread, frame: BusFrame, *, count: bool) -> None:
        """Remember the frame as the last one, and count what is missing before it."""
        if count and thread.seq is not None and frame.place.seq > thread.seq + 1:
            gap = frame.place.seq - thread.seq - 1
            self.missed[thread.wish.topic] = self.missed.get(thread.wish.topic, 0) + gap
        thread.order, thread.seq = frame.order, frame.place.seq


def _source(topic: str) -> str:
    """The topic on the bus from which this one is made."""
    return SPIKES if topic == RASTER else topic


def _shape(frame: BusFrame, wish: Wish) -> bytes:
    if wish.points and frame.name.startswith(_CAMERA):
        return thinned(frame, wish.points)
    return frame.bound
