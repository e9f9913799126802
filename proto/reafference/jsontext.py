"""JSON that every reader takes, browsers too.

JSON has no word for infinity or for what is not a number; Python's own module writes bare words that others
refuse. Here such a number is one of the texts "Infinity", "-Infinity" and "NaN", which `Number(text)` in a browser
and `float(text)` in Python turn into it again. So an infinite threshold survives; a text that is exactly one of the
three does not.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

_NUMBERS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


def dumps(value: Any, *, indent: int | None = None) -> str:
    """`value`, made of maps, lists and scalars, as JSON."""
    return json.dumps(spelled(value), indent=indent, allow_nan=False)


def spelled(value: Any) -> Any:
    """`value` with the texts for numbers that JSON has no form for, for whoever makes the JSON himself."""
    return _throughout(value, _as_text)


def loads(text: str | bytes) -> Any:
    """What `dumps` was given; raises ValueError for a text that is no JSON."""
    return _throughout(json.loads(text), _as_number)


def _throughout(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _throughout(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_throughout(item, change) for item in value]
    return change(value)


def _as_text(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _as_number(value: Any) -> Any:
    return _NUMBERS.get(value, value) if isinstance(value, str) else value
