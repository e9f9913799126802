from typing import Any

import numpy as np
import pytest

from reafference.errors import BadExperiment, PortMismatch
from services.brain.kernel import nest

RELAYS = """
    import nest
    def build(n=200):
        relays = nest.Create("parrot_neuron", n)
        return {"left": relays[: n // 2], "right": relays[n // 2 :]}
"""
RASTER = {"raster": {"kind": "spike_recorder", "sources": ["left", "right"]}}


def drive(**options: Any) -> dict[str, Any]:
    source = {"kind": "poisson", "targets": ["left", "right"], "delay_ms": 1.0, **options}
    return {"sources": {"drive": source}, "sinks": RASTER}


def counts(bench: Any, population: str) -> list[int]:
    """Spikes of a population in each step so far."""
    ids = bench.ids(population)
    return [int(np.isin(out["spikes.sender"], ids).sum()) for out in bench.outputs]


def test_the_port_has_one_rate_per_entry(bench: Any) -> None:
    bench.prepare(drive(rate_hz=7.0), script=RELAYS)
    port = bench.port("drive")
    assert port.shape == (2,)
    assert port.unit == "Hz"
    assert port.labels == ("left", "right")
    assert port.resting().tolist() == [7.0, 7.0]


def test_a_new_rate_acts_from_the_first_time_step_of_the_very_next_step(bench: Any) -> None:
    bench.prepare(drive(), script=RELAYS)
    bench.run(2)
    bench.run(1, drive=[8000.0, 0.0])
    bench.run(1, drive=[0.0, 0.0])
    sender, time_ms = bench.spikes()
    # Relays fire 1 ms (the delay) after their source: first at 40.1 + 1, last at 60 + 1.
    assert time_ms.min() == 41.1
    assert time_ms.max() == 61.0
    assert set(sender) <= set(bench.ids("left"))
    # 100 neurons x 8000 Hz x 20 ms = 16000, within five standard deviations.
    assert abs(len(time_ms) - 16_000) < 5 * np.sqrt(16_000)


def test_every_entry_has_its_own_rate_and_every_neuron_its_own_train(bench: Any) -> None:
    bench.prepare(drive(), script=RELAYS)
    bench.run(20, drive=[100.0, 500.0])
    left, right = sum(counts(bench, "left")), sum(counts(bench, "right"))
    assert abs(left - 100 * 100 * 0.399) < 5 * np.sqrt(4000)
    assert abs(right - 100 * 500 * 0.399) < 5 * np.sqrt(20_000)
    sender, time_ms = bench.spikes()
    trains = {n: tuple(time_ms[sender == n]) for n in bench.ids("right")}
    assert len(set(trains.values())) == len(trains)


def test_n_generators_are_n_times_the_rate(bench: Any) -> None:
    bench.prepare(drive(n=4), script=RELAYS)
    bench.run(20, drive=[100.0, 0.0])
    assert abs(sum(counts(bench, "left")) - 4 * 100 * 100 * 0.399) < 5 * np.sqrt(16_000)


def test_only_what_changed_is_written(bench: Any) -> None:
    bench.prepare(drive(), script=RELAYS)
    bench.run(1, drive=[5.0, 6.0])
    bench.run(1, drive=[5.0, 6.0])
    bench.run(1, drive=[5.0, 8.0])
    generators = nest.GetNodes({"model": "inhomogeneous_poisson_generator"})
    assert [list(t) for t in generators.get("rate_times")] == [[0.1], [40.1]]
    assert [list(r) for r in generators.get("rate_values")] == [[5.0], [8.0]]


def test_a_rate_outlives_the_emptying_of_the_recorder(bench: Any) -> None:
    bench.prepare(drive(), script=RELAYS)
    bench.run(10, drive=[1000.0, 0.0])
    bench.brain._running.harvest.empty()
    bench.run(10, drive=[1000.0, 0.0])
    late = sum(counts(bench, "left")[10:])
    assert abs(late - 100 * 1000 * 0.2) < 5 * np.sqrt(20_000)


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_value_that_is_no_rate_never_reaches_nest(rate: float, bench: Any) -> None:
    bench.prepare(drive(), script=RELAYS)
    bench.run(1, drive=[5.0, 5.0])
    with pytest.raises(BadExperiment, match=r"brain\.drive\[1\] \(right\) was given a rate of") as error:
        bench.run(1, drive=[100.0, rate])
    assert error.value.detail == {"port": "drive", "element": 1}
    generators = nest.GetNodes({"model": "inhomogeneous_poisson_generator"})
    assert [list(r) for r in generators.get("rate_values")] == [[5.0], [5.0]]


def test_a_wrong_number_of_rates_is_refused(bench: Any) -> None:
    bench.prepare(drive(), script=RELAYS)
    with pytest.raises(PortMismatch, match=r"brain\.drive takes 2 values"):
        bench.run(1, drive=[1.0, 2.0, 3.0])


CELL = """
    import nest
    def build():
        cell = nest.Create("iaf_cond_alpha", 2, {"V_th": 0.0})
        return {"cell": cell}
"""


@pytest.mark.parametrize(("receptor", "sign"), [("excitatory", 1), ("inhibitory", -1)])
def test_the_receptor_sets_the_sign(receptor: str, sign: int, bench: Any) -> None:
    source = {"kind": "poisson", "targets": ["cell"], "receptor": receptor, "weight": 0.3}
    bench.prepare({"sources": {"drive": source}}, script=CELL)
    bench.run(3, drive=[5000.0])
    cell = nest.NodeCollection([1, 2])
    assert all(sign * (v - -70.0) > 1.0 for v in cell.get("V_m"))


def test_a_receptor_can_be_a_port_of_the_model(bench: Any) -> None:
    script = """
        import nest
        def build():
            ports = {"tau_syn": [2.0, 2.0], "E_L": 0.0, "V_m": 0.0, "V_th": 1e9}
            return {"cell": nest.Create("iaf_psc_alpha_multisynapse", 1, ports)}
    """
    source = {"kind": "poisson", "targets": ["cell"], "receptor": 2, "weight": -100.0}
    bench.prepare({"sources": {"drive": source}}, script=script)
    connection = nest.GetConnections()
    assert (connection.get("receptor"), connection.get("weight")) == (2, -100.0)
    bench.run(2, drive=[3000.0])
    assert nest.NodeCollection([1]).get("V_m") < -1.0


def test_a_port_the_model_has_not_is_refused_with_its_key(bench: Any) -> None:
    source = {"kind": "poisson", "targets": ["cell"], "receptor": 7}
    with pytest.raises(BadExperiment, match=r"brain\.sources\.drive: NEST refuses"):
        bench.prepare({"sources": {"drive": source}}, script=CELL)


def test_an_unknown_synapse_model_is_refused_with_its_key(bench: Any) -> None:
    source = {"kind": "poisson", "targets": ["cell"], "synapse_model": "static_synaps"}
    with pytest.raises(BadExperiment, match=r"brain\.sources\.drive: NEST refuses"):
        bench.prepare({"sources": {"drive": source}}, script=CELL)


def test_a_source_keeps_to_its_start_and_stop(bench: Any) -> None:
    # So many spikes that every time step within the window has one.
    bench.prepare(drive(start_ms=30.0, stop_ms=50.0, rate_hz=8000.0), script=RELAYS)
    bench.run(5)
    _, time_ms = bench.spikes()
    assert (time_ms.min(), time_ms.max()) == (31.1, 51.0)


def test_a_start_off_the_time_grid_is_refused(bench: Any) -> None:
    with pytest.raises(BadExperiment, match="start_ms and stop_ms lie on the time grid"):
        bench.prepare(drive(start_ms=30.05), script=RELAYS)


def test_a_source_fires_in_the_first_time_step_of_the_run(bench: Any) -> None:
    bench.prepare(drive(rate_hz=8000.0), script=RELAYS)
    bench.run(1)
    assert bench.spikes()[1].min() == 1.1


MODELS = """
    import nest
    def build(model="iaf_psc_alpha"):
        return {"cell": nest.Create(model, 9)}
"""


@pytest.mark.parametrize("kind", ["poisson", "fixed_frequency", "spike_injector"])
def test_a_weight_that_current_based_neurons_will_not_notice_is_pointed_out(kind: str, bench: Any) -> None:
    weak = {"kind": kind, "targets": ["cell"]}
    strong = {"kind": kind, "targets": ["cell"], "weight": 40.0}
    facts = bench.prepare({"sources": {"weak": weak, "strong": strong}}, script=MODELS).facts
    [warning] = facts["warnings"]
    assert warning.startswith("brain.sources.weak.weight = 0.15 is in pA for cell (iaf_psc_alpha)")


def test_many_entries_are_pointed_out_in_one_sentence(bench: Any) -> None:
    facts = bench.prepare({"sources": {"weak": {"kind": "poisson", "targets": ["each cell"]}}}, script=MODELS).facts
    [warning] = facts["warnings"]
    assert "for cell[0], cell[1], cell[2] and 6 more (iaf_psc_alpha)" in warning


@pytest.mark.parametrize(("kind", "model"), [("dc", "iaf_psc_alpha"), ("poisson", "iaf_psc_delta")])
def test_currents_and_neurons_that_take_millivolts_are_left_alone(kind: str, model: str, bench: Any) -> None:
    source = {"kind": kind, "targets": ["cell"], "weight": 0.15}
    facts = bench.prepare({"sources": {"drive": source}, "parameters": {"model": model}}, script=MODELS).facts
    assert facts["warnings"] == []


def test_a_nan_among_the_values_of_any_quantity_never_reaches_nest(bench: Any) -> None:
    bench.prepare({"sources": {"sine": {"kind": "ac", "targets": ["each cell"]}}}, script=MODELS)
    phases = np.zeros(9)
    phases[4] = np.nan
    with pytest.raises(BadExperiment, match=r"brain\.sine_phase\[4\] \(cell\[4\]\) was given a phase of nan deg"):
        bench.run(1, sine_phase=phases)


def test_several_groups_of_a_kind_share_a_collection_and_keep_their_values(bench: Any) -> None:
    sources = {
        "one": {"kind": "dc", "targets": ["cell[0]", "cell[1]"], "amplitude_pA": 1.0},
        "two": {"kind": "dc", "targets": ["cell[2]"], "amplitude_pA": 2.0},
    }
    bench.prepare({"sources": sources}, script=MODELS)
    bench.run(1)
    bench.run(1, two=[5.0])
    generators = nest.GetNodes({"model": "dc_generator"})
    assert generators.get("amplitude") == (1.0, 1.0, 5.0)
