"""What a row of the projection tables means at a given area: probability, kernel, mask, in-degree, weight.

Pure arithmetic, after README.md, "Projections" and "Area". `construction.py` hands the result to NEST,
`expected.py` computes from it how many synapses there will be.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from services.brain.models.cbct.parameters import CbctParameters
from services.brain.models.cbct.tables import PORTS, ProjectionRow, Tables
from services.brain.models.compact import compact_or_plain

REFERENCE_SIDE_MM = 1.0


@dataclass(frozen=True, slots=True)
class Kernel:
    """Probability of a connection by horizontal distance: p exp(-dx^2 / 2 sx^2 - dy^2 / 2 sy^2).

    The distance is the shortest one on the torus. Infinite sigmas make the probability uniform.
    """

    p: float
    sigma_x_mm: float = math.inf
    sigma_y_mm: float = math.inf

    @property
    def uniform(self) -> bool:
        return math.isinf(self.sigma_x_mm)


@dataclass(frozen=True, slots=True)
class Mask:
    """Half widths of the box (mm) outside which no pair is tried; a disc has equal ones."""

    x_mm: float
    y_mm: float
    z_mm: float
    disc: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """One projection, ready to be built.

    `kernel` is None for the rules that draw a number of sources per target (`indegree`) or go one to one.
    `taken_over` relays of the target lose their input and get one cell of the source each.
    """

    id: str
    source: str
    target: str
    rule: str
    kernel: Kernel | None = None
    mask: Mask | None = None
    indegree: float = 0.0
    taken_over: int = 0
    weight: float
    weight_sigma: float | None
    delay_ms: float
    port: int
    autapses: bool
    synapse_model: str


def projections(
    tables: Tables, parameters: CbctParameters, sizes: Mapping[str, int], virtual_processes: int = 1
) -> list[Projection]:
    """Those of the model whose both ends are built, in the order of the tables.

    `sizes` has the number of cells of each population that is built. Raises BadExperiment if the synapse
    asked for cannot address so many cells on so few virtual processes.
    """
    synapse_model = compact_or_plain(parameters.synapse_model, sum(sizes.values()) / virtual_processes)
    rows = [
        *tables.connections.values(),
        *(row for row in tables.pathways.values() if row.group in parameters.pathway_groups),
    ]
    built = [row for row in rows if row.source in sizes and row.target in sizes]
    return [_projection(row, parameters, sizes, synapse_model) for row in built]


def _projection(
    row: ProjectionRow, parameters: CbctParameters, sizes: Mapping[str, int], synapse_model: str
) -> Projection:
    kernel, gain = _kernel(row, parameters)
    weight = row.weight
    if parameters.weight_columns == "alt" and row.weight_alt is not None:
        weight = row.weight_alt
    indegree = 0.0
    if row.rule == "indegree":
        # A source that is smaller than the in-degree cuts it, and the weight makes up for that.
        indegree = min(_given(row.indegree), float(sizes[row.source]))
        weight = _given(row.weight_total) / indegree
        if parameters.geometry == "published":
            # There the draw for the fraction has a probability of next to nothing.
            indegree = math.floor(indegree)
    port = PORTS[row.receptor]
    return Projection(
        id=row.id,
        source=row.source,
        target=row.target,
        rule=row.rule,
        kernel=kernel,
        mask=_mask(row, parameters),
        indegree=indegree,
        taken_over=round((row.n_1mm2 or 0) * parameters.area_mm2),
        # The weight of a lognormal row is the mean of the logarithm.
        weight=weight + math.log(gain) if row.weight_dist == "lognormal" else weight * gain,
        weight_sigma=row.weight_sigma if row.weight_dist == "lognormal" else None,
        delay_ms=row.delay_ms,
        port=port,
        autapses=bool(row.autapses),
        # The compact synapse knows port 0 only.
        synapse_model=synapse_model if port == 0 else "static_synapse",
    )


def kernel_integral_mm(sigma_mm: float, side_mm: float) -> float:
    """Integral of exp(-d^2 / 2 s^2) over one side of a torus."""
    return sigma_mm * math.sqrt(2 * math.pi) * math.erf(side_mm / (2 * math.sqrt(2) * sigma_mm))


def _kernel(row: ProjectionRow, parameters: CbctParameters) -> tuple[Kernel | None, float]:
    """The kernel, and the factor on the weight that compensation asks for."""
    if row.rule == "gauss":
        sx, sy = _given(row.sigma_x_mm), _given(row.sigma_y_mm)
        wanted = _given(row.p_center) * _lost(sx, sy, parameters)
        p = min(1.0, wanted)
        gain = wanted / p if parameters.compensation == "drive" else 1.0
        return Kernel(p, sx, sy), gain
    if row.rule == "uniform":
        gain = 1.0
        if parameters.compensation == "drive":
            gain = _box_area(row, REFERENCE_SIDE_MM) / _box_area(row, parameters.side_mm)
        return Kernel(_given(row.p_center)), gain
    return None, 1.0


def _lost(sigma_x_mm: float, sigma_y_mm: float, parameters: CbctParameters) -> float:
    """By how much the in-degree at full area exceeds that of this sheet, if it is to be compensated."""
    if parameters.compensation == "none":
        return 1.0
    ratio = 1.0
    for sigma in (sigma_x_mm, sigma_y_mm):
        ratio *= kernel_integral_mm(sigma, REFERENCE_SIDE_MM) / kernel_integral_mm(sigma, parameters.side_mm)
    return ratio


def _box_area(row: ProjectionRow, side_mm: float) -> float:
    half = side_mm / 2
    return 4 * min(_given(row.mask_x_mm), half) * min(_given(row.mask_y_mm), half)


def _mask(row: ProjectionRow, parameters: CbctParameters) -> Mask | None:
    """In the intended geometry only uniform boxes and the discs of the in-degree rule are masks."""
    disc = row.mask == "disc"
    # The one kernel with a disc is wider than the sheets in any geometry.
    if row.mask == "" or (row.rule == "gauss" and (disc or parameters.geometry == "intended")):
        return None
    x, y = _given(row.mask_x_mm), _given(row.mask_y_mm)
    z = row.mask_z_mm if row.mask_z_mm is not None else math.inf
    if parameters.geometry == "intended" and row.rule == "uniform":
        half = parameters.side_mm / 2
        x, y = min(x, half), min(y, half)
    return Mask(x, y, z, disc=disc)


def _given(value: float | None) -> float:
    if value is None:
        raise ValueError("the table has no value for what the rule needs")
    return value
