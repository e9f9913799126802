"""NEST Server's face of a simulation: whoever has a token may look at its kernel, and change nothing."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from reafference.errors import OutOfOrder, ReafferenceError

from ..house import Gateway
from ..people import PERSON
from ..problems import Problem
from ..simulation import Simulation
from .face import CallRefused, routes, told

PREFIX = "/nest-server"
_LIMIT_S = 600.0


class SeenKernel:
    """The kernel of a simulation, between two of its steps."""

    runs_scripts = True
    """It refuses them, with better words than a server that has none."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self._simulation, self._name = simulation, name

    async def ask(self, what: str, arguments: Mapping[str, str]) -> str:
        """As Kernel's."""
        try:
            result = await self._simulation.edit("brain", what, arguments, by=self._name, timeout_s=_LIMIT_S)
        except OutOfOrder as error:
            raise CallRefused(409, error.text) from None
        except ReafferenceError as error:
            raise told(error) or CallRefused(503, error.text) from None
        return bytes(result["json"]).decode()


def _kernel_of(request: Request) -> SeenKernel:
    gateway: Gateway = request.app.state.gateway
    try:
        simulation = gateway.simulations.get(request.path_params["sid"])
    except Problem as problem:
        raise CallRefused(404, problem.detail) from None
    return SeenKernel(simulation, request.scope[PERSON].name)


def routes_of_simulations() -> list[Route]:
    """`/nest-server/<simulation>/` and what is below."""
    return routes(_kernel_of, f"{PREFIX}/{{sid}}")


def refusal(problem: Problem) -> Response:
    """What the guard refuses, in the form that these clients know."""
    if problem.status == 401:
        return PlainTextResponse("Unauthorized", 403)
    return CallRefused(problem.status, problem.detail).response()
