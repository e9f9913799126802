import math
from typing import Any

import pytest

from services.brain.models.cbct.parameters import CbctParameters
from services.brain.models.cbct.projections import Projection, kernel_integral_mm, projections
from services.brain.models.cbct.sheets import cell_count
from services.brain.models.cbct.tables import REGIONS, tables


def planned(**options: Any) -> dict[str, Projection]:
    parameters = CbctParameters.load({"regions": list(REGIONS), **options})
    rows = [row for row in tables().populations.values() if row.zone in parameters.zones]
    sizes = {row.id: cell_count(row, parameters.area_mm2) for row in rows}
    return {p.id: p for p in projections(tables(), parameters, sizes)}


def test_only_projections_with_both_ends_are_built() -> None:
    m1 = planned(regions=["M1"])
    assert len(m1) == 226
    with_thalamus = planned(regions=["M1", "TH_M1_EZ"])
    assert set(with_thalamus) - set(m1) == {
        "TH_M1_EZ_IN>TH_M1_EZ_TC",
        "TH_M1_EZ_TC>TH_M1_EZ_IN",
        "TH_M1_EZ_TC>TH_M1_EZ_RE",
        "TH_M1_EZ_RE>TH_M1_EZ_TC",
        "M1_L6_CT>TH_M1_EZ_TC",
        "M1_L6_CT>TH_M1_EZ_RE",
        "TH_M1_EZ_TC>M1_L5B_PT",
        "TH_M1_EZ_TC>M1_L5B_PV",
        "TH_M1_EZ_TC>M1_L5B_SST",
    }


def test_pathways_are_chosen_by_group() -> None:
    inside = len(planned(pathway_groups=[]))
    assert inside == 612
    assert len(planned(pathway_groups=["bg_th"])) == inside + 1
    assert len(planned()) == inside + 31


def test_at_full_area_nothing_is_compensated() -> None:
    plain = planned(area_mm2=1.0)
    for compensation in ("indegree", "drive"):
        assert planned(area_mm2=1.0, compensation=compensation) == plain


def test_a_kernel_integral_is_that_of_a_gaussian_cut_at_the_sheet() -> None:
    n = 20_000
    for sigma, side in ((0.05, 1.0), (0.3, 0.5), (2.0, 0.3)):
        numeric = sum(math.exp(-0.5 * ((i + 0.5) / n - 0.5) ** 2 * (side / sigma) ** 2) for i in range(n)) * side / n
        assert kernel_integral_mm(sigma, side) == pytest.approx(numeric, rel=1e-6)


def test_compensation_restores_in_degree_or_drive() -> None:
    none, indegree, drive = (planned(area_mm2=0.1, compensation=c) for c in ("none", "indegree", "drive"))
    for name, plain in none.items():
        if plain.rule != "gauss" or plain.kernel is None:
            continue
        kernel = plain.kernel
        lost = 1.0
        for sigma in (kernel.sigma_x_mm, kernel.sigma_y_mm):
            lost *= kernel_integral_mm(sigma, 1.0) / kernel_integral_mm(sigma, math.sqrt(0.1))
        raised, driven = indegree[name], drive[name]
        assert raised.kernel is not None
        assert raised.kernel.p == pytest.approx(min(1.0, kernel.p * lost))
        assert raised.weight == plain.weight
        assert driven.kernel == raised.kernel
        rest = kernel.p * lost / raised.kernel.p
        if plain.weight_sigma is None:
            assert driven.weight == pytest.approx(plain.weight * rest)
        else:
            # The mean of a lognormal weight grows by the factor.
            assert math.exp(driven.weight - plain.weight) == pytest.approx(rest)


def test_boxes_are_compensated_by_their_weight_only() -> None:
    none, drive = planned(area_mm2=0.25), planned(area_mm2=0.25, compensation="drive")
    # Half widths 0.5 and 0.1 mm on a sheet of 0.5 mm: half of the box is gone.
    assert drive["CB_S1_GR>CB_S1_BS"].weight == pytest.approx(2 * none["CB_S1_GR>CB_S1_BS"].weight)
    assert drive["CB_S1_GR>CB_S1_GO"].weight == none["CB_S1_GR>CB_S1_GO"].weight
    assert planned(area_mm2=0.25, compensation="indegree")["CB_S1_GR>CB_S1_BS"] == none["CB_S1_GR>CB_S1_BS"]


def test_boxes_are_clipped_to_the_sheet() -> None:
    mask = planned(area_mm2=0.04)["CB_S1_GR>CB_S1_BS"].mask
    assert mask is not None
    assert (mask.x_mm, mask.y_mm) == (0.1, 0.1)


def test_an_in_degree_larger_than_its_source_is_cut_and_its_weight_raised() -> None:
    full, small = planned(area_mm2=1.0), planned(area_mm2=0.1)
    name = "BG_MSN>BG_GPi:GABA"
    assert (full[name].indegree, small[name].indegree) == (10_576, 1_058)
    for row in (full[name], small[name]):
        assert row.indegree * row.weight == pytest.approx(-2740.181427318219)
    assert small["BG_in_CSN>BG_MSN:AMPA"].indegree == 114
    assert small["BG_in_CSN>BG_MSN:AMPA"].weight == pytest.approx(1.60792317678)


def test_the_published_geometry_keeps_masks_and_drops_fractions() -> None:
    published = planned(area_mm2=1.0, geometry="published")
    mask = published["M1_L23_CC>M1_L23_PV"].mask
    assert mask is not None
    assert (mask.x_mm, mask.y_mm, mask.z_mm) == (1.0, 1.0, 2.0)
    assert published["BG_STN>BG_FSI:AMPA"].indegree == 0
    assert published["BG_FSI>BG_MSN:GABA"].indegree == 29
    assert planned(area_mm2=1.0)["M1_L23_CC>M1_L23_PV"].mask is None


def test_alternative_weights_are_taken_where_the_table_has_them() -> None:
    plain, alternative = planned(), planned(weight_columns="alt")
    changed = {name for name in plain if plain[name].weight != alternative[name].weight}
    assert alternative["CB_S1_PONS>CB_S1_GR"].weight == 0.0972
    assert alternative["TH_M1_EZ_IN>TH_M1_EZ_TC"].weight == -1.0
    # Eight projections in the thalamus, one in each cerebellum, two between cerebellum and thalamus.
    assert len(changed) == 8 + 2 + 2


def test_only_synapses_without_ports_are_compact() -> None:
    for projection in planned(area_mm2=0.05).values():
        compact = projection.synapse_model == "static_synapse_hpc"
        assert compact == (projection.port == 0)
    plain = planned(area_mm2=0.05, synapse_model="static_synapse")
    assert {p.synapse_model for p in plain.values()} == {"static_synapse"}


def test_relays_are_taken_over_in_proportion_to_the_area() -> None:
    assert planned(area_mm2=0.1)["M1_L5A_CS>BG_in_CSN"].taken_over == 100
    assert planned(area_mm2=1.0)["M1_L5A_CS>BG_in_CSN"].taken_over == 1000
