"""What a transfer function returned: a value for each place it writes to, checked before anything is written."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reafference import plain
from reafference.frames import Array

from .ports import Place


class Unusable(Exception):
    """A result that cannot be written; `shape` says that its form is wrong, not its number."""

    def __init__(self, text: str, *, shape: bool = False) -> None:
        super().__init__(text)
        self.shape = shape


def checked(
    name: str, addresses: Sequence[str], places: Sequence[Place], result: Any
) -> list[tuple[Place, Array | float]]:
    """What is to be written where; raises Unusable. `addresses` are the places in the words of the author of `name`."""
    return [
        (place, _usable(name, place, value))
        for place, value in zip(places, _spread(name, addresses, result), strict=True)
        if value is not None
    ]


def _spread(name: str, addresses: Sequence[str], result: Any) -> Sequence[Any]:
    """One value, or None, for each of the addresses."""
    if result is None:
        return [None] * len(addresses)
    if isinstance(result, Mapping):
        return _by_address(name, addresses, result)
    if len(addresses) == 1:
        return [result]
    if not isinstance(result, (list, tuple)) and np.ndim(result) == 0:
        return [result] * len(addresses)
    if len(result) != len(addresses):
        raise Unusable(
            f"transfer function {name!r} returned {len(result)} values but writes to {len(addresses)} ports: "
            "return one number for all, or one value for each",
            shape=True,
        )
    return list(result)


def _by_address(name: str, addresses: Sequence[str], result: Mapping[Any, Any]) -> list[Any]:
    for address in result:
        if address not in addresses:
            raise Unusable(
                f"transfer function {name!r} returned a value for {address!r}, which it does not write to"
                f"{plain.nearest(str(address), addresses)}",
                shape=True,
            )
    return [result.get(address) for address in addresses]


def _usable(name: str, place: Place, value: Any) -> Array | float:
    """`value` as an array of the port's dtype; raises Unusable for a wrong form, NaN or out of range."""
    if type(value) is float and place.index is not None and _plain(value, place):
        return value
    who = f"transfer function {name!r}"
    try:
        array = np.asarray(value, dtype=place.port.dtype)
    except (TypeError, ValueError):
        raise Unusable(f"{who} returned {value!r:.60} for {place.name}: expected {_form(place)}", shape=True) from None
    if array.shape != place.shape and not (place.index is None and place.port.has_shape(array.shape)):
        raise Unusable(f"{who} returned shape {array.shape} for {place.name}: expected {_form(place)}", shape=True)
    low, high = place.port.low, place.port.high
    if array.size and not _within(array.min(), array.max(), low, high):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Unusable(f"{who} returned {_first_bad(array)} for {place.name}")
        if low is not None and (array < low).any():
            raise Unusable(f"{who} returned {array.min():g} for {place.name}: expected {low:g} or more")
        raise Unusable(f"{who} returned {array.max():g} for {place.name}: expected {high:g} or less")
    return array


def _plain(value: float, place: Place) -> bool:
    """The common case, without arrays: a number that may be written as it is."""
    return len(place.port.shape) == 1 and _within(value, value, place.port.low, place.port.high)


def _within(least: float, most: float, low: float | None, high: float | None) -> bool:
    """Whether all from `least` to `most` is finite and within the limits; either of them is NaN where one value is."""
    return (-math.inf < least if low is None else low <= least) and (most < math.inf if high is None else most <= high)


def _form(place: Place) -> str:
    unit = f" in {place.port.unit}" if place.port.unit not in ("", "1") else ""
    return f"a number{unit}" if place.shape == () else f"an array of shape {place.shape}{unit}"


def _first_bad(array: Array) -> str:
    bad = array[~np.isfinite(array)].flat[0]
    return "NaN" if np.isnan(bad) else f"{bad}"
