"""Edits of a brain between two steps: what each does, and that a refused one has changed nothing."""

import textwrap

import numpy as np
import pytest

from reafference.errors import BadExperiment, OutOfOrder, ScriptError

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
    "sources": {"drive": {"kind": "poisson", "targets": ["R"], "weight": 1.0, "rate_hz": 500.0}},
    "sinks": {
        "spikes": {"kind": "spike_recorder", "sources": ["A", "B"]},
        "rate": {"kind": "population_rate", "sources": ["R"]},
    },
}


@pytest.fixture
def brain(bench, quiet):
    """A bench whose brain can be edited: A fires by itself and drives B."""
    bench.prepare(SETTINGS, script=SCRIPT)
    bench.edit = lambda what, **arguments: bench.brain.edit(what, arguments, quiet)
    return bench


def fired(brain, steps=3):
    """Spikes of each population in the next steps."""
    outputs = brain.run(steps)
    sender = np.concatenate([out["spikes.sender"] for out in outputs])
    return {name: int(np.isin(sender, brain.ids(name)).sum()) for name in ("A", "B")}


def test_parameters_are_read_back_as_they_were_set(brain):
    brain.edit("set_parameters", population="A", parameters={"I_e": list(np.arange(10.0)), "C_m": 200.0})
    found = brain.edit("get_parameters", population="A", names=["I_e", "C_m"]).result
    np.testing.assert_array_equal(found["I_e"], np.arange(10.0))
    np.testing.assert_array_equal(found["C_m"], np.full(10, 200.0))


def test_parameters_of_a_part_leave_the_others_alone(brain):
    brain.edit("set_parameters", population="some", parameters={"I_e": 7.0})
    found = brain.edit("get_parameters", population="A", names=["I_e"]).result["I_e"]
    assert found.tolist() == [450.0] * 2 + [7.0] * 3 + [450.0] * 5


def test_an_infinite_threshold_comes_back_infinite(brain):
    brain.edit("set_parameters", population="A", parameters={"V_th": np.inf})
    assert np.isposinf(brain.edit("get_parameters", population="A", names=["V_th"]).result["V_th"]).all()


def test_a_constant_takes_effect_in_the_very_next_step(brain):
    # tau_m is one of those that NEST ignores inside its context.
    brain.run(2)
    brain.edit("set_parameters", population="A", parameters={"tau_m": 1.0})
    assert fired(brain)["A"] == 0  # with 1 ms the current no longer reaches the threshold


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"population": "A", "parameters": {"V_thr": 1.0}}, "no parameter 'V_thr'.*V_th"),
        ({"population": "A", "parameters": {"tau_m": -1.0}}, "NEST refuses"),
        ({"population": "A", "parameters": {"I_e": [1.0, 2.0]}}, "one value, or 10"),
        ({"population": "A", "parameters": {"C_m": [200.0] * 9 + [-1.0]}}, "NEST refuses"),
        ({"population": "nobody", "parameters": {"I_e": 1.0}}, "nobody"),
        ({"population": "A", "parameters": {}}, "parameters: expected"),
    ],
)
def test_refused_parameters_change_nothing(brain, arguments, words):
    with pytest.raises(BadExperiment, match=words):
        brain.edit("set_parameters", **arguments)
    found = brain.edit("get_parameters", population="A", names=["I_e", "tau_m", "C_m"]).result
    assert {name: set(values) for name, values in found.items()} == {"I_e": {450.0}, "tau_m": {10.0}, "C_m": {250.0}}
    assert fired(brain)["A"] > 0


def test_synapses_are_read_and_set(brain):
    found = brain.edit("get_synapses", source="A[0:3]", target="B", names=["weight", "delay"]).result
    assert len(found["weight"]) == 30
    assert set(found["weight"]) == {100.0}
    assert set(found["source"]) == set(brain.ids("A")[:3])
    assert brain.edit("set_synapses", source="A", target="B", parameters={"weight": 0.0}).result == {"synapses": 100}
    assert fired(brain, 5)["B"] == 0


def test_a_silenced_population_fires_again_when_it_is_restored(brain):
    assert min(fired(brain).values()) > 0
    brain.edit("silence", population="A")
    brain.run(1)
    assert fired(brain) == {"A": 0, "B": 0}
    brain.edit("restore", population="A")
    assert min(fired(brain, 5).values()) > 0


def test_a_lesion_stays(brain):
    brain.edit("lesion", population="A")
    brain.run(1)
    assert fired(brain) == {"A": 0, "B": 0}
    with pytest.raises(BadExperiment, match="a lesion stays"):
        brain.edit("restore", population="A")


def test_what_has_no_threshold_cannot_be_silenced_but_lesioned(brain):
    with pytest.raises(BadExperiment, match="lesion it instead"):
        brain.edit("silence", population="R")
    assert brain.run(5)[-1]["sinks.rate"][0] > 100
    brain.edit("lesion", population="R")
    assert brain.run(20)[-1]["sinks.rate"][0] < 1


@pytest.mark.parametrize("how", [{"rate_hz": 20000.0, "weight": 50.0}, {"amplitude_pA": 600.0}])
def test_a_stimulus_lasts_as_long_as_it_is_asked_for(brain, how):
    brain.edit("silence", population="A")
    brain.run(2)
    assert fired(brain)["B"] == 0
    brain.edit("stimulate", population="B", duration_ms=60.0, **how)
    assert fired(brain, 3)["B"] > 0
    brain.run(2)
    assert fired(brain, 5)["B"] == 0
    brain.edit("stimulate", population="B", duration_ms=60.0, **how)  # the same generator again
    assert fired(brain, 3)["B"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"duration_ms": 10.0}, "give one of the two"),
        ({"duration_ms": 10.0, "rate_hz": 1.0, "amplitude_pA": 1.0}, "give one of the two"),
        ({"duration_ms": 10.0, "rate_hz": 1.0}, "needs the weight"),
        ({"duration_ms": -1.0, "amplitude_pA": 1.0}, "duration_ms: expected"),
    ],
)
def test_a_stimulus_that_makes_no_sense_is_refused(brain, arguments, words):
    with pytest.raises(BadExperiment, match=words):
        brain.edit("stimulate", population="B", **arguments)


def test_a_device_is_switched_off_and_on(brain):
    brain.run(20)
    brain.edit("switch", device="drive", on=False)
    assert brain.run(20)[-1]["sinks.rate"][0] < 1
    brain.edit("switch", device="drive", on=True)
    assert brain.run(20)[-1]["sinks.rate"][0] > 100


def test_an_edit_without_effect_leaves_the_spikes_as_they_were(bench, brain, tmp_path, quiet):
    for _ in range(6):
        brain.run(1)
        brain.edit("set_parameters", population="A", parameters={"I_e": 450.0})
    edited = brain.spikes()
    bench.prepare(SETTINGS, script=SCRIPT)
    bench.run(6)
    for found, expected in zip(edited, bench.spikes(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_after_a_reset_the_brain_does_again_what_it_did_and_the_clock_goes_on(brain):
    brain.run(5)
    first = [out["spikes.sender"] for out in brain.outputs]
    times = [out["spikes.time_ns"] for out in brain.outputs]
    for turn in (1, 2):
        assert brain.edit("reset").ports is not None
        again = brain.run(5)
        for n in range(5):
            np.testing.assert_array_equal(again[n]["spikes.sender"], first[n])
            np.testing.assert_array_equal(again[n]["spikes.time_ns"], times[n] + turn * 100_000_000)


def test_another_script_is_another_brain_with_the_same_devices(brain):
    brain.run(2)
    changed = brain.edit("replace_brain", script=textwrap.dedent(SCRIPT.replace("450.0", "0.0")))
    assert changed.ports is not None
    assert fired(brain)["A"] == 0


def test_a_script_that_is_no_python_leaves_the_brain_as_it_was(brain):
    brain.run(2)
    with pytest.raises(ScriptError, match=r"brain\.py, line 1: SyntaxError"):
        brain.edit("replace_brain", script="def build(:\n")
    assert fired(brain)["A"] > 0


def test_a_script_that_fails_gives_the_old_brain_back_from_its_beginning(brain):
    before = fired(brain)
    with pytest.raises(ScriptError, match="NameError"):
        brain.edit("replace_brain", script="def build():\n    return nothing\n")
    assert fired(brain) == before


def test_populations_can_be_changed(brain):
    brain.edit("set_populations", populations={"some": "A[0:2]", "more": "B[1]"})
    assert brain.edit("silence", population="more").result == {"neurons": 1}
    with pytest.raises(BadExperiment, match="nobody"):
        brain.edit("set_populations", populations={"some": "nobody"})
    assert brain.edit("silence", population="some").result == {"neurons": 2}


def test_an_unknown_edit_is_refused_with_a_hint(brain):
    with pytest.raises(BadExperiment, match=r"no edit 'silense'.*silence"):
        brain.edit("silense", population="A")


def test_an_edit_before_prepare_is_out_of_order(bench, quiet):
    with pytest.raises(OutOfOrder):
        bench.brain.edit("silence", {"population": "A"}, quiet)
