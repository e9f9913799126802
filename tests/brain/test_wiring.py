"""The synapses of devices: rules, delays, weights, receptors, and how few calls make them."""

import math
from typing import Any

import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.brain import wiring
from services.brain.kernel import nest

CELLS = """
    import nest
    def build(n=50):
        return {"cell": nest.Create("iaf_psc_delta", n), "other": nest.Create("iaf_psc_delta", 3)}
"""


def prepare(bench: Any, *, sources: dict[str, Any] | None = None, sinks: dict[str, Any] | None = None) -> None:
    bench.prepare({"sources": sources or {}, "sinks": sinks or {}}, script=CELLS)


def synapses(bench: Any, *, source: str | None = None, target: str | None = None) -> dict[str, Any]:
    """Columns of the connections of the nodes of one model."""
    ends = {"source": source, "target": target}
    found = nest.GetConnections(**{end: nest.GetNodes({"model": model}) for end, model in ends.items() if model})
    table = found.get(["source", "target", "weight", "delay", "receptor", "synapse_model"])
    return {name: np.atleast_1d(values) for name, values in table.items()}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The rules of the calls of NEST's Connect that devices make, as they are made."""
    made: list[Any] = []
    connect = nest.Connect

    def counting(*arguments: Any) -> None:
        made.append(arguments[2])
        connect(*arguments)

    monkeypatch.setitem(vars(wiring.nest), "Connect", counting)
    return made


def test_a_device_per_neuron_is_connected_in_one_call(calls: list[Any], bench: Any) -> None:
    prepare(
        bench,
        sources={"drive": {"kind": "dc", "targets": ["each cell"]}},
        sinks={"level": {"kind": "leaky_integrator_alpha", "sources": ["each cell"]}},
    )
    assert calls == [{"rule": "one_to_one"}] * 2
    driven = synapses(bench, source="dc_generator")
    read = synapses(bench, target="iaf_psc_alpha")
    cells = bench.ids("cell")
    assert sorted(driven["target"]) == sorted(read["source"]) == cells.tolist()
    assert len(set(driven["source"])) == len(set(read["target"])) == 50


def test_each_device_has_the_neuron_of_its_entry_whatever_their_order(bench: Any) -> None:
    entries = ["cell[7]", "cell[3]", "cell[4]", "other", "cell[4:6]", "each cell[9:20:5]", "cell[0]"]
    prepare(bench, sources={"drive": {"kind": "dc", "targets": entries}})
    columns = synapses(bench, source="dc_generator")
    cells, other = bench.ids("cell"), bench.ids("other")
    expected = [cells[[7]], cells[[3]], cells[[4]], other, cells[4:6], cells[[9]], cells[[14]], cells[[19]], cells[[0]]]
    devices = nest.GetNodes({"model": "dc_generator"}).tolist()
    reached = [sorted(columns["target"][columns["source"] == device]) for device in devices]
    assert reached == [ids.tolist() for ids in expected]


def test_entries_of_different_weight_keep_their_own(bench: Any) -> None:
    sink = {"kind": "population_rate", "sources": ["cell[0]", "cell[1]", "cell[2:4]"], "weight": 2.0}
    prepare(bench, sinks={"rate": sink})
    columns = synapses(bench, target="iaf_psc_exp")
    by_source = dict(zip(columns["source"] - bench.ids("cell")[0], columns["weight"], strict=True))
    assert by_source == {0: 10_000.0, 1: 10_000.0, 2: 5000.0, 3: 5000.0}


def test_all_options_of_a_synapse_reach_nest(bench: Any) -> None:
    options = {"delay_ms": 2.5, "weight": 7.0, "receptor": "inhibitory", "synapse_model": "tsodyks2_synapse"}
    sinks = {
        "alpha": {"kind": "leaky_integrator_alpha", "sources": ["cell"], **options},
        "rate": {"kind": "population_rate", "sources": ["each cell"], **options},
    }
    prepare(bench, sinks=sinks)
    for model, weight in (("iaf_psc_alpha", -7.0), ("iaf_psc_exp", -35_000.0)):
        columns = synapses(bench, target=model)
        assert set(columns["synapse_model"]) == {"tsodyks2_synapse"}
        assert set(columns["delay"]) == {2.5}
        assert set(columns["weight"]) == {weight}


@pytest.mark.parametrize("entries", [["cell"], ["each cell"]])
def test_a_range_of_delays_gives_each_synapse_its_own(entries: list[str], bench: Any) -> None:
    sink = {"kind": "leaky_integrator_exp", "sources": entries, "delay_ms": [0.5, 2.0]}
    prepare(bench, sinks={"out": sink})
    delays = synapses(bench, target="iaf_psc_exp")["delay"]
    assert len(delays) == 50
    assert len(set(delays)) > 8
    assert 0.5 <= delays.min() < 0.9
    assert 1.6 < delays.max() <= 2.0
    # Uniform: mean 1.25, within five standard errors of 1.5 / sqrt(12 x 50).
    assert abs(delays.mean() - 1.25) < 5 * 1.5 / math.sqrt(12 * 50)


def test_a_chance_connects_some_of_the_neurons(bench: Any) -> None:
    prepare(bench, sources={"drive": {"kind": "poisson", "targets": ["cell"], "rule": "pairwise_bernoulli", "p": 0.5}})
    targets = synapses(bench, source="inhomogeneous_poisson_generator")["target"]
    assert len(set(targets)) == len(targets)
    assert abs(len(targets) - 25) < 5 * math.sqrt(50 / 4)


def test_a_total_number_is_the_number_of_synapses(bench: Any) -> None:
    sink = {"kind": "leaky_integrator_alpha", "sources": ["cell"], "rule": "fixed_total_number", "number": 20}
    prepare(bench, sinks={"out": sink})
    assert len(synapses(bench, target="iaf_psc_alpha")["source"]) == 20


@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_a_rate_counts_the_neurons_that_were_drawn_for_all(reduce: str, bench: Any) -> None:
    options = {"rule": "fixed_total_number", "number": 20, "reduce": reduce}
    prepare(bench, sinks={"rate": {"kind": "population_rate", "sources": ["cell"], **options}})
    weights = synapses(bench, target="iaf_psc_exp")["weight"]
    assert weights.sum() == pytest.approx(5000.0 * (1 if reduce == "mean" else 50))


def test_one_to_one_needs_entries_of_one_neuron(bench: Any) -> None:
    prepare(bench, sources={"drive": {"kind": "dc", "targets": ["each cell"], "rule": "one_to_one"}})
    assert len(synapses(bench, source="dc_generator")["target"]) == 50
    with pytest.raises(BadExperiment, match=r"brain\.sources\.drive\.rule: one_to_one is for entries of one neuron"):
        prepare(bench, sources={"drive": {"kind": "dc", "targets": ["cell"], "rule": "one_to_one"}})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rule": "pairwise_bernoulli"}, r"drive\.p: expected a number, since rule = 'pairwise_bernoulli'"),
        ({"p": 0.5}, r"drive\.p: expected none, which is for 'pairwise_bernoulli' only"),
        ({"rule": "pairwise_bernoulli", "p": 1.5}, r"drive\.p: expected a chance above 0 and at most 1"),
        ({"rule": "fixed_total_number"}, r"drive\.number: expected a number"),
        ({"rule": "fixed_total_number", "number": 0}, r"drive\.number: expected 1 or more synapses"),
        ({"rule": "fixed_indegree"}, r"drive\.rule: expected 'all_to_all' or 'one_to_one'"),
        ({"delay_ms": [2.0, 1.0]}, r"drive\.delay_ms: expected \[shortest, longest\]"),
        ({"delay_ms": [0.0, 1.0]}, r"drive\.delay_ms: expected a number above 0"),
        ({"delay_ms": "1 ms"}, r"drive\.delay_ms: expected a number or a list"),
        ({"weight": math.inf}, r"drive\.weight: expected a finite number"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], words: str, bench: Any) -> None:
    with pytest.raises(BadExperiment, match=words):
        prepare(bench, sources={"drive": {"kind": "poisson", "targets": ["cell"], **options}})
