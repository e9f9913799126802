"""What a model or a user's script hands back: named populations, and what is known about them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from services.brain.kernel import nest
from services.brain.selection import Ids, Population

_NAME = re.compile(r"[A-Za-z_][\w.\-]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network that has been built in the kernel.

    `populations` maps a name to a NodeCollection, a population of PyNN, a list of node ids, a range of them, or one id.
    The rest is optional. By population: `full_sizes`, the number of neurons at full scale; `positions`, their places in
    mm, shape (n, 3) with z up; `offsets`, where the origin of those lies (x, y, z) when all are drawn together;
    `properties`, what a person may want to know (sign, region, layer). `neurons`, `relays` and `synapses` (without
    those of devices) are counted where the model does not say. `facts` go into the facts of the run.
    """

    populations: Mapping[str, Any]
    full_sizes: Mapping[str, int] = field(default_factory=dict)
    positions: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    offsets: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    neurons: int | None = None
    relays: int | None = None
    synapses: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class NotPopulations(ValueError):
    """What was given cannot be read as populations; the text says why, for people."""


def populations_of(network: Network) -> dict[str, Population]:
    """The populations by name, in the order given. Raises NotPopulations."""
    found = {}
    size = nest.network_size
    for name, nodes in network.populations.items():
        if not isinstance(name, str) or not _NAME.match(name):
            raise NotPopulations(
                f"{name!r} cannot name a population: use letters, digits, '_', '.' and '-', no digit first"
            )
        ids = node_ids(nodes, f"population {name!r}", size)
        full = network.full_sizes.get(name)
        found[name] = Population(name, ids, full, network.properties.get(name, {}))
    for table, what in ((network.full_sizes, "full_sizes"), (network.positions, "positions")):
        for name in table:
            if name not in found:
                raise NotPopulations(f"{what} names {name!r}, which is not among the populations")
    for name, places in network.positions.items():
        _check_places(places, name, len(found[name].ids))
    return found


def node_ids(nodes: Any, what: str, network_size: int) -> Ids:
    """Ids of nodes given in any of the ways of `Network`, in the order given. Raises NotPopulations."""
    ids = _as_ids(nodes, what)
    if not len(ids):
        raise NotPopulations(f"{what} is empty")
    outside = ids[(ids < 1) | (ids > network_size)]
    if len(outside):
        raise NotPopulations(f"{what} has the node id {outside[0]}, the network has 1 to {network_size}")
    if len(np.unique(ids)) != len(ids):
        raise NotPopulations(f"{what} names a node twice")
    return ids


def holds_nodes(value: Any) -> bool:
    """Whether this is a NodeCollection of NEST or a population of PyNN that is not empty."""
    if isinstance(value, nest.NodeCollection):
        return len(value) > 0
    return is_of_pynn(value) and len(value.all_cells) > 0


def collection(ids: Ids) -> Any:
    """The NodeCollection of these nodes; NEST keeps ids in ascending order."""
    return nest.NodeCollection(np.sort(ids))


def _check_places(places: Any, name: str, size: int) -> None:
    try:
        array = np.asarray(places, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (size, 3) or not np.isfinite(array).all():
        raise NotPopulations(
            f"the positions of {name!r} are not {size} finite places: give an array of the shape ({size}, 3), in mm"
        )


def _as_ids(nodes: Any, what: str) -> Ids:
    if isinstance(nodes, nest.NodeCollection):
        return _ids_of_collection(nodes)
    if is_of_pynn(nodes):
        return np.array(nodes.all_cells, np.int64)
    if isinstance(nodes, range):
        return np.arange(nodes.start, nodes.stop, nodes.step, dtype=np.int64)
    if isinstance(nodes, (int, np.integer)) and not isinstance(nodes, bool):
        return np.array([nodes], np.int64)
    if isinstance(nodes, (list, tuple, np.ndarray)):
        array = np.asarray(nodes)
        if array.ndim == 1 and (array.dtype.kind in "iu" or not len(array)):
            return array.astype(np.int64)
    raise NotPopulations(f"{what} is {_named(nodes)}: give a NodeCollection, a list of node ids, or one node id")


def is_of_pynn(value: Any) -> bool:
    """A Population, a PopulationView or an Assembly, of which nothing is imported where no script does."""
    return type(value).__module__ == "pyNN.nest.populations"


def _ids_of_collection(nodes: Any) -> Ids:
    if not len(nodes):
        return np.empty(0, np.int64)
    # A collection is in ascending order, so its ends tell whether it is one range; asking every node
    # for its id takes 20 us each.
    first, last = nodes[0].global_id, nodes[-1].global_id
    if last - first + 1 == len(nodes):
        return np.arange(first, last + 1, dtype=np.int64)
    return np.array(nodes.tolist(), np.int64)


def _named(value: Any) -> str:
    kind = type(value).__name__
    return kind if isinstance(value, Mapping) else f"{kind} {str(value)[:60]!r}"
