"""Values of the wire as values of JSON, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reafference import jsontext


def listed(value: Any) -> Any:
    """A value with lists where it has arrays, and texts for numbers that JSON has no form for (`jsontext`)."""
    match value:
        case np.ndarray() | np.generic():
            plain = value.dtype.kind != "f" or bool(np.isfinite(value).all())
            return value.tolist() if plain else jsontext.spelled(value.tolist())
        case float():
            return jsontext.spelled(value)
        case Mapping():
            return {str(key): listed(item) for key, item in value.items()}
        case list() | tuple():
            return [listed(item) for item in value]
        case bytes():
            return f"{len(value)} bytes"
    return value


def numbers(value: Any) -> Any:
    """A value that came as JSON, with numbers where it has their names ("Infinity")."""
    return jsontext.loads(jsontext.dumps(value))
