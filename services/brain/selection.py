"""Which neurons an expression means: `NAME`, `NAME[3]`, `NAME[0:400:2]`, sums of these, and wildcards.

With `each` before it, an expression gives one selection per neuron instead of one for all.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from reafference.plain import Misfit, nearest

Ids = npt.NDArray[np.int64]

_TERM = re.compile(r"(?P<name>[A-Za-z_*?][\w.*?\-]*)\s*(\[(?P<index>[^\[\]]*)\])?\Z")
_INDEX = re.compile(r"\s*(-?\d+)\s*\Z")
_SLICE = re.compile(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(\d+)?\s*)?\Z")
_WRITTEN = "NAME, NAME[3], NAME[0:400], NAME[0:400:2], or several joined by +"
_EACH = "each "


@dataclass(frozen=True, slots=True)
class Population:
    """A named set of neurons.

    `ids` are node ids, shape (n,), in the order in which an index counts. `full_size` is the number of
    neurons at full scale where the model knows it; `properties` are for people.
    """

    name: str
    ids: Ids
    full_size: int | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """What one entry of a list of targets or sources means.

    `scale` is how many neurons of the full-scale model stand behind one neuron here, on average over the
    selection; None where a population does not say its full size.
    """

    label: str
    ids: Ids
    scale: float | None

    def __len__(self) -> int:
        return len(self.ids)


def resolve(
    entries: Sequence[str], populations: Mapping[str, Population], extra: Mapping[str, Selection] | None = None
) -> list[Selection]:
    """One selection per entry; one with a wildcard gives one per matching population, one with `each` one per neuron.

    `extra` holds further names, which wildcards do not match. Raises Misfit, whose key is the place in
    the list (`[2]`), for an unknown population, an index out of range, or a neuron named twice.
    """
    names = _Names(populations, extra or {})
    found: dict[str, Selection] = {}
    for place, entry in enumerate(entries):
        for selection in names.entry(entry, f"[{place}]"):
            if selection.label in found:
                raise Misfit(f"[{place}]", "each selection once", f"{selection.label!r} a second time")
            found[selection.label] = selection
    return list(found.values())


def resolve_one(text: str, populations: Mapping[str, Population], extra: Mapping[str, Selection]) -> Selection:
    """What one expression without a wildcard means; raises Misfit."""
    return _Names(populations, extra).sum(text, "")


def ranges(ids: Ids) -> list[list[int]]:
    """Sorted ids as inclusive ranges: 3, 4, 5, 9 become [[3, 5], [9, 9]]."""
    if not len(ids):
        return []
    ordered = np.sort(ids)
    cuts = np.flatnonzero(np.diff(ordered) != 1)
    first = ordered[np.r_[0, cuts + 1]]
    last = ordered[np.r_[cuts, len(ordered) - 1]]
    return [[int(a), int(b)] for a, b in zip(first, last, strict=True)]


class _Names:
    """Looks names up; every error it raises carries the key of the entry."""

    def __init__(self, populations: Mapping[str, Population], extra: Mapping[str, Selection]) -> None:
        self._populations = populations
        self._known: dict[str, Selection] = {
            name: Selection(name, p.ids, _scale(p)) for name, p in populations.items()
        } | dict(extra)

    def entry(self, text: str, key: str) -> Iterator[Selection]:
        for expression in self._expanded(text.removeprefix(_EACH).strip(), key):
            whole = self.sum(expression, key)
            if not text.startswith(_EACH):
                yield whole
                continue
            for term in expression.split("+"):
                yield from self._each(term.strip(), key)

    def _expanded(self, text: str, key: str) -> list[str]:
        """The expressions without a wildcard that this one stands for."""
        if "*" not in text and "?" not in text:
            return [text]
        if "+" in text:
            raise Misfit(key, "a sum of plain names, or one name with a wildcard", f"both in {text!r}")
        match = _parse(text, key)
        pattern = re.compile(re.escape(match["name"]).replace(r"\*", ".*").replace(r"\?", ".") + r"\Z")
        matching = [name for name in self._populations if pattern.match(name)]
        if not matching:
            raise Misfit(key, "a pattern that matches a population", f"{text!r}", self._list())
        index = "" if match["index"] is None else f"[{match['index']}]"
        return [name + index for name in matching]

    def sum(self, text: str, key: str) -> Selection:
        terms = [self._term(term.strip(), key) for term in text.split("+")]
        ids = np.concatenate([t.ids for t in terms])
        values, counts = np.unique(ids, return_counts=True)
        if (counts > 1).any():
            twice = int(values[counts > 1][0])
            raise Misfit(key, "each neuron once", f"the neuron with id {twice} twice in {text!r}")
        return Selection(text, ids, _mean_scale(terms))

    def _term(self, text: str, key: str) -> Selection:
        whole, index = self._found(text, key)
        if index is None:
            return whole
        return Selection(text, whole.ids[_places(len(whole), index, text, key)], whole.scale)

    def _each(self, text: str, key: str) -> Iterator[Selection]:
        """One selection per neuron of a term, under the name and the index it has in its population."""
        whole, index = self._found(text, key)
        places = _places(len(whole), ":" if index is None else index, text, key)
        for place in places.tolist():
            yield Selection(f"{whole.label}[{place}]", whole.ids[place : place + 1], whole.scale)

    def _found(self, text: str, key: str) -> tuple[Selection, str | None]:
        """The population that a term names, and what stands in brackets."""
        match = _parse(text, key)
        whole = self._known.get(match["name"])
        if whole is None:
            hint = nearest(match["name"], self._known) or self._list()
            raise Misfit(key, "the name of a population", repr(match["name"]), hint)
        return whole, match["index"]

    def _list(self) -> str:
        names = list(self._known)
        more = f" and {len(names) - 20} more" if len(names) > 20 else ""
        return f" (there are {', '.join(names[:20]) or 'no populations'}{more})"


def _parse(text: str, key: str) -> re.Match[str]:
    match = _TERM.match(text)
    if match is None:
        raise Misfit(key, _WRITTEN, repr(text))
    return match


def _places(size: int, index: str, text: str, key: str) -> npt.NDArray[np.intp]:
    """The places within a population of `size` neurons that stand in brackets."""
    if one := _INDEX.match(index):
        at = int(one[1])
        if not -size <= at < size:
            raise Misfit(key, f"an index within the {size} neurons of the population", repr(text))
        return np.array([at % size])
    part = _SLICE.match(index)
    if part is None:
        raise Misfit(key, _WRITTEN, repr(text))
    start, stop, step = (None if part[i] is None else int(part[i]) for i in (1, 2, 3))
    # Python would cut a slice off at the end; here fewer neurons than were asked for is a mistake.
    if any(edge is not None and not -size <= edge <= size for edge in (start, stop)) or step == 0:
        raise Misfit(key, f"a range within the {size} neurons of the population", repr(text))
    chosen = np.arange(size)[slice(start, stop, step)]
    if not len(chosen):
        raise Misfit(key, "at least one neuron", f"none in {text!r} (the population has {size})")
    return chosen


def _scale(population: Population) -> float | None:
    if population.full_size is None:
        return None
    return population.full_size / len(population.ids)


def _mean_scale(terms: Sequence[Selection]) -> float | None:
    total = 0.0
    for term in terms:
        if term.scale is None:
            return None
        total += term.scale * len(term)
    return total / sum(len(term) for term in terms)
