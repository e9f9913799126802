"""Virtual Coach: login, templates, own experiments, and servers."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from ..cards import Card, card_of
from ..house import Gateway
from ..people import People, Person, Reader
from ..problems import Problem
from ..simulation import Simulation
from ..storage import FILE, About, changed_ns
from . import address as coach_address
from .access import House
from .servers import available, id_of, place_of
from .status import record

router = APIRouter()

_UNRIPE = frozenset(("development", "hidden"))
"""An experiment with one of these tags is shown to whoever asks for those under development as well."""
_NO_TOKEN = "no-token-is-needed"


class Login(BaseModel):
    """Who comes; the password is the person's token."""

    user: str
    password: str


@router.post("/authentication/authenticate")
def log_in(login: Login, gateway: House) -> Response:
    """The token to be shown from now on, as plain text."""
    return Response(_secret(gateway.people, login), media_type="text/plain")


def _secret(people: People, login: Login) -> str:
    if not people.asked_for:
        return _NO_TOKEN
    person = people.find(login.password)
    if person is None:
        raise Problem(401, "unauthorized", "this password is not known here: it is your token of this server")
    if person.name != login.user:
        raise Problem(401, "unauthorized", "this token belongs to somebody else: log in with the name it was made for")
    return login.password


@router.get("/health")
async def health(gateway: House, person: Reader) -> dict[str, str]:
    """Whether something can be launched."""
    return {"service": "healthy" if available(gateway.simulations) else "unavailable"}


@router.get("/maintenancemode")
def maintenance(person: Reader) -> dict[str, Any]:
    """There is none."""
    return {}


@router.get("/identity/me")
def me(person: Reader) -> dict[str, str]:
    """Who is logged in."""
    return _identity(person.name)


@router.get("/identity/{name}")
def identity(name: str, person: Reader) -> dict[str, str]:
    """Somebody else; `me` is who asks."""
    return _identity(name)


def _identity(name: str) -> dict[str, str]:
    return {"id": name, "username": name, "displayName": name}


# --- experiments ----------------------------------------------------------------------------------------


@router.get("/experiments")
async def templates(gateway: House, person: Reader) -> dict[str, Any]:
    """The experiments that are shipped, by id."""
    return await run_in_threadpool(_templates, gateway, _running(gateway))


def _templates(gateway: Gateway, running: list[Simulation]) -> dict[str, Any]:
    found = {}
    for id in gateway.templates.ids():
        clones = [_joinable(one) for one in running if _template_of(gateway, one) == id]
        found[id] = {"configuration": configuration_of(id, gateway.templates.folder(id)), "joinableServers": clones}
    return found


def _template_of(gateway: Gateway, simulation: Simulation) -> str:
    try:
        return gateway.storage.about(simulation.experiment).template
    except Problem:
        return ""


def _running(gateway: Gateway) -> list[Simulation]:
    return [one for one in gateway.simulations.holders() if not one.status.ended]


@router.get("/storage/experiments")
async def own_experiments(
    gateway: House, person: Reader, wanted: Annotated[str, Query(alias="filter")] = ""
) -> list[dict[str, Any]]:
    """The experiments that this person may launch, the one changed last first; to a viewer all of them."""
    return await run_in_threadpool(_own, gateway, person, _running(gateway), wanted.lower())


def _own(gateway: Gateway, person: Person, running: list[Simulation], wanted: str) -> list[dict[str, Any]]:
    found = []
    for id in gateway.storage.ids():
        try:
            about = gateway.storage.about(id)
            owned = person.may_change(about.owner)
            if person.edits and not owned:
                continue
            told = _experiment(gateway, id, about, running) | {"owned": owned}
        except (Problem, OSError):
            continue  # somebody deletes it in this very moment
        if wanted in id.lower() or wanted in told["configuration"]["name"].lower():
            found.append(told)
    return found


def _experiment(gateway: Gateway, id: str, about: About, running: list[Simulation]) -> dict[str, Any]:
    """An experiment as the published client knows it. Its key is `name`, which is our id."""
    folder = gateway.storage.folder(id)
    known = about.template in gateway.templates.ids()
    template = gateway.templates.folder(about.template) if known else None
    return {
        "name": id,
        "uuid": id,
        "id": id,
        "owner": about.owner,
        "private": True,
        "configuration": configuration_of(id, folder, template, about.title) | {"cloneDate": about.created_at},
        "joinableServers": [_joinable(one) for one in running if one.experiment == id],
    }


def configuration_of(id: str, folder: Path, template: Path | None = None, title: str = "") -> dict[str, Any]:
    """What an experiment says of itself. `timeout` is in seconds, 0 where its file cannot be read."""
    card = card_of(folder, template)
    return {
        "name": title or card.title or id,
        "description": card.description,
        "maturity": _maturity(card),
        "tags": list(card.tags),
        "timeout": card.limit[1] if card.limit else 0,
        "timeoutType": card.limit[0] if card.limit else "simulated",
        "experimentConfiguration": f"{id}/{FILE}",
        "configFile": FILE,
        "experimentId": f"{id}/{FILE}",
        "path": id,
        "brainProcesses": 1,
        "lastModified": changed_ns(folder) // 1_000_000,
    }


def _maturity(card: Card) -> str:
    return "development" if _UNRIPE & {tag.lower() for tag in card.tags} else "production"


def _joinable(simulation: Simulation) -> dict[str, Any]:
    """A server on which something runs."""
    return {"server": id_of(simulation.place), "runningSimulation": record(simulation)}


# --- servers --------------------------------------------------------------------------------------------


@router.get("/availableServers")
async def available_servers(request: Request, gateway: House, person: Reader) -> list[dict[str, Any]]:
    """Those on which a simulation can be launched now."""
    return [_record(request, id) for id in available(gateway.simulations)]


@router.get("/server/{id}")
async def get_server(id: str, request: Request, gateway: House, person: Reader) -> dict[str, Any]:
    """Where the simulations of a server are steered, and where they tell of themselves."""
    place_of(id, gateway.simulations)
    return _record(request, id)


def _record(request: Request, id: str) -> dict[str, Any]:
    return {
        "id": id,
        "gzweb": {"nrp-services": f"{coach_address.base(request)}/coach/{id}"},
        "serverJobLocation": "local",
        "rosbridge": {"websocket": f"{coach_address.socket_base(request)}/rosbridge/{id}"},
    }
