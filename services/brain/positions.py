"""Where the neurons of a brain are, for those who draw it: a sample that is always the same.

Places come from the model or the script where they say, else from NEST where it has placed the nodes in space. Neurons
of which nobody knows are given places in a ball for each population, and marked as such.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from reafference.frames import Array
from services.brain.kernel import nest
from services.brain.network import Network
from services.brain.selection import Ids, Population
from services.brain.together import Together

MOST = 60_000
"""So many points are drawn smoothly everywhere."""

Points = npt.NDArray[np.float64]

_BALL_MM = 0.05
"""Radius of the ball of one neuron; of n it is larger by the cubic root."""
_GAP_MM = 0.1
# Of the golden-ratio sequences in two dimensions, which fill a square evenly with any number of points.
_R1, _R2 = 0.7548776662466927, 0.5698402909980532


def positions(
    network: Network, populations: Mapping[str, Population], most: int, together: Together
) -> dict[str, dict[str, Any]]:
    """By population: `ids` int64 (n), `positions_mm` float32 (n, 3), `offset_mm`, and whether they were `generated`.

    At most `most` neurons in all, chosen by a hash of their ids, so that the same ones are shown of each population
    that has them, every time.
    """
    with together.stage():
        sample = _Sample.of(populations, most)
        space = {name: found for name in populations if (found := _in_space(network, name)) is not None}
        local = {name: _local_places(space[name], sample.ids(populations[name])) for name in space}
    parts = together.each(local) if space else []
    with together.stage():
        drawing = _Drawing()
        for name, population in populations.items():
            known = _known(network, population, sample)
            if known is None and name in space:
                known = _joined(parts, name)
            if known is not None:
                drawing.place(name, *known, network.offsets.get(name, (0.0, 0.0, 0.0)))
        for name, population in populations.items():
            if name not in drawing.drawn:
                drawing.generate(name, *sample.of_population(population), len(population.ids))
        return {name: drawing.drawn[name] for name in populations}


def mixed(ids: Ids) -> npt.NDArray[np.uint32]:
    """A number from 0 to 2^32 - 1 for each id, as if by chance, always the same, another for each id.

    The raster of the front door leaves out neurons by the same numbers, so that it shows the ones that are drawn here.
    """
    x = ids.astype(np.uint32)
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(16))


@dataclass(frozen=True, slots=True)
class _Sample:
    """The neurons whose number is not above `highest`."""

    highest: int

    @classmethod
    def of(cls, populations: Mapping[str, Population], most: int) -> "_Sample":
        every = np.unique(np.concatenate([p.ids for p in populations.values()]))
        if len(every) <= most:
            return cls(2**32 - 1)
        return cls(int(np.partition(mixed(every), most - 1)[most - 1]))

    def of_population(self, population: Population) -> tuple[Ids, npt.NDArray[np.intp]]:
        """Ids of those that are shown, ascending, and their places in the population."""
        places = np.flatnonzero(mixed(population.ids) <= self.highest)
        places = places[np.argsort(population.ids[places], kind="stable")]
        return population.ids[places], places

    def ids(self, population: Population) -> Ids:
        return self.of_population(population)[0]


@dataclass(slots=True)
class _Drawing:
    """What has been placed so far."""

    drawn: dict[str, dict[str, Any]] = field(default_factory=dict)
    _ids: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    _points: Points = field(default_factory=lambda: np.empty((0, 3)))
    _made_up: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))

    def place(self, name: str, ids: Ids, points: Points, offset: tuple[float, float, float]) -> None:
        """A population whose places are known."""
        moved = points + np.array(offset)
        self._draw(name, ids, moved, offset, generated=False)
        self._remember(ids, moved, generated=False)

    def generate(self, name: str, ids: Ids, places: npt.NDArray[np.intp], size: int) -> None:
        """A population of `size` neurons of which nobody knows. Those that others have too stay where they are."""
        order = np.argsort(self._ids, kind="stable")
        at = np.searchsorted(self._ids, ids, sorter=order)
        found = np.zeros(len(ids), bool)
        inside = at < len(self._ids)
        found[inside] = self._ids[order[at[inside]]] == ids[inside]
        points = np.zeros((len(ids), 3))
        points[found] = self._points[order[at[found]]]
        generated = not found.all() or bool(self._made_up[order[at[found]]].any())
        if not found.all():
            radius = _BALL_MM * size ** (1 / 3)
            right = self._points[:, 0].max() + radius + _GAP_MM if len(self._points) else 0.0
            points[~found] = _ball(places[~found], size, radius) + np.array([right, 0.0, 0.0])
            self._remember(ids[~found], points[~found], generated=True)
        self._draw(name, ids, points, (0.0, 0.0, 0.0), generated=generated)

    def _draw(
        self, name: str, ids: Ids, points: Points, offset: tuple[float, float, float], *, generated: bool
    ) -> None:
        self.drawn[name] = {
            "ids": ids,
            "positions_mm": points.astype(np.float32),
            "offset_mm": list(offset),
            "generated": generated,
        }

    def _remember(self, ids: Ids, points: Points, *, generated: bool) -> None:
        self._ids = np.concatenate([self._ids, ids])
        self._points = np.concatenate([self._points, points])
        self._made_up = np.concatenate([self._made_up, np.full(len(ids), generated)])


def _ball(places: npt.NDArray[np.intp], size: int, radius: float) -> Points:
    """Points (n, 3) of those places among `size` that fill a ball evenly."""
    height = 1.0 - 2.0 * np.mod((places + 0.5) * _R1, 1.0)
    angle = 2.0 * np.pi * np.mod((places + 0.5) * _R2, 1.0)
    out = radius * ((places + 0.5) / size) ** (1 / 3)
    flat = np.sqrt(1.0 - height**2)
    return np.column_stack([out * flat * np.cos(angle), out * flat * np.sin(angle), out * height])


def _known(network: Network, population: Population, sample: _Sample) -> tuple[Ids, Points] | None:
    """Ids and places as the model or the script has given them."""
    given = network.positions.get(population.name)
    if given is None:
        return None
    ids, places = sample.of_population(population)
    return ids, np.asarray(given, np.float64)[places]


def _in_space(network: Network, name: str) -> Any:
    """The nodes of a population that NEST has placed in space; None where there are no such, or others know better."""
    nodes = network.populations[name]
    placed = isinstance(nodes, nest.NodeCollection) and nodes.spatial is not None
    return nodes if placed and name not in network.positions else None


def _local_places(nodes: Any, ids: Ids) -> dict[str, Array]:
    """Ids and places of those nodes that live in this process, which NEST knows of these only."""
    own = np.array(nodes.tolist(), np.int64)
    at = np.flatnonzero(np.isin(own, ids) & np.atleast_1d(nodes.local))
    if not len(at):
        return {"ids": np.empty(0, np.int64), "places": np.empty((0, 3))}
    found = np.array([nest.GetPosition(nodes[place : place + 1]) for place in at.tolist()], np.float64)
    found = found.reshape(len(at), -1)[:, :3]
    return {"ids": own[at], "places": np.pad(found, ((0, 0), (0, 3 - found.shape[1])))}


def _joined(parts: list[Mapping[str, Any]], name: str) -> tuple[Ids, Points]:
    """What all processes know of a population, by id."""
    ids = np.concatenate([part[name]["ids"] for part in parts])
    places = np.concatenate([part[name]["places"] for part in parts])
    order = np.argsort(ids, kind="stable")
    return ids[order], places[order]
