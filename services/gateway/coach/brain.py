"""The brain of a simulation, for published clients: its script, and its populations as they write them.

What is refused has changed nothing, but for a brain that is built anew to find that out: it starts from its beginning.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from reafference.errors import ReafferenceError
from reafference.published import populations as published

from .. import brain_file
from ..people import Editor
from ..problems import Problem
from ..simulation import Simulation
from .access import Seen, Steered, must_go_on, refusals
from .functions import is_published, replaced_everywhere
from .scripts import says_nothing

router = APIRouter()

_BUS_S = 5.0  # the bus tells of a change a little later than its outcome does
_KEEP_NAMES = 2


class PopulationsWish(BaseModel):
    """Populations as published: by name a number, a list of numbers, or from, to and step."""

    brain_populations: dict[str, Any]
    change_population: int = 0


class BrainWish(BaseModel):
    """A script, and the populations of the brain that it builds."""

    data: str
    brain_type: str = "py"
    data_type: str = "text"
    brain_populations: dict[str, Any] = Field(default_factory=dict)


@router.get("/simulation/{number}/brain")
async def get_brain(simulation: Seen) -> Any:
    """Script and populations; a model that is shipped is told of in comments."""
    return {
        "data": _source(simulation),
        "brain_type": "py",
        "data_type": "text",
        "brain_populations": told_populations(simulation),
    }


@router.put("/simulation/{number}/brain")
async def set_brain(wish: BrainWish, simulation: Steered, person: Editor) -> Any:
    """Build another brain from this script; body and clock go on."""
    if (wish.brain_type, wish.data_type) != ("py", "text"):
        text = f"a brain is a Python script as text, not {wish.brain_type[:20]!r} as {wish.data_type[:20]!r}"
        raise Problem(400, "invalid", text)
    must_go_on(simulation)
    former = _source(simulation)
    if not says_nothing(wish.data):
        await _build(simulation, wish.data, person.name)
    if not wish.brain_populations:
        return {}
    try:
        await _select(simulation, meant_populations(wish.brain_populations, simulation), person.name)
    except Problem:
        if not says_nothing(former):
            await _build(simulation, former, person.name)
        raise
    return {}


@router.put("/simulation/{number}/populations")
async def set_populations(wish: PopulationsWish, simulation: Steered, person: Editor) -> Any:
    """Name populations. A name that gives way to another one for the same neurons does so in functions as well."""
    must_go_on(simulation)
    before = told_populations(simulation)
    meant = meant_populations(wish.brain_populations, simulation)
    renamed = _renamed(before, wish.brain_populations)
    await _select(simulation, meant, person.name, renamed)
    if wish.change_population != _KEEP_NAMES:
        await replaced_everywhere(simulation, renamed, person.name)
    return {}


def told_populations(simulation: Simulation) -> dict[str, Any]:
    """The populations that the experiment selects, or else those of the script, as published experiments write them.

    A single neuron is a list of one: some clients cannot take a bare number. A selection that has no published form is
    told as ours.
    """
    known, selections, left = _populations(simulation), _selections(simulation), _left_behind(simulation)
    size = known.get(published.CIRCUIT, {}).get("size")
    told: dict[str, Any] = {}
    for name, meant in selections.items():
        if name in left:
            continue
        found = published.description(meant, size=size) if isinstance(meant, str) else None
        told[name] = meant if found is None else [found] if isinstance(found, int) else found
    if not told:
        told = {name: {"from": 0, "to": facts.get("size", 0), "step": 1} for name, facts in known.items()}
    return told


def meant_populations(wish: Mapping[str, Any], simulation: Simulation | None) -> dict[str, Any]:
    """Our selections for populations as published. What is as it was told keeps its meaning.

    Raises Problem 400 for what cannot be a population.
    """
    told = told_populations(simulation) if simulation is not None else {}
    known = _populations(simulation) if simulation is not None else {}
    present = _selections(simulation) if simulation is not None else {}
    meant = {}
    for name, described in wish.items():
        if isinstance(described, Mapping):
            described = {key: value for key, value in described.items() if key != "regex"}
        if name in told and told[name] == described:
            if name in present:
                meant[name] = present[name]
            continue
        meant[name] = _meant(name, described, known)
    return meant


def _meant(name: str, described: Any, known: Mapping[str, Any]) -> str:
    root = published.CIRCUIT
    if known and root not in known:
        if not isinstance(described, str) and len(known) > 1:
            text = f"{name}: this brain has no population {root!r} to count in: name one of {', '.join(known)}"
            raise Problem(400, "invalid", f"{text}, as in '{next(iter(known))}[0:4]'")
        root = next(iter(known))
    try:
        return published.selection(described, root=root)
    except ReafferenceError as error:
        raise Problem(400, "invalid", f"{name}: {error.text}") from None


def _renamed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Names that are gone, and what has come for the same neurons."""
    gone = [name for name in before if name not in after]
    new = [name for name in after if name not in before]
    return {old: name for old in gone for name in new if after[name] == before[old]}


def _left_behind(simulation: Simulation) -> set[str]:
    """Names that no function uses any more, and that devices alone are still bound to: others have come for them."""
    if not is_published(simulation):
        return set()
    selections = _selections(simulation)
    sources = "\n".join(str(function["source"]) for function in simulation.functions())
    used = {name for name in selections if re.search(rf"\bbrain\.{re.escape(name)}\b", sources)}
    return {name for name in selections if name not in used and selections[name] in [selections[one] for one in used]}


async def _build(simulation: Simulation, script: str, by: str) -> None:
    name = brain_file.described(simulation)["script"] or "brain.py"
    await _edit(simulation, "replace_brain", {"script": script, "name": name}, by)
    await simulation.until(lambda: simulation.brain_script == script, _BUS_S)


async def _select(simulation: Simulation, meant: dict[str, Any], by: str, renamed: Collection[str] = ()) -> None:
    """Let these be the populations. Where devices are bound to names that have been `renamed`, now or before, those
    stay as well. Raises Problem 400 where the brain refuses it."""
    present = _selections(simulation)
    bound = {name: present[name] for name in {*renamed, *_left_behind(simulation)} & present.keys() - meant.keys()}
    if present in (meant, meant | bound):
        return
    try:
        await _edit(simulation, "set_populations", {"populations": meant}, by)
    except Problem:
        if not bound:
            raise
        meant = meant | bound
        await _edit(simulation, "set_populations", {"populations": meant}, by)
    await simulation.until(lambda: simulation.brain_populations == meant, _BUS_S)


async def _edit(simulation: Simulation, what: str, arguments: Mapping[str, Any], by: str) -> None:
    """Raises Problem 400 where the brain refuses it."""
    with refusals():
        await simulation.edit("brain", what, arguments, by=by)


def _source(simulation: Simulation) -> str:
    described = brain_file.described(simulation)
    if described["source"]:
        return str(described["source"])
    if not described["model"]:
        return "# This experiment has no brain.\n"
    model = re.sub(r"\s+", " ", str(described["model"]))
    return f"# The brain is the model {model!r}, which comes with the platform.\n# A script in its place replaces it.\n"


def _selections(simulation: Simulation) -> dict[str, Any]:
    selections: dict[str, Any] = brain_file.described(simulation)["selections"]
    return selections


def _populations(simulation: Simulation) -> dict[str, Any]:
    populations: dict[str, Any] = brain_file.described(simulation)["populations"]
    return populations
