"""The options of the balanced network, `[brain.parameters]` of an experiment; the defaults are the published values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reafference.plain import Misfit, load
from services.brain.models.compact import SynapseModel
from services.brain.settings import misfit_in

_POSITIVE = (
    "scale",
    "C_m_pF",
    "tau_m_ms",
    "t_ref_ms",
    "tau_syn_ms",
    "tau_minus_ms",
    "stdp_tau_plus_ms",
    "delay_ms",
    "J_E_mV",
)
_NOT_NEGATIVE = ("eta", "V_sd_mV", "stdp_alpha", "stdp_lambda", "balanced_rate_hz")


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancedParameters:
    """What to build.

    - `scale`: there are 9000 excitatory and 2250 inhibitory neurons times `scale`. The published run has 20.
    - `indegree_e`, `indegree_i`: excitatory and inhibitory synapses onto every neuron, whatever the scale.
    - `indegree_fraction`: builds so much of them, and makes up for the rest (`scaling.py`).
    - `balanced_rate_hz`: the rate for which it does so.
    - `J_E_mV`: height of the voltage that one excitatory spike causes; the weight follows from it.
    - `g`: inhibitory weight over excitatory weight.
    - `eta`: rate of the external input over the rate that alone would hold a neuron at threshold.
    - `stdp_alpha`, `stdp_lambda`, `stdp_mu`, `stdp_tau_plus_ms`, `tau_minus_ms`: plasticity of the synapses from
      excitatory onto excitatory neurons, with weights in pA.
    - `V_mean_mV`, `V_sd_mV`: normal distribution of the first membrane voltages.
    - `exposed`: so many neurons of each kind are the populations `E_first` and `I_first`.
    - `synapse_model`: `auto` takes compact synapses, or plain ones where a thread has more nodes than compact
      ones can address.
    """

    scale: float = 20.0
    indegree_fraction: float = 1.0
    indegree_e: int = 9000
    indegree_i: int = 2250
    balanced_rate_hz: float = 6.0
    C_m_pF: float = 250.0
    tau_m_ms: float = 10.0
    E_L_mV: float = 0.0
    V_th_mV: float = 20.0
    V_reset_mV: float = 0.0
    t_ref_ms: float = 0.5
    tau_syn_ms: float = 0.32582722403722841
    tau_minus_ms: float = 30.0
    V_mean_mV: float = 5.7
    V_sd_mV: float = 7.2
    delay_ms: float = 1.5
    J_E_mV: float = 0.14
    g: float = -5.0
    stdp_alpha: float = 0.0513
    stdp_lambda: float = 0.1
    stdp_mu: float = 0.4
    stdp_tau_plus_ms: float = 15.0
    eta: float = 1.685
    exposed: int = 50
    synapse_model: SynapseModel = "auto"

    def __post_init__(self) -> None:
        for key in _POSITIVE:
            _check(key, getattr(self, key), "a finite number of more than 0", lambda value: value > 0)
        for key in _NOT_NEGATIVE:
            _check(key, getattr(self, key), "a finite number of 0 or more", lambda value: value >= 0)
        _check("indegree_fraction", self.indegree_fraction, "more than 0 and at most 1", lambda f: 0 < f <= 1)
        _check("stdp_mu", self.stdp_mu, "0 or more, and less than 1", lambda mu: 0 <= mu < 1)
        _check("g", self.g, "less than 0: it is what makes a synapse inhibitory", lambda g: g < 0)
        for key in ("indegree_e", "indegree_i", "exposed"):
            _check(key, getattr(self, key), "1 or more", lambda n: n >= 1)
        if self.V_th_mV <= max(self.E_L_mV, self.V_reset_mV):
            above = f"more than E_L_mV and V_reset_mV ({max(self.E_L_mV, self.V_reset_mV):g})"
            raise Misfit("V_th_mV", above, f"{self.V_th_mV:g}")
        if math.isclose(self.tau_syn_ms, self.tau_m_ms):
            raise Misfit("tau_syn_ms", f"another value than tau_m_ms ({self.tau_m_ms:g})", f"{self.tau_syn_ms:g}")
        fewest = self.exposed + 1  # no neuron is connected to itself, so it needs another one
        if self.inhibitory < fewest:
            least = math.ceil(1000 * fewest / 2250) / 1000
            raise Misfit("scale", f"{least:g} or more, for {self.exposed} exposed neurons", f"{self.scale:g}")

    @classmethod
    def load(cls, parameters: Mapping[str, Any]) -> "BalancedParameters":
        """Raises BadExperiment naming the key."""
        try:
            return load(cls, parameters)
        except Misfit as misfit:
            raise misfit_in(misfit, "parameters") from None

    @property
    def excitatory(self) -> int:
        """Number of excitatory neurons."""
        return round(9000 * self.scale)

    @property
    def inhibitory(self) -> int:
        """Number of inhibitory neurons."""
        return round(2250 * self.scale)

    @property
    def neurons(self) -> int:
        return self.excitatory + self.inhibitory


def _check(key: str, value: float, expected: str, fits: Any) -> None:
    if not (math.isfinite(value) and fits(value)):
        raise Misfit(key, expected, f"{value:g}")
