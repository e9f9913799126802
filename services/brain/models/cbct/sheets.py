"""Where the cells are: every population lies on a square sheet centred on (0, 0).

Placement rules (README.md, "Space"): `lattice3d` for the cortex, `grid2d` for cerebellum and thalamus,
`bggrid` and `bggrid_inner` for the basal ganglia, `copy:X` for a sheet above another one.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.brain.models.cbct.tables import PopulationRow

Positions = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Positions of the cells of one population in mm, shape (n, 3); z is the depth, 0 in mid-cortex.

    `periodic`: the sheet is a torus of side `side_mm` in x and y. `axes`: the x, y and z values of which the
    sheet is a full grid, with as many cells at each point; None where points were left out.
    """

    positions: Positions
    side_mm: float
    periodic: bool
    axes: tuple[Positions, Positions, Positions] | None = None

    def __len__(self) -> int:
        return len(self.positions)


def cell_count(row: PopulationRow, area_mm2: float) -> int:
    """Number of cells of a population at this area, by the formula of its placement."""
    side_mm = math.sqrt(area_mm2)
    if row.placement == "lattice3d":
        n_side, n_deep = _lattice(row, side_mm)
        return n_side * n_side * n_deep
    if row.placement == "grid2d":
        return _grid(row, side_mm) ** 2 * row.copies_per_site
    return _scattered(row, area_mm2)


def place(row: PopulationRow, area_mm2: float, seed: int, placed: Mapping[str, Sheet]) -> Sheet:
    """The sheet of a population; `placed` has the sheets of those before it.

    What is drawn depends on the seed and the population alone, not on what else is built.
    """
    side_mm = math.sqrt(area_mm2)
    periodic = row.region != "BG"
    if row.placement in ("lattice3d", "grid2d"):
        along, depth = _grid_axes(row, side_mm)
        points = np.repeat(_product(along, depth), row.copies_per_site, axis=0)
        return Sheet(points, side_mm, periodic, (along, along, depth))
    if row.placement.startswith("copy:"):
        return placed[row.placement.removeprefix("copy:")]
    rng = np.random.default_rng([seed, zlib.crc32(row.id.encode())])
    return Sheet(_scattered_positions(row, side_mm, rng), side_mm, periodic)


def _lattice(row: PopulationRow, side_mm: float) -> tuple[int, int]:
    """Grid points along a side and in depth, from the linear density q = (density / thickness)^(1/3)."""
    density, thickness = _given(row.density_per_mm2), _given(row.thickness_mm)
    per_mm = (density / thickness) ** (1 / 3)
    return max(1, round(per_mm * side_mm)), max(1, round(per_mm * thickness))


def _grid(row: PopulationRow, side_mm: float) -> int:
    return max(1, round(_given(row.grid_per_mm) * side_mm))


def _grid_axes(row: PopulationRow, side_mm: float) -> tuple[Positions, Positions]:
    """Values along a side, and in depth."""
    if row.placement == "grid2d":
        return _spread(_grid(row, side_mm), side_mm), np.zeros(1)
    n_side, n_deep = _lattice(row, side_mm)
    top, thickness = _given(row.z_top_mm), _given(row.thickness_mm)
    return _spread(n_side, side_mm), np.linspace(top, top + thickness, n_deep)


def _scattered(row: PopulationRow, area_mm2: float) -> int:
    return max(1, round(_given(row.density_per_mm2) * area_mm2))


def _scattered_positions(row: PopulationRow, side_mm: float, rng: np.random.Generator) -> Positions:
    n = _scattered(row, side_mm * side_mm)
    m = math.isqrt(n - 1) + 1
    if row.placement == "bggrid_inner":
        along = -0.4 * side_mm + 0.9 * side_mm * np.arange(m) / m
    else:
        along = -0.5 * side_mm + side_mm * np.arange(m) / m
    kept = np.sort(rng.permutation(m * m)[:n])
    return _product(along, np.zeros(1))[kept]


def _spread(n: int, side_mm: float) -> Positions:
    """n points from end to end of a side, a single one in the middle."""
    return np.linspace(-side_mm / 2, side_mm / 2, n) if n > 1 else np.zeros(1)


def _product(along: Positions, depth: Positions) -> Positions:
    x, y, z = np.meshgrid(along, along, depth, indexing="ij")
    return np.column_stack([x.ravel(), y.ravel(), z.ravel()])


def _given(value: float | None) -> float:
    if value is None:
        raise ValueError("the table has no value for what the placement rule needs")
    return value
