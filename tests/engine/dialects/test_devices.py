"""Devices of published functions, on a real brain: what is set acts, what is read is what is there."""

import numpy as np
import pytest

from services.brain.kernel import nest
from services.engine.dialects.nrp.kinds import KINDS, table

READ = """
@nrp.MapVariable("seen", initial_value=None, scope=nrp.GLOBAL)
@nrp.MapSpikeSource("source", nrp.brain.relays[0], {source})
@nrp.MapSpikeSink("sink", nrp.brain.relays[0], {sink})
@nrp.Robot2Neuron()
def function(t, source, sink, seen):
    {act}
    seen.value = (seen.value or []) + [{read}]
"""


def seen(stand, source, sink, act, read, steps):
    text = READ.format(source=source, sink=sink, act=act, read=read)
    made = stand(text).run(steps)
    assert made.texts() == []
    return made.global_("seen")


def test_a_poisson_source_of_100_hz_reads_about_100(stand):
    rates = seen(stand, "nrp.poisson, weight=1.0", "nrp.population_rate", "source.rate = 100.0", "sink.rate", 100)
    assert rates[0] == 0.0
    assert np.mean(rates[20:]) == pytest.approx(100.0, abs=15.0)


def test_a_fixed_frequency_is_exact_and_what_is_too_high_is_clipped(stand):
    act = "source.rate = 50.0 if t < 0.5 else 1e9"
    counts = seen(
        stand, "nrp.fixed_frequency, weight=1.0", "nrp.spike_recorder", act, "(len(sink.times), source.rate)", 30
    )
    assert sum(count for count, _ in counts[5:26]) == pytest.approx(21, abs=1)
    assert counts[-1][1] == 500.0  # 100 / t_ref


@pytest.mark.parametrize("unit", ["nest", "pynn"])
@pytest.mark.parametrize(
    ("source", "act", "expected_pA"),
    [
        ("nrp.dc_source, amplitude={0}", "source.amplitude = {0}", 250.0),
        ("nrp.ac_source, amplitude={0}, frequency=0.0", "source.phase = 90.0; source.amplitude = {0}", 250.0),
        ("nrp.nc_source, mean={0}, stdev=0.0", "source.mean = {0}", 250.0),
    ],
)
def test_a_current_acts_in_its_unit(stand, unit, source, act, expected_pA):
    scale = 1.0 if unit == "nest" else 0.001
    text = f"""
    @nrp.MapSpikeSource("source", nrp.brain.cells[3], {source.format(100.0 * scale)})
    @nrp.Robot2Neuron()
    def function(t, source):
        {act.format(expected_pA * scale)}
    """
    made = stand(text, f'weight_unit = "{unit}"').run(40)
    assert made.texts() == []
    cell = nest.GetNodes({"model": "iaf_psc_alpha"})[3]
    model = nest.GetDefaults("iaf_psc_alpha")
    settled_mV = model["E_L"] + expected_pA * model["tau_m"] / model["C_m"]
    assert cell.get("V_m") == pytest.approx(settled_mV, abs=0.01)


def test_noise_has_the_standard_deviation_that_was_set(stand):
    text = """
    @nrp.MapSpikeSource("source", nrp.brain.cells[3], nrp.nc_source, mean=10.0, std=3.0)
    @nrp.Robot2Neuron()
    def function(t, source):
        assert (source.mean, source.stdev, source.std) == (10.0, 3.0 if t == 0 else 5.0, 3.0 if t == 0 else 5.0)
        source.stdev = 5.0
    """
    made = stand(text).run(2)
    assert made.texts() == []
    assert made.transfer.inputs["brain"]["function__source_std"] == [5.0]


@pytest.mark.parametrize(("times", "expected_ms"), [("", [0.1]), ("[0.0, 3.0, 12.5]", [0.1, 3.1, 12.6])])
def test_an_injector_sends_spikes_in_the_very_next_step(stand, times, expected_ms):
    act = f"source.inject_spikes({times}) if abs(t - 0.04) < 1e-9 else None"
    read = "[(t, round(float(ms), 6)) for _, ms in sink.times]"
    rows = seen(stand, "nrp.injector, weight=1.0", "nrp.spike_recorder", act, read, 6)
    # A relay fires when the spike has arrived, a shortest delay later.
    delay_ms = 0.1
    found = [(t, ms) for row in rows for t, ms in row]
    assert [ms for _, ms in found] == pytest.approx([40.0 + delay_ms + ms for ms in expected_ms], abs=0.11)
    assert {t for t, _ in found} == {0.06}


@pytest.mark.parametrize("kind", ["leaky_integrator_alpha", "leaky_integrator_exp"])
def test_a_leaky_integrator_reads_the_voltage_of_its_formula(stand, kind):
    act, read = "source.rate = 1000.0", "sink.voltage"
    voltages = seen(stand, "nrp.fixed_frequency, weight=1.0", f"nrp.{kind}, weight=20.0, tau_m=15.0", act, read, 60)
    assert voltages[0] == 0.0
    area = np.e * 2.0 if kind.endswith("alpha") else 0.5
    # 500 Hz is the most that a fixed frequency gives.
    assert np.mean(voltages[30:]) == pytest.approx(20.0 * area * 15.0 / 1000.0 * 0.5, rel=0.05)


def test_pynn_names_and_units_are_understood():
    kind = next(kind for kind in KINDS if kind.name == "leaky_integrator_alpha")
    given = {"cm": 1.0, "v_thresh": float("inf"), "tau_syn_E": 3.0, "v_rest": -65.0, "i_offset": 0.1, "weight": 0.01}
    made = table(kind, ["a"], given | {"tau_refrac": 0.2, "delay": 1.0, "receptor_type": "inhibitory"}, 1000.0)
    expected = {
        "C_m_pF": 1000.0,
        "V_th_mV": float("inf"),
        "tau_syn_ex_ms": 3.0,
        "E_L_mV": -65.0,
        "I_e_pA": 100.0,
        "t_ref_ms": 0.2,
    }
    rest = {"weight": 10.0, "delay_ms": 1.0, "receptor": "inhibitory", "kind": kind.ours, "sources": ["a"]}
    assert made == {**expected, **rest, "switchable": True}


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("poisson", {"rates": 3}, "no parameter 'rates' (did you mean 'rate'?)"),
        ("poisson", {"weight": [1.0, 2.0]}, "weight has a value for each device"),
        ("poisson", {"connector": {"mode": "Fixed", "n": 1}}, "the connection rule 'Fixed'"),
        ("dc_source", {"weight": 3}, "no parameter 'weight'"),
        ("leaky_integrator_exp", {"delay": {"distribution": "normal"}}, "'uniform'"),
        ("leaky_integrator_exp", {"tau_m": "long"}, "tau_m is a number"),
    ],
)
def test_what_a_device_cannot_have_is_refused_by_its_name(kind, given, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        table(next(one for one in KINDS if one.name == kind), ["a"], given, 1.0)
    assert words in str(caught.value)


def test_a_negative_weight_is_an_inhibitory_one():
    made = table(KINDS[0], ["a"], {"weight": -2.0, "delay": {"distribution": "uniform", "low": 1.0, "high": 2.0}}, 1.0)
    assert (made["weight"], made["receptor"], made["delay_ms"]) == (2.0, "inhibitory", [1.0, 2.0])


def test_a_group_is_a_vector_and_its_devices_are_parts(stand):
    text = """
    @nrp.MapVariable("seen", initial_value=None, scope=nrp.GLOBAL)
    @nrp.MapSpikeSource("group", nrp.map_neurons(range(0, 4), lambda i: nrp.brain.relays[i]), nrp.poisson, weight=1.0)
    @nrp.MapSpikeSink("rates", nrp.map_neurons(4, lambda i: nrp.brain.relays[i]), nrp.population_rate)
    @nrp.MapSpikeSink("spikes", nrp.chain_neurons(nrp.brain.relays[0:2], nrp.brain.relays[2]), nrp.spike_recorder)
    @nrp.Robot2Neuron()
    def function(t, group, rates, spikes, seen):
        group.rate = 50.0
        group[1].rate = 0.0
        group[2:].rate = [100.0, 400.0]
        assert len(group) == 4 and [one.rate for one in group] == list(group.rate) == [50.0, 0.0, 100.0, 400.0]
        assert group[-1].rate == 400.0
        assert isinstance(rates.rate, np.ndarray) and rates.rate.shape == (4,) and isinstance(rates[3].rate, float)
        assert isinstance(spikes[0].spiked, bool) and spikes.spiked.shape == (2,)
        assert len(spikes[0].times) + len(spikes[1].times) == sum(map(len, spikes.times))
        seen.value = (seen.value or []) + [list(rates.rate)]
    """
    made = stand(text).run(60)
    assert made.texts() == []
    rates = np.mean(made.global_("seen")[20:], axis=0)
    assert rates[1] == 0.0
    assert rates[[0, 2, 3]] == pytest.approx([50.0, 100.0, 400.0], rel=0.4)


def test_a_rate_is_the_sum_over_its_neurons(stand):
    text = """
    @nrp.MapVariable("seen", initial_value=None, scope=nrp.GLOBAL)
    @nrp.MapSpikeSource("source", nrp.brain.relays[0:3], nrp.fixed_frequency, weight=1.0)
    @nrp.MapSpikeSink("sink", nrp.brain.relays[0:3], nrp.population_rate)
    @nrp.Robot2Neuron()
    def function(t, source, sink, seen):
        source.rate = 200.0
        seen.value = sink.rate
    """
    assert stand(text).run(60).global_("seen") == pytest.approx(600.0, rel=0.05)


def test_recorders_tell_ids_or_places(stand):
    text = """
    @nrp.MapVariable("seen", initial_value=None, scope=nrp.GLOBAL)
    @nrp.MapSpikeSource("source", nrp.brain.relays[5], nrp.injector, weight=1.0)
    @nrp.MapSpikeSink("ids", nrp.brain.relays[4:6], nrp.spike_recorder)
    @nrp.MapSpikeRecorder("places", nrp.brain.relays[4:6], nrp.spike_recorder, use_ids=False)
    @nrp.Robot2Neuron()
    def function(t, source, ids, places, seen):
        source.inject_spikes()
        seen.value = (ids.times[:, 0].tolist(), places.times[:, 0].tolist(), ids.spiked, places.spiked)
    """
    made = stand(text).run(3)
    assert made.texts() == []
    first = made.ports["brain"].facts["populations"]["relays"]["ranges"][0][0]
    assert made.global_("seen") == ([first + 5], [1], True, True)


def test_what_is_off_sends_nothing_and_remembers(stand):
    act = "source.rate = 300.0 if t == 0 else source.rate; source.active = t < 0.1 or t > 0.4"
    read = "(len(sink.times), source.rate, source.active)"
    found = seen(stand, "nrp.poisson, weight=1.0", "nrp.spike_recorder", act, read, 40)
    counts = [count for count, _, _ in found]
    assert {rate for _, rate, _ in found} == {300.0}
    assert sum(counts[1:6]) > 10
    assert sum(counts[8:20]) == 0
    assert sum(counts[24:]) > 30


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("source.rate = -1.0", "the rate of nrp.poisson is a finite number of 0 or more"),
        ("source.rate = float('nan')", "finite"),
        ("source.rate = [1.0, 2.0]", "one for each of 1 devices, found shape (2,)"),
        ("sink.rate = 3.0", "can be read, but not set"),
        ("source.inject_spikes()", "nrp.poisson has no 'inject_spikes'"),
        ("source.rat", "nrp.poisson has no 'rat' (did you mean 'rate'?)"),
        ("source[0]", "a single nrp.poisson has no parts"),
    ],
)
def test_what_a_device_cannot_do_is_told_with_the_line_of_the_function(stand, act, words):
    text = READ.format(source="nrp.poisson", sink="nrp.population_rate", act=act, read="0")
    made = stand(text)
    (message,) = made.messages
    assert words in message.text
    assert (message.line, message.line_text) == (6, act)
    assert message.file.endswith("function.py")


def test_an_attribute_without_effect_is_kept_and_pointed_out_once(stand):
    act = "source.voltage = 10; assert source.voltage == 10"
    text = READ.format(source="nrp.dc_source", sink="nrp.population_rate", act=act, read="0").replace("relays", "cells")
    made = stand(text).run(3)
    (message,) = made.messages
    assert message.severity == "warning"
    assert "nrp.dc_source has no 'voltage'" in message.text


def test_what_is_set_acts_after_exactly_one_step(stand):
    """A spike that is injected at the end of step n is in step n + 1, and read at its end."""
    text = """
    @nrp.MapVariable("seen", initial_value=None, scope=nrp.GLOBAL)
    @nrp.MapSpikeSource("source", nrp.brain.relays[0], nrp.injector, weight=1.0)
    @nrp.Robot2Neuron()
    def send(t, source, seen):
        if abs(t - 0.1) < 1e-9:
            source.inject_spikes()

    """
    read = """
    @nrp.MapVariable("arrived", initial_value=None, scope=nrp.GLOBAL)
    @nrp.MapSpikeSink("sink", nrp.brain.relays[0], nrp.spike_recorder)
    @nrp.Neuron2Robot()
    def receive(t, sink, arrived):
        if sink.spiked:
            arrived.value = (arrived.value or []) + [t]
    """
    made = stand({"send.py": text, "receive.py": read}).run(10)
    assert made.global_("arrived") == pytest.approx([0.12])
