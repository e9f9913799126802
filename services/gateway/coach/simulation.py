"""Simulations for published clients of the Virtual Coach: launched, steered and looked at below `/coach/SERVER`.

COACH.md says what each call means here. Nothing is kept: every call is answered from the simulations there are.
"""

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from reafference import jsontext

from ..as_json import listed
from ..launch_wish import LaunchWish
from ..people import Editor, Reader
from ..problems import Problem
from ..simulation import Simulation
from . import servers as coach_servers
from . import status as coach_status
from .access import House, Seen, Steered, must_go_on, refusals
from .clones import launchable

router = APIRouter()

_LOADING_S = 6 * 3600.0  # the experiment's own limit on building comes long before
_STEP_S = 600.0
_GONE_S = 30.0
_LOOK_S = 1.0
_WORLD = "world.json"
_PARTS: dict[int, Literal["body", "full", "world", "brain"]] = {0: "body", 1: "full", 2: "world", 3: "brain"}


class Wish(BaseModel):
    """What a published client asks for when it launches; other keys that it sends mean nothing here."""

    experimentID: str
    brainProcesses: int = Field(1, ge=1, le=4096)
    profiler: Literal["disabled", "cle_step", "cprofile"] = "disabled"
    reservation: str | None = None
    private: bool = True
    playbackPath: str | None = None


class StateWish(BaseModel):
    state: Literal["created", "initialized", "started", "paused", "stopped"]


class ResetWish(BaseModel):
    resetType: int


class Extension(BaseModel):
    """So many seconds more."""

    timeout: float = Field(gt=0, le=1e9, allow_inf_nan=False)


# --- from launch to end -----------------------------------------------------------------------------------


@router.get("/simulation")
async def list_simulations(server: str, gateway: House, person: Reader) -> Any:
    """Those of this server that run, and the last ones that have ended."""
    place = coach_servers.place_of(server, gateway.simulations)
    return [coach_status.record(one) for one in gateway.simulations.all() if one.place == place]


@router.post("/simulation", status_code=201)
async def launch(server: str, request: Request, wish: Wish, gateway: House, person: Editor) -> Any:
    """Launch an experiment; answers when it is loaded, and paused.

    What ends without a simulation is answered with a reason: 409 where the server has another one.
    """
    place = coach_servers.place_of(server, gateway.simulations)
    experiment = await asyncio.to_thread(launchable, gateway, wish.experimentID, person, stored=wish.private)
    if wish.playbackPath:
        played = await gateway.simulations.play(experiment, wish.playbackPath, person, place)
        await _loaded(request, played)
        return coach_status.record(played)
    asked: dict[str, Any] = {"experiment": experiment, "cprofile": wish.profiler == "cprofile"}
    if wish.brainProcesses > 1:
        # One is what the client sends where its user has said nothing: the experiment knows better.
        asked["ranks"] = wish.brainProcesses
    wanted = LaunchWish.model_validate(asked)
    simulation = await gateway.simulations.launch(wanted, person, place)
    if wish.reservation:
        simulation.status.warnings.append(f"there is nothing to be reserved here: {wish.reservation!r} is ignored")
    await _loaded(request, simulation)
    return coach_status.record(simulation)


async def _loaded(request: Request, simulation: Simulation) -> None:
    """Wait until it is paused. Raises Problem with the reason if it comes to nothing."""
    waited = 0.0
    while not await simulation.until(lambda: simulation.status.built or simulation.status.ended, _LOOK_S):
        waited += _LOOK_S
        if waited > _LOADING_S or await request.is_disconnected():
            # Nobody else knows its number.
            await simulation.end("whoever launched it has gone")
            raise Problem(504, "peer_late", "the simulation was not loaded in time")
    if simulation.status.ended:
        # Who was to blame is known at the very end only, and then its place is free as well.
        await simulation.until(lambda: not simulation.occupies, _GONE_S)
        why = simulation.status.problem or {"code": "interrupted", "detail": "it was stopped while it was loaded"}
        status = 400 if why["code"] in ("bad_experiment", "script_error", "port_mismatch") else 500
        places = {key: why.get(key) for key in ("file", "line", "column", "line_text")}
        raise Problem(status, why["code"], why["detail"], **places)


@router.get("/simulation/{number}")
async def get_simulation(simulation: Seen) -> Any:
    """The record of one."""
    return coach_status.record(simulation)


@router.get("/simulation/{number}/state")
async def get_state(simulation: Seen) -> Any:
    """Its state."""
    return {"state": coach_status.state_of(simulation)}


@router.put("/simulation/{number}/state")
async def set_state(wish: StateWish, simulation: Steered, person: Editor) -> Any:
    """Bring it into a state; answers when it is there."""
    reason = f"asked for by {person.name}"
    if wish.state == "stopped":
        await simulation.stop(reason)
        await simulation.until(lambda: simulation.status.ended, _STEP_S)
        # Its files are whole, and its experiment can be deleted, when nothing of it runs any more.
        await simulation.until(lambda: not simulation.occupies, _GONE_S)
    elif coach_status.state_of(simulation) != wish.state:
        with refusals():
            await _order(wish.state, simulation, reason)
    return {"state": coach_status.state_of(simulation)}


async def _order(wanted: str, simulation: Simulation, reason: str) -> None:
    status = simulation.status
    if status.ended or wanted == "created" or (wanted == "initialized" and status.started_at is not None):
        raise Problem(400, "out_of_order", f"the simulation is {coach_status.state_of(simulation)}, not to be {wanted}")
    if wanted == "started":
        await simulation.order("start", "started", reason)
        await simulation.until(lambda: status.ended or status.state == "started", _STEP_S)
    elif wanted == "paused":
        await simulation.order("pause", "paused", reason)
        await simulation.until(lambda: status.ended or status.state == "paused", _STEP_S)


@router.put("/simulation/{number}/{experiment}/reset")
async def reset(wish: ResetWish, experiment: str, simulation: Steered, person: Editor) -> Any:
    """Put it, or a part of it, back to its start; paused then."""
    part = _PARTS.get(wish.resetType)
    if part is None:
        known = "0 (pose of the robot), 1 (all), 2 (world) and 3 (brain)"
        raise Problem(400, "invalid", f"there is no reset {wish.resetType}: there are {known}")
    must_go_on(simulation)
    with refusals():
        await simulation.reset(part, person.name)
    return {"state": coach_status.state_of(simulation)}


@router.post("/simulation/{number}/sdf_world")
async def save_world(simulation: Steered, gateway: House, person: Editor) -> Any:
    """Write the bodies and the room as they are now into the experiment."""
    must_go_on(simulation)
    with refusals():
        scene = await simulation.edit("body", "scene", {}, by=person.name)
    data = jsontext.dumps(listed(scene), indent=1).encode("utf-8")
    await asyncio.to_thread(gateway.storage.write, simulation.experiment, _WORLD, data)
    return {"file": _WORLD}


@router.api_route("/simulation/{number}/extend_timeout", methods=["POST", "PUT"])
async def extend_timeout(wish: Extension, simulation: Steered, person: Editor) -> Any:
    """Let it run for so many seconds more."""
    with refusals():
        result = await simulation.edit("engine", "set_limit", {"extend_s": wish.timeout}, by=person.name)
    return {"timeout": result.get("limit", {}).get("left_s", 0.0)}
