"""Weights, drive and plasticity of the balanced network, whole and with a fraction of its synapses.

Units are NEST's: ms, mV, pF, pA. In all formulas a neuron has K synapses of weight J onto it, at which spikes
arrive at rate nu. Their current is an alpha function of height J, its area is J e tau_syn, so that they cause

    mean current       K J e tau_syn nu
    its variance     ~ K J^2 nu        (independent spikes)

With a fraction f of the synapses, weights J / sqrt(f) keep the variance; the mean becomes sqrt(f) times what it
was. A constant current K J (1 - sqrt(f)) e tau_syn nu_0 makes up for that where neurons fire at nu_0; as inhibition
prevails, it is negative. After van Albada, Helias and Diesmann, PLoS Comput. Biol. 11:e1004490 (2015). The external
input is one generator, which costs no synapses to speak of: it stays whole, its weight too. (Weights J / f would
keep the mean at any rate, but make the variance 1 / f times as large: at f = 0.1 the noise alone would exceed the
threshold.)

Which nu_0? The mean-field rate of the whole network is 8.5 spikes per second. With a current for that rate silence
is stable too, unlike in the whole network: at f = 0.1 external input and current hold the neurons 8 mV below
threshold. nu_0 = 6 leaves them just below it, so that the network starts by itself. It then fires at 11.3 spikes
per second, the whole one at 10.3 (first 200 ms at scale 1).

The plastic synapse changes its weight w by +lambda w^mu K_plus and -lambda alpha w K_minus. With all weights
s = 1 / sqrt(f) times as large, lambda s^(1 - mu) and alpha s^(mu - 1) give the same relative changes and the
same fixed point relative to the first weight.
"""

import math
from dataclasses import dataclass

from services.brain.models.balanced.parameters import BalancedParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """What is built. Weights and `dc_pa` in pA; `drive_hz` is the rate of the one Poisson generator."""

    indegree_e: int
    indegree_i: int
    weight_e_pa: float
    weight_i_pa: float
    dc_pa: float
    stdp_lambda: float
    stdp_alpha: float
    drive_hz: float
    drive_pa: float


def scaled(p: BalancedParameters) -> Scaled:
    """In-degrees, weights, current, plasticity and drive for these options."""
    weight_pa = p.J_E_mV / epsp_mv_per_pa(p.tau_m_ms, p.tau_syn_ms, p.C_m_pF)
    indegree_e, root_e = _fewer(p.indegree_e, p.indegree_fraction)
    indegree_i, root_i = _fewer(p.indegree_i, p.indegree_fraction)
    area_ms = math.e * p.tau_syn_ms
    missing = p.indegree_e * (1 - root_e) + p.indegree_i * p.g * (1 - root_i)
    return Scaled(
        indegree_e=indegree_e,
        indegree_i=indegree_i,
        weight_e_pa=weight_pa / root_e,
        weight_i_pa=p.g * weight_pa / root_i,
        dc_pa=missing * weight_pa * area_ms * p.balanced_rate_hz / 1000,
        stdp_lambda=p.stdp_lambda * root_e ** (p.stdp_mu - 1),
        stdp_alpha=p.stdp_alpha * root_e ** (1 - p.stdp_mu),
        drive_hz=p.eta * threshold_rate_hz(p, weight_pa) * p.indegree_e,
        drive_pa=weight_pa,
    )


def threshold_rate_hz(p: BalancedParameters, weight_pa: float) -> float:
    """The rate at which `indegree_e` excitatory inputs alone hold the mean voltage at threshold.

    nu = C_m (V_th - E_L) / (K_E tau_m J_E e tau_syn), of the `hpc_benchmark` that comes with NEST.
    """
    per_spike_mv_ms = p.tau_m_ms / p.C_m_pF * weight_pa * math.e * p.tau_syn_ms
    return 1000 * (p.V_th_mV - p.E_L_mV) / (p.indegree_e * per_spike_mv_ms)


def epsp_mv_per_pa(tau_m_ms: float, tau_syn_ms: float, c_m_pf: float) -> float:
    """Highest voltage that a current of the shape of an alpha function, 1 pA high, causes in a leaky membrane."""
    # The voltage at t is h(t) e / (tau_syn C_m) with h = (exp(-t / tau_m) - exp(-t / tau_syn)) / b^2
    # - t exp(-t / tau_syn) / b and b = 1 / tau_syn - 1 / tau_m; it is highest where its slope is 0.
    b = 1 / tau_syn_ms - 1 / tau_m_ms

    def voltage(t: float) -> float:
        slow, fast = math.exp(-t / tau_m_ms), math.exp(-t / tau_syn_ms)
        return math.e / (tau_syn_ms * c_m_pf) * ((slow - fast) / b - t * fast) / b

    def slope(t: float) -> float:
        current = math.e * t / tau_syn_ms * math.exp(-t / tau_syn_ms)
        return current / c_m_pf - voltage(t) / tau_m_ms

    low, high = tau_syn_ms / 2, 20 * (tau_m_ms + tau_syn_ms)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return voltage(low)


def _fewer(indegree: int, fraction: float) -> tuple[int, float]:
    """A whole in-degree of about this fraction, and the square root of the fraction it really is."""
    fewer = max(1, round(indegree * fraction))
    return fewer, math.sqrt(fewer / indegree)
