"""The kinds of devices an experiment can place between its transfer functions and the brain: their options.

A *source* drives neurons, a *sink* reads them. Each kind is a declared dataclass, so that an option that
does not exist is refused with a hint; what NEST needs to build one follows from it by formula. The
defaults are the usual ones of embodied-brain experiments, with one exception: a delay that is not given
is the shortest delay of the network, because a shorter one would change how NEST cuts the run and with
it the spikes.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from reafference.plain import Misfit

Receptor = Literal["excitatory", "inhibitory"] | int
"""`excitatory` and `inhibitory` choose the sign of the weight, as most models sort their input; a number is
the port of a model with several."""


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise Misfit(name, "a number above 0", f"{value:g}")


def _synapse(weight: float, delay_ms: float | None, receptor: Receptor) -> None:
    if not math.isfinite(weight):
        raise Misfit("weight", "a finite number", f"{weight:g}")
    if isinstance(receptor, str) and weight < 0:
        hint = ' (a negative weight is receptor = "inhibitory" with a positive one)'
        raise Misfit("weight", f"a positive number, since receptor = {receptor!r}", f"{weight:g}", hint)
    if delay_ms is not None:
        _positive(delay_ms=delay_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisson:
    """A Poisson source per entry of `targets`: every neuron of the entry gets a spike train of its own.

    Port: `rate_hz` per entry, effective in the very next step. `n` stands for that many independent
    generators on the same neurons, which is one of n times the rate.
    """

    unit: ClassVar[str] = "Hz"

    kind: Literal["poisson"] = "poisson"
    targets: tuple[str, ...]
    rate_hz: float = 0.0
    weight: float = 0.15
    delay_ms: float | None = None
    receptor: Receptor = "excitatory"
    synapse_model: str = "static_synapse"
    start_ms: float = 0.0
    stop_ms: float = math.inf
    n: int = 1

    def __post_init__(self) -> None:
        _synapse(self.weight, self.delay_ms, self.receptor)
        if not (math.isfinite(self.rate_hz) and self.rate_hz >= 0):
            raise Misfit("rate_hz", "a number of 0 or more", f"{self.rate_hz:g}")
        if not 0 <= self.start_ms < self.stop_ms:
            raise Misfit("start_ms", "a time of 0 or more and before stop_ms", f"{self.start_ms:g}")
        if self.n < 1:
            raise Misfit("n", "1 or more generators", str(self.n))


@dataclass(frozen=True, slots=True, kw_only=True)
class _LeakyIntegrator:
    """A neuron that never fires; its membrane voltage is the read-out (mV).

    `weight_scaled_to_full_size` multiplies the weight by how many neurons of the full-scale model stand
    behind one neuron of this one, so that the voltage keeps its meaning at any scale.
    """

    unit: ClassVar[str] = "mV"
    model: ClassVar[str]

    sources: tuple[str, ...]
    weight: float = 10.0
    weight_scaled_to_full_size: bool = False
    delay_ms: float | None = None
    receptor: Receptor = "excitatory"
    synapse_model: str = "static_synapse"
    C_m_pF: float = 1000.0
    tau_m_ms: float
    tau_syn_ex_ms: float
    tau_syn_in_ms: float
    E_L_mV: float = 0.0
    V_reset_mV: float = 0.0
    t_ref_ms: float = 0.1
    I_e_pA: float = 0.0

    def __post_init__(self) -> None:
        _synapse(self.weight, self.delay_ms, self.receptor)
        _positive(
            C_m_pF=self.C_m_pF,
            tau_m_ms=self.tau_m_ms,
            tau_syn_ex_ms=self.tau_syn_ex_ms,
            tau_syn_in_ms=self.tau_syn_in_ms,
            t_ref_ms=self.t_ref_ms,
        )

    @property
    def rest(self) -> float:
        return self.E_L_mV

    def parameters(self) -> dict[str, Any]:
        """For the NEST model."""
        return {
            "V_th": math.inf,
            "V_m": self.E_L_mV,
            "E_L": self.E_L_mV,
            "V_reset": self.V_reset_mV,
            "t_ref": self.t_ref_ms,
            "I_e": self.I_e_pA,
            "C_m": self.C_m_pF,
            "tau_m": self.tau_m_ms,
            "tau_syn_ex": self.tau_syn_ex_ms,
            "tau_syn_in": self.tau_syn_in_ms,
        }

    def weight_for(self, size: int, scale: float | None) -> float:
        """Weight of one synapse from each of `size` neurons; `scale` as in Selection."""
        if not self.weight_scaled_to_full_size:
            return self.weight
        if scale is None:
            expected = "a model that states the full sizes of its populations"
            raise Misfit("weight_scaled_to_full_size", expected, "one that does not")
        return self.weight * scale


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyIntegratorAlpha(_LeakyIntegrator):
    """Current-based leaky integrator with alpha-shaped synapses.

    One spike of weight w pA gives a response whose area is w e tau_syn tau_m / C_m mV ms: with the defaults
    a mean of 0.5437 mV per spike/ms.
    """

    model: ClassVar[str] = "iaf_psc_alpha"

    kind: Literal["leaky_integrator_alpha"] = "leaky_integrator_alpha"
    tau_m_ms: float = 10.0
    tau_syn_ex_ms: float = 2.0
    tau_syn_in_ms: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyIntegratorExp(_LeakyIntegrator):
    """Current-based leaky integrator with exponential synapses.

    One spike of weight w pA gives a response whose area is w tau_syn tau_m / C_m mV ms.
    """

    model: ClassVar[str] = "iaf_psc_exp"

    kind: Literal["leaky_integrator_exp"] = "leaky_integrator_exp"
    tau_m_ms: float = 20.0
    tau_syn_ex_ms: float = 0.5
    tau_syn_in_ms: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationRate:
    """Spikes per second of a selection, smoothed: the mean of its neurons, or their sum.

    A leaky integrator with exponential synapses whose response to one spike has the area of one: it rises
    with `tau_rise_ms` and falls with `tau_fall_ms`; given the wrong way round, the two are swapped.
    """

    unit: ClassVar[str] = "Hz"
    model: ClassVar[str] = "iaf_psc_exp"
    rest: ClassVar[float] = 0.0
    receptor: ClassVar[Receptor] = "excitatory"
    synapse_model: ClassVar[str] = "static_synapse"
    _C_M_PF: ClassVar[float] = 1000.0

    kind: Literal["population_rate"] = "population_rate"
    sources: tuple[str, ...]
    reduce: Literal["mean", "sum"] = "mean"
    delay_ms: float | None = None
    tau_rise_ms: float = 10.0
    tau_fall_ms: float = 20.0

    def __post_init__(self) -> None:
        _positive(tau_rise_ms=self.tau_rise_ms, tau_fall_ms=self.tau_fall_ms)
        if self.delay_ms is not None:
            _positive(delay_ms=self.delay_ms)

    def parameters(self) -> dict[str, Any]:
        """For the NEST model."""
        rise_ms, fall_ms = sorted((self.tau_rise_ms, self.tau_fall_ms))
        return {
            "V_th": math.inf,
            "V_m": 0.0,
            "E_L": 0.0,
            "V_reset": 0.0,
            "C_m": self._C_M_PF,
            "tau_m": fall_ms,
            "tau_syn_ex": rise_ms,
            "tau_syn_in": rise_ms,
        }

    def weight_for(self, size: int, scale: float | None) -> float:
        """pA, from area = w tau_rise tau_fall / C_m = 1000 mV ms: 5000 pA with the defaults and one neuron."""
        whole = 1000.0 * self._C_M_PF / (self.tau_rise_ms * self.tau_fall_ms)
        return whole / size if self.reduce == "mean" else whole


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeRecorder:
    """Every spike of the selected neurons, in the stream `spikes`.

    `sample`: at most so many neurons of each entry, drawn with the seed of the run. A recorded neuron
    costs about 32 KB of memory, so large populations want one.
    """

    kind: Literal["spike_recorder"] = "spike_recorder"
    sources: tuple[str, ...]
    sample: int | None = None

    def __post_init__(self) -> None:
        if self.sample is not None and self.sample < 1:
            raise Misfit("sample", "1 or more neurons", str(self.sample))


Source = Poisson
VoltageSink = LeakyIntegratorAlpha | LeakyIntegratorExp | PopulationRate
Sink = VoltageSink | SpikeRecorder

SOURCE_KINDS: dict[str, type[Source]] = {"poisson": Poisson}
VOLTAGE_KINDS: dict[str, type[VoltageSink]] = {
    "leaky_integrator_alpha": LeakyIntegratorAlpha,
    "leaky_integrator_exp": LeakyIntegratorExp,
    "population_rate": PopulationRate,
}
SINK_KINDS: dict[str, type[Sink]] = {**VOLTAGE_KINDS, "spike_recorder": SpikeRecorder}


def signed(weight: float, receptor: Receptor) -> float:
    """The weight NEST is given: the receptor's name stands for its sign."""
    return -weight if receptor == "inhibitory" else weight


def port_of(receptor: Receptor) -> int:
    """NEST's receptor type."""
    return receptor if isinstance(receptor, int) else 0
