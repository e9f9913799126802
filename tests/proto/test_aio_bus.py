"""reafference.aio.AioBus: the asyncio end of the bus."""

import asyncio
import time

import pytest

from reafference import codec
from reafference.aio import AioBus
from reafference.config import Addresses
from reafference.errors import NoKeys
from reafference.frames import StateNote
from reafference.sockets import BusOut, BusProxy, Sender, Wires

PATIENCE_S = 20.0


@pytest.fixture
def bus(tmp_path):
    """A way to publish a note of a number, and the address to listen at."""
    addresses = Addresses.in_folder(tmp_path)
    proxy = BusProxy(addresses.bus_in, addresses.bus_out)
    with Wires() as wires:
        source, sender = BusOut(wires, addresses.bus_in), Sender("engine", "7f3a")

        def publish(number):
            note = StateNote(step=number, t_ns=0, state="running")
            source.send(sender.sign(note, number, b"7f3a/engine/state/"))

        yield publish, addresses.bus_out
    proxy.close()


async def connected(listener, publish):
    """The handfuls of a listener that has heard of note -1, which says that everything is connected."""
    handfuls = aiter(listener.handfuls())
    first = asyncio.ensure_future(anext(handfuls))
    deadline = time.monotonic() + PATIENCE_S
    while not first.done():
        assert time.monotonic() < deadline
        publish(-1)
        await asyncio.sleep(0.02)
    return handfuls


def numbers(handful):
    return [number for parts in handful if (number := codec.place(parts).step) >= 0]


def test_frames_come_in_order_and_in_handfuls(bus):
    publish, address = bus

    async def scenario():
        listener = AioBus(address)
        try:
            handfuls = await connected(listener, publish)
            found, hands = [], 0
            for round_ in range(5):
                for number in range(100):
                    publish(100 * round_ + number)
                while len(found) < 100 * (round_ + 1):
                    found += numbers(await asyncio.wait_for(anext(handfuls), PATIENCE_S))
                    hands += 1
            assert found == list(range(500))
            assert hands < 100
        finally:
            listener.close()

    asyncio.run(scenario())


def test_a_listener_that_waits_leaves_the_loop_in_peace(bus):
    publish, address = bus

    async def scenario():
        listener = AioBus(address)
        try:
            handfuls = await connected(listener, publish)
            waiting = asyncio.ensure_future(anext(handfuls))
            await asyncio.sleep(0.3)
            busy = time.process_time()
            for number in range(20):
                publish(number)
                await asyncio.sleep(0.05)
                if waiting.done():
                    waiting = asyncio.ensure_future(anext(handfuls))
            assert time.process_time() - busy < 0.3
            waiting.cancel()
        finally:
            listener.close()

    asyncio.run(scenario())


def test_it_keeps_to_this_machine():
    with pytest.raises(NoKeys):
        AioBus("tcp://192.0.2.1:5555")
