"""Every sink against the analytic solution of its equations."""

import math
from typing import Any

import numpy as np
import pytest

from reafference.errors import BadExperiment
from reafference.frames import Array
from services.brain.kernel import nest

# One relay fires at 2 ms; with a device delay of 1 ms its spike arrives at 3 ms.
PULSE = """
    import nest
    def build(n=1):
        pulse = nest.Create("spike_generator", params={"spike_times": [1.0]})
        relays = nest.Create("parrot_neuron", n)
        nest.Connect(pulse, relays, syn_spec={"delay": 1.0})
        return {"relays": relays}
"""
ARRIVAL_MS = 3.0

NOISE = """
    import nest
    def build(n, rate_hz=100.0):
        noise = nest.Create("poisson_generator", params={"rate": rate_hz})
        relays = nest.Create("parrot_neuron", n)
        nest.Connect(noise, relays, syn_spec={"delay": 1.0})
        return {"relays": relays}
"""


def alpha(t_ms: Array, weight: float, tau_syn: float, tau_m: float, c_m: float) -> Array:
    """Voltage after a current w (e / tau_syn) s exp(-s / tau_syn), s = t - arrival."""
    s = np.maximum(t_ms - ARRIVAL_MS, 0.0)
    gap = 1 / tau_syn - 1 / tau_m
    rise = np.exp(-s / tau_m) - np.exp(-s / tau_syn)
    return weight * math.e / (tau_syn * c_m) * (rise / gap**2 - s * np.exp(-s / tau_syn) / gap)


def exponential(t_ms: Array, weight: float, tau_syn: float, tau_m: float, c_m: float) -> Array:
    """Voltage after a current w exp(-s / tau_syn)."""
    s = np.maximum(t_ms - ARRIVAL_MS, 0.0)
    return weight / c_m * (np.exp(-s / tau_m) - np.exp(-s / tau_syn)) / (1 / tau_syn - 1 / tau_m)


def pulse(bench: Any, **sink: Any) -> tuple[Array, Array]:
    """The sink's value after each of 60 steps of 1 ms, and those times."""
    settings = {"sinks": {"out": {"sources": ["relays"], **sink}}}
    bench.prepare(settings, script=PULSE, dt_ms=1.0)
    bench.run(60)
    return bench.sink("out")[:, 0], np.arange(1.0, 61.0)


def test_the_alpha_integrator_follows_its_equation(bench: Any) -> None:
    read, t_ms = pulse(bench, kind="leaky_integrator_alpha")
    np.testing.assert_allclose(read, alpha(t_ms, 10.0, 2.0, 10.0, 1000.0), rtol=1e-9, atol=1e-12)


def test_the_alpha_integrator_takes_its_parameters(bench: Any) -> None:
    options = {"weight": 400.0, "tau_m_ms": 15.0, "tau_syn_ex_ms": 5.0, "C_m_pF": 250.0}
    read, t_ms = pulse(bench, kind="leaky_integrator_alpha", **options)
    np.testing.assert_allclose(read, alpha(t_ms, 400.0, 5.0, 15.0, 250.0), rtol=1e-9, atol=1e-12)


def test_the_exponential_integrator_follows_its_equation(bench: Any) -> None:
    read, t_ms = pulse(bench, kind="leaky_integrator_exp")
    np.testing.assert_allclose(read, exponential(t_ms, 10.0, 0.5, 20.0, 1000.0), rtol=1e-9, atol=1e-12)


def test_the_rate_follows_its_equation(bench: Any) -> None:
    read, t_ms = pulse(bench, kind="population_rate")
    expected = exponential(t_ms, 5000.0, 10.0, 20.0, 1000.0)
    np.testing.assert_allclose(read, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("taus", [(10.0, 20.0), (20.0, 10.0)])
def test_time_constants_the_wrong_way_round_are_swapped(taus: tuple[float, float], bench: Any) -> None:
    rise, fall = taus
    read, t_ms = pulse(bench, kind="population_rate", tau_rise_ms=rise, tau_fall_ms=fall)
    np.testing.assert_allclose(read, exponential(t_ms, 5000.0, 10.0, 20.0, 1000.0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("taus", [(10.0, 20.0), (4.0, 30.0)])
def test_one_spike_is_an_area_of_one_spike(taus: tuple[float, float], bench: Any) -> None:
    sink = {"kind": "population_rate", "sources": ["relays"], "tau_rise_ms": taus[0], "tau_fall_ms": taus[1]}
    bench.prepare({"sinks": {"out": sink}}, script=PULSE, dt_ms=1.0)
    bench.run(500)
    # Hz x ms: the sum over steps of 1 ms is within a thousandth of the integral.
    assert bench.sink("out").sum() == pytest.approx(1000.0, rel=2e-3)


@pytest.mark.parametrize(("reduce", "expected"), [("mean", 1.0), ("sum", 5.0)])
def test_a_rate_is_the_mean_of_the_neurons_or_their_sum(reduce: str, expected: float, bench: Any) -> None:
    sink = {"kind": "population_rate", "sources": ["relays"], "reduce": reduce}
    bench.prepare({"sinks": {"out": sink}, "parameters": {"n": 5}}, script=PULSE, dt_ms=1.0)
    bench.run(60)
    one = exponential(np.arange(1.0, 61.0), 5000.0, 10.0, 20.0, 1000.0)
    np.testing.assert_allclose(bench.sink("out")[:, 0], expected * one, rtol=1e-9, atol=1e-12)


def test_a_rate_of_100_hz_reads_100_after_half_a_second(bench: Any) -> None:
    sink = {"kind": "population_rate", "sources": ["relays"]}
    bench.prepare({"sinks": {"out": sink}, "parameters": {"n": 2000}}, script=NOISE)
    bench.run(25)
    # Shot noise: variance = rate / (2 (rise + fall)) / n, a standard deviation of 0.9 Hz here.
    assert bench.sink("out")[-1, 0] == pytest.approx(100.0, abs=4.5)
    bench.run(50)
    assert bench.sink("out")[25:].mean() == pytest.approx(100.0, abs=1.0)


def test_the_sum_of_a_rate_is_that_of_all_neurons(bench: Any) -> None:
    sink = {"kind": "population_rate", "sources": ["relays"], "reduce": "sum"}
    bench.prepare({"sinks": {"out": sink}, "parameters": {"n": 2000}}, script=NOISE)
    bench.run(75)
    assert bench.sink("out")[25:].mean() == pytest.approx(200_000.0, rel=0.01)
    assert bench.port("sinks.out").description.startswith("population_rate (sum of the neurons)")


def test_a_thousand_integrators_are_one_vector(bench: Any) -> None:
    sink = {"kind": "leaky_integrator_alpha", "sources": ["each relays[0:1000]"]}
    bench.prepare({"sinks": {"out": sink}, "parameters": {"n": 1200}}, script=PULSE, dt_ms=1.0)
    bench.run(8)
    port = bench.port("sinks.out")
    assert (port.shape, port.labels[0], port.labels[-1]) == ((1000,), "relays[0]", "relays[999]")
    expected = alpha(np.array([8.0]), 10.0, 2.0, 10.0, 1000.0)
    np.testing.assert_allclose(bench.sink("out")[-1], np.repeat(expected, 1000), rtol=1e-9)


def test_the_alpha_integrator_reads_0_5437_mv_per_spike_and_ms(bench: Any) -> None:
    sink = {"kind": "leaky_integrator_alpha", "sources": ["relays"]}
    bench.prepare({"sinks": {"out": sink}, "parameters": {"n": 1000}}, script=NOISE)
    bench.run(75)
    spikes_per_ms = 1000 * 100.0 / 1000.0
    mean = bench.sink("out")[25:].mean() / spikes_per_ms
    assert mean == pytest.approx(10.0 * math.e * 2.0 * 10.0 / 1000.0, rel=0.02)
    assert mean == pytest.approx(0.5437, rel=0.02)


def test_an_inhibitory_receptor_turns_the_voltage_over(bench: Any) -> None:
    read, t_ms = pulse(bench, kind="leaky_integrator_alpha", receptor="inhibitory", tau_syn_in_ms=4.0)
    np.testing.assert_allclose(read, -alpha(t_ms, 10.0, 4.0, 10.0, 1000.0), rtol=1e-9, atol=1e-12)


def test_at_rest_a_sink_has_its_resting_value(bench: Any) -> None:
    settings = {
        "sinks": {
            "v": {"kind": "leaky_integrator_alpha", "sources": ["relays"], "E_L_mV": -3.0},
            "rate": {"kind": "population_rate", "sources": ["relays"]},
        }
    }
    bench.prepare(settings, script=PULSE, dt_ms=1.0)
    assert bench.port("sinks.v").resting().tolist() == [-3.0]
    assert bench.port("sinks.rate").resting().tolist() == [0.0]
    bench.run(1)
    assert bench.sink("v").tolist() == [[-3.0]]
    assert bench.sink("rate").tolist() == [[0.0]]


def test_the_delay_of_a_device_is_the_shortest_of_the_network_unless_given(bench: Any) -> None:
    def delays() -> set[float]:
        integrators = nest.GetNodes({"model": "iaf_psc_alpha"})
        return set(np.atleast_1d(nest.GetConnections(target=integrators).get("delay")).tolist())

    sink = {"kind": "leaky_integrator_alpha", "sources": ["relays"]}
    facts = bench.prepare({"sinks": {"out": sink}}, script=PULSE).facts
    assert (delays(), facts["min_delay_ms"]) == ({1.0}, 1.0)
    facts = bench.prepare({"sinks": {"out": {**sink, "delay_ms": 0.5}}}, script=PULSE).facts
    assert (delays(), facts["min_delay_ms"]) == ({0.5}, 0.5)


SCALED = """
    import nest
    from services.brain.network import Network
    def build():
        pulse = nest.Create("spike_generator", params={"spike_times": [1.0]})
        cells = nest.Create("parrot_neuron", 6)
        nest.Connect(pulse, cells, syn_spec={"delay": 1.0})
        return Network(populations={"a": cells[:2], "b": cells[2:]}, full_sizes={"a": 20, "b": 8})
"""


def test_a_scaled_weight_gives_the_voltage_of_the_full_size(bench: Any) -> None:
    sink = {
        "kind": "leaky_integrator_alpha",
        "sources": ["a", "b", "a + b", "b[0:2]"],
        "weight_scaled_to_full_size": True,
    }
    bench.prepare({"sinks": {"out": sink}}, script=SCALED, dt_ms=1.0)
    bench.run(10)
    one = alpha(np.arange(1.0, 11.0), 10.0, 2.0, 10.0, 1000.0)
    # All neurons fire at once: the whole population counts with its full size, half of b with half of it.
    full = np.array([20, 8, 28, 4])
    np.testing.assert_allclose(bench.sink("out"), one[:, None] * full, rtol=1e-9, atol=1e-12)


def test_scaling_needs_full_sizes(bench: Any) -> None:
    sink = {"kind": "leaky_integrator_alpha", "sources": ["relays"], "weight_scaled_to_full_size": True}
    with pytest.raises(BadExperiment, match="states the full sizes") as error:
        bench.prepare({"sinks": {"out": sink}}, script=PULSE)
    assert error.value.detail["key"] == "brain.sinks.out.weight_scaled_to_full_size"


def test_groups_of_one_kind_are_read_together_and_kept_apart(bench: Any) -> None:
    settings = {
        "sinks": {
            "first": {"kind": "leaky_integrator_alpha", "sources": ["a", "b"], "weight": 3.0},
            "rate": {"kind": "population_rate", "sources": ["*"]},
            "second": {"kind": "leaky_integrator_alpha", "sources": ["b[1]"], "weight": 7.0},
        }
    }
    bench.prepare(settings, script=SCALED, dt_ms=1.0)
    out = bench.run(8)[-1]
    unit = alpha(np.array([8.0]), 1.0, 2.0, 10.0, 1000.0)[0]
    np.testing.assert_allclose(out["sinks.first"], [2 * 3 * unit, 4 * 3 * unit], rtol=1e-9)
    np.testing.assert_allclose(out["sinks.second"], [7 * unit], rtol=1e-9)
    assert out["sinks.rate"].shape == (2,)
    assert [(p.name, p.labels, p.unit) for p in bench.ports.outputs if p.stream == "sinks"] == [
        ("sinks.first", ("a", "b"), "mV"),
        ("sinks.second", ("b[1]",), "mV"),
        ("sinks.rate", ("a", "b"), "Hz"),
    ]
