"""Steps of a recording that come late: what was ordered while they were awaited goes first."""

import asyncio
import contextlib

import pytest

from services.gateway.playback import Playback
from services.gateway.played import Played
from services.gateway.status import Status

from .frames import tip

STEP_NS = 20_000_000
PATIENCE_S = 20.0


class Frames:
    """A recording whose step `late` is given out only when `give` is set, and nothing after `last`."""

    def __init__(self, late, last=10**6):
        self.kept = []
        self._late, self._last, self._seq = late, last, 0
        self.asked, self.give = asyncio.Event(), asyncio.Event()

    def seek(self, since_ns):
        self._seq = since_ns // STEP_NS

    async def step(self):
        seq, self._seq = self._seq, self._seq + 1
        if seq == self._late:
            self.asked.set()
            await self.give.wait()
        return [tip(seq)] if seq <= self._last else None


@contextlib.asynccontextmanager
async def going_on(life):
    task = asyncio.create_task(life)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def a_while():
    """Long enough for whatever is due at once, and for the next step to be overdue."""
    await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def playing(frames):
    """A playback that waits for its late step, which is overdue by now."""
    playback = Playback(frames)
    playback.to_ns, playback._step_ns = 10**12, STEP_NS
    playback._goal = None
    async with going_on(playback.run()):
        playback.play(1.0)
        await frames.asked.wait()
        await a_while()
        yield playback


@contextlib.asynccontextmanager
async def played(frames, folder):
    """The same in a place of the server."""
    words = dict.fromkeys(("title", "owner", "name"), "")
    one = Played(id="s1", experiment="e", folder=folder, recordings=folder, status=Status(), **words)
    one._dt_ns = STEP_NS
    async with going_on(one._play(frames)) as life:
        await asyncio.sleep(0)
        await one.order("start", "started", "")
        await frames.asked.wait()
        await a_while()
        yield one, life


def test_a_pause_holds_a_playback_whose_next_step_is_late():
    async def run():
        frames = Frames(late=2)
        async with playing(frames) as playback:
            playback.pause()
            held = playback.t_ns
            frames.give.set()
            await a_while()
            assert (playback.t_ns, playback.playing) == (held, False)
            playback.play(1.0)
            while playback.t_ns == held:
                await asyncio.sleep(0.01)
            seen = [frame.place.seq for frame in playback.history.after("body/tip", 0)]
            assert seen == list(range(len(seen)))  # the late one is not lost

    asyncio.run(run())


def test_a_playback_that_is_at_its_end_still_goes_where_it_was_told():
    async def run():
        frames = Frames(late=3, last=2)
        async with playing(frames) as playback:
            playback.seek(0.02)
            frames.give.set()
            while playback._goal is not None:
                playback.taken()
                await asyncio.sleep(0.01)
            while playback.t_ns < 3 * STEP_NS:  # it plays on from there
                await asyncio.sleep(0.01)

    asyncio.run(run())


@pytest.mark.parametrize("last", [10**6, 1], ids=["a step", "the end"])
def test_a_pause_holds_what_is_played_in_a_place(tmp_path, last):
    async def run():
        frames = Frames(late=2, last=last)
        async with played(frames, tmp_path) as (one, life):
            await one.order("pause", "paused", "")
            held = one._t_ns
            await a_while()
            frames.give.set()
            await a_while()
            assert (one.status.state, one._t_ns) == ("paused", held)
            assert not life.done()

    asyncio.run(run())


def test_a_reset_at_the_end_of_what_is_played_in_a_place_begins_it_anew(tmp_path):
    async def run():
        frames = Frames(late=2, last=1)
        async with played(frames, tmp_path) as (one, life):
            resetting = asyncio.create_task(one.reset("full", ""))
            await asyncio.sleep(0)
            frames.give.set()
            await resetting
            assert one._t_ns == 0
            assert not life.done()

    asyncio.run(run())
