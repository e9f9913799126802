"""Virtual Coach: what was changed in a simulation is written into its experiment."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from .. import brain_file, transfer_file
from ..house import Gateway
from ..people import Editor
from ..simulation import Simulation
from ..storage import FILE
from .access import House
from .brain import meant_populations
from .owned import Owned
from .scripts import name_of, path_of, says_nothing, write_state_machine

router = APIRouter()


class FunctionsWish(BaseModel):
    """The sources of all transfer functions, or by name."""

    transferFunctions: list[str] | dict[str, str]


class StateMachinesWish(BaseModel):
    """Sources by name."""

    stateMachines: dict[str, str]


class BrainWish(BaseModel):
    """A brain script, and its populations as published experiments describe them."""

    brain: str
    populations: dict[str, Any] = {}


@router.put("/experiment/{id}/transferFunctions")
def save_functions(id: Owned, wish: FunctionsWish, gateway: House, person: Editor) -> dict[str, Any]:
    """Write the transfer functions into the experiment; those that are not among them leave it."""
    sources = wish.transferFunctions
    named = {name_of(source): source for source in (sources.values() if isinstance(sources, dict) else sources)}
    functions = [{"name": name, "source": source} for name, source in named.items()]
    return transfer_file.save(gateway.storage, id, functions)


@router.put("/experiment/{id}/stateMachines")
def save_state_machines(id: Owned, wish: StateMachinesWish, gateway: House, person: Editor) -> dict[str, Any]:
    """Write state machines into the experiment; others that it has stay."""
    for name in wish.stateMachines:
        path_of(name)
    for name, text in wish.stateMachines.items():
        write_state_machine(gateway.storage, id, name, text)
    return {}


@router.put("/experiment/{id}/brain")
async def save_brain(id: Owned, wish: BrainWish, gateway: House, person: Editor) -> dict[str, Any]:
    """Write the brain script and the populations into the experiment, as far as they are others than before."""
    newest = next((one for one in gateway.simulations.all() if one.experiment == id), None)
    return await run_in_threadpool(_save, gateway, id, wish, newest)


def _save(gateway: Gateway, id: str, wish: BrainWish, newest: Simulation | None) -> dict[str, Any]:
    content = gateway.storage.read(id, FILE)
    before = content.data.decode("utf-8")
    text, script = before, ""
    if not says_nothing(wish.brain):
        script = brain_file.script_in(before)
        text = brain_file.with_script(text, script)
    if wish.populations:
        text = brain_file.with_populations(text, meant_populations(wish.populations, newest))
    # All has been understood: only now is anything written.
    if script:
        gateway.storage.write(id, script, wish.brain.encode("utf-8"))
    if text != before:
        gateway.storage.write(id, FILE, text.encode("utf-8"), if_match=content.etag)
    return {}
