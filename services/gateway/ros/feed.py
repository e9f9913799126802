"""What a client of rosbridge has subscribed to of one simulation, and what there is to be sent. Knows no socket."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reafference import jsontext
from reafference.errors import ReafferenceError
from reafference.frames import Array, Stream
from reafference.frames import Message as Told

from ..coach import status as coach_status
from ..history import BusFrame
from ..simulation import Simulation
from . import topics as ros_topics
from .messages import Message
from .topics import RosTopic

STATUS = "/ros_cle_simulation/status"
ERRORS = "/ros_cle_simulation/cle_error"
LOGS = "/ros_cle_simulation/logs"
CLOCK = "/clock"
OWN = {
    STATUS: "std_msgs/String",
    ERRORS: "cle_ros_msgs/CLEError",
    LOGS: "cle_ros_msgs/ClientLoggerMessage",
    CLOCK: "rosgraph_msgs/Clock",
}
"""Topics of every simulation, and their types."""

_EVERY_S = 1.0
_FRESH_S = 30.0
_TEXT = "std_msgs/String"
_LOG, _CLOCK = "engine/log", "engine/clock"

News = tuple[str, Any]
"""Topic and message."""


@dataclass(slots=True)
class _Thread:
    """How far one subscription has come: the number of the last frame that was used, and when the next may be."""

    wish: Message
    order: int
    due_at: float = 0.0


class Feed:
    """The subscriptions of one client to one simulation."""

    def __init__(self, simulation: Simulation, wishes: Iterable[Message]) -> None:
        self.simulation = simulation
        # Of one that ended long ago nobody wants to hear again that it has.
        self._over = simulation.status.ended and not _fresh(simulation)
        self._state = ""
        self._told_at = -_EVERY_S
        self._loading = not simulation.status.built and not simulation.status.ended
        self._blamed = self._over
        self._run, self._ports_version = simulation.status.run, -1
        self._topics: dict[str, RosTopic] = {}
        self._threads: dict[str, _Thread] = {}
        self._number = 0
        for wish in wishes:
            self.want(wish)

    def want(self, wish: Message) -> None:
        """Tell of this topic from now on. Errors and logs of a simulation that has not been started come from the first
        one on."""
        begun = self.simulation.status.started_at is not None
        order = self.simulation.history.order if begun or wish.topic not in (ERRORS, LOGS) else 0
        self._threads[wish.topic] = _Thread(wish, order)
        if wish.topic == STATUS:
            self._told_at = -_EVERY_S

    def drop(self, topic: str) -> None:
        """Tell of it no more."""
        self._threads.pop(topic, None)

    def topics(self) -> dict[str, str]:
        """All topics and their types."""
        self._learn_topics()
        return OWN | {ros_topics.as_listed(name): topic.type for name, topic in self._topics.items()}

    def news(self, now: float) -> Iterator[News]:
        """All that has not been told yet, at `now` in seconds."""
        self._follow_run()
        for name, thread in list(self._threads.items()):
            if name not in (STATUS, ERRORS):
                yield from self._of(name, thread, now)
        if ERRORS in self._threads:
            yield from self._errors(self._threads[ERRORS])
        if STATUS in self._threads:
            # The last word of a simulation comes after everything else.
            yield from self._status(now)

    # --- status and errors ---------------------------------------------------------------------------

    def _status(self, now: float) -> Iterator[News]:
        simulation = self.simulation
        if self._over or (simulation.status.ended and simulation.occupies):
            return  # when the end is told, the files of the run are whole
        ended, state = simulation.status.ended, coach_status.state_of(simulation)
        if not (ended or state != self._state or now - self._told_at >= _EVERY_S):
            return
        self._state, self._told_at, self._over = state, now, ended
        told = simulation.as_map()
        if self._loading:
            for progress in coach_status.progress(told):
                yield _text(STATUS, progress)
            if simulation.status.built or ended:
                self._loading = False
                yield _text(STATUS, coach_status.loaded())
        yield _text(STATUS, coach_status.status(told))

    def _errors(self, thread: _Thread) -> Iterator[News]:
        for message in self._messages(thread):
            if message.severity == "error":
                yield ERRORS, coach_status.error(message)
        problem = self.simulation.status.problem
        if problem is not None and self.simulation.status.ended and not self._blamed:
            self._blamed = True
            yield ERRORS, coach_status.failure(problem)

    def _messages(self, thread: _Thread) -> Iterator[Told]:
        for frame in self.simulation.history.after(_LOG, thread.order):
            thread.order = frame.order
            if isinstance(message := _decoded(frame), Told):
                yield message

    # --- all others ----------------------------------------------------------------------------------

    def _of(self, name: str, thread: _Thread, now: float) -> Iterator[News]:
        if name == LOGS:
            for message in self._messages(thread):
                line = coach_status.log_line(message)
                yield LOGS, {"data": line["message"]} if thread.wish.type == _TEXT else line
        elif name == CLOCK:
            for frame in self._due(_CLOCK, thread, now):
                yield CLOCK, {"clock": ros_topics.stamp(frame.place.t_ns)}
        else:
            self._learn_topics()
            if (topic := ros_topics.named(self._topics, name)) is not None:
                yield from self._of_body(name, topic, thread, now)

    def _of_body(self, name: str, topic: RosTopic, thread: _Thread, now: float) -> Iterator[News]:
        first, *others = topic.streams
        for frame in self._due(first, thread, now):
            arrays = {first: _arrays(frame)}
            for stream in others:
                if (newest := self.simulation.history.newest(stream)) is not None:
                    arrays[stream] = _arrays(newest)
            self._number += 1
            yield name, ros_topics.message(topic, arrays, frame.place.t_ns, self._number)

    def _due(self, stream: str, thread: _Thread, now: float) -> list[BusFrame]:
        """Frames to be told of now: with a wish for a pause between them the newest one only."""
        frames = self.simulation.history.after(stream, thread.order)
        pause_s = thread.wish.throttle_rate / 1000
        if not frames or now < thread.due_at:
            return []
        thread.order = frames[-1].order
        if pause_s:
            thread.due_at = now + pause_s
            return frames[-1:]
        return frames[-thread.wish.queue_length :]

    def _learn_topics(self) -> None:
        if self._ports_version != self.simulation.brain_edits:
            self._ports_version = self.simulation.brain_edits
            start = self.simulation.start
            further = start.settings.get("transfer", {}).get("topics", {}) if start else {}
            self._topics = ros_topics.given_by(self.simulation.ports, further.values())

    def _follow_run(self) -> None:
        """After a full reset another run counts from the beginning."""
        if self._run != self.simulation.status.run:
            self._run = self.simulation.status.run
            self._told_at = -_EVERY_S


def _fresh(simulation: Simulation) -> bool:
    """Whether it has ended so lately that a client may still be on its way here."""
    if simulation.occupies or simulation.status.ended_at is None:
        return True
    return (datetime.now(UTC) - datetime.fromisoformat(simulation.status.ended_at)).total_seconds() < _FRESH_S


def _text(topic: str, message: Any) -> News:
    return topic, {"data": jsontext.dumps(message)}


def _decoded(frame: BusFrame) -> Any:
    try:
        return frame.frame
    except ReafferenceError:
        return None


def _arrays(frame: BusFrame) -> dict[str, Array]:
    stream = _decoded(frame)
    return dict(stream.arrays) if isinstance(stream, Stream) else {}
