"""What a running brain says of itself, and that asking changes nothing."""

import json
import textwrap

import numpy as np
import pytest

from reafference.errors import BadExperiment, ScriptError

SCRIPT = """
    import nest

    def build(cells=10):
        a = nest.Create("iaf_psc_alpha", cells, {"I_e": 450.0})
        return {"A": a, "part": a[2:5], "R": nest.Create("parrot_neuron", 2)}
"""
SETTINGS = {
    "parameters": {"cells": 12},
    "populations": {"some": "A[2:5]"},
    "sources": {"drive": {"kind": "poisson", "targets": ["A"], "weight": 30.0, "rate_hz": 500.0}},
    "sinks": {"spikes": {"kind": "spike_recorder", "sources": ["A"]}},
}


@pytest.fixture
def ask(bench, quiet):
    """Ask the brain of the bench."""
    return lambda what, **arguments: bench.brain.edit(what, arguments, quiet).result


def test_the_source_is_what_the_brain_was_built_from(bench, ask):
    bench.prepare(SETTINGS, script=SCRIPT)
    found = ask("source")
    assert (found["script"], found["model"]) == ("brain.py", None)
    assert found["source"] == textwrap.dedent(SCRIPT)
    assert {key: found[key] for key in SETTINGS} == SETTINGS
    other = textwrap.dedent(SCRIPT).replace("450.0", "440.0")
    bench.brain.edit("replace_brain", {"script": other}, lambda *args, **kwargs: None)
    assert ask("source")["source"] == other


def test_a_shipped_model_tells_what_it_is(bench, ask):
    bench.prepare({"model": "braitenberg"})
    found = ask("source")
    assert (found["model"], found["script"], found["source"]) == ("braitenberg", None, "")
    assert found["about"].startswith("Eight neurons")


def test_populations_are_those_of_the_facts_and_the_selections_of_the_experiment(bench, ask):
    ports = bench.prepare(SETTINGS, script=SCRIPT)
    found = ask("populations")
    assert found["populations"] == ports.facts["populations"]
    assert found["selections"] == {"some": {"size": 3}}


def test_the_kernel_tells_its_time_and_its_spikes(bench, ask):
    ports = bench.prepare(SETTINGS, script=SCRIPT, threads=2)
    spikes = len(bench.run(10)[-1]["spikes.sender"])
    found = ask("kernel_status")
    assert json.loads(json.dumps(found)) == found
    assert found["biological_time_ms"] == pytest.approx(200.0)
    assert found["spikes_last_run"] == spikes > 0
    assert (found["threads"], found["processes"], found["resolution_ms"]) == (2, 1, 0.1)
    assert found["nodes"] == ports.facts["nodes"]
    assert found["connections"] == ports.facts["connections"]
    assert found["memory_bytes"] == sum(rank["memory_bytes"] for rank in found["ranks"]) > 1e6


def test_asking_changes_no_spike(bench, ask):
    bench.prepare(SETTINGS, script=SCRIPT)
    bench.run(6)
    alone = bench.spikes()
    bench.prepare(SETTINGS, script=SCRIPT)
    for _ in range(6):
        for what in ("positions", "kernel_status", "populations", "source"):
            ask(what)
        bench.run(1)
    for found, expected in zip(bench.spikes(), alone, strict=True):
        np.testing.assert_array_equal(found, expected)


# --- positions ------------------------------------------------------------------------------------------------


def at(found, name):
    """Place by id."""
    population = found["populations"][name]
    return dict(zip(population["ids"].tolist(), map(tuple, population["positions_mm"].tolist()), strict=True))


def test_neurons_without_a_place_are_given_one_in_a_ball_beside_the_others(bench, ask):
    bench.prepare(SETTINGS, script=SCRIPT)
    found = ask("positions")
    whole, relays = (found["populations"][name] for name in ("A", "R"))
    assert whole["generated"]
    assert relays["generated"]
    assert whole["ids"].tolist() == bench.ids("A").tolist()
    assert (whole["positions_mm"].dtype, whole["positions_mm"].shape) == (np.float32, (12, 3))
    assert len(set(at(found, "A").values())) == 12
    assert relays["positions_mm"][:, 0].min() > whole["positions_mm"][:, 0].max()
    again = ask("positions")
    np.testing.assert_array_equal(again["populations"]["A"]["positions_mm"], whole["positions_mm"])


def test_a_neuron_of_two_populations_is_in_one_place(bench, ask):
    bench.prepare(SETTINGS, script=SCRIPT)
    found = ask("positions")
    whole, part = at(found, "A"), at(found, "part")
    assert len(part) == 3
    assert part == {number: whole[number] for number in part}


def test_a_ball_is_filled_evenly(bench, ask):
    bench.prepare({"parameters": {"cells": 4000}}, script=SCRIPT)
    points = ask("positions")["populations"]["A"]["positions_mm"].astype(float)
    radius = 0.05 * 4000 ** (1 / 3)
    out = np.linalg.norm(points, axis=1)
    assert out.max() <= radius
    assert (out < radius / 2).mean() == pytest.approx(1 / 8, abs=0.01)
    octants = np.unique((points > 0) @ [1, 2, 4], return_counts=True)[1]
    assert octants.min() > 450


def test_a_script_says_where_its_neurons_are(bench, ask):
    script = """
        import nest

        def build():
            a = nest.Create("parrot_neuron", 3)
            b = nest.Create("parrot_neuron", 2)
            places = {"A": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], "B": [[1, 2, 3], [4, 5, 6]]}
            return {"A": a, "B": b, "positions": places}
    """
    bench.prepare({}, script=script)
    found = ask("positions")["populations"]
    assert list(found) == ["A", "B"]
    assert found["A"]["positions_mm"].tolist() == [[0, 1, 0], [2, 3, 0], [4, 5, 0]]
    assert found["B"]["positions_mm"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert not found["A"]["generated"]


@pytest.mark.parametrize("places", ["{'A': [[0.0, 1.0]]}", "{'A': 'here'}", "{'A': [[0, 1], [float('nan'), 2]]}"])
def test_places_that_make_no_sense_are_refused(bench, places):
    script = f"""
        import nest

        def build():
            return {{"A": nest.Create("parrot_neuron", 2), "positions": {places}}}
    """
    with pytest.raises(ScriptError, match=r"the positions of 'A' are not 2 finite places"):
        bench.prepare({}, script=script)


def test_neurons_that_nest_has_placed_in_space_stay_there(bench, ask):
    script = """
        import nest

        def build():
            a = nest.Create("parrot_neuron", positions=nest.spatial.free([[0.5, 0.25], [-0.5, 0.0], [0.1, 0.2]]))
            b = nest.Create("parrot_neuron", positions=nest.spatial.free([[0.1, 0.2, 0.3]], extent=[1.0, 1.0, 1.0]))
            return {"A": a, "part": a[1:], "B": b, "C": nest.Create("parrot_neuron")}
    """
    bench.prepare({}, script=script)
    found = ask("positions")
    places = found["populations"]
    np.testing.assert_allclose(places["A"]["positions_mm"], [[0.5, 0.25, 0], [-0.5, 0, 0], [0.1, 0.2, 0]])
    np.testing.assert_allclose(places["B"]["positions_mm"], [[0.1, 0.2, 0.3]])
    assert at(found, "part").items() <= at(found, "A").items()
    assert [places[name]["generated"] for name in places] == [False, False, False, True]


def test_the_sample_is_at_most_as_large_as_asked_for_and_always_the_same(bench, ask):
    bench.prepare({"parameters": {"cells": 3000}}, script=SCRIPT)
    whole, many, few = ask("positions"), ask("positions", most=1000), ask("positions", most=100)
    shown = {name: at(few, name) for name in few["populations"]}
    assert len({number for places in shown.values() for number in places}) == 100
    for name, places in shown.items():
        assert places.items() <= at(many, name).items() <= at(whole, name).items()
    ids = np.array(sorted(shown["A"]))
    assert 20 < (ids < 1500).sum() < 80


@pytest.mark.parametrize("most", [0, -1, 2.5, "all", True])
def test_a_sample_that_makes_no_sense_is_refused(bench, ask, most):
    bench.prepare(SETTINGS, script=SCRIPT)
    with pytest.raises(BadExperiment, match="most: expected a number of neurons"):
        ask("positions", most=most)


def test_the_sheets_of_the_rodent_brain_lie_where_the_model_has_them(bench, ask):
    bench.prepare({"model": "cbct", "parameters": {"regions": ["M1", "TH_M1_EZ"], "area_mm2": 0.02}})
    found = ask("positions")["populations"]
    assert not any(population["generated"] for population in found.values())
    assert sum(len(population["ids"]) for population in found.values()) == sum(
        population["size"] for population in bench.ports.facts["populations"].values()
    )
    heights = {name: p["positions_mm"][:, 2].mean() for name, p in found.items()}
    order = ["M1_L1_SBC", "M1_L23_CC", "M1_L5A_CC", "M1_L5B_PT", "M1_L6_CT", "TH_M1_EZ_TC"]
    assert [heights[name] for name in order] == sorted((heights[name] for name in order), reverse=True)
    side = 0.02**0.5
    middle = found["M1_L6_CT"]["positions_mm"] - np.array(found["M1_L6_CT"]["offset_mm"])
    np.testing.assert_allclose([middle[:, 0].min(), middle[:, 1].max()], [-side / 2, side / 2], atol=1e-6)
