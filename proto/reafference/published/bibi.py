"""The file that joins a published experiment's brain, body and transfer functions (`*.bibi`)."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import populations
from .exd import step_ms_of
from .xmltree import Element, parse

MOST_FUNCTIONS = 1000
_PYTHON = "PythonTransferFunction"
_DEFINED = re.compile(r"^\s*def\s+(\w+)\s*\(", re.MULTILINE)
_UNREAD = {
    "extRobotController": "an external robot controller is not started",
    "connectors": "connectors in XML are not read: name the rule in the device's mapping",
    "synapseDynamics": "synapse dynamics in XML are not read: build them in the brain script",
    "configuration": "further configuration files are not used",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainModel:
    """The script as it is named, and selections by name, in our words. `model` is its name in the library of models."""

    file: str
    model: str
    place: Element
    described: tuple[tuple[str, str, Element], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyModel:
    """A robot: `src` is the path of its description, `model` its name in the library of models."""

    robot: str
    src: str
    model: str
    custom: bool
    place: Element


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFunction:
    """Either `src` names its file, or `text` is all of it, under the name `name`."""

    src: str
    text: str
    name: str
    active: bool
    priority: int
    place: Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupling:
    """All of a BIBI file that matters here."""

    brain: BrainModel | None
    bodies: tuple[BodyModel, ...]
    functions: tuple[TransferFunction, ...]
    mode: str
    step_ms: float | None
    remarks: tuple[str, ...]


def read(data: bytes, file: str) -> Coupling:
    """What a BIBI file says. Raises BadExperiment that names file, line and element."""
    root = parse(data, file)
    if root.name.casefold() not in ("bibi", "bibiconfiguration"):
        root.refuse("the BIBI file must begin with <bibi>")
    brain, mode = root.child("brainModel"), root.child("mode")
    functions = list(root.all("transferFunction"))
    if len(functions) > MOST_FUNCTIONS:
        root.refuse(f"it has {len(functions):,} transfer functions: more than {MOST_FUNCTIONS:,} are not taken")
    return Coupling(
        brain=None if brain is None else _brain(brain),
        bodies=tuple(_body(place) for place in root.all("bodyModel")),
        functions=tuple(_function(place) for place in functions),
        mode="" if mode is None else mode.words(),
        step_ms=step_ms_of(root.child("timestep")),
        remarks=tuple(f"<{place.name}>: {words}" for place, words in _unread(root)),
    )


def _unread(root: Element) -> Iterator[tuple[Element, str]]:
    for name, words in _UNREAD.items():
        if (place := root.child(name)) is not None:
            yield place, words


def _brain(place: Element) -> BrainModel | None:
    named = place.child("file")
    # An experiment without a brain has an empty element, or none.
    file = named.words() if named is not None else place.words() or place.get("src")
    if not file:
        if place.children:
            place.refuse("it has populations, but no <file> with the brain script")
        return None
    described = [_population(child) for name in ("populations", "neuronGroup") for child in place.all(name)]
    seen: set[str] = set()
    for name, _, child in described:
        if name in seen:
            child.refuse(f"the population {name!r} is described a second time")
        seen.add(name)
    return BrainModel(file=file, model=place.get("model"), place=named or place, described=tuple(described))


def _population(place: Element) -> tuple[str, str, Element]:
    name = place.get("population") or place.get("name")
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        place.refuse(f"population={name!r} must be a name of letters, digits and '_'")
    return name, populations.selection(_described(place)), place


def _described(place: Element) -> Any:
    """A range, a list or one neuron, by the type that is given, else by what there is."""
    kind, elements = place.kind().casefold(), list(place.all("element"))
    if kind == "list" or (not kind and elements):
        if not elements:
            place.refuse("a list must have at least one <element>")
        return [_index(place, one.words(), "an element") for one in elements]
    if kind == "index" or (not kind and place.get("index")):
        return _index(place, place.get("index"), "index")
    if kind not in ("", "range", "slice", "populationslice", "population"):
        place.refuse(f"a population of the type {place.kind()!r} is not known: write a Range, a List or an Index")
    ends = {key: _index(place, place.get(key), key) for key in ("from", "to", "step") if place.get(key)}
    if ends.get("step") == 0:
        place.refuse("step must be 1 or more")
    if "to" in ends and ends["to"] <= ends.get("from", 0):
        place.refuse(f"the range from {ends.get('from', 0)} to {ends['to']} has no neuron")
    return ends


def _index(place: Element, text: str, what: str) -> int:
    value = place.whole(text, what)
    if value < 0:
        place.refuse(f"{what} must be 0 or more, found {value}")
    return value


def _body(place: Element) -> BodyModel:
    return BodyModel(
        robot=place.get("robotId"),
        src=place.words() or place.get("src"),
        model=place.get("model") or place.get("assetPath"),
        custom=place.get("customAsset").casefold() in ("true", "1", "yes")
        or place.get("isCustom").casefold() in ("true", "1", "yes"),
        place=place,
    )


def _function(place: Element) -> TransferFunction:
    kind = place.kind()
    if kind and kind != _PYTHON:
        place.refuse(
            f"the transfer function {place.get('name')!r} is written in XML ({kind}), which is not read: write it as a "
            f'Python function and name its file: <transferFunction xsi:type="{_PYTHON}" src="….py"/>'
        )
    src = place.get("src")
    text = textwrap.dedent(place.text).strip("\n")
    if not src and not text.strip():
        place.refuse("it has neither a file (src) nor a text")
    defined = _DEFINED.search(text)
    if not src and defined is None:
        place.refuse("its text defines no function")
    priority = place.get("priority")
    return TransferFunction(
        src=src,
        text="" if src else text.rstrip() + "\n",
        name="" if src or defined is None else defined[1],
        active=place.get("active", "true").casefold() not in ("false", "0", "no"),
        priority=place.whole(priority, "priority") if priority else 0,
        place=place,
    )
