"""State machines of a simulation, for published clients: texts in the folder of its experiment, kept and not run."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request

from . import scripts as coach_scripts
from .access import House, Seen, Steered, text_of

router = APIRouter()


@router.get("/simulation/{number}/state-machines")
async def list_state_machines(simulation: Seen) -> Any:
    """The source of each, by name."""
    return {"data": await asyncio.to_thread(coach_scripts.state_machines, simulation.folder)}


@router.put("/simulation/{number}/state-machines/{name}")
async def set_state_machine(name: str, request: Request, simulation: Steered, gateway: House) -> Any:
    """Keep the one whose source is sent."""
    text = await text_of(request)
    await asyncio.to_thread(coach_scripts.write_state_machine, gateway.storage, simulation.experiment, name, text)
    return {"name": name}


@router.delete("/simulation/{number}/state-machines/{name}")
async def delete_state_machine(name: str, simulation: Steered, gateway: House) -> Any:
    """Keep it no more."""
    await asyncio.to_thread(coach_scripts.remove_state_machine, gateway.storage, simulation.experiment, name)
    return {}
