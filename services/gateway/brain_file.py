"""What the brain of a simulation is, and how that is written back into its experiment."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from .problems import Problem
from .simulation import Simulation
from .storage import FILE, Storage

_SCRIPT = "brain.py"
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_HEADER = re.compile(r"\s*\[")


def described(simulation: Simulation) -> dict[str, Any]:
    """API.md's answer about the brain, but for its kernel."""
    table, files = _table(simulation), simulation.start.files if simulation.start else {}
    script = simulation.brain_script
    name = _script_name(table) if script is not None else table.get("script")
    ports = simulation.ports.get("brain")
    told = simulation.brain_changed
    return {
        "model": None if script is not None else table.get("model"),
        "script": name,
        "source": script if script is not None else str(files.get(str(name), "")),
        "changed": {"by": told.by, "at": told.at} if told else None,
        "populations": dict(ports.facts.get("populations", {})) if ports else {},
        "selections": _populations(simulation, table),
        "devices": {group: table.get(group, {}) for group in ("sources", "sinks")},
    }


def save(storage: Storage, simulation: Simulation) -> dict[str, Any]:
    """Write a script that was replaced, and populations that were named, into the experiment; whether that was new.

    Raises Problem 409 where the experiment file is written in a way that cannot be changed here.
    """
    content = storage.read(simulation.experiment, FILE)
    before = content.data.decode("utf-8")
    text, changed = before, False
    table = _table(simulation)
    if simulation.brain_script is not None:
        name = _script_name(table)
        text = with_script(text, name)
        data = simulation.brain_script.encode("utf-8")
        if not _is(storage, simulation.experiment, name, data):
            storage.write(simulation.experiment, name, data)
            changed = True
    if simulation.brain_populations is not None:
        text = with_populations(text, simulation.brain_populations)
    if text != before:
        storage.write(simulation.experiment, FILE, text.encode("utf-8"), if_match=content.etag)
        changed = True
    return {"file": FILE if text != before or not changed else _script_name(table), "changed": changed}


def script_in(text: str) -> str:
    """The name of the brain script in an experiment file, or the one that it would get. Raises Problem 409."""
    return _script_name(_parsed(text).get("brain", {}))


def with_script(text: str, name: str) -> str:
    """The experiment file with this script as its brain; everything else in it stays."""
    wanted = _parsed(text)
    brain = wanted.get("brain", {})
    if brain.get("script") == name and "model" not in brain:
        return text
    wanted["brain"] = {key: value for key, value in brain.items() if key != "model"} | {"script": name}
    lines = text.splitlines(keepends=True)
    span = _span(lines, "brain")
    place = next((at for at in span if re.match(r"\s*(model|script)\s*=", lines[at])), None)
    if place is None:
        raise _by_hand("brain.script")
    lines[place] = f"script = {json.dumps(name)}{_ending(text)}"
    return _same("".join(lines), wanted, "brain.script")


def with_populations(text: str, populations: Mapping[str, Any]) -> str:
    """The experiment file with these populations of the brain; everything else in it stays."""
    wanted = _parsed(text)
    brain = dict(wanted.get("brain", {}))
    if brain.get("populations", {}) == populations:
        return text
    wanted["brain"] = brain | {"populations": dict(populations)}
    ending = _ending(text)
    lines = text.splitlines(keepends=True)
    written = [f"{_key(name)} = {_value(value)}{ending}" for name, value in populations.items()]
    span = _span(lines, "brain.populations")
    if span:
        lines[span[0] : span[-1] + 1] = written + ([ending] if span[-1] + 1 < len(lines) else [])
    else:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += ending
        lines += [ending, f"[brain.populations]{ending}", *written]
    return _same("".join(lines), wanted, "brain.populations")


def _table(simulation: Simulation) -> Mapping[str, Any]:
    brain = simulation.start.settings.get("brain", {}) if simulation.start else {}
    return brain if isinstance(brain, Mapping) else {}


def _script_name(table: Mapping[str, Any]) -> str:
    return str(table.get("script") or _SCRIPT)


def _populations(simulation: Simulation, table: Mapping[str, Any]) -> dict[str, Any]:
    named = simulation.brain_populations
    return dict(table.get("populations", {}) if named is None else named)


def _is(storage: Storage, experiment: str, name: str, data: bytes) -> bool:
    try:
        return storage.read(experiment, name).data == data
    except Problem:
        return False


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        raise Problem(409, "conflict", f"{FILE} cannot be read any more: mend it first") from None


def _span(lines: list[str], table: str) -> range:
    """The lines below the header of a table, up to the next header; empty if there is no such table."""
    headers = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    for at, number in enumerate(headers):
        if re.match(rf"\s*\[\s*{re.escape(table)}\s*\]", lines[number]):
            return range(number + 1, headers[at + 1] if at + 1 < len(headers) else len(lines))
    return range(0)


def _same(text: str, wanted: Mapping[str, Any], key: str) -> str:
    """The text, if it says what is wanted: a file may be written in more ways than are foreseen here."""
    try:
        if tomllib.loads(text) == wanted:
            return text
    except (ValueError, RecursionError):
        pass
    raise _by_hand(key)


def _by_hand(key: str) -> Problem:
    text = f"{FILE} is written in a way that cannot be changed here without changing more: write {key} by hand"
    return Problem(409, "conflict", text, file=FILE)


def _ending(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _key(name: str) -> str:
    return name if _BARE.match(name) else json.dumps(name)


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
