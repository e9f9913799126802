"""Transfer functions of a simulation, for published clients of the Virtual Coach.

A function that is refused has changed nothing: a client learns the reason, and what was there before runs on.
"""

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request

from ..people import Editor
from ..problems import Problem, not_found
from ..published_files import name_in
from ..simulation import Simulation
from .access import Seen, Steered, must_go_on, refusals, text_of

router = APIRouter()

_OWN = "reafference"

Function = Mapping[str, Any]


@router.get("/simulation/{number}/transfer-functions")
async def list_functions(simulation: Seen) -> Any:
    """Source and activity of each, by name."""
    functions = simulation.functions()
    return {
        "data": {str(one["name"]): one.get("source", "") for one in functions},
        "active": {str(one["name"]): bool(one.get("active", True)) for one in functions},
    }


@router.post("/simulation/{number}/transfer-functions")
async def add_function(request: Request, simulation: Steered, person: Editor) -> Any:
    """Add the one whose source is sent."""
    source = await _source(request)
    must_go_on(simulation)
    simulation.functions()  # as long as none are known, nothing is added
    after = await _edit(simulation, "add_function", {"source": source}, person.name)
    name = _name_of(source, after)
    flaw = after[name].get("problem")
    if flaw:
        await _edit(simulation, "delete_function", {"name": name}, person.name)
        raise _refused(name, flaw)
    return {"name": name}


@router.put("/simulation/{number}/transfer-functions/{name}")
async def replace_function(name: str, request: Request, simulation: Steered, person: Editor) -> Any:
    """Give one the source that is sent."""
    source = await _source(request)
    must_go_on(simulation)
    before = _by_name(simulation)
    if name not in before:
        raise not_found("transfer function", name, f": there is {', '.join(sorted(before))}")
    after = await _edit(simulation, "replace_function", {"name": name, "source": source}, person.name)
    new = _name_of(source, after, name)
    flaw = after[new].get("problem")
    if flaw:
        await _restore(simulation, new, before[name], person.name)
        raise _refused(new, flaw)
    return {"name": new}


@router.delete("/simulation/{number}/transfer-functions/{name}")
async def delete_function(name: str, simulation: Steered, person: Editor) -> Any:
    """Call it no more."""
    must_go_on(simulation)
    if name not in _by_name(simulation):
        raise not_found("transfer function", name)
    await _edit(simulation, "delete_function", {"name": name}, person.name)
    return {}


@router.put("/simulation/{number}/transfer-functions/{name}/activation/{wanted}")
async def switch_function(name: str, wanted: str, simulation: Steered, person: Editor) -> Any:
    """Switch one on (`true`) or off (`false`)."""
    must_go_on(simulation)
    if wanted.lower() not in ("true", "false"):
        raise Problem(400, "invalid", f"a transfer function is switched by true or false, not by {wanted[:40]!r}")
    if name not in _by_name(simulation):
        raise not_found("transfer function", name)
    await _edit(simulation, "switch_function", {"name": name, "on": wanted.lower() == "true"}, person.name)
    return {}


async def replaced_everywhere(simulation: Simulation, renamed: Mapping[str, str], by: str) -> None:
    """Write new names of populations in published functions that name them. Raises Problem 400."""
    if not is_published(simulation):
        return
    for name, function in _by_name(simulation).items():
        source = str(function["source"])
        for old, new in renamed.items():
            source = re.sub(rf"(?<=\bbrain\.){re.escape(old)}\b", new, source)
        if source != function["source"]:
            await _edit(simulation, "replace_function", {"name": name, "source": source}, by)


async def _source(request: Request) -> str:
    """The source that is sent. Raises Problem 400 for what Python cannot read: most mistakes end here."""
    source = await text_of(request)
    try:
        compile(source, "<transfer function>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line, column = getattr(error, "lineno", None), getattr(error, "offset", None)
        text = f"the transfer function has an error in line {line}: {getattr(error, 'msg', error)}"
        line_text = (getattr(error, "text", None) or "").strip() or None
        raise Problem(400, "script_error", text, line=line, column=column, line_text=line_text) from None
    return source


async def _edit(simulation: Simulation, what: str, arguments: Mapping[str, Any], by: str) -> dict[str, Function]:
    """All functions after an edit. Raises Problem 400 where it is refused."""
    with refusals():
        result = await simulation.edit("engine", what, arguments, by=by)
    return {str(one["name"]): one for one in result["functions"]}


def _name_of(source: str, after: Mapping[str, Function], former: str = "") -> str:
    """What the engine calls the function that was sent. What is new since may be another client's as well."""
    name = name_in(source)
    if name in after:
        return name
    return next((one for one, function in after.items() if function.get("source") == source), former)


def is_published(simulation: Simulation) -> bool:
    """Whether its functions are written for another platform, and name populations themselves."""
    table = simulation.start.settings.get("transfer", {}) if simulation.start else {}
    return bool(table.get("dialect", _OWN) != _OWN)


async def _restore(simulation: Simulation, name: str, former: Function, by: str) -> None:
    """Put back what was there before a function that cannot be called."""
    after = await _edit(simulation, "replace_function", {"name": name, "source": former["source"]}, by)
    restored = after.get(str(former["name"]))
    if restored is None:
        return
    if restored["active"] != former["active"]:
        await _edit(simulation, "switch_function", {"name": former["name"], "on": former["active"]}, by)
    if restored["priority"] != former["priority"]:
        arguments = {"name": former["name"], "priority": former["priority"]}
        await _edit(simulation, "set_priority", arguments, by)


def _by_name(simulation: Simulation) -> dict[str, Function]:
    return {str(one["name"]): one for one in simulation.functions()}


def _refused(name: str, flaw: Function) -> Problem:
    text = f"the transfer function {name!r} cannot be called: {flaw['text']}; what was there before runs on"
    places = {key: flaw.get(key) or None for key in ("line", "column", "line_text")}
    return Problem(400, "script_error", text, **places)
