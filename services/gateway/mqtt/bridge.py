"""The bus on MQTT: what the simulations of this server put out goes to a broker, allowed orders come back.

The broker may be slow, full or gone: nobody waits for it. What it has not taken is in the history of the simulations
for a while; then it is gone, and counted. MQTT.md has the topics.
"""

import asyncio
import contextlib
import random
import secrets
import socket
import ssl
from collections.abc import Coroutine
from typing import Any, Self

import structlog
from aiomqtt import Client, Message, MqttCodeError, MqttError, ProtocolVersion, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from reafference import jsontext

from ..people import People
from ..simulations import Simulations
from .orders import Arrived, Orders
from .settings import Broker, MqttSettings
from .teller import OFFLINE, ONLINE, SIMULATION, Teller

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_TICK_S = 0.05
_KEEPALIVE_S = 15
_ANSWER_S = 10.0
_CLOSE_S = 5.0
_LETTING_GO_S = 1.0
_MOST_ORDERS_WAITING = 100
_MOST_ARRIVING_BYTES = 1024 * 1024
_AT_LEAST_ONCE = 1
_UNSUPPORTED_VERSION, _FAILURES = 132, 128


class Refused(Exception):
    """The broker does not let us do what we need to do."""


class PromptClient(Client):
    """A client that lets go at once of a broker which does not answer, or when something goes wrong: then the broker
    shall tell of it with our last will. aiomqtt's own says goodbye in any case, and waits for the answer."""

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except BaseException:
            self._client.disconnect()
            raise

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> None:
        door: Any = self._client.socket()
        if kind is not None and door is not None:
            with contextlib.suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)
            done, _ = await asyncio.wait({self._disconnected}, timeout=_LETTING_GO_S)
            for one in done:
                one.exception()  # it is no news
        await super().__aexit__(kind, error, trace)


class Bridge:
    """Keeps a connection to the broker, and makes it anew whenever it is lost."""

    def __init__(self, settings: MqttSettings, broker: Broker, simulations: Simulations, people: People) -> None:
        self._settings, self._broker = settings, broker
        self._orders = Orders(simulations, people, settings.orders)
        self._teller = Teller(settings, simulations, self._orders)
        self._identifier = f"{settings.prefix.replace('/', '-')}-{secrets.token_hex(4)}"
        self._version = ProtocolVersion.V311 if settings.version == "3.1.1" else ProtocolVersion.V5
        self._client: Client | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._misjudged = False
        self._wait_s = _FIRST_WAIT_S
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._alive_at = self._loop.time()
        self._log = structlog.get_logger().bind(broker=f"{broker.host}:{broker.port}")

    def open(self) -> None:
        """Begin; what goes wrong from now on is logged, and tried again."""
        if not self._broker.tls and not self._broker.near:
            self._log.warning("what we say to the broker travels in plain text, tokens too: better use mqtts://")
        self._task = asyncio.create_task(self._keep_connected())

    async def close(self) -> None:
        """Tell the broker what is left and that we go; returns after some seconds at the latest."""
        self._closing.set()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, _CLOSE_S)

    # --- the connection ------------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        while not self._closing.is_set():
            try:
                async with self._made() as client:
                    await self._converse(client)
            except (MqttError, OSError, Refused) as error:
                if self._is_too_new(error):
                    self._version = ProtocolVersion.V311
                    continue
                self._log.warning("no broker", text=str(error), again_within_s=self._wait_s)
            except Exception as error:
                self._log.error("broker lost", exc_info=error)
            await self._pause(self._wait_s * random.uniform(0.5, 1.0))
            self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    def _made(self) -> Client:
        """A client that is not connected yet. Its session is new each time: no order waits for us at the broker."""
        broker, properties = self._broker, None
        if self._version is ProtocolVersion.V5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = _MOST_ARRIVING_BYTES
        client = PromptClient(
            broker.host,
            broker.port,
            username=broker.user,
            password=broker.password,
            identifier=self._identifier,
            protocol=self._version,
            properties=properties,
            will=Will(self._teller.topic("status"), OFFLINE, _AT_LEAST_ONCE, retain=True),
            keepalive=_KEEPALIVE_S,
            timeout=_ANSWER_S,
            max_queued_incoming_messages=_MOST_ORDERS_WAITING,
            tls_context=ssl.create_default_context(cafile=broker.ca_file or None) if broker.tls else None,
        )
        client.pending_calls_threshold = 1000  # many at once are meant
        return client

    async def _converse(self, client: Client) -> None:
        """One connection, until it is lost or we close. Raises MqttError, Refused."""
        outage_s = self._loop.time() - self._alive_at
        for levels in (("status",), ("+", SIMULATION), ("+", "order")):
            await self._subscribe(client, self._teller.topic(*levels))
        await self._publish(client, self._teller.topic("status"), ONLINE, retain=True)
        self._teller.begin(outage_s)
        self._wait_s = _FIRST_WAIT_S
        self._log.info("broker found", version="5" if self._version is ProtocolVersion.V5 else "3.1.1")
        self._client = client
        try:
            await _either(self._listen(client), self._tell(client))
        finally:
            self._client = None

    async def _subscribe(self, client: Client, topic: str) -> None:
        if self._version is ProtocolVersion.V5:
            # Whether the broker was asked to keep an order is told with each one.
            options = SubscribeOptions(qos=_AT_LEAST_ONCE, retainAsPublished=True)
            codes = await client.subscribe(topic, options=options)
        else:
            codes = await client.subscribe(topic, qos=_AT_LEAST_ONCE)
        if any(_number(code) >= _FAILURES for code in codes):
            raise Refused(f"the broker does not let us subscribe to {topic}: check the rights of our user there")

    def _is_too_new(self, error: Exception) -> bool:
        """Whether the broker knows the older version only, and we may use that."""
        refused = isinstance(error, MqttCodeError) and _number(error.rc) == _UNSUPPORTED_VERSION
        return refused and not self._settings.version and self._version is ProtocolVersion.V5

    async def _publish(self, client: Client, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        await client.publish(topic, payload, qos=qos, retain=retain)
        self._alive_at = self._loop.time()

    # --- telling and listening -----------------------------------------------------------------------

    async def _tell(self, client: Client) -> None:
        async def publish(topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
            await self._publish(client, topic, payload, retain=retain, qos=qos)

        status = self._teller.topic("status")
        while True:
            closing = self._closing.is_set()
            more = await self._teller.tell(publish, everything=closing)
            if closing and not more:
                await publish(status, OFFLINE, retain=True)
                return
            if self._misjudged:
                # The last will of an earlier connection came after our greeting.
                self._misjudged = False
                await publish(status, ONLINE, retain=True)
            if not more:
                await self._pause(_TICK_S)

    async def _listen(self, client: Client) -> None:
        async for message in client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else str(message.payload or "").encode()
            sid, _, what = message.topic.value.removeprefix(f"{self._settings.prefix}/").partition("/")
            if sid == "status":
                self._misjudged = payload != ONLINE
            elif what == SIMULATION and payload:
                self._teller.look_at(sid)
            elif what == "order" and payload:
                self._take_order(sid, payload, message)

    def _take_order(self, sid: str, payload: bytes, message: Message) -> None:
        if len(self._carrying) >= _MOST_ORDERS_WAITING:
            self._log.warning("order refused", simulation=sid, code="busy", text="too many orders at once")
            return
        arrived = Arrived(
            sid=sid, payload=payload, authorization=_authorization(message), retained=bool(message.retain)
        )
        task = asyncio.create_task(self._carry_out(arrived, message))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry_out(self, arrived: Arrived, message: Message) -> None:
        answer = await self._orders.take(arrived)
        if answer is None or self._client is None:
            return
        asked: str = getattr(message.properties, "ResponseTopic", "")
        correlation: bytes | None = getattr(message.properties, "CorrelationData", None)
        topic = self._teller.topic(arrived.sid, "order", "answer")
        # Strangers, and those who would have us speak in our own name, are not answered where they want.
        if asked and answer.get("code") != "unauthorized" and not asked.startswith(("$", self._teller.topic(""))):
            topic = asked
        properties = None
        if correlation is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = correlation
        with contextlib.suppress(MqttError, ValueError):
            text = jsontext.dumps(answer)
            await self._client.publish(topic, text, qos=_AT_LEAST_ONCE, properties=properties)


async def _either(first: Coroutine[Any, Any, None], second: Coroutine[Any, Any, None]) -> None:
    """Do both until one of them ends; raises its error."""
    tasks = {asyncio.create_task(first), asyncio.create_task(second)}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _authorization(message: Message) -> str:
    """The user property `authorization` of a message, which only version 5 has."""
    for name, value in getattr(message.properties, "UserProperty", ()):
        if name.lower() == "authorization":
            return str(value)
    return ""


def _number(code: Any) -> int:
    """A reason code, which version 5 gives as an object, as its number."""
    return int(getattr(code, "value", code) or 0)
