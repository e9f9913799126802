"""Which simulation a call of a published client is about, and how its sources come."""

import contextlib
import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request

from reafference.errors import ReafferenceError

from ..house import Gateway
from ..people import Person, editor, reader
from ..problems import Problem, of
from ..simulation import Simulation
from . import servers as coach_servers
from . import status as coach_status


def _house(request: Request) -> Gateway:
    found: Gateway = request.app.state.gateway
    return found


House = Annotated[Gateway, Depends(_house)]


def _seen(server: str, number: str, gateway: House, person: Annotated[Person, Depends(reader)]) -> Simulation:
    """Dependency: a simulation, for whoever has a token."""
    coach_servers.place_of(server, gateway.simulations)
    return gateway.simulations.get(coach_status.sid_of(number))


def _steered(server: str, number: str, gateway: House, person: Annotated[Person, Depends(editor)]) -> Simulation:
    """Dependency: a simulation that this person may steer."""
    simulation = _seen(server, number, gateway, person)
    if not person.may_change(simulation.owner):
        text = f"the simulation {number} belongs to {simulation.owner}: launch one of your own to steer it"
        raise Problem(403, "forbidden", text)
    return simulation


Seen = Annotated[Simulation, Depends(_seen)]
Steered = Annotated[Simulation, Depends(_steered)]


async def text_of(request: Request) -> str:
    """The body of a request as source: published clients send it as it is, though the header says JSON."""
    text = (await request.body()).decode("utf-8", "replace")
    if text.startswith('"'):
        try:
            found = json.loads(text)
        except ValueError:
            return text  # a source may begin with a quotation mark as well
        return found if isinstance(found, str) else text
    return text


def must_go_on(simulation: Simulation) -> None:
    """Raises Problem 400 for one that has ended."""
    if simulation.status.ended:
        raise Problem(400, "out_of_order", f"the simulation is {coach_status.state_of(simulation)}: launch another one")


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Errors of the run as answers that published clients take for a refusal: 409 would mean a server that is taken."""
    try:
        yield
    except ReafferenceError as error:
        found = of(error)
        raise Problem(400, found.code, found.detail, **found.extra) from None
