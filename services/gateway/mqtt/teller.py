"""What the broker is told of all simulations: their frames, where they stand, and what it has missed. Knows no broker.

Messages of one handful travel together; what was on its way when the connection broke is sent again.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog

from reafference import jsontext

from ..history import BusFrame
from ..simulation import Simulation
from ..simulations import Simulations
from .feed import RETAINED, Feed, Item
from .orders import Orders
from .payload import as_json
from .settings import MqttSettings

SIMULATION = "simulation"
"""Below each simulation: where it stands, as the REST tells of it."""
ONLINE, OFFLINE = b"online", b"offline"

_STATUS_EVERY_S = 0.5
_TRAFFIC_EVERY_S = 2.0
_QUICK_BYTES = 16 * 1024


class Publish(Protocol):
    """Sends a message with this quality of service; returns when the broker has it, or raises."""

    async def __call__(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None: ...


@dataclass(slots=True)
class _Followed:
    """One simulation: what is still to be told of it, and of which version its summary was."""

    feed: Feed
    version: int = -1
    told_at: float = 0.0


class Teller:
    """Goes through all simulations, again and again."""

    def __init__(self, settings: MqttSettings, simulations: Simulations, orders: Orders) -> None:
        self._settings, self._simulations, self._orders = settings, simulations, orders
        self._followed: dict[Simulation, _Followed] = {}
        self._strange: set[str] = set()
        self._connections = 0
        self._traffic, self._traffic_at = "", 0.0
        self._loop = asyncio.get_running_loop()
        self._log = structlog.get_logger()

    def begin(self, outage_s: float) -> None:
        """There is a broker (again), after so many seconds without one. It may have forgotten everything."""
        self._connections += 1
        self._traffic = ""
        for followed in self._followed.values():
            followed.feed.begin(outage_s)
            followed.version = -1

    def topic(self, *levels: str) -> str:
        """A topic of ours, below the prefix."""
        return "/".join((self._settings.prefix, *levels))

    def look_at(self, sid: str) -> None:
        """The broker knows of a simulation; if we do not, it shall forget it."""
        if not self._has(sid):
            self._strange.add(sid)

    async def tell(self, publish: Publish, *, everything: bool = False) -> bool:
        """Send what is due, or all there is; whether there is more at once. Raises what `publish` raises."""
        self._follow()
        await self._forget(publish)
        more = False
        for simulation, followed in list(self._followed.items()):
            items = followed.feed.due(self._loop.time())
            more = more or followed.feed.more
            await self._send(publish, simulation, followed.feed, items)
            await self._send_summary(publish, simulation, followed, at_once=everything)
        await self._send_traffic(publish, at_once=everything)
        return more

    def _has(self, sid: str) -> bool:
        return any(simulation.id == sid for simulation in self._simulations.all())

    def _follow(self) -> None:
        """Take up simulations that are new, and let go of those that were deleted."""
        for simulation in self._simulations.all():
            if simulation not in self._followed:
                self._followed[simulation] = _Followed(Feed(simulation.history, self._settings))
        for simulation in [one for one in self._followed if one.gone]:
            del self._followed[simulation]
            self._strange.add(simulation.id)

    async def _forget(self, publish: Publish) -> None:
        """Let the broker forget simulations that were deleted, or belonged to a server before us."""
        for sid in list(self._strange):
            for name in () if self._has(sid) else (*RETAINED, SIMULATION):
                await publish(self.topic(sid, name), b"", retain=True)
            self._strange.discard(sid)

    async def _send(self, publish: Publish, simulation: Simulation, feed: Feed, items: list[Item]) -> None:
        payloads = {}
        for item in items:
            payload = await self._payload(item.frame)
            if payload is not None:
                payloads[item] = payload
            elif item.frame is not None:
                feed.dropped(item.frame, self._loop.time())
        arrived: set[Item] = set()

        async def send(item: Item, payload: bytes) -> None:
            topic = self.topic(simulation.id, item.name)
            await publish(topic, payload, retain=item.retained, qos=int(item.certain))
            arrived.add(item)

        try:
            await asyncio.gather(*(send(item, payload) for item, payload in payloads.items()))
        finally:
            self._note(feed, list(payloads), arrived)

    def _note(self, feed: Feed, items: list[Item], arrived: set[Item]) -> None:
        """Of each topic the broker has what arrived before the first message that did not."""
        broken: set[str] = set()
        for item in items:
            if item.name in broken:
                continue
            if item in arrived:
                feed.sent(item, self._loop.time())
            else:
                broken.add(item.name)
                feed.failed(item, self._loop.time())

    async def _payload(self, frame: BusFrame | None) -> bytes | None:
        """What is sent of a frame; None if that cannot be sent."""
        if frame is None:
            return b""
        try:
            if self._settings.format == "frame":
                payload = frame.bound
            elif frame.size <= _QUICK_BYTES:
                payload = as_json(frame, self._settings.most_values)
            else:
                payload = await asyncio.to_thread(as_json, frame, self._settings.most_values)
        except Exception as error:
            self._log.error("frame not sent", topic=frame.name, seq=frame.place.seq, exc_info=error)
            return None
        return payload if len(payload) <= self._settings.most_bytes else None

    async def _send_summary(
        self, publish: Publish, simulation: Simulation, followed: _Followed, *, at_once: bool
    ) -> None:
        now, version = self._loop.time(), simulation.version
        if followed.version == version or (now - followed.told_at < _STATUS_EVERY_S and not at_once):
            return
        text = jsontext.dumps(simulation.as_map())
        await publish(self.topic(simulation.id, SIMULATION), text.encode(), retain=True)
        followed.version, followed.told_at = version, now

    async def _send_traffic(self, publish: Publish, *, at_once: bool) -> None:
        """How often there was a connection, what was refused, and what the broker has missed."""
        now = self._loop.time()
        if now - self._traffic_at < _TRAFFIC_EVERY_S and not at_once:
            return
        self._traffic_at = now
        missed = {
            f"{simulation.id}/{name}": count
            for simulation, followed in self._followed.items()
            for name, count in followed.feed.missed.items()
        }
        told = {"connections": self._connections, "refused_orders": self._orders.refused, "missed": missed}
        text = jsontext.dumps(told)
        if text != self._traffic:
            await publish(self.topic("bridge"), text.encode(), retain=True)
            self._traffic = text
