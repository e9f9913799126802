"""Cards: what can be said of an experiment from its files, without running anything.

How many cells and synapses there are is known only after a run. A template says it in `facts.json`, written by
`benchmarks/facts.py` from a run of it; that holds for a clone as long as its brain, or body, is still the same one.
"""

import ast
import contextlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from . import paths
from .storage import FILE

FACTS = "facts.json"
MOST_BYTES = 256 * 1024
"""Of a file that is looked into for a card: it is done for every experiment of a list."""

_MARK = "transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the files of an experiment say. Numbers are None where nobody knows.

    `limit` is the kind, "simulated" or "real", and the seconds.
    """

    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    limit: tuple[Literal["simulated", "real"], float] | None = None
    functions: int | None = None
    cells: int | None = None
    synapses: int | None = None
    populations: int | None = None
    muscles: int | None = None
    camera: bool | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def card_of(folder: Path, template: Path | None = None) -> Card:
    """The card of the experiment in `folder`, with the facts that `template` (or it itself) has of its like."""
    settings = _settings(folder)
    general = _table(settings, "experiment")
    facts = _facts((template or folder) / FACTS)
    brain, body = (_facts_if_same(facts, name, settings) for name in ("brain", "body"))
    return Card(
        title=_text(general, "title"),
        description=_text(general, "description"),
        tags=_tags(general),
        limit=_limit(general),
        functions=functions_in(folder, settings),
        cells=brain.get("cells"),
        synapses=brain.get("synapses"),
        populations=brain.get("populations"),
        muscles=body.get("muscles"),
        camera=body.get("camera"),
        settings=settings,
    )


def kind_of(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What makes a brain or a body the one it is: which model or script, with which parameters."""
    table = _table(settings, name)
    return {key: table[key] for key in ("model", "script", "parameters", "camera") if key in table}


def functions_in(folder: Path, settings: Mapping[str, Any]) -> int | None:
    """How many transfer functions the experiment declares; None if its file cannot be read."""
    if "transfer" not in settings:
        return 0
    files = _table(settings, "transfer").get("files")
    if isinstance(files, list):
        return len(files)  # in the dialects of other platforms each file has one
    name = str(_table(settings, "transfer").get("file", "transfer.py"))
    if paths.flaw_of(name):
        return None
    try:
        tree = ast.parse(_text_of(folder / name))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return sum(isinstance(node, ast.FunctionDef) and any(map(_marks, node.decorator_list)) for node in tree.body)


def _marks(decorator: ast.expr) -> bool:
    """Whether a decorator makes a transfer function."""
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
    return name == _MARK


def _settings(folder: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        return tomllib.loads(_text_of(folder / FILE))
    return {}


def _text_of(path: Path) -> str:
    """Raises ValueError for what is too large to be looked into."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path.name} is larger than {MOST_BYTES} bytes")
    return data.decode("utf-8")


def _facts(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads(_text_of(path))
        return facts if isinstance(facts, dict) else {}
    return {}


def _facts_if_same(facts: Mapping[str, Any], name: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    known = _table(facts, name)
    return known if known.get("of") == kind_of(settings, name) else {}


def _table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = settings.get(name)
    return table if isinstance(table, Mapping) else {}


def _text(general: Mapping[str, Any], key: str) -> str:
    value = general.get(key)
    return value if isinstance(value, str) else ""


def _tags(general: Mapping[str, Any]) -> tuple[str, ...]:
    tags = general.get("tags")
    return tuple(str(tag) for tag in tags) if isinstance(tags, list) else ()


def _limit(general: Mapping[str, Any]) -> tuple[Literal["simulated", "real"], float] | None:
    """The limit that is simulated time, or that of real time where there is no other."""
    if steps := _number(general, "steps"):
        step_ms = _number(general, "step_ms")
        return "simulated", steps * (20.0 if step_ms is None else step_ms) / 1000
    real_s = _number(general, "real_limit_s")
    return ("real", real_s) if real_s else None


def _number(general: Mapping[str, Any], key: str) -> float | None:
    value = general.get(key)
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None  # type: ignore[arg-type]
