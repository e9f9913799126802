import math

import pytest

from services.brain.models.balanced.footprint import bytes_needed, expected_synapses
from services.brain.models.balanced.parameters import BalancedParameters
from services.brain.models.balanced.scaling import epsp_mv_per_pa, scaled, threshold_rate_hz

PUBLISHED = BalancedParameters()
TENTH = BalancedParameters(scale=1.0, indegree_fraction=0.1)


def test_the_published_options_give_the_published_weights_and_drive() -> None:
    found = scaled(PUBLISHED)
    assert 1 / epsp_mv_per_pa(10.0, 0.32582722403722841, 250.0) == pytest.approx(325.78285940386394, rel=1e-12)
    assert found.weight_e_pa == found.drive_pa == pytest.approx(45.6096, abs=1e-4)
    assert found.weight_i_pa == pytest.approx(-228.048, abs=1e-3)
    assert threshold_rate_hz(PUBLISHED, found.weight_e_pa) == pytest.approx(1.37527, abs=1e-5)
    assert found.drive_hz == pytest.approx(20_856.04, abs=0.01)
    assert (found.dc_pa, found.stdp_lambda, found.stdp_alpha) == (0.0, 0.1, 0.0513)


def test_the_published_network_has_2_531_250_000_synapses_among_its_neurons() -> None:
    # With 225,000 from the generator: 2,531,475,000.
    assert expected_synapses(PUBLISHED, scaled(PUBLISHED)) == 2_531_250_000
    assert bytes_needed(PUBLISHED, scaled(PUBLISHED), "static_synapse_hpc") == pytest.approx(89.1e9, rel=0.01)


@pytest.mark.parametrize("fraction", [0.03, 0.1, 0.1234, 0.5, 1.0])
def test_fewer_synapses_keep_mean_and_variance_of_the_input_at_the_balanced_rate(fraction: float) -> None:
    p = BalancedParameters(scale=1.0, indegree_fraction=fraction)
    whole, part = scaled(BalancedParameters(scale=1.0)), scaled(p)
    assert part.indegree_e == round(9000 * fraction)
    area_ms, per_ms = math.e * p.tau_syn_ms, p.balanced_rate_hz / 1000

    def mean_pa(s):  # type: ignore[no-untyped-def]
        return (s.indegree_e * s.weight_e_pa + s.indegree_i * s.weight_i_pa) * area_ms * per_ms + s.dc_pa

    def variance(s):  # type: ignore[no-untyped-def]
        return s.indegree_e * s.weight_e_pa**2 + s.indegree_i * s.weight_i_pa**2

    assert mean_pa(part) == pytest.approx(mean_pa(whole))
    assert variance(part) == pytest.approx(variance(whole))
    assert (part.drive_hz, part.drive_pa) == (whole.drive_hz, whole.drive_pa)


def test_larger_weights_change_by_the_same_relative_amounts() -> None:
    whole, part = scaled(PUBLISHED), scaled(TENTH)
    mu, larger = PUBLISHED.stdp_mu, part.weight_e_pa / whole.weight_e_pa
    assert larger == pytest.approx(math.sqrt(10))
    for weight in (20.0, 45.6, 100.0):
        up = whole.stdp_lambda * weight**mu / weight
        down = whole.stdp_lambda * whole.stdp_alpha
        assert part.stdp_lambda * (larger * weight) ** mu / (larger * weight) == pytest.approx(up)
        assert part.stdp_lambda * part.stdp_alpha == pytest.approx(down)
