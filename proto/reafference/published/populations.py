"""Populations as published experiments describe them, and as our selections say the same.

    3                                  circuit[3]
    [1, 4]                             circuit[1] + circuit[4]
    {"from": 0, "to": 8, "step": 2}    circuit[0:8:2]

Each counts within one population of the brain script, `circuit` by name. A step of 1 may be left out.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import BadExperiment
from ..plain import describe

CIRCUIT = "circuit"

Description = int | list[int] | dict[str, int]

_TERM = re.compile(r"\s*(?P<name>[A-Za-z_][\w.\-]*)\s*(?:\[\s*(?P<index>[^\[\]]*?)\s*\])?\s*\Z")
_SLICE = re.compile(r"(\d+)?\s*:\s*(\d+)?\s*(?::\s*(\d+)?)?\Z")


def selection(described: Any, *, root: str = CIRCUIT) -> str:
    """Our selection for a published description; a text is taken to be a selection already.

    Raises BadExperiment for anything else.
    """
    if isinstance(described, str):
        return described
    if _is_index(described):
        return f"{root}[{described}]"
    if isinstance(described, Mapping):
        return selection(described["list"], root=root) if "list" in described else _slice(described, root)
    if isinstance(described, Sequence) and described and all(_is_index(one) for one in described):
        return " + ".join(f"{root}[{one}]" for one in described)
    raise BadExperiment(
        f"a population is a number, a list of numbers or a table with from, to and step; found {describe(described)}"
    )


def description(meant: str, *, size: int | None = None, root: str = CIRCUIT) -> Description | None:
    """The published description of a selection; None where there is none for it.

    `size` is the number of neurons of `root`, which a slice without an end needs.
    """
    terms = [_TERM.match(term) for term in meant.split("+")]
    if any(term is None or term["name"] != root for term in terms):
        return None
    indices = [term["index"] for term in terms if term is not None]
    if len(indices) == 1:
        return _of_one(indices[0], size)
    if all(index is not None and index.isdecimal() for index in indices):
        return [int(index) for index in indices]
    return None


def _of_one(index: str | None, size: int | None) -> Description | None:
    if index is not None and index.isdecimal():
        return int(index)
    part = _SLICE.match(":" if index is None else index)
    if part is None:
        return None
    end = size if part[2] is None else int(part[2])
    return None if end is None else {"from": int(part[1] or 0), "to": end, "step": int(part[3] or 1)}


def _slice(described: Mapping[str, Any], root: str) -> str:
    ends = {key: described.get(key) for key in ("from", "to", "step")}
    for key, value in ends.items():
        if value is not None and not (_is_index(value) and (key != "step" or value > 0)):
            raise BadExperiment(f"{key} of a population must be a whole number of 0 or more, found {describe(value)}")
    start, stop, step = ends["from"] or 0, ends["to"], ends["step"] or 1
    if stop is None and start == 0 and step == 1:
        return root
    return f"{root}[{start}:{'' if stop is None else stop}{f':{step}' if step != 1 else ''}]"


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
