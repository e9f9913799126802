"""The formulas against the counts that the tables carry for the full sheet."""

from functools import cache

import numpy as np
import pytest

from services.brain.models.cbct.expected import NONE, Expected, disc_counts, expected_synapses
from services.brain.models.cbct.parameters import CbctParameters
from services.brain.models.cbct.projections import Kernel, Projection, projections
from services.brain.models.cbct.sheets import Sheet, place
from services.brain.models.cbct.tables import REGIONS, tables


@cache
def expected(area_mm2: float, geometry: str = "intended") -> dict[str, tuple[Projection, Expected, int]]:
    """By projection: what it is, its expected synapses, and the size of its source."""
    parameters = CbctParameters.load({"regions": list(REGIONS), "area_mm2": area_mm2, "geometry": geometry})
    sheets: dict[str, Sheet] = {}
    for row in tables().populations.values():
        sheets[row.id] = place(row, area_mm2, 1, sheets)
    sizes = {name: len(sheet) for name, sheet in sheets.items()}
    found = {}
    for p in projections(tables(), parameters, sizes):
        number = expected_synapses(p, sheets[p.source], sheets[p.target], published=geometry == "published")
        found[p.id] = (p, number, sizes[p.source])
    return found


def total(numbers: dict[str, tuple[Projection, Expected, int]]) -> float:
    whole = NONE
    for name, (_, number, _) in numbers.items():
        if name in tables().connections:
            whole += number
    return whole.mean


def test_at_full_size_every_projection_has_as_many_synapses_as_its_table_says() -> None:
    for name, (projection, number, n_source) in expected(1.0).items():
        row = tables().connections.get(name) or tables().pathways[name]
        mean = number.mean
        if projection.source == projection.target and projection.kernel is not None:
            # The table counts cells connected to themselves, which are not built.
            mean += n_source * projection.kernel.p
        # Pathway counts in the table are of an integral, ours of the grid: 1.3 % apart.
        assert mean == pytest.approx(row.syn_intended_1mm2, rel=0.015, abs=1.0), name


def test_the_whole_model_has_782_million_synapses_and_28_at_a_tenth_of_the_area() -> None:
    assert total(expected(1.0)) == pytest.approx(782e6, rel=1e-3)
    assert total(expected(0.1)) == pytest.approx(28.2e6, rel=5e-3)


def test_the_published_geometry_has_twice_as_many() -> None:
    """1,591,886,552 by the table, which had an older NEST in mind; 3.10 scans a mask from another corner."""
    assert total(expected(1.0, "published")) == pytest.approx(1_591_886_552, rel=6e-3)
    rows = {name: n.mean for name, (_, n, _) in expected(1.0, "published").items()}
    for name in ("CB_S1_GR>CB_S1_PKJ", "CB_S1_GO>CB_S1_GR", "TH_S1_EZ_TC>TH_S1_EZ_RE", "BG_FSI>BG_MSN:GABA"):
        assert rows[name] == pytest.approx(tables().connections[name].syn_published_1mm2, rel=1e-3)


def test_the_sum_over_axes_is_the_sum_over_pairs() -> None:
    rng = np.random.default_rng(3)
    side = 0.4
    along, deep = np.linspace(-0.2, 0.2, 5), np.array([0.0, 0.1])
    grid = np.array([(x, y, z) for x in along for y in along for z in deep])
    kernel = Kernel(0.8, 0.1, 0.07)
    projection = Projection(
        id="a>b", source="a", target="b", rule="gauss", kernel=kernel, weight=1.0, weight_sigma=None,
        delay_ms=1.0, port=0, autapses=False, synapse_model="static_synapse",
    )  # fmt: skip
    product = Sheet(grid, side, True, (along, along, deep))
    shuffled = Sheet(rng.permutation(grid), side, True)
    fast, slow = expected_synapses(projection, product, product), expected_synapses(projection, shuffled, shuffled)
    assert fast.mean == pytest.approx(slow.mean)
    assert fast.variance == pytest.approx(slow.variance)


def test_discs_hold_the_sources_within_their_radius() -> None:
    source = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.2, 0.0]])
    target = np.array([[0.0, 0.0, 0.0], [0.1, 0.1, 0.0], [1.0, 1.0, 0.0]])
    assert disc_counts(source, target, 0.1).tolist() == [2, 1, 0]
    assert disc_counts(source, target, 0.2).tolist() == [3, 3, 0]
