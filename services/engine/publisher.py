"""The engine's own streams: signed, numbered, copied to monitors and recorder."""

from reafference.frames import Frame, Packed
from reafference.sockets import BusOut, Sender, TapOut
from reafference.topics import Topic


class Publisher:
    """Numbers what is published per topic; `seqs` has the last number of each (`engine/clock`)."""

    def __init__(self, sender: Sender, bus: BusOut, tap: TapOut | None) -> None:
        self._sender, self._bus, self._tap = sender, bus, tap
        self.seqs: dict[str, int] = {}
        self._topics: dict[tuple[str, str], tuple[str, bytes]] = {}

    def begin(self) -> None:
        """Count from 0 again, for the run that the sender signs for now."""
        self.seqs, self._topics = {}, {}

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
        self.copy(self.sign(stream, frame, service))
