"""The gateway of one local run: a private door that answers one question, is everything there?"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Response, status

from reafference import __version__
from reafference.aio import AioOperator
from reafference.frames import PROTOCOL, Bye, ErrorFrame, StateNote


@dataclass(slots=True)
class Health:
    """What is known of the rest of the house; `state` is None while no engine has answered."""

    bus_alive: Callable[[], bool]
    state: StateNote | None = None
    problem: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def report(self) -> dict[str, Any]:
        """The answer to GET /health."""
        note = self.state
        return {
            "status": "ok" if self.bus_alive() else "failed",
            "service": "gateway",
            "version": __version__,
            "protocol": ".".join(map(str, PROTOCOL)),
            "bus": "ok" if self.bus_alive() else "the bus has stopped: restart the gateway",
            "engine": {"state": note.state, "step": note.step, "steps": note.steps} if note else None,
            "problem": self.problem,
        }


def make_app(health: Health, operator: AioOperator) -> FastAPI:
    """The application of a private door; it listens to the engine as long as it lives."""

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        listening = asyncio.create_task(_listen(operator, health))
        yield
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening

    app = FastAPI(title="Reafference", version=__version__, lifespan=life, docs_url=None, redoc_url=None)

    @app.get("/health", summary="Whether the gateway works and what the engine is doing")
    async def get_health(response: Response) -> dict[str, Any]:
        report = health.report()
        if report["status"] != "ok":
            response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        return report

    return app


async def _listen(operator: AioOperator, health: Health) -> None:
    async for frame in operator.frames():
        match frame:
            case StateNote():
                health.state, health.problem = frame, frame.text
            case ErrorFrame():
                health.problem = frame.text
            case Bye():
                health.state = None
                health.ended.set()
