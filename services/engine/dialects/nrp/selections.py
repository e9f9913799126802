"""`nrp.brain.<population>[...]`: which neurons a device is for, in the words of published functions.

A function is loaded before there is a brain. So these are descriptions, which become the expressions of DEVICES.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

Index = int | slice | None


class Brain:
    """`nrp.brain`: every name is that of a population."""

    def __getattr__(self, name: str) -> "Neurons":
        if name.startswith("_"):
            raise AttributeError(name)
        return Neurons(((name, None),))

    def __repr__(self) -> str:
        return "nrp.brain"


class Neurons:
    """Neurons for one device: one or more parts of populations, each with what stands in its brackets."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[tuple[str, Index], ...]) -> None:
        self._parts = parts

    @property
    def expression(self) -> str:
        """As a device group names them."""
        return " + ".join(_text(name, index) for name, index in self._parts)

    def __getitem__(self, index: Any) -> "Neurons":
        if len(self._parts) != 1:
            raise TypeError(f"{self!r} has several parts: put the brackets behind each of them")
        name, within = self._parts[0]
        return Neurons(tuple((name, one) for one in _indices(index, within, repr(self))))

    def __add__(self, other: "Neurons") -> "Neurons":
        if not isinstance(other, Neurons):
            return NotImplemented
        return Neurons(self._parts + other._parts)

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{self!r} cannot be gone through: a function is loaded before there is a brain")

    def __len__(self) -> NoReturn:
        raise TypeError(f"the size of {self!r} is not known: a function is loaded before there is a brain")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self!r} is a description of neurons without {name!r}: there is no brain yet")

    def __repr__(self) -> str:
        return "nrp.brain." + " + nrp.brain.".join(_text(name, index) for name, index in self._parts)


@dataclass(frozen=True, slots=True)
class Several:
    """One device for each of these: what `map_neurons` and `chain_neurons` make."""

    each: tuple[Neurons, ...]


def map_neurons(neuron_range: int | Iterable[Any], mapping: Callable[[Any], Any]) -> Several:
    """One device for each of the numbers, for the neurons that the function gives."""
    numbers = range(neuron_range) if isinstance(neuron_range, (int, np.integer)) else neuron_range
    return chain_neurons(*(mapping(number) for number in numbers))


def chain_neurons(*selectors: Any) -> Several:
    """The devices of all of these in one group."""
    each: list[Neurons] = []
    for selector in selectors:
        each += chosen(selector)[0]
    return Several(tuple(each))


def nrange(start: int, stop: int, step: int | None = None) -> slice:
    """What stands between brackets for a range."""
    return slice(start, stop, step)


def chosen(selection: Any) -> tuple[list[Neurons], bool]:
    """The neurons of each device, and whether they are a group. Raises TypeError for what are no neurons."""
    match selection:
        case Neurons():
            return [selection], False
        case Several():
            return list(selection.each), True
        case list() | tuple():
            return list(chain_neurons(*selection).each), True
        case Brain():
            raise TypeError("nrp.brain is the whole brain: name a population, such as nrp.brain.actors")
    raise TypeError(f"expected neurons, such as nrp.brain.actors[0:5], found {selection!r:.60}")


def root(brain: Brain) -> SimpleNamespace:
    """`nrp.config`, of which `brain_root` is what `nrp.resolve` looks at."""
    return SimpleNamespace(brain_root=brain)


def _text(name: str, index: Index) -> str:
    if index is None:
        return name
    if isinstance(index, slice):
        numbers = [index.start, index.stop, *([] if index.step is None else [index.step])]
        return f"{name}[{':'.join('' if number is None else str(int(number)) for number in numbers)}]"
    return f"{name}[{index}]"


def _indices(index: Any, within: Index, shown: str) -> Iterable[Index]:
    """What is left when brackets follow on what stands in others."""
    if isinstance(index, (list, tuple, range, np.ndarray)):
        numbers = np.asarray(index)
        numbers = np.flatnonzero(numbers) if numbers.dtype == bool else numbers
        return [one for number in numbers.tolist() for one in _indices(number, within, shown)]
    if not isinstance(index, (int, np.integer, slice)) or isinstance(index, bool):
        raise TypeError(f"{shown}[{index!r}]: expected a number, a range or a list of numbers")
    own: Index = index if isinstance(index, slice) else int(index)
    if within is None:
        return [own]
    known = isinstance(within, slice) and within.stop is not None and min(within.start or 0, within.stop) >= 0
    if not known:
        raise TypeError(f"{shown} has brackets already: write both in one")
    assert isinstance(within, slice)
    assert own is not None
    left = range(within.start or 0, within.stop, within.step or 1)[own]
    return [slice(left.start, left.stop, left.step)] if isinstance(left, range) else [left]
