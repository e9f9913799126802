"""The server of `reaf serve`: experiments, people, simulations and the page behind one door."""

import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from reafference import __version__, jsontext

from . import pages, playback, problems, stream
from .coach import virtual_coach
from .doors import API, with_pages
from .guard import Guard
from .house import Gateway
from .jobs import experiment as job_experiment
from .nest_api import look as nest_look
from .problems import MEDIA_TYPE, ProblemBody
from .remote.forward import Forward
from .rest import copies as rest_copies
from .rest import experiments as rest_experiments
from .rest import images as rest_images
from .rest import jobs as rest_jobs
from .rest import people as rest_people
from .rest import simulations as rest_simulations

ROUTERS = (
    rest_people.router,
    rest_experiments.router,
    rest_simulations.router,
    rest_copies.router,
    rest_jobs.router,
    rest_images.router,
    stream.router,
    playback.router,
)


class Json(JSONResponse):
    """An answer that every reader of JSON takes."""

    def render(self, content: Any) -> bytes:
        return jsontext.dumps(content).encode("utf-8")


def make_server(gateway: Gateway) -> FastAPI:
    """The application. When it ends, the simulations end before it."""

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await gateway.simulations.take_up()
        gateway.cluster.on_serving = functools.partial(job_experiment.launch, gateway)
        gateway.cluster.listen(gateway.job_servers.reconcile)
        gateway.cluster.open()
        gateway.job_servers.open()
        try:
            yield
        finally:
            await gateway.cluster.close()
            await gateway.job_servers.close()
            gateway.tools.close()
            await gateway.simulations.close()

    app = FastAPI(
        title="Reafference",
        version=__version__,
        description="Closed-loop simulation of brain, body and environment. What belongs together says API.md.",
        lifespan=life,
        openapi_url=f"{API.prefix}/openapi.json",
        docs_url=None,
        redoc_url=None,
        default_response_class=Json,
    )
    app.state.gateway = gateway
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router, prefix=API.prefix)
    app.include_router(virtual_coach.router)
    app.router.routes.extend(nest_look.routes_of_simulations())
    app.include_router(pages.router_of(gateway.web))
    app.openapi = lambda: described(app)  # type: ignore[method-assign]
    app.add_middleware(Forward, gateway=gateway)
    app.add_middleware(Guard, known=gateway.people, hosts=gateway.hosts, doors=with_pages(gateway.origins))
    return app


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description: every call may also answer with a problem, in one shape."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = schema["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas["ProblemBody"] = ProblemBody.model_json_schema()
        problem = {
            "description": "A problem: what went wrong, and what to do about it",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        }
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = problem
        app.openapi_schema = schema
    return app.openapi_schema
