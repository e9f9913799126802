"""What the broker is still to be told of one simulation, and how far it has come. Knows no broker.

Nothing is queued here: what has not been sent is in the history of the simulation for a while. Of streams with a rate
the newest frame is sent, of all others every one, from where the broker took the last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..history import KEPT, NEWEST, BusFrame, History
from .settings import MqttSettings

RETAINED = ("run/start", "run/ports", "run/stop", "engine/state", "engine/functions")
"""Topics whose last message the broker keeps for who comes later."""
MOST_FRAMES = 64
MOST_BYTES = 4_000_000

_EARLY_S = 0.01
_LATE_S = 0.06
_SUSPECT_BYTES = 64 * 1024
_MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Item:
    """One message: a frame of the topic `name`, or None to let the broker forget the last one."""

    name: str
    frame: BusFrame | None

    @property
    def certain(self) -> bool:
        """Whether it must arrive (QoS 1)."""
        return self.frame is None or self.name in KEPT or self.name in NEWEST

    @property
    def retained(self) -> bool:
        return self.name in RETAINED


@dataclass(slots=True)
class _Thread:
    """How far one topic has come: the number of the last frame that was sent, its `seq`, when the next one is due."""

    hz: float
    order: int = 0
    seq: int = -1
    due_at: float = 0.0
    tries: int = 0


@dataclass(slots=True)
class Feed:
    """The messages of one simulation. `missed` counts, by topic, what the broker should have got and never will; there
    is `more` where the last handful could not hold all that was due."""

    history: History
    settings: MqttSettings
    missed: dict[str, int] = field(default_factory=dict)
    more: bool = False
    _threads: dict[str, _Thread | None] = field(default_factory=dict)
    _run: str | None = None
    _forget: list[str] = field(default_factory=list)

    def begin(self, outage_s: float) -> None:
        """There is a broker (again), after so many seconds without one: what it retains is due once more."""
        self._follow_run()
        for name, thread in self._threads.items():
            if thread is None:
                continue
            if thread.hz > 0 and (newest := self.history.newest(name)) is not None and newest.order > thread.order:
                self._miss(name, min(newest.place.seq - thread.seq - 1, int(outage_s * thread.hz)))
                thread.seq = newest.place.seq - 1
            if name in RETAINED:
                thread.order = 0
        self._forget = self._unknown()

    def due(self, now: float) -> list[Item]:
        """What is to be sent now, in the order of the bus, and no more than fits into one handful."""
        self._follow_run()
        waiting: list[BusFrame] = []
        for name in self.history.names():
            thread = self._thread(name)
            if thread is not None:
                waiting += self._of(name, thread, now)
        waiting.sort(key=lambda frame: frame.order)
        handful, room = [], MOST_BYTES
        for frame in waiting[:MOST_FRAMES]:
            if room <= 0:
                break
            room -= frame.size
            handful.append(frame)
        self.more = len(handful) < len(waiting)
        return [*(Item(name, None) for name in self._forget), *(Item(frame.name, frame) for frame in handful)]

    def sent(self, item: Item, now: float) -> None:
        """The broker has it."""
        if item.frame is None:
            self._forget = [name for name in self._forget if name != item.name]
            return
        self._pass(item.frame, now)

    def dropped(self, frame: BusFrame, now: float) -> None:
        """It will never be sent."""
        self._pass(frame, now)
        self._miss(frame.name, 1)

    def failed(self, item: Item, now: float) -> None:
        """The connection broke while this was on its way: it is due again, unless it may be what breaks it."""
        thread = self._threads.get(item.name)
        if item.frame is None or thread is None or item.frame.size < _SUSPECT_BYTES:
            return
        thread.tries += 1
        if thread.tries >= _MOST_TRIES:
            self.dropped(item.frame, now)

    def _follow_run(self) -> None:
        if self._run == self.history.run:
            return
        self._run = self.history.run
        self._forget = self._unknown()
        for thread in self._threads.values():
            if thread is not None:
                thread.seq = -1  # another run counts its frames from the beginning

    def _unknown(self) -> list[str]:
        """What the broker may have kept of a former run, and has no successor yet."""
        return [name for name in RETAINED if self.settings.wants(name) and self.history.newest(name) is None]

    def _thread(self, name: str) -> _Thread | None:
        if name not in self._threads:
            everything = name in KEPT or name in NEWEST
            wanted = self.settings.wants(name)
            self._threads[name] = _Thread(0.0 if everything else self.settings.rate_hz(name)) if wanted else None
        return self._threads[name]

    def _of(self, name: str, thread: _Thread, now: float) -> Sequence[BusFrame]:
        newest = self.history.newest(name)
        if newest is None or newest.order <= thread.order:
            return ()
        if thread.hz == 0:
            return self.history.after(name, thread.order)
        return (newest,) if now >= thread.due_at - _EARLY_S else ()

    def _pass(self, frame: BusFrame, now: float) -> None:
        thread = self._thread(frame.name)
        if thread is None:
            return
        if thread.hz > 0:
            # A tick that came late shall not make the next one late as well.
            thread.due_at = max(thread.due_at, now - _LATE_S) + 1 / thread.hz
        elif frame.name not in NEWEST:
            self._miss(frame.name, frame.place.seq - thread.seq - 1)
        thread.order, thread.tries = frame.order, 0
        thread.seq = max(thread.seq, frame.place.seq)
        if frame.name in self._forget:
            self._forget.remove(frame.name)

    def _miss(self, name: str, count: int) -> None:
        if count > 0:
            self.missed[name] = self.missed.get(name, 0) + count
