"""The balanced network in NEST, at sizes that are built in seconds."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.brain.kernel import nest
from services.brain.models import room
from services.brain.models.balanced.parameters import BalancedParameters
from services.brain.models.balanced.scaling import scaled

SMALL = {"scale": 0.2, "indegree_fraction": 0.1}
RASTER = {"raster": {"kind": "spike_recorder", "sources": ["E", "I"], "sample": 300}}


def prepare(bench: Any, **parameters: Any) -> dict[str, Any]:
    settings = {"model": "balanced", "parameters": {**SMALL, **parameters}, "sinks": RASTER}
    facts: dict[str, Any] = bench.prepare(settings).facts
    return facts


def rates_hz(bench: Any, after_ms: float = 0.0) -> tuple[float, float]:
    """Of the recorded excitatory and inhibitory neurons."""
    sender, time_ms = bench.spikes()
    seconds = len(bench.outputs) * 0.02 - after_ms / 1000
    excitatory = (sender <= bench.ids("E")[-1]) & (time_ms > after_ms)
    inhibitory = (sender > bench.ids("E")[-1]) & (time_ms > after_ms)
    return excitatory.sum() / 300 / seconds, inhibitory.sum() / 300 / seconds


def test_it_has_the_neurons_and_synapses_of_its_formula(bench: Any) -> None:
    facts = prepare(bench)
    assert (facts["neurons"], facts["synapses"]) == (2250, 2250 * 1125)
    assert {name: p["size"] for name, p in facts["populations"].items()} == {
        "E": 1800,
        "I": 450,
        "E_first": 50,
        "I_first": 50,
    }
    assert facts["populations"]["I_first"]["ranges"] == [[1801, 1850]]
    assert (facts["min_delay_ms"], facts["max_delay_ms"]) == (0.5, 1.5)


def test_every_neuron_has_the_in_degree_and_none_is_its_own_source(bench: Any) -> None:
    prepare(bench, scale=0.05, indegree_fraction=0.02, exposed=10)
    numbers = scaled(BalancedParameters.load({"indegree_fraction": 0.02}))
    excitatory, inhibitory = (nest.NodeCollection(bench.ids(name).tolist()) for name in ("E", "I"))
    for source, target, indegree, weight, model in (
        (excitatory, excitatory, 180, numbers.weight_e_pa, "stdp_pl_synapse_hom_hpc_balanced"),
        (excitatory, inhibitory, 180, numbers.weight_e_pa, "static_synapse_hpc"),
        (inhibitory, excitatory, 45, numbers.weight_i_pa, "static_synapse_hpc"),
        (inhibitory, inhibitory, 45, numbers.weight_i_pa, "static_synapse_hpc"),
    ):
        found = nest.GetConnections(source, target).get(["source", "target", "weight", "delay", "synapse_model"])
        assert set(Counter(found["target"]).values()) == {indegree}
        assert len(Counter(found["target"])) == len(target)
        assert not any(a == b for a, b in zip(found["source"], found["target"], strict=True))
        np.testing.assert_allclose(found["weight"], weight, rtol=1e-12)
        assert set(found["delay"]) == {1.5}
        assert set(found["synapse_model"]) == {model}


def test_first_voltages_are_spread_normally(bench: Any) -> None:
    prepare(bench)
    voltages = np.array(nest.NodeCollection(bench.ids("E").tolist()).get("V_m"))
    assert voltages.mean() == pytest.approx(5.7, abs=5 * 7.2 / np.sqrt(1800))
    assert voltages.std() == pytest.approx(7.2, rel=0.1)


def test_a_tenth_of_the_in_degree_fires_at_a_usable_rate(bench: Any) -> None:
    prepare(bench, scale=0.4)
    bench.run(10)
    excitatory, inhibitory = rates_hz(bench)
    assert 5 < excitatory < 25
    assert 5 < inhibitory < 25


def test_steps_of_20_ms_give_the_spikes_of_steps_of_5_ms(bench: Any) -> None:
    settings = {"model": "balanced", "parameters": SMALL, "sinks": RASTER}
    found = []
    for dt_ms, steps in ((20.0, 2), (5.0, 8)):
        bench.prepare(settings, dt_ms=dt_ms)
        bench.run(steps)
        found.append(bench.spikes())
    assert len(found[0][0]) > 50
    for whole, cut in zip(*found, strict=True):
        np.testing.assert_array_equal(whole, cut)


def test_weights_among_excitatory_neurons_change_and_others_do_not(bench: Any) -> None:
    prepare(bench)
    cells = [nest.NodeCollection(bench.ids(name).tolist()) for name in ("E_first", "E", "I")]
    plastic, static = (nest.GetConnections(cells[0], target) for target in cells[1:])
    before = plastic.get("weight")[0], static.get("weight")[0]
    bench.run(10)
    assert np.ptp(plastic.get("weight")) > 1.0
    assert set(static.get("weight")) == {before[1]}
    # The balance of the rule is at the first weight, so the mean stays near it.
    assert np.mean(plastic.get("weight")) == pytest.approx(before[0], rel=0.2)


def test_plain_synapses_make_the_same_network(bench: Any) -> None:
    found = []
    for model in ("auto", "static_synapse"):
        prepare(bench, synapse_model=model)
        bench.run(2)
        found.append(bench.spikes())
    assert nest.GetDefaults("stdp_pl_synapse_hom_balanced")["num_connections"] == 1800 * 900
    np.testing.assert_array_equal(found[0][0], found[1][0])


def test_a_network_that_does_not_fit_is_refused_with_its_numbers(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda: 4_000_000_000)
    with pytest.raises(BadExperiment) as error:
        bench.prepare({"model": "balanced"})
    assert error.value.detail["key"] == "brain.parameters.scale"
    for words in ("225,000 neurons", "2,531.2 M synapses", "132.2 GB", "4.0 GB are free", "indegree_fraction"):
        assert words in error.value.text


def test_compact_synapses_are_refused_where_they_cannot_address_the_neurons(bench: Any) -> None:
    parameters = {"scale": 10.0, "indegree_fraction": 0.01, "synapse_model": "static_synapse_hpc"}
    with pytest.raises(BadExperiment, match="64,534 cells of a thread, there would be 112,500") as error:
        bench.prepare({"model": "balanced", "parameters": parameters})
    assert error.value.detail["key"] == "brain.parameters.synapse_model"


def test_a_delay_outside_of_the_range_of_the_kernel_is_refused(bench: Any) -> None:
    with pytest.raises(BadExperiment, match=r"0\.5 to 1\.5 ms: set brain\.min_delay_ms"):
        prepare(bench, delay_ms=2.0)


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_the_published_rule_rests_at_scale_1(bench: Any) -> None:
    facts = prepare(bench, scale=1.0, indegree_fraction=1.0)
    assert facts["synapses"] == 126_562_500
    assert facts["memory_bytes"] == pytest.approx(facts["estimated_bytes"], rel=0.15)
    bench.run(10)
    for rate in rates_hz(bench):
        assert 5 < rate < 25
