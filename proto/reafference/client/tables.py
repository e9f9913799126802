"""CSV as columns of numbers."""

import csv
import io
from collections.abc import Sequence

import numpy as np

from ..frames import Array


def columns(text: str) -> dict[str, Array]:
    """The columns of a CSV text by their heads, in their order.

    Whole numbers become int64, other numbers float64 (an empty cell is not a number), anything else texts.
    """
    rows = list(csv.reader(io.StringIO(text)))
    if not rows:
        return {}
    head, *body = rows
    whole = [row for row in body if len(row) == len(head)]  # the last row of a file that grows may be cut
    return {name: _array([row[n] for row in whole]) for n, name in enumerate(head)}


def _array(cells: Sequence[str]) -> Array:
    for kind in (int, float):
        try:
            return np.array(
                [kind(cell) if cell or kind is int else np.nan for cell in cells], np.dtype(f"{kind.__name__}64")
            )
        except (ValueError, OverflowError):
            continue
    return np.array(cells, dtype=np.str_)


def structured(found: dict[str, Array]) -> Array:
    """The same columns as one structured array, a row for each line."""
    kinds = [(name, values.dtype) for name, values in found.items()]
    table = np.empty(len(next(iter(found.values()), np.empty(0))), kinds)
    for name, values in found.items():
        table[name] = values
    return table
