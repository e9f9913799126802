"""REST: simulations from their launch to their end, and all that can be done to one that runs."""

import asyncio
import math
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from reafference import plain
from reafference.errors import BadExperiment, OutOfOrder
from reafference.frames import Change, Frame, Message

from .. import answers as a
from .. import brain_file, service_log, transfer_file
from ..as_json import listed, numbers
from ..house import Gateway
from ..launch_wish import LaunchWish
from ..people import Editor, Person, Reader, editor, reader
from ..problems import Problem, not_found
from ..recorded_table import Table
from ..remote import launch as remote_launch
from ..simulation import Simulation
from ..simulations import Simulations
from ..storage import Storage

router = APIRouter(tags=["simulations"])

_MOST_POSITIONS = 60_000
_QUESTIONS = [
    "functions",
    "get_parameters",
    "get_synapses",
    "kernel_status",
    "populations",
    "positions",
    "scene",
    "source",
]
_BUS_S = 5.0  # the bus tells of a change a little later than its outcome does
_CSV: dict[int | str, dict[str, Any]] = {200: {"description": "The rows", "content": {"text/csv": {}}}}
_TEXT: dict[int | str, dict[str, Any]] = {200: {"description": "The lines", "content": {"text/plain": {}}}}


def simulations(request: Request) -> Simulations:
    found: Simulations = request.app.state.gateway.simulations
    return found


def storage(request: Request) -> Storage:
    found: Storage = request.app.state.gateway.storage
    return found


def seen(request: Request, sid: str, person: Annotated[Person, Depends(reader)]) -> Simulation:
    """Dependency: a simulation, for whoever has a token."""
    return simulations(request).get(sid)


def steered(request: Request, sid: str, person: Annotated[Person, Depends(editor)]) -> Simulation:
    """Dependency: a simulation that this person may steer."""
    simulation = simulations(request).get(sid)
    if not person.may_change(simulation.owner):
        text = f"the simulation {sid} belongs to {simulation.owner}: launch one of your own to steer it"
        raise Problem(403, "forbidden", text)
    return simulation


def house(request: Request) -> Gateway:
    found: Gateway = request.app.state.gateway
    return found


House = Annotated[Gateway, Depends(house)]
All = Annotated[Simulations, Depends(simulations)]
Stored = Annotated[Storage, Depends(storage)]
Seen = Annotated[Simulation, Depends(seen)]
Steered = Annotated[Simulation, Depends(steered)]

# --- the run ------------------------------------------------------------------------------------------


@router.get("/simulations", response_model=list[a.SimulationAnswer])
async def list_simulations(all_: All, person: Reader, gateway: House) -> Any:
    """All that run or have ended since the server started, newest first; those on jobs too."""
    found = [*(one.as_map() for one in all_.all()), *await gateway.job_servers.simulations()]
    return sorted(found, key=lambda one: str(one["created_at"]), reverse=True)


@router.post("/simulations", status_code=201, response_model=a.SimulationAnswer)
async def launch(wish: LaunchWish, all_: All, person: Editor, gateway: House) -> Any:
    """Launch an experiment here, or on the server that is named."""
    if wish.server not in all_.servers:
        return await remote_launch.launch(gateway, wish, person)
    return (await all_.launch(wish, person)).as_map()


@router.get("/simulations/{sid}", response_model=a.SimulationAnswer)
async def get_simulation(simulation: Seen) -> Any:
    """Where a simulation stands."""
    return simulation.as_map()


@router.delete("/simulations/{sid}", status_code=204)
async def delete_simulation(simulation: Steered, all_: All) -> None:
    """Forget one that has ended."""
    await all_.delete(simulation)


@router.put("/simulations/{sid}/state", response_model=a.SimulationAnswer)
async def set_state(wish: a.StateWish, simulation: Steered, person: Editor) -> Any:
    """Start, pause or stop."""
    state = simulation.status.state
    reason = f"asked for by {person.name}"
    if wish.state == "stopped":
        await simulation.stop(reason)
    elif state != wish.state:
        _must_run(simulation)
        await simulation.order("start" if wish.state == "started" else "pause", wish.state, reason)
    return simulation.as_map()


@router.post("/simulations/{sid}/step", response_model=a.SimulationAnswer)
async def step(simulation: Steered, person: Editor, wish: a.StepWish | None = None) -> Any:
    """Make one CLE step, or so many, then pause; answers when it is paused, or after ten seconds."""
    _must_run(simulation)
    await simulation.step(f"asked for by {person.name}", wish.steps if wish else 1)
    return simulation.as_map()


@router.post("/simulations/{sid}/cancel", response_model=a.SimulationAnswer)
async def cancel(simulation: Steered, person: Editor) -> Any:
    """Give up the step in progress and stop."""
    await simulation.cancel(f"asked for by {person.name}")
    return simulation.as_map()


@router.post("/simulations/{sid}/reset", response_model=a.SimulationAnswer)
async def reset(wish: a.ResetWish, simulation: Steered, person: Editor) -> Any:
    """Put it, or a part of it, back to its start."""
    _must_run(simulation)
    await simulation.reset(wish.what, person.name)
    return simulation.as_map()


@router.put("/simulations/{sid}/limit", response_model=a.Limit)
async def set_limit(wish: a.LimitChange, simulation: Steered, person: Editor) -> Any:
    """Let it end at another time."""
    chosen = {name: value for name, value in wish.model_dump().items() if value is not None}
    if len(chosen) != 1:
        raise Problem(422, "invalid", "give one of simulated_s, real_s and extend_s")
    limit = (await simulation.edit("engine", "set_limit", chosen, by=person.name)).get("limit", {})
    return {"kind": limit.get("kind", "simulated"), "s": limit.get("s"), "left_s": limit.get("left_s")}


# --- parameters and transfer functions ------------------------------------------------------------------


@router.get("/simulations/{sid}/parameters", response_model=dict[str, Any])
async def get_parameters(simulation: Seen) -> Any:
    """[parameters] of the experiment, as transfer functions see them."""
    return listed(simulation.parameters)


@router.patch("/simulations/{sid}/parameters", response_model=dict[str, Any])
async def set_parameters(wish: dict[str, Any], simulation: Steered, person: Editor) -> Any:
    """Change some of them; the others stay."""
    result = await simulation.edit("engine", "set_parameters", {"parameters": wish}, by=person.name)
    return listed(result.get("parameters", {}))


@router.get("/simulations/{sid}/transfer-functions", response_model=list[a.FunctionAnswer])
async def list_functions(simulation: Seen) -> Any:
    """In the order of calling."""
    return await _functions(simulation)


@router.post("/simulations/{sid}/transfer-functions", status_code=201, response_model=list[a.FunctionAnswer])
async def add_function(wish: a.SourceWish, simulation: Steered, person: Editor) -> Any:
    """Add one; all of them, in the order of calling."""
    result = await simulation.edit("engine", "add_function", {"source": wish.source}, by=person.name)
    return await _functions(simulation, result)


@router.put("/simulations/{sid}/transfer-functions/order", response_model=list[a.FunctionAnswer])
async def order_functions(wish: a.OrderWish, simulation: Steered, person: Editor) -> Any:
    """Give priorities so that they run in this order."""
    result = await simulation.edit("engine", "order_functions", {"names": wish.names}, by=person.name)
    return await _functions(simulation, result)


@router.post("/simulations/{sid}/transfer-functions/save", response_model=a.Saved)
async def save_functions(simulation: Steered, person: Editor, stored: Stored) -> Any:
    """Write them into the experiment's file."""
    _must_have_begun(simulation)
    return await asyncio.to_thread(transfer_file.save, stored, simulation.experiment, simulation.functions())


@router.get("/simulations/{sid}/transfer-functions/{name}", response_model=a.FunctionAnswer)
async def get_function(simulation: Seen, name: str) -> Any:
    """One of them."""
    return _named(await _functions(simulation), name)


@router.put("/simulations/{sid}/transfer-functions/{name}", response_model=list[a.FunctionAnswer])
async def replace_function(wish: a.SourceWish, simulation: Steered, name: str, person: Editor) -> Any:
    """Replace one; all of them, in the order of calling."""
    arguments = {"name": name, "source": wish.source}
    result = await simulation.edit("engine", "replace_function", arguments, by=person.name)
    return await _functions(simulation, result)


@router.delete("/simulations/{sid}/transfer-functions/{name}", response_model=list[a.FunctionAnswer])
async def delete_function(simulation: Steered, name: str, person: Editor) -> Any:
    """Delete one; the others."""
    result = await simulation.edit("engine", "delete_function", {"name": name}, by=person.name)
    return await _functions(simulation, result)


@router.put("/simulations/{sid}/transfer-functions/{name}/active", response_model=list[a.FunctionAnswer])
async def switch_function(wish: a.ActiveWish, simulation: Steered, name: str, person: Editor) -> Any:
    """Switch one on or off."""
    result = await simulation.edit("engine", "switch_function", {"name": name, "on": wish.active}, by=person.name)
    return await _functions(simulation, result)


@router.put("/simulations/{sid}/transfer-functions/{name}/priority", response_model=list[a.FunctionAnswer])
async def set_priority(wish: a.PriorityWish, simulation: Steered, name: str, person: Editor) -> Any:
    """The higher, the earlier it runs."""
    arguments = {"name": name, "priority": wish.priority}
    result = await simulation.edit("engine", "set_priority", arguments, by=person.name)
    return await _functions(simulation, result)


# --- the brain ------------------------------------------------------------------------------------------


@router.get("/simulations/{sid}/brain", response_model=a.BrainAnswer)
async def get_brain(simulation: Seen, person: Reader, kernel: bool = False) -> Any:
    """What the brain is; with `kernel` also what NEST says of itself, between two steps, if it can answer now."""
    return brain_file.described(simulation) | {"kernel": await _kernel(simulation, person) if kernel else None}


@router.put("/simulations/{sid}/brain", response_model=a.BrainAnswer)
async def replace_brain(wish: a.SourceWish, simulation: Steered, person: Editor) -> Any:
    """Build another brain from this script; body and clock go on."""
    await simulation.edit("brain", "replace_brain", {"script": wish.source}, by=person.name)
    await simulation.until(lambda: simulation.brain_script == wish.source, _BUS_S)
    return brain_file.described(simulation) | {"kernel": None}


@router.post("/simulations/{sid}/brain/save", response_model=a.Saved)
async def save_brain(simulation: Steered, stored: Stored) -> Any:
    """Write script and populations into the experiment."""
    _must_have_begun(simulation)
    return await asyncio.to_thread(brain_file.save, stored, simulation)


@router.put("/simulations/{sid}/populations", response_model=a.BrainAnswer)
async def set_populations(wish: a.PopulationsWish, simulation: Steered, person: Editor) -> Any:
    """Name populations, as in the experiment file."""
    await simulation.edit("brain", "set_populations", {"populations": wish.populations}, by=person.name)
    await simulation.until(lambda: simulation.brain_populations == wish.populations, _BUS_S)
    return brain_file.described(simulation) | {"kernel": None}


@router.get("/simulations/{sid}/populations/{name}/parameters", response_model=dict[str, Any])
async def get_population_parameters(
    simulation: Seen, name: str, person: Reader, names: Annotated[str, Query(min_length=1, max_length=2000)]
) -> Any:
    """These parameters of the neurons of a population; `names` is a list with commas."""
    arguments = {"population": name, "names": [one.strip() for one in names.split(",") if one.strip()]}
    return listed(await simulation.edit("brain", "get_parameters", arguments, by=person.name))


@router.patch("/simulations/{sid}/populations/{name}/parameters", status_code=204)
async def set_population_parameters(wish: dict[str, Any], simulation: Steered, name: str, person: Editor) -> None:
    """Give all neurons of a population these parameters."""
    arguments = {"population": name, "parameters": numbers(wish)}
    await simulation.edit("brain", "set_parameters", arguments, by=person.name)


@router.get("/simulations/{sid}/brain/positions", response_model=a.Positions)
async def get_positions(
    simulation: Seen, person: Reader, most: Annotated[int, Query(ge=1, le=1_000_000)] = _MOST_POSITIONS
) -> Any:
    """Where neurons lie, of at most so many."""
    return await simulation.remembered(f"positions {most}", "brain", "positions", {"most": most}, person.name)


@router.post("/simulations/{sid}/edits", response_model=dict[str, Any])
async def edit(wish: a.EditWish, simulation: Steered, person: Editor) -> Any:
    """Any other edit; what is said about it, by name."""
    return listed(await simulation.edit(wish.to, wish.what, numbers(wish.arguments), by=person.name))


# --- the body -------------------------------------------------------------------------------------------


@router.get("/simulations/{sid}/body", response_model=dict[str, Any])
async def get_body(simulation: Seen, person: Reader) -> Any:
    """The scene: links, muscles, joints, room."""
    return await simulation.remembered("scene", "body", "scene", {}, person.name)


@router.post("/simulations/{sid}/body/push", status_code=204)
async def push(wish: a.PushWish, simulation: Steered, person: Editor) -> None:
    """Push a link for a while."""
    if not all(map(math.isfinite, [*wish.force_N, *(wish.at_m or [])])):
        raise Problem(422, "invalid", "force_N and at_m must be finite numbers")
    await simulation.edit("body", "push", wish.model_dump(exclude_none=True), by=person.name)


@router.put("/simulations/{sid}/body/load", status_code=204)
async def load(wish: dict[str, float], simulation: Steered, person: Editor) -> None:
    """Load joints with constant torques in N m."""
    await simulation.edit("body", "load", {"torque_Nm": wish}, by=person.name)
    simulation.forget_remembered()


# --- what it has written --------------------------------------------------------------------------------


@router.get("/simulations/{sid}/history", response_model=a.HistoryAnswer)
async def get_history(simulation: Seen) -> Any:
    """Log messages and edits so far."""
    frames = [one.frame for one in simulation.history.all(("engine/log", "engine/edits"))]
    return {
        "messages": [_told(frame) for frame in frames if isinstance(frame, Message)],
        "edits": [_told(frame) for frame in frames if isinstance(frame, Change) and frame.what not in _QUESTIONS],
    }


@router.get("/simulations/{sid}/data.csv", response_class=Response, responses=_CSV)
async def get_data(
    simulation: Seen,
    stream: Annotated[str, Query(pattern=r"^[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)+$", max_length=200)],
    since_s: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
) -> Response:
    """The rows of a stream that the recorder has written."""
    folder = await simulation.written()
    if folder is None:
        raise Problem(404, "not_found", f"nothing of the simulation {simulation.id} has been recorded")
    table = await Table.open(folder, stream, since_s)
    name = f"{simulation.experiment}_{stream.replace('/', '_')}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(table.chunks(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/simulations/{sid}/log/{service}", response_class=Response, responses=_TEXT)
async def get_log(simulation: Seen, service: str) -> Response:
    """The last lines of a service's own log."""
    text = await asyncio.to_thread(service_log.tail, simulation, service)
    return Response(text, media_type="text/plain; charset=utf-8")


# --- how things are told ----------------------------------------------------------------------------------


async def _functions(simulation: Simulation, result: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """All transfer functions: from the answer to an edit, or as they were told of last."""
    found = simulation.functions() if result is None else [dict(one) for one in result.get("functions", ())]
    saved = await asyncio.to_thread(transfer_file.saved, simulation.folder, found)
    seconds = simulation.status.as_map()["function_s"]
    steps = max(simulation.status.note.step if simulation.status.note else 0, 1)
    return [_function(simulation, one, saved, seconds.get(str(one["name"]), 0.0) / steps) for one in found]


def _function(simulation: Simulation, one: Mapping[str, Any], saved: set[str], mean_s: float) -> dict[str, Any]:
    name = str(one["name"])
    told = simulation.function_changes.get(name)
    return {
        "name": name,
        "source": one.get("source", ""),
        "line": one.get("line", 0),
        "active": bool(one.get("active", True)),
        "priority": one.get("priority", 0),
        "direction": one.get("direction", ""),
        "reads": list(one.get("reads", ())),
        "writes": list(one.get("writes", ())),
        "mean_ms": round(mean_s * 1e3, 6),
        "changed": {"by": told.by, "at": told.at} if told else None,
        "saved": name in saved,
        "problem": one.get("problem"),
    }


def _named(functions: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for one in functions:
        if one["name"] == name:
            return one
    raise not_found("transfer function", name, plain.nearest(name, [one["name"] for one in functions]))


async def _kernel(simulation: Simulation, person: Person) -> Any:
    if simulation.status.state not in ("paused", "started"):
        return None
    try:
        return listed(await simulation.edit("brain", "kernel_status", {}, by=person.name))
    except (BadExperiment, OutOfOrder):
        return None  # a brain that is no NEST, or cannot answer now


def _must_run(simulation: Simulation) -> None:
    if simulation.status.ended:
        state, sid = simulation.status.state, simulation.id
        raise Problem(409, "out_of_order", f"the simulation {sid} is {state}: launch another one")


def _must_have_begun(simulation: Simulation) -> None:
    if simulation.start is None:
        raise Problem(409, "out_of_order", f"the simulation {simulation.id} has not been built yet")


def _told(frame: Frame) -> dict[str, Any]:
    told: dict[str, Any] = listed(plain.dump(frame))
    return told | {"t_s": told.pop("t_ns", 0) / 1e9}
