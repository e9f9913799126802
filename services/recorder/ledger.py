"""Which frames have come, which steps are complete. Pure bookkeeping: no socket, no file.

Frames of different senders have no common order, so a commit mark may come before the frames it speaks of. A step
is complete when every sequence number its mark lists has arrived.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from reafference.errors import SequenceGap
from reafference.frames import Packed


@dataclass(frozen=True, slots=True)
class Entry:
    """One frame of the tap. `topic` is without the run (`brain/sinks`)."""

    topic: str
    seq: int
    t_ns: int
    sent_ns: int
    packed: Packed


@dataclass(frozen=True, slots=True)
class Complete:
    """A step of which everything is there; its frames by topic and number, the mark last."""

    step: int
    entries: tuple[Entry, ...]


class Ledger:
    """Takes frames and marks in the order of arrival, gives complete steps in the order of steps."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._waiting: list[Entry] = []
        self._marks: deque[tuple[int, Mapping[str, int], Entry]] = deque()

    def take(self, entry: Entry) -> None:
        """Raises SequenceGap when a number of this topic was left out, or came twice."""
        expected = self._last.get(entry.topic, -1) + 1
        if entry.seq != expected:
            raise SequenceGap(
                f"the recorder got {entry.topic} number {entry.seq} where {expected} was due: the recording has a gap"
            )
        self._last[entry.topic] = entry.seq
        self._waiting.append(entry)

    def mark(self, step: int, seqs: Mapping[str, int], entry: Entry) -> None:
        """The commit mark of `step`, itself a frame of its topic."""
        self.take(entry)
        self._waiting.pop()
        self._marks.append((step, seqs, entry))

    def complete(self) -> list[Complete]:
        """Steps that have become complete since the last call."""
        found = []
        while self._marks and self.has_all(self._marks[0][1]):
            step, seqs, mark = self._marks.popleft()
            own = [entry for entry in self._waiting if entry.seq <= seqs.get(entry.topic, -1)]
            self._waiting = [entry for entry in self._waiting if entry.seq > seqs.get(entry.topic, -1)]
            found.append(Complete(step, (*sorted(own, key=lambda e: (e.topic, e.seq)), mark)))
        return found

    def rest(self) -> tuple[Entry, ...]:
        """What belongs to no complete step: the end of a run, or a step that broke off."""
        left = (*self._waiting, *(mark for _, _, mark in self._marks))
        self._waiting, self._marks = [], deque()
        return tuple(sorted(left, key=lambda e: (e.t_ns, e.topic, e.seq)))

    def has_all(self, seqs: Mapping[str, int]) -> bool:
        """Whether every topic has come as far as its number in `seqs`."""
        return all(self._last.get(topic, -1) >= seq for topic, seq in seqs.items())
