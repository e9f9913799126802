import math

import numpy as np
import pytest

from services.brain.models.cbct.sheets import Sheet, cell_count, place
from services.brain.models.cbct.tables import PopulationRow, tables

ROWS = tables().populations


def placed(area_mm2: float, seed: int = 1, *names: str) -> dict[str, Sheet]:
    sheets: dict[str, Sheet] = {}
    for row in ROWS.values():
        if not names or row.id in names:
            sheets[row.id] = place(row, area_mm2, seed, sheets)
    return sheets


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.id)
def test_at_full_size_the_formula_gives_the_number_in_the_table(row: PopulationRow) -> None:
    assert cell_count(row, 1.0) == row.n_1mm2


def test_the_whole_model_has_1_005_937_cells_and_36_056_relays() -> None:
    counts = {"neuron": 0, "relay": 0}
    for row in ROWS.values():
        counts[row.kind] += cell_count(row, 1.0)
    assert counts == {"neuron": 1_005_937, "relay": 36_056}


def test_a_tenth_of_the_area_has_98_616_cells_and_6_017_in_m1() -> None:
    cells = {row.id: cell_count(row, 0.1) for row in ROWS.values() if row.kind == "neuron"}
    assert sum(cells.values()) == 98_616
    assert sum(n for name, n in cells.items() if name.startswith("M1_")) == 6_017


@pytest.mark.parametrize("area_mm2", [0.02, 0.03, 0.1, 0.37])
def test_as_many_cells_are_placed_as_the_formula_says(area_mm2: float) -> None:
    for name, sheet in placed(area_mm2).items():
        assert len(sheet) == cell_count(ROWS[name], area_mm2) >= 1


def test_sheets_keep_within_their_square() -> None:
    for sheet in placed(0.09).values():
        assert sheet.side_mm == pytest.approx(0.3)
        assert np.abs(sheet.positions[:, :2]).max() <= 0.15 + 1e-12


def test_a_cortical_lattice_reaches_from_edge_to_edge_and_through_its_layer() -> None:
    positions = placed(0.1, 1, "M1_L23_CC")["M1_L23_CC"].positions
    half = math.sqrt(0.1) / 2
    # q = (14659.2 / 0.304)^(1/3) = 36.4 per mm: 12 x 12 points, 11 deep.
    assert [len(np.unique(positions[:, axis])) for axis in range(3)] == [12, 12, 11]
    assert positions.min(axis=0).tolist() == pytest.approx([-half, -half, -0.56])
    assert positions.max(axis=0).tolist() == pytest.approx([half, half, -0.256])


def test_granule_cells_share_their_places() -> None:
    positions = placed(0.05, 1, "CB_S1_GR")["CB_S1_GR"].positions
    _, counts = np.unique(positions, axis=0, return_counts=True)
    assert set(counts) == {400}


def test_the_output_of_the_basal_ganglia_lies_above_the_cells_that_drive_it() -> None:
    sheets = placed(0.2)
    np.testing.assert_array_equal(sheets["BG_GPi_out"].positions, sheets["BG_GPi"].positions)


def test_basal_ganglia_points_are_distinct_and_inner_sheets_are_inner() -> None:
    sheets = placed(0.3)
    side = math.sqrt(0.3)
    for name in ("BG_MSN", "BG_GPe", "BG_STN", "BG_GPi"):
        positions = sheets[name].positions
        assert len(np.unique(positions, axis=0)) == len(positions)
        lowest, highest = positions[:, :2].min(), positions[:, :2].max()
        inner = name in ("BG_STN", "BG_GPi")
        assert lowest >= (-0.4 if inner else -0.5) * side - 1e-12
        assert highest < 0.5 * side
    assert not sheets["BG_MSN"].periodic
    assert sheets["M1_L1_SBC"].periodic


def test_what_is_drawn_depends_on_the_seed_and_not_on_what_else_is_built() -> None:
    together, alone = placed(0.3)["BG_STN"], placed(0.3, 1, "BG_STN")["BG_STN"]
    np.testing.assert_array_equal(together.positions, alone.positions)
    assert not np.array_equal(placed(0.3, 2, "BG_STN")["BG_STN"].positions, alone.positions)
