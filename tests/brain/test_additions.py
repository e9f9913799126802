"""Devices that come and change while a run goes on: what they do, and that they leave all else as it is."""

import numpy as np
import pytest

from reafference.errors import BadExperiment

SCRIPT = """
    import nest

    def build(cells=10, drive_pA=450.0):
        a = nest.Create("iaf_psc_alpha", cells, {"I_e": drive_pA})
        b = nest.Create("iaf_psc_alpha", cells)
        nest.Connect(a, b, "all_to_all", {"weight": 100.0, "delay": 1.0})
        return {"A": a, "B": b, "R": nest.Create("parrot_neuron", 2)}
"""
SETTINGS = {
    "populations": {"some": "A[2:5]"},
    "sources": {"drive": {"kind": "poisson", "targets": ["A", "R"], "weight": 30.0, "rate_hz": 500.0}},
    "sinks": {
        "spikes": {"kind": "spike_recorder", "sources": ["A"]},
        "rate": {"kind": "population_rate", "sources": ["R"]},
    },
}
RATE = {"kind": "population_rate", "sources": ["A", "B"]}
POISSON = {"kind": "poisson", "targets": ["R"], "weight": 1.0, "rate_hz": 800.0}


@pytest.fixture
def brain(bench, quiet):
    """A bench whose brain can be edited, and whose ports are those of the last edit."""
    bench.prepare(SETTINGS, script=SCRIPT)

    def edit(what, **arguments):
        changed = bench.brain.edit(what, arguments, quiet)
        bench.ports = changed.ports or bench.ports
        return changed.result

    bench.edit = edit
    return bench


def outputs_of(steps, *names):
    return [np.concatenate([np.ravel(out[name]) for out in steps]) for name in names]


@pytest.mark.parametrize(
    "table",
    [
        RATE,
        {"kind": "leaky_integrator_alpha", "sources": ["each A[0:3]"]},
        {"kind": "spike_recorder", "sources": ["B"]},
    ],
)
@pytest.mark.parametrize("after", [0, 3])
def test_an_added_sink_leaves_everything_else_as_it_was(brain, bench, quiet, table, after):
    own = ("sinks.rate", "spikes.sender", "spikes.time_ns")
    alone = outputs_of(brain.run(8), *own)
    bench.prepare(SETTINGS, script=SCRIPT)
    first = brain.run(after)
    brain.edit("add_device", group="more", role="sink", table=table)
    later = brain.run(8 - after)
    recorded = np.concatenate([brain.ids("A")])
    for out in later:
        kept = np.isin(out["spikes.sender"], recorded)
        out["spikes.sender"], out["spikes.time_ns"] = out["spikes.sender"][kept], out["spikes.time_ns"][kept]
    for found, expected in zip(outputs_of([*first, *later], *own), alone, strict=True):
        np.testing.assert_array_equal(found, expected)


BUSY = """
    import nest

    def build():
        cells = nest.Create("iaf_psc_alpha", 300, {"I_e": nest.random.uniform(350.0, 500.0)})
        once = {"rule": "fixed_indegree", "indegree": 1}
        nest.Connect(cells[:150], cells, once, {"weight": 150.0, "delay": nest.random.uniform(1.0, 3.0)})
        nest.Connect(cells[150:], cells, once, {"weight": -150.0, "delay": nest.random.uniform(1.0, 3.0)})
        return {"cells": cells}
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_an_added_sink_leaves_spikes_that_are_under_way_as_they_were(brain, bench, threads):
    # Many cells have no target at all; the new synapses of those come between the others.
    settings = {"sinks": {"spikes": {"kind": "spike_recorder", "sources": ["cells"]}}}
    own = ("spikes.sender", "spikes.time_ns")
    bench.prepare(settings, script=BUSY, threads=threads)
    alone = outputs_of(brain.run(12), *own)
    bench.prepare(settings, script=BUSY, threads=threads)
    steps = []
    for group in ("one", "two", "three"):
        steps += brain.run(3)
        brain.edit("add_device", group=group, table={"kind": "population_rate", "sources": ["cells"]})
    found = outputs_of([*steps, *brain.run(3)], *own)
    assert len(alone[0]) > 1000
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_first_source_with_exact_spike_times_needs_a_brain_that_is_built_anew(brain, bench):
    beat = {"kind": "fixed_frequency", "targets": ["B"], "weight": 2000.0}
    level = {"kind": "population_rate", "sources": ["B"]}
    brain.run(5)
    assert brain.edit("add_device", group="beat", table=beat) == {"ports": ["beat"], "rebuilt": True}
    assert brain.edit("add_device", group="more", table=beat) == {"ports": ["more"]}
    assert brain.edit("add_device", group="level", table=level) == {"ports": ["sinks.level"]}
    assert brain.run(20, beat=[100.0])[-1]["sinks.level"][0] > 50
    bench.prepare(SETTINGS, script=SCRIPT)
    assert brain.edit("add_device", group="beat", table=beat) == {"ports": ["beat"]}  # it has not run yet


def test_an_added_sink_reads_what_one_of_the_experiment_reads(brain, bench):
    whole = {**SETTINGS, "sinks": {**SETTINGS["sinks"], "more": RATE}}
    bench.prepare(whole, script=SCRIPT)
    expected = np.array([out["sinks.more"] for out in bench.run(10)])
    bench.prepare(SETTINGS, script=SCRIPT)
    assert brain.edit("add_device", group="more", table=RATE) == {"ports": ["sinks.more"]}
    found = np.array([out["sinks.more"] for out in brain.run(10)])
    np.testing.assert_array_equal(found, expected)
    assert brain.port("sinks.more").labels == ("A", "B")


def test_an_added_recorder_brings_the_spikes_of_further_neurons(brain):
    assert set(outputs_of(brain.run(3), "spikes.sender")[0]) == set(brain.ids("A"))
    brain.edit("add_device", group="more", table={"kind": "spike_recorder", "sources": ["A", "B"], "times": True})
    later = brain.run(5)
    assert set(outputs_of(later, "spikes.sender")[0]) == {*brain.ids("A"), *brain.ids("B")}
    assert set(brain.ports.facts["recorders"]) == {"spikes", "more"}
    assert sum(len(out["times.more"]) for out in later) == len(outputs_of(later, "spikes.sender")[0])


def test_the_first_recorder_may_come_late(brain, bench):
    bench.prepare({**SETTINGS, "sinks": {}}, script=SCRIPT)
    brain.run(3)
    result = brain.edit("add_device", group="late", table={"kind": "spike_recorder", "sources": ["A"]})
    assert result["ports"] == ["spikes.sender", "spikes.time_ns"]
    times = outputs_of(brain.run(4), "spikes.time_ns")[0]
    assert len(times) > 5
    assert times.min() > 60_000_000


def test_an_added_source_takes_values_and_can_be_switched(brain):
    brain.run(5)
    result = brain.edit("add_device", group="more", role="source", table={**POISSON, "switchable": True})
    assert result == {"ports": ["more", "more_on"]}
    assert brain.port("more").resting().tolist() == [800.0]
    before = brain.run(20)[-1]["sinks.rate"][0]
    assert 900 < before < 1800
    assert brain.run(20, more=[0.0])[-1]["sinks.rate"][0] < 800
    assert brain.run(20, more=[5000.0])[-1]["sinks.rate"][0] > 4000
    brain.edit("switch", device="more", on=False)
    assert brain.run(20, more=[5000.0])[-1]["sinks.rate"][0] < 800


def test_what_others_read_until_the_next_step_is_what_was_read_last(brain):
    last = brain.run(5)[-1]["sinks.rate"]
    assert last[0] > 100
    brain.edit("add_device", group="more", table=RATE)
    np.testing.assert_array_equal(brain.port("sinks.rate").resting(), last)
    np.testing.assert_array_equal(brain.port("sinks.more").resting(), [0.0, 0.0])


@pytest.mark.parametrize("what", ["reset", "replace_brain", "set_populations"])
def test_an_added_group_stays_when_the_brain_is_built_anew(brain, what):
    import textwrap

    brain.edit("add_device", group="more", table=RATE)
    brain.run(1)
    arguments = {
        "replace_brain": {"script": textwrap.dedent(SCRIPT)},
        "set_populations": {"populations": {"few": "A[0:2]"}},
    }
    brain.edit(what, **arguments.get(what, {}))
    assert brain.run(10)[-1]["sinks.more"][0] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"group": "rate", "table": RATE}, "sinks called 'rate' already"),
        ({"group": "drive", "table": POISSON}, "sources called 'drive' already"),
        ({"group": "a b", "table": RATE}, "a name of letters"),
        ({"group": "more", "table": {**RATE, "kind": "poison"}}, "did you mean 'poisson'"),
        ({"group": "more", "table": {"sources": ["A"]}}, r"table\.kind: expected one of poisson"),
        ({"group": "more", "role": "source", "table": RATE}, "role: expected 'sink'"),
        ({"group": "more", "role": "drain", "table": RATE}, "expected 'source' or 'sink'"),
        ({"group": "more", "table": {**RATE, "role": "source"}}, "role: expected 'sink'"),
        ({"group": "more", "table": {**RATE, "sources": ["nobody"]}}, "name of a population, found 'nobody'"),
        ({"group": "more", "table": {**RATE, "weigth": 3.0}}, "did you mean 'weight'"),
        ({"group": "more", "table": {**RATE, "delay_ms": 0.5}}, "shorter than all delays"),
        ({"group": "more", "table": {**RATE, "delay_ms": [0.5, 3.0]}}, "shorter than all delays"),
        ({"group": "more", "table": {**RATE, "receptor": 7}}, "NEST refuses the connection"),
        ({"group": "more"}, "table: expected the options"),
        ({"table": RATE}, "group: expected a text"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused_and_changes_nothing(brain, bench, arguments, words):
    expected = outputs_of(brain.run(6), "spikes.sender", "sinks.rate")
    bench.prepare(SETTINGS, script=SCRIPT)
    first = brain.run(2)
    with pytest.raises(BadExperiment, match=words):
        brain.edit("add_device", **arguments)
    found = outputs_of([*first, *brain.run(4)], "spikes.sender", "sinks.rate")
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    if arguments.get("group") == "more":
        assert brain.edit("add_device", group="more", table=RATE) == {"ports": ["sinks.more"]}


# --- set_device -----------------------------------------------------------------------------------------------


def test_another_weight_of_a_sink_scales_what_it_reads(brain, bench):
    plain = brain.run(30)[-1]["sinks.rate"]
    bench.prepare(SETTINGS, script=SCRIPT)
    brain.edit("set_device", group="rate", table={"weight": 2.0})
    np.testing.assert_allclose(brain.run(30)[-1]["sinks.rate"], 2 * plain, rtol=1e-9)


def test_constants_of_a_sink_are_those_that_were_set(brain, bench):
    table = {**RATE, "tau_fall_ms": 80.0, "reduce": "sum"}
    bench.prepare({**SETTINGS, "sinks": {**SETTINGS["sinks"], "more": table}}, script=SCRIPT)
    expected = np.array([out["sinks.more"] for out in bench.run(10)])
    bench.prepare({**SETTINGS, "sinks": {**SETTINGS["sinks"], "more": RATE}}, script=SCRIPT)
    brain.edit("set_device", group="more", table={"tau_fall_ms": 80.0, "reduce": "sum"})
    found = np.array([out["sinks.more"] for out in brain.run(10)])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_another_resting_value_is_that_of_the_port(brain):
    brain.edit("add_device", group="level", table={"kind": "leaky_integrator_exp", "sources": ["R"], "weight": 0.0})
    brain.edit("set_device", group="level", table={"E_L_mV": 3.0})
    assert brain.port("sinks.level").resting().tolist() == [3.0]
    assert brain.run(20)[-1]["sinks.level"][0] == pytest.approx(3.0, abs=1e-3)


def test_another_weight_of_a_source_drives_the_neurons_more(brain):
    brain.edit("add_device", group="beat", table={"kind": "fixed_frequency", "targets": ["B"], "weight": 0.0})
    brain.edit("add_device", group="level", table={"kind": "population_rate", "sources": ["B"]})
    weak = brain.run(20, beat=[100.0])[-1]["sinks.level"][0]
    brain.edit("set_device", group="beat", table={"weight": 2000.0})
    assert brain.run(20, beat=[100.0])[-1]["sinks.level"][0] > weak + 50


def test_a_window_can_be_moved_and_opened_again(brain):
    brain.run(10)
    brain.edit("set_device", group="drive", table={"stop_ms": 300.0})
    assert brain.run(5)[-1]["sinks.rate"][0] > 100
    assert brain.run(20)[-1]["sinks.rate"][0] < 1
    brain.edit("set_device", group="drive", table={"stop_ms": float("inf")})
    assert brain.run(20)[-1]["sinks.rate"][0] > 100


def test_what_was_set_stays_when_the_brain_is_built_anew(brain):
    brain.run(3)
    brain.edit("set_device", group="rate", table={"weight": 2.0})
    brain.edit("reset")
    again = brain.run(20)[-1]["sinks.rate"][0]
    assert brain.edit("source")["sinks"]["rate"]["weight"] == 2.0
    assert again > 600


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"group": "drive", "table": {"rate_hz": 3.0}}, r"brain\.drive has until somebody writes it"),
        ({"group": "drive", "table": {"targets": ["A"]}}, "cannot be changed in a brain that has been built"),
        ({"group": "drive", "table": {"n": 3}}, "cannot be changed"),
        ({"group": "drive", "table": {"delay_ms": 3.0}}, "cannot be changed"),
        ({"group": "drive", "table": {"weight": -3.0}}, "a positive number"),
        ({"group": "drive", "table": {"stop_ms": 100.03}}, "time grid"),
        ({"group": "drive", "table": {"wait": 1.0}}, "the key 'wait'"),
        ({"group": "drive", "table": {}}, "found an empty one"),
        ({"group": "spikes", "table": {"sample": 3}}, "a spike_recorder, of which nothing can be changed"),
        ({"group": "drvie", "table": {"weight": 3.0}}, "did you mean 'drive'"),
        ({"group": "rate", "table": {"tau_rise_ms": -1.0}}, "a number above 0"),
    ],
)
def test_options_that_cannot_change_are_refused_and_change_nothing(brain, bench, arguments, words):
    expected = outputs_of(brain.run(6), "spikes.sender", "sinks.rate")
    bench.prepare(SETTINGS, script=SCRIPT)
    first = brain.run(2)
    with pytest.raises(BadExperiment, match=words):
        brain.edit("set_device", **arguments)
    found = outputs_of([*first, *brain.run(4)], "spikes.sender", "sinks.rate")
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert brain.edit("source")["sources"] == SETTINGS["sources"]
