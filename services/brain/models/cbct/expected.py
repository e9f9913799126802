"""How many synapses a projection will have, by formula, on the grid as it is built.

Every pair of cells is an independent draw, so the number is a sum of Bernoulli variables: `mean` is the sum
of their probabilities, `variance` that of p (1 - p).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.brain.models.cbct.projections import Kernel, Mask, Projection
from services.brain.models.cbct.sheets import Positions, Sheet

Floats = npt.NDArray[np.float64]

PAD_MM = 0.2
"""The published geometry makes the torus wider than the span of the cells by this much, on every axis."""

ON_EDGE = 1e-9
"""Relative slack that keeps a pair exactly on the edge of a mask inside it."""

_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected number of synapses and its variance."""

    mean: float
    variance: float

    def __add__(self, other: "Expected") -> "Expected":
        return Expected(self.mean + other.mean, self.variance + other.variance)


NONE = Expected(0.0, 0.0)


def expected_synapses(projection: Projection, source: Sheet, target: Sheet, *, published: bool = False) -> Expected:
    """The synapses of `projection` between these sheets; `published` for that geometry."""
    if projection.rule == "one_to_one":
        return Expected(float(len(source)), 0.0)
    if projection.rule == "takeover":
        return Expected(float(projection.taken_over), 0.0)
    if projection.rule == "indegree":
        return _indegree(projection, source, target)
    assert projection.kernel is not None
    pairs = _pairs(projection.kernel, projection.mask, source, target, published)
    if projection.source == projection.target and not projection.autapses:
        # A cell is at no distance from itself, where the kernel is at its height.
        p = projection.kernel.p
        own = _visits_of_themselves(projection.mask, source) if published else float(len(source))
        pairs = Expected(pairs.mean - own * p, pairs.variance - own * p * (1 - p))
    return pairs


def disc_counts(source: Positions, target: Positions, radius_mm: float) -> npt.NDArray[np.int64]:
    """For each target, how many sources lie within the disc around it; shape (n_targets,). No torus."""
    counts = np.zeros(len(target), np.int64)
    reach = (radius_mm * (1 + ON_EDGE)) ** 2
    for at in range(0, len(target), _CHUNK):
        part = target[at : at + _CHUNK]
        distance = (part[:, None, 0] - source[None, :, 0]) ** 2
        distance += (part[:, None, 1] - source[None, :, 1]) ** 2
        counts[at : at + _CHUNK] = np.count_nonzero(distance <= reach, axis=1)
    return counts


def extra_probability(projection: Projection, counts: npt.NDArray[np.int64]) -> float:
    """Probability, per pair within a disc, of the synapse that makes up the fraction of the in-degree."""
    fraction = projection.indegree - math.floor(projection.indegree)
    return min(1.0, fraction * len(counts) / max(1, int(counts.sum())))


def _indegree(projection: Projection, source: Sheet, target: Sheet) -> Expected:
    assert projection.mask is not None
    whole = float(math.floor(projection.indegree) * len(target))
    counts = disc_counts(source.positions, target.positions, projection.mask.x_mm)
    p, n = extra_probability(projection, counts), int(counts.sum())
    return Expected(whole + p * n, p * (1 - p) * n)


def _pairs(kernel: Kernel, mask: Mask | None, source: Sheet, target: Sheet, published: bool) -> Expected:
    periods = _periods(target, published)
    if source.axes is None or target.axes is None:
        return _by_pairs(kernel, source, target, periods)
    sigmas, halves = (kernel.sigma_x_mm, kernel.sigma_y_mm, math.inf), _halves(mask)
    sums = np.array([kernel.p, kernel.p**2])
    axes = 3 if published else 2
    for axis in range(axes):
        a, b = source.axes[axis], target.axes[axis]
        sums *= _axis_sums(a, b, sigmas[axis], halves[axis], periods[axis], published)
    # Cells that share a place on these axes have the same probabilities.
    sums *= _sharing(source, axes) * _sharing(target, axes)
    return Expected(float(sums[0]), float(sums[0] - sums[1]))


def _axis_sums(a: Floats, b: Floats, sigma: float, half: float, period: float, published: bool) -> Floats:
    """Sum over the pairs of coordinates of the kernel's factor of this axis, and of its square."""
    distance = _wrapped(a[:, None] - b[None, :], period)
    visits = _visits(a, b, half, period) if published else distance <= half * (1 + ON_EDGE)
    factor = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.array([(visits * factor).sum(), (visits * factor**2).sum()])


def _visits(sources: Floats, targets: Floats, half: float, period: float) -> Floats:
    """How often NEST visits each pair when it scans a mask on a periodic layer: through two images at most.

    The torus has the period of the targets' layer and begins where the sources' layer does. Around each
    target the mask is shifted by periods until its lower edge lies within the torus, and scanned there and
    one period below.
    """
    # Cells on the edge of a mask are common, so the order of these operations is NEST's.
    lower = (sources.min() + sources.max()) / 2 - (np.ptp(sources) + PAD_MM) / 2
    folded = lower + _modulo(sources - lower, period)
    first = _modulo(targets + -half - lower, period) - -half + lower
    visits = np.zeros((len(sources), len(targets)))
    if math.isinf(half):
        return visits + 1
    for image in (first, first - period):
        visits += np.abs(folded[:, None] - image[None, :]) <= half
    return visits


def _modulo(values: Floats, period: float) -> Floats:
    rest = np.fmod(values, period)
    return np.where(rest < 0, rest + period, rest)


def _visits_of_themselves(mask: Mask | None, sheet: Sheet) -> float:
    """How often cells are paired with themselves, in all."""
    assert sheet.axes is not None
    halves, periods = _halves(mask), _periods(sheet, True)
    visits = float(_sharing(sheet, 3))
    for axis, values in enumerate(sheet.axes):
        visits *= float(np.trace(_visits(values, values, halves[axis], periods[axis])))
    return visits


def _by_pairs(kernel: Kernel, source: Sheet, target: Sheet, periods: tuple[float, ...]) -> Expected:
    dx = _wrapped(source.positions[:, None, 0] - target.positions[None, :, 0], periods[0])
    dy = _wrapped(source.positions[:, None, 1] - target.positions[None, :, 1], periods[1])
    p = kernel.p * np.exp(-0.5 * ((dx / kernel.sigma_x_mm) ** 2 + (dy / kernel.sigma_y_mm) ** 2))
    return Expected(float(p.sum()), float((p * (1 - p)).sum()))


def _wrapped(apart: Floats, period: float) -> Floats:
    distance = np.abs(apart)
    return np.minimum(distance, np.abs(period - distance)) if math.isfinite(period) else distance


def _periods(target: Sheet, published: bool) -> tuple[float, float, float]:
    """Period of each axis; it is the layer of the targets whose torus counts."""
    if not target.periodic:
        return (math.inf, math.inf, math.inf)
    if not published:
        return (target.side_mm, target.side_mm, math.inf)
    x, y, z = (float(np.ptp(target.positions[:, axis])) + PAD_MM for axis in range(3))
    return (x, y, z)


def _halves(mask: Mask | None) -> tuple[float, float, float]:
    return (math.inf, math.inf, math.inf) if mask is None else (mask.x_mm, mask.y_mm, mask.z_mm)


def _sharing(sheet: Sheet, axes: int) -> int:
    """Cells at each place of a full grid, a place being told by its first `axes` coordinates."""
    assert sheet.axes is not None
    return len(sheet) // math.prod(map(len, sheet.axes[:axes]))
