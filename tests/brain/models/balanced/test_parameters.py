from typing import Any

import pytest

from reafference.errors import BadExperiment
from services.brain.models.balanced.parameters import BalancedParameters


def test_without_options_it_is_the_published_network() -> None:
    p = BalancedParameters.load({})
    assert (p.excitatory, p.inhibitory) == (180_000, 45_000)
    assert (p.indegree_e, p.indegree_i, p.indegree_fraction) == (9000, 2250, 1.0)
    assert (p.C_m_pF, p.tau_m_ms, p.E_L_mV, p.V_th_mV, p.V_reset_mV, p.t_ref_ms) == (250.0, 10.0, 0.0, 20.0, 0.0, 0.5)
    assert (p.tau_syn_ms, p.tau_minus_ms, p.delay_ms) == (0.32582722403722841, 30.0, 1.5)
    assert (p.V_mean_mV, p.V_sd_mV, p.J_E_mV, p.g, p.eta) == (5.7, 7.2, 0.14, -5.0, 1.685)
    assert (p.stdp_alpha, p.stdp_lambda, p.stdp_mu, p.stdp_tau_plus_ms) == (0.0513, 0.1, 0.4, 15.0)
    assert p.exposed == 50


@pytest.mark.parametrize(
    ("parameters", "key", "words"),
    [
        ({"scale": 0.0}, "scale", "more than 0"),
        ({"scale": float("nan")}, "scale", "finite"),
        ({"scale": 0.01}, "scale", "for 50 exposed neurons"),
        ({"indegree_fraction": 0.0}, "indegree_fraction", "at most 1"),
        ({"indegree_fraction": 1.5}, "indegree_fraction", "at most 1"),
        ({"g": 5.0}, "g", "inhibitory"),
        ({"stdp_mu": 1.0}, "stdp_mu", "less than 1"),
        ({"eta": -1.0}, "eta", "0 or more"),
        ({"indegree_i": 0}, "indegree_i", "1 or more"),
        ({"V_th_mV": -1.0}, "V_th_mV", "more than E_L_mV and V_reset_mV (0)"),
        ({"tau_syn_ms": 10.0}, "tau_syn_ms", "another value than tau_m_ms"),
        ({"scael": 1.0}, "scael", "did you mean 'scale'?"),
    ],
)
def test_a_mistake_is_named_with_its_key(parameters: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(BadExperiment) as error:
        BalancedParameters.load(parameters)
    assert error.value.detail == {"file": "experiment.toml", "key": f"brain.parameters.{key}"}
    assert words in error.value.text
