"""simulation_config.json of NRP-core → the tables of an experiment."""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from reafference import plain
from reafference.clock import ns_from_ms
from reafference.errors import BadExperiment
from reafference.topics import is_name

PREFIX = "published."
"""Begins the key of an override that is meant for the file as it stands."""

ENDLESS_STEPS = 2**40 - 1
_STEP_S = 0.01
_SCRIPTS = {"python_json": "PythonFileName", "python_grpc": "PythonFileName"}
_BRAINS = {"nest_json": "NestInitFileName", "nest_server": "NestInitFileName"}
_UNUSED_LISTS = ("ComputationalGraph", "EventLoopEngines", "ExternalProcesses", "ConnectROS", "ConnectMQTT", "ROSNode")


Overrides = Sequence[tuple[str, Any]]


def settings_of(path: Path, text: str, overrides: Overrides) -> tuple[dict[str, Any], Overrides]:
    """The experiment's tables, from the text of the file and those overrides that are meant for it; the others.

    Raises BadExperiment, with the key where there is one.
    """
    own = [(key.removeprefix(PREFIX), value) for key, value in overrides if key.startswith(PREFIX)]
    try:
        document = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 0)
        raise BadExperiment(f"{path}: this is not JSON: {error}", detail={"file": str(path), "line": line}) from None
    try:
        for key, value in own:
            _put(document, key, value)
        settings = _Reading(_table(document, "the file")).settings()
    except plain.Misfit as misfit:
        raise BadExperiment(f"{path}: {misfit}", detail={"file": str(path), "key": misfit.key}) from None
    return settings, [(key, value) for key, value in overrides if not key.startswith(PREFIX)]


class _Reading:
    """One file on its way."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def settings(self) -> dict[str, Any]:
        self._refuse_what_there_is_not()
        engines = [_Engine(number, table) for number, table in enumerate(self._list("EngineConfigs"))]
        if not engines:
            raise plain.Misfit("EngineConfigs", "one engine or more", "none")
        for number, engine in enumerate(engines):
            if engine.name in [one.name for one in engines[:number]]:
                raise plain.Misfit(engine.key("EngineName"), "a name of its own", f"{engine.name!r} a second time")
        step_s = min(engine.step_s for engine in engines)
        return {
            "experiment": self._general(step_s, engines),
            "simulators": {engine.name: engine.table() for engine in engines},
            "transfer": self._transfer(),
            "record": {"figures": []},
        }

    def _refuse_what_there_is_not(self) -> None:
        loop, processor = self._document.get("SimulationLoop", "FTILoop"), self._document.get("DataPackProcessor", "tf")
        if loop != "FTILoop":
            raise plain.Misfit("SimulationLoop", "'FTILoop': there is no other here", plain.describe(loop))
        if processor != "tf":
            raise plain.Misfit("DataPackProcessor", "'tf': there is no other here", plain.describe(processor))
        for key in _UNUSED_LISTS:
            if self._document.get(key):
                raise plain.Misfit(key, "nothing: this is not offered here", plain.describe(self._document[key]))
        for former in ("DeviceProcessingFunctions", "TransceiverFunctions"):
            if former in self._document:
                raise plain.Misfit(
                    former, "DataPackProcessingFunctions, as it is called since NRP-core 1.0", "this key"
                )

    def _general(self, step_s: float, engines: "list[_Engine]") -> dict[str, Any]:
        title = str(self._document.get("SimulationName", "simulation"))
        timeouts = [engine.timeout_s for engine in engines if engine.timeout_s > 0]
        return {
            "name": "".join(letter if is_name(letter) else "-" for letter in title) or "simulation",
            "title": title,
            "description": str(self._document.get("SimulationDescription", "")),
            "step_ms": _ms(step_s),
            "steps": self._steps(step_s),
            "on_error": "halt",
            **({"step_timeout_s": max(timeouts)} if timeouts else {}),
        }

    def _steps(self, step_s: float) -> int:
        timeout_s = _number(self._document, "SimulationTimeout", 0)
        if timeout_s <= 0:
            return ENDLESS_STEPS
        return max(math.ceil(Decimal(str(timeout_s)) / Decimal(str(step_s))), 1)

    def _transfer(self) -> dict[str, Any]:
        entries = [
            (f"DataPackProcessingFunctions[{number}]", entry)
            for number, entry in enumerate(self._list("DataPackProcessingFunctions"))
        ]
        if "StatusFunction" in self._document:
            entries.append(("StatusFunction", _table(self._document["StatusFunction"], "StatusFunction")))
        files, inactive = [], []
        for key, entry in entries:
            file = _text(entry, "FileName", key)
            files.append(file)
            if not entry.get("IsActive", True):
                inactive.append(file)
        return {"dialect": "nrp_core", "files": files, "inactive": inactive}

    def _list(self, key: str) -> list[Mapping[str, Any]]:
        found = self._document.get(key, [])
        if not isinstance(found, list):
            raise plain.Misfit(key, "a list", plain.describe(found))
        return [_table(entry, f"{key}[{number}]") for number, entry in enumerate(found)]


class _Engine:
    """One entry of EngineConfigs."""

    def __init__(self, number: int, table: Mapping[str, Any]) -> None:
        self._number, self._table = number, table
        self.name = _text(table, "EngineName", self.key(""))
        self.step_s = _number(table, "EngineTimestep", _STEP_S, self.key(""))
        if not 0 < self.step_s < math.inf:
            raise plain.Misfit(self.key("EngineTimestep"), "seconds, more than 0", f"{self.step_s:g}")
        self.timeout_s = _number(table, "EngineCommandTimeout", 0, self.key(""))

    def key(self, name: str) -> str:
        place = f"EngineConfigs[{self._number}]"
        return f"{place}.{name}" if name else place

    def table(self) -> dict[str, Any]:
        kind = _text(self._table, "EngineType", self.key(""))
        files = _SCRIPTS | _BRAINS
        if kind not in files:
            expected = f"one of {', '.join(files)}; there are no others here"
            raise plain.Misfit(self.key("EngineType"), expected, repr(kind), plain.nearest(kind, files))
        script = _text(self._table, files[kind], self.key(""))
        return {"kind": kind, "script": script, "step_ms": _ms(self.step_s), "config": dict(self._table)}


def _ms(seconds: float) -> float:
    milliseconds = Decimal(str(seconds)) * 1000
    try:
        ns_from_ms(milliseconds)
    except (ValueError, ArithmeticError):
        raise plain.Misfit("EngineTimestep", "a whole number of nanoseconds", f"{seconds} s") from None
    return float(milliseconds)


def _table(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise plain.Misfit(key, "a map", plain.describe(value))
    return value


def _text(table: Mapping[str, Any], name: str, place: str) -> str:
    key = f"{place}.{name}" if place else name
    if name not in table:
        raise plain.Misfit(key, "a text", "nothing")
    if not isinstance(table[name], str):
        raise plain.Misfit(key, "a text", plain.describe(table[name]))
    return str(table[name])


def _number(table: Mapping[str, Any], name: str, default: float, place: str = "") -> float:
    value = table.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise plain.Misfit(f"{place}.{name}" if place else name, "a number", plain.describe(value))
    return float(value)


def _put(document: Any, key: str, value: Any) -> None:
    """Put a value over the one at `EngineConfigs.0.EngineTimestep`; an engine may be meant by its name."""
    *way, last = key.split(".")
    place = document
    for part in way:
        place = _into(place, part, key)
    if isinstance(place, list):
        raise plain.Misfit(key, "the name of a key behind the entry", "an entry of a list")
    place[last] = value


def _into(place: Any, part: str, key: str) -> Any:
    if isinstance(place, list):
        for number, entry in enumerate(place):
            names = (entry.get("EngineName"), entry.get("Name")) if isinstance(entry, dict) else ()
            if part == str(number) or part in names:
                return entry
    elif isinstance(place, dict):
        found = place.setdefault(part, {})
        if isinstance(found, (dict, list)):
            return found
    raise plain.Misfit(key, "a key of the file", f"there is no {part!r}")
