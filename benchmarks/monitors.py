"""What a hundred listeners cost a run: step times with and without them, and the memory of the server.

    python benchmarks/monitors.py [--monitors 100] [--stuck 10] [--seconds 10] [--rounds 4]

One run goes on all the time. Spells without and with listeners follow each other, so that what else happens on the
machine happens to both. Of the listeners some never read. They live in a process of their own, at the lowest priority.
The exit status is 1 if the run was slower than --most allows, or the server has grown by more than --grow MB.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_now

from reafference import codec
from reafference.frames import Stream

TOPICS: list[dict[str, Any]] = [
    *({"topic": topic} for topic in ("run/start", "run/ports", "run/stop", "engine/state", "engine/log")),
    *({"topic": topic} for topic in ("engine/edits", "engine/functions", "engine/profile", "brain/sinks")),
    {"topic": "body/links", "hz": 30},
    {"topic": "body/muscle_points", "hz": 30},
    {"topic": "body/muscles", "hz": 30},
    {"topic": "body/joints"},
    {"topic": "brain/raster", "most_per_s": 20_000},
]
SUBSCRIBE = json.dumps({"do": "subscribe", "streams": TOPICS})
PROFILE = json.dumps({"do": "subscribe", "streams": [{"topic": "engine/profile"}]})


def main() -> int:
    """Measure; 1 if the run or the server suffered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--monitors", type=int, default=100, help="listeners that read")
    parser.add_argument("--stuck", type=int, default=10, help="of them, how many never read")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a spell")
    parser.add_argument("--rounds", type=int, default=4, help="pairs of spells")
    parser.add_argument("--area", type=float, default=0.02, help="mm2 of motor cortex")
    parser.add_argument("--most", type=float, default=1.05, help="the highest ratio of step times")
    parser.add_argument("--grow", type=float, default=100.0, help="MB by which the server may grow")
    parser.add_argument("--listen", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.listen:
        os.nice(19)
        asyncio.run(_listen(given.listen, given.monitors, min(given.stuck, given.monitors)))
        return 0
    with tempfile.TemporaryDirectory() as home, _server(Path(home)) as (url, pid):
        return _measure(given, url, pid)


def _measure(given: argparse.Namespace, url: str, pid: int) -> int:
    with httpx.Client(base_url=f"{url}api/", timeout=60) as http, _run(http, given.area) as sid:
        steps = _Steps(f"{url.replace('http', 'ws', 1)}api/simulations/{sid}/stream")
        time.sleep(2)
        alone: list[list[float]] = []
        watched: list[list[float]] = []
        memory = [_rss_mb(pid)]
        cores: list[float] = []
        for number in range(given.rounds):
            alone.append(steps.during(given.seconds))
            with _listeners(f"{url.replace('http', 'ws', 1)}api/simulations/{sid}/stream", given) as count:
                busy, began = _cpu_s(pid), time.monotonic()
                watched.append(steps.during(given.seconds))
                cores.append((_cpu_s(pid) - busy) / (time.monotonic() - began))
                memory.append(_rss_mb(pid))
                seen = http.get(f"simulations/{sid}").json()["watchers"]
            _tell(number, alone[-1], watched[-1], memory[-1], cores[-1], count, seen)
        steps.close()
    pairs = list(zip(alone, watched, strict=True))
    ratios = [statistics.median(with_) / statistics.median(without) for without, with_ in pairs]
    ratio = statistics.median(itertools.chain(*watched)) / statistics.median(itertools.chain(*alone))
    grown = memory[-1] - memory[1]
    print(
        f"step time with {given.monitors} listeners ({given.stuck} never read) over that without: "
        f"{ratio:.3f} (pairs: {', '.join(f'{one:.3f}' for one in ratios)})"
    )
    print(f"memory of the server: {memory[0]:.0f} MB at first, then {', '.join(f'{one:.0f}' for one in memory[1:])} MB")
    print(f"the server took {statistics.mean(cores):.2f} cores")
    good = ratio <= given.most and grown <= given.grow
    print("good" if good else f"NOT GOOD: at most {given.most} and {given.grow:g} MB were allowed")
    return 0 if good else 1


def _tell(
    number: int, alone: list[float], watched: list[float], mb: float, cores: float, count: int, seen: int
) -> None:
    print(
        f"round {number + 1}: {statistics.median(alone):.2f} ms alone ({len(alone)} steps), "
        f"{statistics.median(watched):.2f} ms watched ({len(watched)} steps) by {seen} ({count} wanted); "
        f"server {mb:.0f} MB, {cores:.2f} cores",
        flush=True,
    )


class _Steps:
    """Reads the time of every step from the profile, with one listener that is always there."""

    def __init__(self, url: str) -> None:
        self._stack = contextlib.ExitStack()
        self._socket = self._stack.enter_context(connect_now(url, compression=None, max_size=None))
        self._socket.send(PROFILE)
        self._times: list[float] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(Exception):
            for message in self._socket:
                if isinstance(message, bytes):
                    number, frames = codec.open_batch(message)
                    self._socket.send(json.dumps({"do": "drawn", "batch": number}))
                    for parts in frames:
                        frame = codec.decode(parts).frame
                        if isinstance(frame, Stream):
                            self._times.append(float(frame.arrays["parts"][0]) / 1e6)

    def during(self, seconds: float) -> list[float]:
        """The times of the steps of this spell, in ms."""
        time.sleep(0.5)
        first = len(self._times)
        time.sleep(seconds)
        return self._times[first:]

    def close(self) -> None:
        self._stack.close()


async def _listen(url: str, monitors: int, stuck: int) -> None:
    """So many listeners, until standard input ends."""
    ready = asyncio.Semaphore(0)

    async def reading(number: int) -> None:
        async with connect(url, compression=None, max_size=None) as socket:
            await socket.send(SUBSCRIBE)
            ready.release()
            if number < stuck:
                await asyncio.sleep(1e6)
            async for message in socket:
                if isinstance(message, bytes):
                    # The number of a batch is its second item, and small.
                    await socket.send(json.dumps({"do": "drawn", "batch": codec.open_batch(message)[0]}))

    tasks = [asyncio.create_task(reading(number)) for number in range(monitors)]
    for _ in tasks:
        await asyncio.wait_for(ready.acquire(), 60)
    print("listening", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _listeners(url: str, given: argparse.Namespace) -> Iterator[int]:
    command = [sys.executable, __file__, "--listen", url, f"--monitors={given.monitors}", f"--stuck={given.stuck}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "the listeners could not connect"
        yield given.monitors
    finally:
        process.kill()
        process.wait()
        time.sleep(1)


@contextlib.contextmanager
def _server(home: Path) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "services.gateway", "--serve", "--home", str(home), "--port", "0", "--no-tokens"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process.pid
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def _run(http: httpx.Client, area_mm2: float) -> Iterator[str]:
    """A run of a small motor cortex with its arm, as fast as it can go."""
    experiment = http.post("experiments", json={"source": "mouse_reach"}).json()["id"]
    wish = {
        "experiment": experiment,
        "set": {"area_mm2": area_mm2},
        "steps": 10_000_000,
        "start": True,
        "record": False,
    }
    sid = http.post("simulations", json=wish).json()["id"]
    deadline = time.monotonic() + 300
    while (now := http.get(f"simulations/{sid}").json())["state"] != "started":
        if now["problem"] or time.monotonic() > deadline:
            raise SystemExit(f"the run did not begin: {now['text']}")
        time.sleep(0.2)
    try:
        yield sid
    finally:
        http.put(f"simulations/{sid}/state", json={"state": "stopped"})


def _rss_mb(pid: int) -> float:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
