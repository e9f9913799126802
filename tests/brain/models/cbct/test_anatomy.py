"""Where the sheets lie when the whole brain is drawn."""

from itertools import combinations

import numpy as np

from services.brain.models.cbct.anatomy import offset, upright
from services.brain.models.cbct.sheets import place
from services.brain.models.cbct.tables import tables

AREA_MM2 = 0.1
ROWS = tables().populations


def middle(name):
    return np.array(offset(ROWS[name], AREA_MM2))


def test_every_population_has_a_place():
    for row in ROWS.values():
        assert np.isfinite(offset(row, AREA_MM2)).all()


def test_layers_of_the_cortex_are_stacked_by_their_depth():
    heights = [
        upright(place(ROWS[name], AREA_MM2, 1, {}))[:, 2].mean() for name in ("M1_L1_SBC", "M1_L5B_PT", "M1_L6_CT")
    ]
    assert heights == sorted(heights, reverse=True)
    assert offset(ROWS["M1_L1_SBC"], AREA_MM2) == offset(ROWS["M1_L6_CT"], AREA_MM2)


def test_no_two_flat_sheets_lie_in_each_other():
    flat = [name for name, row in ROWS.items() if row.region not in ("M1", "S1")]
    same = {pair for pair in combinations(flat, 2) if (middle(pair[0]) == middle(pair[1])).all()}
    assert same == set()


def test_regions_lie_as_in_the_head():
    assert middle("M1_L1_SBC")[1] < middle("S1_L1_SBC")[1] < middle("CB_M1_GR")[1]
    assert middle("TH_M1_EZ_TC")[2] < -1.5
    assert middle("BG_MSN")[1] < middle("TH_M1_EZ_TC")[1]
    assert middle("CB_M1_BS")[2] > middle("CB_M1_PKJ")[2] > middle("CB_M1_GR")[2] > middle("CB_M1_VN")[2]
