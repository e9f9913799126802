"""Spikes as a page draws them: neurons by their place in the list of recorded cells, thinned to what it can take.

Thinning leaves out whole neurons, by a hash of their id, and never single spikes: what is shown of a neuron is its
whole train, and everybody sees the same ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from reafference import codec
from reafference.frames import Array, Stream
from reafference.topics import Topic

from .history import BusFrame

SPIKES = "brain/spikes"
RASTER = "brain/raster"
MOST_PER_S = 20_000

_OVER_S = 1.0
_FINER_AFTER_S = 2.0
_FINEST_HALVING = 20
_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class Cells:
    """The recorded neurons: `place` by node id (-1: not recorded), `label` and `hash` by place."""

    labels: tuple[str, ...]
    place: Array
    label: Array
    hash: Array

    @classmethod
    def of(cls, recorders: Mapping[str, Mapping[str, Any]]) -> "Cells":
        """From the facts of the brain's ports: recorder → label → [[first, last], …]."""
        ids: list[Array] = []
        label_of: list[Array] = []
        labels: list[str] = []
        seen = np.zeros(0, np.int64)
        for name in sorted(recorders):
            for label, ranges in recorders[name].items():
                spans = [np.arange(first, last + 1, dtype=np.int64) for first, last in ranges]
                found = np.setdiff1d(np.concatenate(spans) if spans else seen[:0], seen)
                seen = np.union1d(seen, found)
                ids.append(found)
                label_of.append(np.full(len(found), len(labels), np.int64))
                labels.append(label)
        every = np.concatenate(ids) if ids else seen
        place = np.full(int(every.max()) + 1 if len(every) else 1, -1, np.int64)
        place[every] = np.arange(len(every))
        return cls(tuple(labels), place, np.concatenate(label_of) if label_of else seen, mixed(every))

    def places(self, senders: Array) -> Array:
        """Where these node ids stand in the list; -1 for one that is not recorded."""
        inside = (senders >= 0) & (senders < len(self.place))
        return np.where(inside, self.place[np.where(inside, senders, 0)], -1)


def mixed(ids: Array) -> Array:
    """A number from 0 to 2^32 - 1 for each id, as if by chance, always the same."""
    x = ids.astype(np.uint32)
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(16))


@dataclass(slots=True, weakref_slot=True)
class Level:
    """The part of the neurons that is shown: 1, 1/2, 1/4 …, so that not more than `most_per_s` spikes a second are.

    It gets smaller at once, and larger when there has been room for it for two seconds.
    """

    most_per_s: float
    shown: float = 1.0
    _room_since: float | None = None

    def follow(self, rate_per_s: float, now: float) -> float:
        """The part to show, now that so many spikes a second come."""
        while rate_per_s * self.shown > self.most_per_s and self.shown > 2.0**-_FINEST_HALVING:
            self.shown /= 2
            self._room_since = None
        if self.shown == 1 or rate_per_s * self.shown * 2 > 0.8 * self.most_per_s:
            self._room_since = None
        elif self._room_since is None:
            self._room_since = now
        elif now - self._room_since >= _FINER_AFTER_S:
            self.shown, self._room_since = self.shown * 2, now
        return self.shown


@dataclass(frozen=True, slots=True)
class _Volley:
    """The spikes of one frame: place and time of each, how many of each label."""

    cell: Array
    time_ns: Array
    counts: Array


@dataclass(slots=True)
class Raster:
    """Makes frames of `brain/raster` from those of `brain/spikes`, the same ones for all with the same wish."""

    cells: Cells = field(default_factory=lambda: Cells.of({}))
    _levels: "WeakValueDictionary[float, Level]" = field(default_factory=WeakValueDictionary)
    _made: dict[tuple[int, int, float], bytes] = field(default_factory=dict)

    def know(self, recorders: Mapping[str, Mapping[str, Any]]) -> None:
        """From now on these neurons are recorded."""
        self.cells = Cells.of(recorders)
        self._made.clear()

    def level(self, most_per_s: float) -> Level:
        """The level of all who want so many spikes a second."""
        known = self._levels.get(most_per_s)
        if known is None:
            known = self._levels[most_per_s] = Level(most_per_s)
        return known

    def rate_per_s(self, recent: Sequence[BusFrame], now: float) -> float:
        """Spikes per second of wall time in the last second, of the frames that have come in it."""
        spikes = sum(len(self._volley(frame).cell) for frame in recent if frame.came_at > now - _OVER_S)
        return spikes / _OVER_S

    def bound(self, frames: Sequence[BusFrame], shown: float) -> bytes:
        """One frame of the raster that covers these frames of spikes, as it stands in a batch."""
        key = (frames[0].order, frames[-1].order, shown)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._encode(frames, shown)
            while len(self._made) > _REMEMBERED:
                del self._made[next(iter(self._made))]
        return made

    def _encode(self, frames: Sequence[BusFrame], shown: float) -> bytes:
        volleys = [self._volley(frame) for frame in frames]
        cell = np.concatenate([volley.cell for volley in volleys])
        time_ns = np.concatenate([volley.time_ns for volley in volleys])
        if shown < 1:
            chosen = self.cells.hash[cell] < shown * 2.0**32
            cell, time_ns = cell[chosen], time_ns[chosen]
        first, last = frames[0], frames[-1]
        arrays = {
            "cell": cell.astype(np.uint32),
            "dt_us": (np.maximum(time_ns - first.before_ns, 0) // 1000).astype(np.uint32),
            "counts": np.sum([volley.counts for volley in volleys], axis=0, dtype=np.uint32),
            "t0_ns": np.array(first.before_ns, np.int64),
            "t1_ns": np.array(last.place.t_ns, np.int64),
            "shown": np.array(shown, np.float64),
        }
        stream = Stream(step=last.place.step, t_ns=last.place.t_ns, arrays=arrays)
        topic = Topic(last.place.run, "brain", "raster").wire()
        packed = codec.encode(stream, run=last.place.run, src="gateway", seq=last.place.seq, topic=topic)
        return codec.bound(packed.parts())

    def _volley(self, frame: BusFrame) -> _Volley:
        known = frame.derived.get("volley")
        if known is None or known[0] is not self.cells:
            known = frame.derived["volley"] = (self.cells, self._read(frame))
        volley: _Volley = known[1]
        return volley

    def _read(self, frame: BusFrame) -> _Volley:
        stream, cells = frame.frame, self.cells
        assert isinstance(stream, Stream)
        places = cells.places(stream.arrays["sender"])
        known = places >= 0
        cell = places[known]
        counts = np.bincount(cells.label[cell], minlength=len(cells.labels)).astype(np.uint32)
        return _Volley(cell, stream.arrays["time_ns"][known], counts)
