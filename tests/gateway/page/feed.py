"""A stream as API.md describes it, at any rate of spikes: the bench on which the page's frames per second are measured.

The body moves as in a recording, over and over; the spikes are drawn from a random generator, because no brain that
fits on two busy cores fires 20,000 times a second while a browser draws it on the same two.

    python -m tests.gateway.page.feed RECORDING [--spikes-per-s 20000] [--port 0]
"""

import argparse
import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

from reafference import codec
from reafference.frames import Clock, Frame, FunctionsNote, Message, RunStart, Stream
from services.gateway.pages import Web, router_of
from services.recorder.reader import Run

RUN = "feed"
CREDIT = 4
BATCH_S = 1 / 30


@dataclass(slots=True)
class Recorded:
    """What a recording says: its first document, and for each step the arrays of each topic."""

    start: RunStart
    steps: list[dict[str, Mapping[str, Any]]]

    @classmethod
    def of(cls, folder: Path) -> "Recorded":
        run = Run(folder)
        steps: dict[int, dict[str, Mapping[str, Any]]] = {}
        for sample in run.samples():
            if not sample.topic.startswith("brain/spikes"):
                steps.setdefault(sample.step, {})[sample.topic] = sample.arrays
        return cls(run.start, [steps[step] for step in sorted(steps) if "body/links" in steps[step]])


@dataclass(slots=True)
class Spikes:
    """Random spikes of the recorded cells of a run: some populations fire more than others, all of them in waves."""

    per_s: float
    sizes: np.ndarray
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    @classmethod
    def of(cls, start: RunStart, per_s: float) -> "Spikes":
        recorders = start.ports["brain"].facts["recorders"]
        sizes = [
            sum(last - first + 1 for first, last in ranges)
            for name in sorted(recorders)
            for ranges in recorders[name].values()
        ]
        return cls(per_s, np.array(sizes))

    def between(self, t0_ns: int, t1_ns: int, step: int) -> Stream:
        """The frame `brain/raster` of this time."""
        label = np.arange(len(self.sizes))
        weight = self.sizes * (0.3 + np.abs(np.sin(label * 2.4)))
        wave = 1 + 0.6 * np.sin(2 * np.pi * t1_ns / 1e9 / 2.1 + label * 0.15)
        mean = self.per_s * (t1_ns - t0_ns) / 1e9 * weight / weight.sum() * wave
        counts = self.rng.poisson(mean)
        firsts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        cells = np.repeat(firsts, counts) + (self.rng.random(counts.sum()) * np.repeat(self.sizes, counts)).astype(int)
        dt_us = self.rng.integers(0, max(1, (t1_ns - t0_ns) // 1000), counts.sum())
        arrays = {
            "cell": cells.astype("<u4"),
            "dt_us": dt_us.astype("<u4"),
            "counts": counts.astype("<u4"),
            "t0_ns": np.array(t0_ns, "<i8"),
            "t1_ns": np.array(t1_ns, "<i8"),
            "shown": np.array(1.0, "<f8"),
        }
        return Stream(step=step, t_ns=t1_ns, arrays=arrays)


@dataclass
class Feed:
    """The one simulation that there is, and the frames of its steps."""

    recorded: Recorded
    spikes: Spikes
    step: int = 0
    state: str = "started"
    begun: float = field(default_factory=time.monotonic)
    watchers: int = 0
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    seqs: dict[str, int] = field(default_factory=dict)
    batches_sent: int = 0

    @property
    def dt_ns(self) -> int:
        return self.recorded.start.dt_ns

    def kept(self) -> list[tuple[str, Frame]]:
        """Frames that everybody gets, whenever they come."""
        functions = ("motor_drive", "muscle_base", "drive_on_off")
        rows = tuple(
            {
                "name": name,
                "source": f"def {name}(voltage_mV: float) -> float:\n    return min(max(voltage_mV, 0.0), 1.0)\n",
                "line": 1,
                "active": True,
                "priority": 0,
                "direction": "brain to body",
                "reads": [],
                "writes": [],
                "problem": None,
            }
            for name in functions
        )
        start = replace(self.recorded.start, run=RUN)
        log = Message(severity="warning", source="brain", type="runtime", text="this is a bench, no brain", step=0)
        return [
            ("run/start", start),
            ("engine/functions", FunctionsNote(step=0, t_ns=0, functions=rows)),
            ("engine/log", log),
        ]

    def frames(self, step: int) -> Iterator[tuple[str, Frame]]:
        """All that the bus would carry for this step but the spikes."""
        t_ns = (step + 1) * self.dt_ns
        recorded = self.recorded.steps
        for topic, arrays in recorded[self._to_and_fro(step)].items():
            if topic != "engine/profile":
                yield topic, Stream(step=step, t_ns=t_ns, arrays=arrays)
        parts = np.array([20.3, 15.2, 16.7, 2.7, 3.1, 0.6, 0.2, 17.1, 0.7, 0.0, 2.1]) * 1e6
        yield "engine/profile", Stream(step=step, t_ns=t_ns, arrays={"parts": parts.astype("<i8")})
        yield "engine/clock", Clock(step=step, t_ns=t_ns, seqs={})

    def _to_and_fro(self, step: int) -> int:
        last = len(self.recorded.steps) - 1
        return last - abs(step % (2 * last) - last) if last else 0

    def parts(self, topic: str, frame: Frame) -> list[bytes]:
        seq = self.seqs.get(topic, -1) + 1
        self.seqs[topic] = seq
        packed = codec.encode(frame, run=RUN, src=topic.split("/")[0], seq=seq, topic=f"{RUN}/{topic}/".encode())
        return [bytes(packed.topic), bytes(packed.header), *(bytes(part) for part in packed.large)]

    def simulation(self) -> dict[str, Any]:
        start, t_s = self.recorded.start, self.step * self.dt_ns / 1e9
        return {
            "id": "s1",
            "experiment": "bench",
            "title": start.title,
            "owner": "you",
            "server": "local",
            "state": self.state,
            "run": RUN,
            "recording": "2026-01-01T00-00-00",
            "created_at": "2026-01-01T00:00:00Z",
            "started_at": "2026-01-01T00:00:00Z",
            "ended_at": None,
            "outcome": "",
            "text": "",
            "problem": None,
            "step": self.step,
            "t_s": t_s,
            "real_s": t_s * 1.1,
            "real_time_factor": 0.98 if self.state == "started" else None,
            "dt_s": self.dt_ns / 1e9,
            "limit": {"kind": "simulated", "s": 600.0, "left_s": 600.0 - t_s},
            "spent_s": {"brain": 13.9, "body": 2.5, "transfer": 0.4, "exchange": 0.7, "wait": 1.1},
            "function_s": {"motor_drive": 0.11},
            "progress": {},
            "facts": {"neurons": int(self.spikes.sizes.sum()), "synapses": 3_940_000, "processes": 2, "threads": 1},
            "recorded_bytes": 17_000_000,
            "watchers": self.watchers,
            "people": ["you"],
        }

    async def run(self) -> None:
        """Make steps in real time."""
        due = time.monotonic()
        while True:
            due = max(due + self.dt_ns / 1e9, time.monotonic() - 0.2)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self.state == "started":
                self.step += 1
                async with self.news:
                    self.news.notify_all()


class Client:
    """One WebSocket: what it wants, what it has drawn, how far it has got."""

    def __init__(self, feed: Feed, socket: WebSocket) -> None:
        self.feed, self.socket = feed, socket
        self.topics: set[str] = set()
        self.sent, self.drawn, self.step = 0, 0, feed.step
        self.told: set[str] = set()

    async def serve(self) -> None:
        await self.socket.send_text(json.dumps({"type": "simulation", "simulation": self.feed.simulation()}))
        await asyncio.gather(self.listen(), self.speak(), self.report())

    async def listen(self) -> None:
        while True:
            wish = json.loads(await self.socket.receive_text())
            if wish["do"] == "subscribe":
                self.topics = {stream["topic"] for stream in wish["streams"]}
                self.told |= set(wish.get("since", {}))
            elif wish["do"] == "drawn":
                self.drawn = wish["batch"]

    async def report(self) -> None:
        state = ""
        while True:
            if self.feed.state != state or state == "started":
                state = self.feed.state
                await self.socket.send_text(json.dumps({"type": "simulation", "simulation": self.feed.simulation()}))
            await asyncio.sleep(1 if state == "started" else 0.05)

    async def speak(self) -> None:
        while True:
            await asyncio.sleep(BATCH_S)
            if self.sent - self.drawn >= CREDIT or not self.topics:
                continue
            frames = [self.feed.parts(topic, frame) for topic, frame in self._due()]
            if frames:
                self.sent += 1
                self.feed.batches_sent += 1
                await self.socket.send_bytes(msgpack.packb([self.sent, *frames]))

    def _due(self) -> Iterator[tuple[str, Frame]]:
        for topic, frame in self.feed.kept():
            if topic in self.topics - self.told:
                self.told.add(topic)
                yield topic, frame
        first, self.step = max(self.step, self.feed.step - 50), self.feed.step
        for step in range(first, self.step):
            yield from ((topic, frame) for topic, frame in self.feed.frames(step) if topic in self.topics)
        if first < self.step and "brain/raster" in self.topics:
            dt_ns = self.feed.dt_ns
            yield "brain/raster", self.feed.spikes.between(first * dt_ns, self.step * dt_ns, self.step - 1)


def application(feed: Feed) -> FastAPI:
    """The page and just as much of the API as the workbench asks for."""

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        running = asyncio.create_task(feed.run())
        yield
        running.cancel()

    app = FastAPI(lifespan=life)

    @app.get("/api/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "tokens": False}

    @app.get("/api/me")
    def me() -> dict[str, str]:
        return {"name": "you", "role": "admin"}

    @app.get("/api/simulations")
    def simulations() -> list[Any]:
        return [feed.simulation()]

    @app.get("/api/simulations/s1")
    def simulation() -> dict[str, Any]:
        return feed.simulation()

    @app.get("/api/simulations/s1/transfer-functions")
    def functions() -> Any:
        return next(frame.functions for topic, frame in feed.kept() if isinstance(frame, FunctionsNote))

    @app.put("/api/simulations/s1/state")
    async def state(request: Request) -> dict[str, Any]:
        feed.state = (await request.json())["state"]
        return feed.simulation()

    @app.websocket("/api/simulations/s1/stream")
    async def stream(socket: WebSocket) -> None:
        await socket.accept(subprotocol="reafference.1")
        feed.watchers += 1
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await Client(feed, socket).serve()
        feed.watchers -= 1

    app.include_router(router_of(Web(fresh=True)))
    return app


def main() -> None:
    """Serve until the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--spikes-per-s", type=float, default=20_000)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    recorded = Recorded.of(given.recording)
    feed = Feed(recorded, Spikes.of(recorded.start, given.spikes_per_s))
    with socket.create_server(("127.0.0.1", given.port)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
        server = uvicorn.Server(uvicorn.Config(application(feed), log_level="warning"))
        server.run(sockets=[listening])


if __name__ == "__main__":
    main()
