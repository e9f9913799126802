"""Regions built in NEST, against the formulas for the very same grid."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from reafference.errors import BadExperiment
from reafference.frames import Array
from services.brain.kernel import KernelSetup, nest
from services.brain.models import cbct, room
from services.brain.models.cbct.expected import NONE, Expected, expected_synapses
from services.brain.models.cbct.parameters import CbctParameters
from services.brain.models.cbct.projections import Projection, projections
from services.brain.models.cbct.sheets import Sheet, cell_count, place
from services.brain.models.cbct.tables import REGIONS, tables
from services.brain.network import Network


@dataclass
class Built:
    """A network in the kernel, with what was planned and how many synapses each projection got."""

    network: Network
    sheets: dict[str, Sheet]
    planned: dict[str, Projection]
    counted: dict[str, int]
    published: bool

    def nodes(self, population: str) -> Any:
        span = self.network.populations[population]
        return nest.NodeCollection(list(span))

    def synapses(self, source: str, target: str, **which: Any) -> Any:
        return nest.GetConnections(self.nodes(source), self.nodes(target), **which)

    def places(self, source: str, target: str, **which: Any) -> tuple[Array, Array]:
        """Places of the ends of each synapse within their populations."""
        found = self.synapses(source, target, **which)
        first = [self.network.populations[name].start for name in (source, target)]
        return np.array(found.get("source")) - first[0], np.array(found.get("target")) - first[1]

    def expected(self, name: str) -> Expected:
        p = self.planned[name]
        return expected_synapses(p, self.sheets[p.source], self.sheets[p.target], published=self.published)


def build(*regions: str, seed: int = 1, **options: Any) -> Built:
    parameters = {"regions": list(regions), **options}
    parsed = CbctParameters.load(parameters)
    KernelSetup(resolution_ns=100_000, seed=seed, threads=1, delays=cbct.DELAYS).apply()
    after: list[tuple[str, int]] = []

    def report(task: str, done: int = 0, total: int = 0, detail: str = "") -> None:
        after.append((detail.split("; ")[1], nest.num_connections))

    network = cbct.build(parameters, seed=seed, resolution_ms=0.1, report=report)
    sheets: dict[str, Sheet] = {}
    for row in tables().populations.values():
        if row.zone in parsed.zones:
            sheets[row.id] = place(row, parsed.area_mm2, seed, sheets)
    planned = projections(tables(), parsed, {name: len(sheet) for name, sheet in sheets.items()})
    numbers = dict(after)
    before = dict(zip([name for name, _ in after[1:]], [n for _, n in after], strict=False))
    counted = {p.id: numbers[p.id] - before[p.id] for p in planned}
    return Built(network, sheets, {p.id: p for p in planned}, counted, parsed.geometry == "published")


def assert_counts(built: Built) -> None:
    """Cells exactly, synapses of every projection and of all within five standard deviations."""
    for name, sheet in built.sheets.items():
        assert len(built.network.populations[name]) == len(sheet)
    whole = NONE
    for name, counted in built.counted.items():
        expected = built.expected(name)
        whole += expected
        # Where few are expected the distribution is skewed, hence the 3.
        assert abs(counted - expected.mean) <= 5 * math.sqrt(expected.variance) + 3 * (expected.variance > 0), name
    assert built.network.synapses == sum(built.counted.values())
    assert abs(built.network.synapses - whole.mean) <= 5 * math.sqrt(whole.variance) + 1e-6
    drive = sum(len(sheet) for name, sheet in built.sheets.items() if f"{name}_bg" in tables().inputs)
    drive -= sum(built.network.facts["taken_over"].values())
    assert nest.num_connections == built.network.synapses + drive


def test_a_tenth_of_m1_has_the_cells_and_synapses_of_its_formulas() -> None:
    built = build("M1", area_mm2=0.1)
    assert built.network.neurons == 6_017
    assert len(built.planned) == 226
    assert_counts(built)
    assert built.network.synapses == pytest.approx(3.94e6, rel=5e-3)


@pytest.mark.parametrize(
    ("region", "area_mm2", "cells"),
    [
        ("S1", 0.03, None),
        ("TH", 0.05, 12 * 49),
        ("TH_M1_IZ", 0.1, 3 * 100),
        ("CB_S1", 0.02, 25 * 405),
        # An odd grid, on which pairs lie exactly on the edge of a clipped box.
        ("CB_M1", 0.025, 25 * 405),
        ("BG", 0.05, None),
        ("BG", 0.3, None),
    ],
)
def test_every_region_has_the_cells_and_synapses_of_its_formulas(
    region: str, area_mm2: float, cells: int | None
) -> None:
    built = build(region, area_mm2=area_mm2)
    if cells is not None:
        assert built.network.neurons == cells
    assert_counts(built)


def test_all_regions_are_joined_by_their_pathways() -> None:
    built = build(*REGIONS, area_mm2=0.02)
    assert len(built.planned) == 612 + 31
    assert built.network.facts["pathway_groups"] == ["ctx_cb", "ctx_th", "th_ctx", "cb_th", "bg_th", "ctx_bg"]
    assert_counts(built)


@pytest.mark.parametrize("compensation", ["indegree", "drive"])
def test_compensated_networks_follow_their_formulas_too(compensation: str) -> None:
    plain = build("M1", area_mm2=0.03)
    built = build("M1", area_mm2=0.03, compensation=compensation)
    assert_counts(built)
    assert built.network.synapses > 1.3 * plain.network.synapses


def test_the_published_geometry_repeats_the_visits_of_its_masks() -> None:
    built = build("M1", "TH_M1_EZ", "CB_M1", area_mm2=0.02, geometry="published", pathway_groups=[])
    assert_counts(built)
    # About 2.5 visits of a pair of cortical cells, up to eight of one.
    sources, targets = built.places("M1_L23_PV", "M1_L23_CC")
    _, visits = np.unique(np.column_stack([sources, targets]), axis=0, return_counts=True)
    assert visits.max() > 2


def test_no_cell_is_connected_twice_to_another_or_to_itself() -> None:
    built = build("M1", area_mm2=0.02)
    for name in ("M1_L23_PV", "M1_L6_CT"):
        sources, targets = built.places(name, name)
        assert len(sources) > 100
        assert not (sources == targets).any()
        assert len({*zip(sources.tolist(), targets.tolist(), strict=True)}) == len(sources)


def test_the_probability_falls_with_distance_on_the_torus() -> None:
    built = build("M1", area_mm2=0.1)
    projection = built.planned["M1_L23_PV>M1_L23_CC"]
    sheets = built.sheets
    apart = np.abs(sheets["M1_L23_PV"].positions[:, None, :2] - sheets["M1_L23_CC"].positions[None, :, :2])
    apart = np.minimum(apart, math.sqrt(0.1) - apart)
    distance = np.hypot(apart[..., 0], apart[..., 1])
    connected = np.zeros(distance.shape, bool)
    connected[built.places("M1_L23_PV", "M1_L23_CC")] = True
    assert projection.kernel is not None
    sigma = projection.kernel.sigma_x_mm
    p = projection.kernel.p * np.exp(-0.5 * (distance / sigma) ** 2)
    for low, high in ((0.0, 0.05), (0.05, 0.1), (0.1, 0.15), (0.15, 0.3)):
        ring = (distance >= low) & (distance < high)
        deviation = math.sqrt((p * (1 - p))[ring].sum())
        assert abs(connected[ring].sum() - p[ring].sum()) < 5 * deviation


def test_a_box_connects_all_pairs_within_it_and_no_other() -> None:
    built = build("CB_S1", area_mm2=0.05)
    basket, purkinje = (built.sheets[name].positions for name in ("CB_S1_BS", "CB_S1_PKJ"))
    apart = np.abs(basket[:, None, :2] - purkinje[None, :, :2])
    apart = np.minimum(apart, math.sqrt(0.05) - apart)
    # Half widths of 0.1 and 0.25 mm, on a sheet of 0.22 mm.
    inside = apart[..., 0] <= 0.1
    assert 0.5 < inside.mean() < 1.0
    found = np.zeros(inside.shape, int)
    np.add.at(found, built.places("CB_S1_BS", "CB_S1_PKJ"), 1)
    np.testing.assert_array_equal(found, inside.astype(int))


def test_in_degrees_are_fixed_and_their_fraction_is_drawn() -> None:
    built = build("BG", area_mm2=0.1)
    projection = built.planned["BG_FSI>BG_MSN:GABA"]
    # 29.247 of 212 sources, which 21 sources cut to 21.
    assert (projection.indegree, len(built.sheets["BG_FSI"])) == (21.0, 21)
    _, targets = built.places("BG_FSI", "BG_MSN")
    assert set(np.bincount(targets)) == {21}
    ports = built.synapses("BG_in_PTN", "BG_STN").get("receptor")
    # 86.333 synapses for each of six targets, for AMPA and for NMDA.
    assert sorted(set(ports)) == [1, 2]
    for port in (1, 2):
        assert 86 * 6 <= ports.count(port) <= 86 * 6 + 12


def test_sources_lie_within_the_disc_or_are_the_nearest() -> None:
    built = build("BG", area_mm2=0.3, seed=2)
    source, target = (built.sheets[name].positions[:, :2] for name in ("BG_STN", "BG_GPe"))
    distance = np.hypot(*(source[:, None] - target[None]).transpose(2, 0, 1))
    sources, targets = built.places("BG_STN", "BG_GPe")
    within = distance[sources, targets] <= 0.15 + 1e-9
    lonely = set(np.flatnonzero(distance.min(axis=0) > 0.15 + 1e-9))
    # This seed leaves a target without any source in its disc, which NEST alone would refuse.
    assert lonely
    assert set(targets[~within]) == lonely
    nearest = np.argmin(distance, axis=0)
    assert (sources[~within] == nearest[targets[~within]]).all()


def test_taken_over_relays_follow_one_cell_each_and_lose_their_noise() -> None:
    built = build("S1", "M1", "BG", area_mm2=0.02)
    assert built.network.facts["taken_over"] == {"BG_in_CSN": 40, "BG_in_PTN": 40}
    relays = {}
    for source in ("M1_L5A_CS", "S1_L5A_Pyr"):
        _, taken = built.places(source, "BG_in_CSN")
        assert len(taken) == len(set(taken)) == 20
        relays[source] = set(taken)
    assert not relays["M1_L5A_CS"] & relays["S1_L5A_Pyr"]
    noise = nest.GetConnections(nest.GetNodes({"model": "poisson_generator"}), built.nodes("BG_in_CSN"))
    driven = set(np.array(noise.get("target")) - built.network.populations["BG_in_CSN"].start)
    everyone = set(range(len(built.sheets["BG_in_CSN"])))
    assert driven == everyone - relays["M1_L5A_CS"] - relays["S1_L5A_Pyr"]


def test_weights_and_delays_are_those_of_the_table() -> None:
    built = build("M1", area_mm2=0.05)
    inhibition = built.synapses("M1_L1_ENGC", "M1_L23_CC")
    assert set(inhibition.get("weight")) == {-1.0}
    assert set(inhibition.get("delay")) == {1.5}
    assert set(inhibition.get("synapse_model")) == {"static_synapse_hpc"}
    logs = np.log(np.array(built.synapses("M1_L23_CC", "M1_L23_CC").get("weight")))
    assert logs.mean() == pytest.approx(-0.72, abs=5 / math.sqrt(len(logs)))
    assert logs.std() == pytest.approx(1.0, abs=5 / math.sqrt(len(logs)))


def test_the_pathway_of_the_basal_ganglia_inhibits() -> None:
    built = build("BG", "TH_M1_IZ", area_mm2=0.05)
    synapses = built.synapses("BG_GPi_out", "TH_M1_IZ_TC")
    assert set(synapses.get("weight")) == {-70.0}
    assert set(synapses.get("delay")) == {10.0}


def test_first_voltages_are_drawn_per_cell_except_in_the_basal_ganglia() -> None:
    def spread(population: str, v_m: str) -> tuple[float, float]:
        built = build("M1", "TH_M1_EZ", "BG", area_mm2=0.02, v_m=v_m)
        values = built.nodes(population).get("V_m")
        return min(values), max(values)

    low, high = spread("M1_L23_CC", "per_cell")
    assert -70.0 <= low < -68.0
    assert -52.0 < high <= -50.0
    assert spread("M1_L23_CC", "table")[0] < -68.0
    assert spread("TH_M1_EZ_TC", "per_cell")[1] <= -50.0
    assert spread("TH_M1_EZ_TC", "table") == (0.0, 0.0)
    assert spread("BG_MSN", "per_cell") == (0.0, 0.0)


def test_inputs_start_in_proportion_to_the_transient() -> None:
    def starts(transient_ms: float) -> list[float]:
        build("M1", area_mm2=0.02, transient_ms=transient_ms)
        return list(nest.GetNodes({"model": "poisson_generator"}).get("start"))

    table = [row.start_ms for row in tables().inputs.values() if row.target.startswith("M1")]
    assert starts(400.0) == table
    assert starts(0.0) == [0.0] * 19
    # On the time grid, wherever the proportion lies.
    assert starts(33.0) == pytest.approx([round(s * 33 / 400, 1) for s in table], abs=0.1001)


def test_the_network_tells_what_it_is() -> None:
    network = build("M1", "BG", area_mm2=0.02).network
    row = tables().populations["M1_L1_ENGC"]
    assert network.full_sizes["M1_L1_ENGC"] == 512
    assert len(network.populations["M1_L1_ENGC"]) == cell_count(row, 0.02)
    assert network.properties["M1_L1_ENGC"] == {
        "region": "M1", "layer": "L1", "cell": "ENGC", "sign": "I", "kind": "neuron",
    }  # fmt: skip
    assert network.positions["M1_L1_ENGC"].shape == (cell_count(row, 0.02), 3)
    assert network.relays == sum(
        len(network.populations[name]) for name in ("BG_GPi_out", "BG_in_CSN", "BG_in_PTN", "BG_in_CMPf")
    )


def test_a_synapse_that_cannot_address_so_many_cells_is_replaced_or_refused() -> None:
    sizes = {row.id: row.n_1mm2 for row in tables().populations.values() if row.region == "S1"}
    automatic = CbctParameters.load({"regions": ["S1"], "area_mm2": 1.0})
    compact = CbctParameters.load({"regions": ["S1"], "area_mm2": 1.0, "synapse_model": "static_synapse_hpc"})
    one = projections(tables(), automatic, sizes, virtual_processes=1)
    two = projections(tables(), automatic, sizes, virtual_processes=2)
    assert {p.synapse_model for p in one} == {"static_synapse"}
    assert {p.synapse_model for p in two} == {"static_synapse_hpc"}
    with pytest.raises(BadExperiment, match="94,396: take more threads"):
        projections(tables(), compact, sizes, virtual_processes=1)


def test_a_network_that_does_not_fit_is_refused_with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    # More cells than any machine holds: refused before anything is placed.
    with pytest.raises(BadExperiment, match=r"have 10,417,148,019 cells, which need about \d+\.\d GB of memory, and"):
        build(*REGIONS, area_mm2=1e4)
    monkeypatch.setattr(room, "free_bytes", lambda: 60_000_000)
    with pytest.raises(BadExperiment, match=r"6,017 cells and 3\.9 M synapses, .*60 MB are free") as error:
        build("M1", area_mm2=0.1)
    assert error.value.detail["key"] == "brain.parameters.area_mm2"
    assert nest.network_size == 0
