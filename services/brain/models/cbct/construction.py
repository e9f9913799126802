"""Builds the CBCT model in NEST: sheets of cells, projections, background input; in the order of the tables."""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reafference.simulator import Report
from services.brain.kernel import nest
from services.brain.models.cbct.expected import ON_EDGE, PAD_MM, disc_counts, extra_probability
from services.brain.models.cbct.parameters import CbctParameters
from services.brain.models.cbct.projections import Mask, Projection
from services.brain.models.cbct.sheets import Sheet
from services.brain.models.cbct.tables import TRANSIENT_MS, InputRow, PopulationRow, Tables

_EXTENT_MARGIN = 1e-9
"""NEST wants every point inside the extent, not on its edge."""


CREATE, DRIVE = "create cells", "connect background input"


def connecting(tables: Tables, target: str) -> str:
    """The task that projections onto this population belong to."""
    return f"connect {tables.populations[target].region}"


@dataclass(slots=True)
class Progress:
    """Counts what has been built, for people: "connect M1", 31 of 67. `totals` has the steps of each task."""

    report: Report
    totals: Mapping[str, int]
    neurons: int = 0
    _done: dict[str, int] = field(default_factory=dict)

    def step(self, task: str, what: str) -> None:
        """One more step of a task has been made: `what`."""
        self._done[task] = self._done.get(task, 0) + 1
        # Each process knows its own synapses only; they are spread evenly.
        processes = nest.num_processes
        synapses = f"{nest.num_connections:,}" if processes == 1 else f"about {nest.num_connections * processes:,}"
        self.report(task, self._done[task], self.totals[task], f"{self.neurons:,} neurons, {synapses} synapses; {what}")


class Construction:
    """One build; call `populate`, then `project` for each projection, then `drive`."""

    def __init__(
        self,
        tables: Tables,
        parameters: CbctParameters,
        sheets: Mapping[str, Sheet],
        *,
        seed: int,
        resolution_ms: float,
        progress: Progress,
    ) -> None:
        self._tables = tables
        self._parameters = parameters
        self._sheets = sheets
        self._seed = seed
        self._resolution_ms = resolution_ms
        self._progress = progress
        self._taken: dict[str, np.ndarray[Any, Any]] = {}
        self.nodes: dict[str, Any] = {}

    # --- cells --------------------------------------------------------------------------------------

    def populate(self) -> None:
        for name, sheet in self._sheets.items():
            row = self._tables.populations[name]
            cells = self._tables.neurons[row.neuron_set]
            params = dict(cells.params) | self._first_voltage(row, cells.params)
            self.nodes[name] = nest.Create(cells.model, params=params, positions=self._layer(sheet))
            self._progress.neurons += len(sheet) if row.kind == "neuron" else 0
            self._progress.step(CREATE, name)

    def _first_voltage(self, row: PopulationRow, params: Mapping[str, Any]) -> dict[str, Any]:
        drawn = row.v_init.startswith("uniform") if self._parameters.v_m == "table" else row.region != "BG"
        if row.kind == "relay" or not drawn:
            return {}
        return {"V_m": nest.random.uniform(min=params["V_reset"], max=params["V_th"])}

    def _layer(self, sheet: Sheet) -> Any:
        positions = sheet.positions
        if self._parameters.geometry == "intended":
            extent = [sheet.side_mm * (1 + _EXTENT_MARGIN)] * 2
            return nest.spatial.free(positions[:, :2].tolist(), extent=extent, edge_wrap=sheet.periodic)
        # The published layers have three dimensions and an extent that follows the cells.
        extent = (np.ptp(positions, axis=0) + PAD_MM).tolist()
        return nest.spatial.free(positions.tolist(), extent=extent, edge_wrap=sheet.periodic)

    # --- projections --------------------------------------------------------------------------------

    def project(self, projection: Projection) -> None:
        rules = {
            "gauss": self._bernoulli,
            "uniform": self._bernoulli,
            "indegree": self._indegree,
            "one_to_one": self._one_to_one,
            "takeover": self._take_over,
        }
        rules[projection.rule](projection)
        self._progress.step(connecting(self._tables, projection.target), projection.id)

    def _bernoulli(self, projection: Projection) -> None:
        assert projection.kernel is not None
        kernel = projection.kernel
        p: Any = kernel.p
        if not kernel.uniform:
            distance = nest.spatial.distance
            p = kernel.p * nest.spatial_distributions.gaussian2D(
                distance.x, distance.y, std_x=kernel.sigma_x_mm, std_y=kernel.sigma_y_mm
            )
        rule = {"rule": "pairwise_bernoulli", "p": p, **self._mask(projection.mask)}
        self._connect(projection, rule)

    def _one_to_one(self, projection: Projection) -> None:
        nest.Connect(*self._ends(projection), "one_to_one", _synapse(projection))

    def _indegree(self, projection: Projection) -> None:
        """floor(k) synapses for every target, and the fraction by a draw within the same disc."""
        assert projection.mask is not None
        source, target = (self._sheets[name].positions for name in (projection.source, projection.target))
        counts = disc_counts(source, target, projection.mask.x_mm)
        whole = math.floor(projection.indegree)
        if whole:
            self._fixed(projection, whole, counts)
        if projection.indegree > whole:
            p = extra_probability(projection, counts)
            self._connect(projection, {"rule": "pairwise_bernoulli", "p": p, **self._mask(projection.mask)})

    def _fixed(self, projection: Projection, k: int, counts: np.ndarray[Any, Any]) -> None:
        rule = {"rule": "fixed_indegree", "indegree": k, "allow_multapses": True}
        source = self.nodes[projection.source]
        if (counts == len(source)).all():
            self._connect(projection, rule)
            return
        # NEST gives up on a target without a source in its disc, so those go to the nearest source.
        target = self.nodes[projection.target]
        for first, last in _runs(counts > 0):
            within = rule | self._mask(projection.mask)
            self._connect(projection, within, target=target[first:last])
        for at in np.flatnonzero(counts == 0).tolist():
            nearest = self._nearest(projection, at)
            self._connect(projection, rule, source=source[nearest : nearest + 1], target=target[at : at + 1])

    def _nearest(self, projection: Projection, target: int) -> int:
        source = self._sheets[projection.source].positions
        apart = source - self._sheets[projection.target].positions[target]
        return int(np.argmin((apart**2).sum(axis=1)))

    def _take_over(self, projection: Projection) -> None:
        """Some relays lose their input, and each follows one cell of the source drawn at random."""
        relays = self.nodes[projection.target]
        free = np.setdiff1d(np.arange(len(relays)), self._taken_of(projection.target))
        rng = np.random.default_rng([self._seed, zlib.crc32(projection.id.encode())])
        chosen = np.sort(rng.choice(free, min(projection.taken_over, len(free)), replace=False))
        if not len(chosen):
            return
        self._taken[projection.target] = np.union1d(self._taken_of(projection.target), chosen)
        rule = {"rule": "fixed_indegree", "indegree": 1}
        nest.Connect(self.nodes[projection.source], relays[chosen.tolist()], rule, _synapse(projection))

    def _taken_of(self, population: str) -> np.ndarray[Any, Any]:
        return self._taken.get(population, np.empty(0, np.int64))

    def _connect(self, projection: Projection, rule: dict[str, Any], *, source: Any = None, target: Any = None) -> None:
        sources, targets = self._ends(projection)
        rule = rule | {"allow_autapses": projection.autapses}
        nest.Connect(source or sources, target or targets, rule, _synapse(projection))

    def _ends(self, projection: Projection) -> tuple[Any, Any]:
        return self.nodes[projection.source], self.nodes[projection.target]

    def _mask(self, mask: Mask | None) -> dict[str, Any]:
        if mask is None:
            return {}
        published = self._parameters.geometry == "published"
        # A pair on the edge is inside; on a periodic layer, where the mask is as wide as the layer, the
        # slack must stay below that of the extent, or the pair would be visited from both sides.
        slack = 1.0 if published else 1 + ON_EDGE / 10
        if mask.disc:
            shape, radius = ("spherical" if published else "circular"), mask.x_mm * slack
            return {"mask": {shape: {"radius": radius}}, **_oversized(published)}
        half = [mask.x_mm * slack, mask.y_mm * slack]
        if published:
            half.append(mask.z_mm)
        edges = {"lower_left": [-h for h in half], "upper_right": half}
        return {"mask": {"box" if published else "rectangular": edges}, **_oversized(published)}

    # --- input --------------------------------------------------------------------------------------

    def drive(self) -> None:
        """One Poisson generator per input row; NEST gives each target a train of its own."""
        for row in self._tables.inputs.values():
            if row.target in self.nodes:
                self._drive(row)
                self._progress.step(DRIVE, row.id)

    def _drive(self, row: InputRow) -> None:
        cells = self.nodes[row.target]
        taken = self._taken_of(row.target)
        if len(taken):
            cells = cells[np.setdiff1d(np.arange(len(cells)), taken).tolist()]
        generator = nest.Create("poisson_generator", params={"rate": row.rate_hz, "start": self._start_ms(row)})
        nest.Connect(generator, cells, "all_to_all", {"weight": row.weight, "delay": row.delay_ms})

    def _start_ms(self, row: InputRow) -> float:
        """The start of the table belongs to a transient of 400 ms; on the grid of the kernel."""
        steps = round(row.start_ms * self._parameters.transient_ms / TRANSIENT_MS / self._resolution_ms)
        return steps * self._resolution_ms

    @property
    def taken_over(self) -> dict[str, int]:
        """Relays without a background input of their own, by population."""
        return {name: len(taken) for name, taken in self._taken.items()}


def _synapse(projection: Projection) -> dict[str, Any]:
    weight: Any = projection.weight
    if projection.weight_sigma is not None:
        weight = nest.random.lognormal(mean=projection.weight, std=projection.weight_sigma)
    return {
        "synapse_model": projection.synapse_model,
        "weight": weight,
        "delay": projection.delay_ms,
        "receptor_type": projection.port,
    }


def _oversized(published: bool) -> dict[str, Any]:
    return {"allow_oversized_mask": True} if published else {}


def _runs(wanted: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    """Half-open ranges of places where `wanted` is true: a layer can be sliced, but not picked from."""
    edges = np.flatnonzero(np.diff(np.r_[False, wanted, False]))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
