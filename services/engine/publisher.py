"""The engine's own streams: signed, numbered, copied to monitors and recorder."""

from collections import deque
from collections.abc import Mapping

from reafference.frames import Frame, Packed
from reafference.sockets import BusOut, Sender, TapOut
from reafference.topics import Topic

# What somebody who comes late has to know, and how many of them are kept for that.
_KEPT: Mapping[tuple[str, str], int] = {
    ("run", "start"): 1,
    ("run", "ports"): 1,
    ("engine", "functions"): 1,
    ("engine", "edits"): 500,
    ("engine", "log"): 500,
}


class Publisher:
    """Numbers what is published per topic; `seqs` has the last number of each (`engine/clock`)."""

    def __init__(self, sender: Sender, bus: BusOut, tap: TapOut | None) -> None:
        self._sender, self._bus, self._tap = sender, bus, tap
        self.seqs: dict[str, int] = {}
        self._topics: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._kept: dict[tuple[str, str], deque[Packed]] = {}

    def begin(self) -> None:
        """Count from 0 again, for the run that the sender signs for now."""
        self.seqs, self._topics, self._kept = {}, {}, {}

    def sign(self, stream: str, frame: Frame, service: str = "engine") -> Packed:
        """Encode `frame` as the next one of its stream."""
        known = self._topics.get((service, stream))
        if known is None:
            topic = Topic(self._sender.run, service, stream)
            known = self._topics[service, stream] = (topic.name, topic.wire())
        name, wire = known
        seq = self.seqs[name] = self.seqs.get(name, -1) + 1
        return self._sender.sign(frame, seq, wire)

    def copy(self, packed: Packed) -> None:
        """Send a signed frame to recorder and monitors; raises TapFull."""
        if self._tap:
            self._tap.send(packed)
        self._bus.send(packed)

    def publish(self, stream: str, frame: Frame, service: str = "engine") -> None:
        packed = self.sign(stream, frame, service)
        self.copy(packed)
        key = (service, stream)
        if key in _KEPT:
            self._kept.setdefault(key, deque(maxlen=_KEPT[key])).append(packed)

    def told(self) -> list[Packed]:
        """What was published of this run that somebody who comes late has to know, the first document first."""
        return [packed for key in _KEPT for packed in self._kept.get(key, ())]
