import pytest

from reafference.plain import Misfit
from services.brain.device_kinds import (
    LeakyIntegratorAlpha,
    LeakyIntegratorExp,
    PopulationRate,
    SpikeRecorder,
    port_of,
    signed,
)


def test_the_weight_of_a_rate_follows_its_formula() -> None:
    assert PopulationRate(sources=("a",)).weight_for(1, None) == 5000.0
    assert PopulationRate(sources=("a",)).weight_for(8, None) == 625.0
    assert PopulationRate(sources=("a",), reduce="sum").weight_for(8, None) == 5000.0
    assert PopulationRate(sources=("a",), tau_rise_ms=5.0).weight_for(1, None) == 10_000.0


def test_a_weight_is_scaled_only_on_request() -> None:
    assert LeakyIntegratorAlpha(sources=("a",)).weight_for(50, 10.24) == 10.0
    scaled = LeakyIntegratorAlpha(sources=("a",), weight_scaled_to_full_size=True)
    assert scaled.weight_for(50, 10.24) == 102.4
    with pytest.raises(Misfit):
        scaled.weight_for(50, None)


def test_the_defaults_are_the_usual_ones() -> None:
    alpha, exponential = LeakyIntegratorAlpha(sources=()).parameters(), LeakyIntegratorExp(sources=()).parameters()
    assert (alpha["tau_m"], alpha["tau_syn_ex"], alpha["tau_syn_in"], alpha["C_m"]) == (10.0, 2.0, 2.0, 1000.0)
    assert (exponential["tau_m"], exponential["tau_syn_ex"], exponential["C_m"]) == (20.0, 0.5, 1000.0)
    assert alpha["V_th"] == exponential["V_th"] == float("inf")
    assert SpikeRecorder(sources=()).sample is None


def test_receptors_become_a_sign_or_a_port() -> None:
    assert [signed(2.0, r) for r in ("excitatory", "inhibitory", 3)] == [2.0, -2.0, 2.0]
    assert [port_of(r) for r in ("excitatory", "inhibitory", 3)] == [0, 0, 3]
