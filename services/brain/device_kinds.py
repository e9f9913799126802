"""The kinds of devices an experiment can place between its transfer functions and the brain: their options.

A *source* drives neurons, a *sink* reads them. Each kind is a declared dataclass, so that an option that
does not exist is refused with a hint; what NEST needs to build one follows from it by formula. The
defaults are the usual ones of embodied-brain experiments, with one exception: a delay that is not given
is the shortest delay of the network, because a shorter one would change how NEST cuts the run and with
it the spikes. DEVICES.md shows them all to users.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from reafference.plain import Misfit

Receptor = Literal["excitatory", "inhibitory"] | int
"""`excitatory` and `inhibitory` choose the sign of the weight, as most models sort their input; a number is
the port of a model with several."""

Delay = float | tuple[float, float] | None
"""ms: one for all synapses, or the two ends of a range from which each draws its own; None for the shortest
of the network."""

Rule = Literal["all_to_all", "one_to_one", "pairwise_bernoulli", "fixed_total_number"]
"""Between the device of an entry and its neurons: a synapse with each; with the only one there is; with each
by the chance `p`; `number` synapses in all, with neurons drawn again and again. NEST's rules of a fixed
degree mean the last one too where one side is a single device."""


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise Misfit(name, "a number above 0", f"{value:g}")


def _finite(**values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise Misfit(name, "a finite number", f"{value:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """What all devices with synapses have in common.

    `switchable` adds an input port `<group>_on`, by which transfer functions switch each of them off and on.
    """

    weight: float
    delay_ms: Delay = None
    receptor: Receptor = "excitatory"
    synapse_model: str = "static_synapse"
    rule: Rule = "all_to_all"
    p: float | None = None
    number: int | None = None
    switchable: bool = False

    def __post_init__(self) -> None:
        _finite(weight=self.weight)
        if isinstance(self.receptor, str) and self.weight < 0:
            hint = ' (a negative weight is receptor = "inhibitory" with a positive one)'
            raise Misfit("weight", f"a positive number, since receptor = {self.receptor!r}", f"{self.weight:g}", hint)
        self._check_delay()
        self._check_rule()

    def synapses(self, size: int) -> float:
        """How many synapses the rule makes with `size` neurons, in the mean."""
        if self.rule == "fixed_total_number":
            return float(self.number or 0)
        return size * self.p if self.p is not None else float(size)

    def _check_delay(self) -> None:
        if isinstance(self.delay_ms, tuple):
            shortest, longest = self.delay_ms
            _positive(delay_ms=shortest)
            if not shortest < longest < math.inf:
                raise Misfit("delay_ms", "[shortest, longest]", f"[{shortest:g}, {longest:g}]")
        elif self.delay_ms is not None:
            _positive(delay_ms=self.delay_ms)

    def _check_rule(self) -> None:
        for option, rule, value in (
            ("p", "pairwise_bernoulli", self.p),
            ("number", "fixed_total_number", self.number),
        ):
            if (self.rule == rule) != (value is not None):
                expected = f"a number, since rule = {rule!r}" if value is None else f"none, which is for {rule!r} only"
                raise Misfit(option, expected, "nothing" if value is None else f"{value:g}")
        if self.p is not None and not 0 < self.p <= 1:
            raise Misfit("p", "a chance above 0 and at most 1", f"{self.p:g}")
        if self.number is not None and self.number < 1:
            raise Misfit("number", "1 or more synapses", str(self.number))


# --- sources -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value of a source that transfer functions write: one port of its group.

    `suffix` follows the group's name in the port's, `option` is the key that gives the value until somebody
    writes one (`rest`), `low` and `high` bound it.
    """

    option: str
    noun: str
    unit: str
    rest: float
    suffix: str = ""
    low: float = -math.inf
    high: float = math.inf

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        if self.high < math.inf:
            return f"a number from {self.low:g} to {self.high:g}"
        return "a finite number" + (f" of {self.low:g} or more" if self.low > -math.inf else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source(_Device):
    """A device per entry of `targets`."""

    spikes: ClassVar[bool] = False
    about: ClassVar[str]

    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        _Device.__post_init__(self)
        for quantity in self.quantities:
            # Written so that a NaN fails it too.
            if not (quantity.low <= quantity.rest <= quantity.high and math.isfinite(quantity.rest)):
                raise Misfit(quantity.option, quantity.expected, f"{quantity.rest:g}")

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What can be written in each step; the first one is the main one."""
        raise NotImplementedError

    @property
    def times(self) -> int:
        """How many values a port takes for each device."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed(_Source):
    """A source that acts after `start_ms` and until `stop_ms`, both on the time grid."""

    start_ms: float = 0.0
    stop_ms: float = math.inf

    def __post_init__(self) -> None:
        _Source.__post_init__(self)
        if not 0 <= self.start_ms < self.stop_ms:
            raise Misfit("start_ms", "a time of 0 or more and before stop_ms", f"{self.start_ms:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisson(_Timed):
    """A Poisson source per entry of `targets`: every neuron of the entry gets a spike train of its own.

    Port: `rate_hz` per entry, effective in the very next step. `n` stands for that many independent
    generators on the same neurons, which is one of n times the rate.
    """

    spikes: ClassVar[bool] = True
    about: ClassVar[str] = "rate of independent Poisson spike trains, one to each neuron of the entry"

    kind: Literal["poisson"] = "poisson"
    weight: float = 0.15
    rate_hz: float = 0.0
    n: int = 1

    def __post_init__(self) -> None:
        _Timed.__post_init__(self)
        if self.n < 1:
            raise Misfit("n", "1 or more generators", str(self.n))

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (Quantity("rate_hz", "rate", "Hz", self.rate_hz, low=0.0),)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedFrequency(_Source):
    """A regular spike train per entry, the same for all neurons of the entry.

    An integrate-and-fire neuron under a constant current fires it, so that a new rate bends the current
    interval instead of beginning a new one. Its spike times lie between the time steps, which keeps the mean
    rate exact; neurons on the grid receive each at the end of its time step.
    """

    spikes: ClassVar[bool] = True
    about: ClassVar[str] = "rate of a regular spike train"

    kind: Literal["fixed_frequency"] = "fixed_frequency"
    weight: float = 0.15
    rate_hz: float = 0.0
    C_m_pF: float = 1000.0
    tau_m_ms: float = 1000.0
    t_ref_ms: float = 0.2
    V_th_mV: float = -50.0
    V_reset_mV: float = -100.0
    E_L_mV: float = -100.0

    def __post_init__(self) -> None:
        _positive(C_m_pF=self.C_m_pF, tau_m_ms=self.tau_m_ms, t_ref_ms=self.t_ref_ms)
        _finite(V_th_mV=self.V_th_mV, V_reset_mV=self.V_reset_mV, E_L_mV=self.E_L_mV)
        below = {"V_reset_mV": self.V_reset_mV, "E_L_mV": self.E_L_mV}
        for name, value in below.items():
            if value >= self.V_th_mV:
                raise Misfit(name, f"a voltage below V_th_mV = {self.V_th_mV:g}", f"{value:g}")
        _Source.__post_init__(self)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """A period is at least ten refractory times long."""
        return (Quantity("rate_hz", "rate", "Hz", self.rate_hz, low=0.0, high=100.0 / self.t_ref_ms),)

    def current(self, rate_hz: float) -> float:
        """The current (pA) that makes the neuron fire at this rate; 0 for a rate of 0.

        I = (C_m / tau_m) (V_th - E_L - (V_reset - E_L) D) / (1 - D) with D = exp((t_ref - T) / tau_m) and the
        period T: the time a leaky membrane takes from V_reset to V_th, solved for the current.
        """
        if rate_hz == 0:
            return 0.0
        exponent = (self.t_ref_ms - 1000.0 / rate_hz) / self.tau_m_ms
        decay = math.exp(exponent)
        driven_mV = self.V_th_mV - self.E_L_mV - (self.V_reset_mV - self.E_L_mV) * decay
        return self.C_m_pF / self.tau_m_ms * driven_mV / -math.expm1(exponent)


@dataclass(frozen=True, slots=True, kw_only=True)
class DC(_Timed):
    """A constant current per entry, `weight` times the amplitude into each of its neurons."""

    about: ClassVar[str] = "constant current"

    kind: Literal["dc"] = "dc"
    weight: float = 1.0
    amplitude_pA: float = 1000.0

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (Quantity("amplitude_pA", "amplitude", "pA", self.amplitude_pA),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AC(_Timed):
    """A sine current per entry: offset + amplitude sin(2 pi frequency t + phase), t from the start of the run."""

    about: ClassVar[str] = "sine current"

    kind: Literal["ac"] = "ac"
    weight: float = 1.0
    amplitude_pA: float = 1000.0
    offset_pA: float = 0.0
    frequency_hz: float = 10.0
    phase_deg: float = 0.0

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (
            Quantity("amplitude_pA", "amplitude", "pA", self.amplitude_pA),
            Quantity("offset_pA", "offset", "pA", self.offset_pA, "_offset"),
            Quantity("frequency_hz", "frequency", "Hz", self.frequency_hz, "_frequency", low=0.0),
            Quantity("phase_deg", "phase", "deg", self.phase_deg, "_phase"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseCurrent(_Timed):
    """A Gaussian current per entry, drawn anew every `interval_ms` and for each neuron of the entry.

    New values act from the next border between intervals on, which is the start of the step where the
    step is a multiple of the interval.
    """

    about: ClassVar[str] = "Gaussian current"

    kind: Literal["noise_current"] = "noise_current"
    weight: float = 1.0
    mean_pA: float = 0.0
    std_pA: float = 1000.0
    interval_ms: float = 1.0

    def __post_init__(self) -> None:
        _Timed.__post_init__(self)
        _positive(interval_ms=self.interval_ms)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (
            Quantity("mean_pA", "mean", "pA", self.mean_pA),
            Quantity("std_pA", "standard deviation", "pA", self.std_pA, "_std", low=0.0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeInjector(_Source):
    """Single spikes at given times, one train per entry, the same for all its neurons.

    Port: up to `times` moments per entry in simulated seconds, as transfer functions count them. A spike is
    sent at the end of the time step in which its moment lies, or at once where the moment is new but has
    passed, by one step at most. A moment that has had its step does nothing any more, so that what nobody
    writes again does not act again; -1 is none.
    """

    spikes: ClassVar[bool] = True
    about: ClassVar[str] = "moments of single spikes; those in the past do nothing, -1 is none"
    NEVER_S: ClassVar[float] = -1.0

    kind: Literal["spike_injector"] = "spike_injector"
    weight: float = 0.15
    times: int = 1

    def __post_init__(self) -> None:
        _Source.__post_init__(self)
        if self.times < 1:
            raise Misfit("times", "1 or more spikes", str(self.times))

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        return (Quantity("times", "time", "s", self.NEVER_S),)


# --- sinks -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _LeakyIntegrator(_Device):
    """A neuron that never fires; its membrane voltage is the read-out (mV).

    `weight_scaled_to_full_size` multiplies the weight by how many neurons of the full-scale model stand
    behind one neuron of this one, so that the voltage keeps its meaning at any scale.
    """

    unit: ClassVar[str] = "mV"
    model: ClassVar[str]

    sources: tuple[str, ...]
    weight: float = 10.0
    weight_scaled_to_full_size: bool = False
    C_m_pF: float = 1000.0
    tau_m_ms: float
    tau_syn_ex_ms: float
    tau_syn_in_ms: float
    E_L_mV: float = 0.0
    V_th_mV: float = math.inf
    V_reset_mV: float = 0.0
    t_ref_ms: float = 0.1
    I_e_pA: float = 0.0

    def __post_init__(self) -> None:
        _Device.__post_init__(self)
        _positive(
            C_m_pF=self.C_m_pF,
            tau_m_ms=self.tau_m_ms,
            tau_syn_ex_ms=self.tau_syn_ex_ms,
            tau_syn_in_ms=self.tau_syn_in_ms,
            t_ref_ms=self.t_ref_ms,
        )
        _finite(E_L_mV=self.E_L_mV, V_reset_mV=self.V_reset_mV, I_e_pA=self.I_e_pA)

    @property
    def rest(self) -> float:
        return self.E_L_mV

    def parameters(self) -> dict[str, Any]:
        """For the NEST model."""
        return {
            "V_th": self.V_th_mV,
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
class PopulationRate(_Device):
    """Spikes per second of a selection, smoothed: the mean of its neurons, or their sum.

    A leaky integrator with exponential synapses whose response to one spike has the area of one: it rises
    with `tau_rise_ms` and falls with `tau_fall_ms`; given the wrong way round, the two are swapped. `weight`
    is a factor on the reading. Where `rule` draws some of the neurons, they stand for all.
    """

    unit: ClassVar[str] = "Hz"
    model: ClassVar[str] = "iaf_psc_exp"
    rest: ClassVar[float] = 0.0
    _C_M_PF: ClassVar[float] = 1000.0

    kind: Literal["population_rate"] = "population_rate"
    sources: tuple[str, ...]
    weight: float = 1.0
    reduce: Literal["mean", "sum"] = "mean"
    tau_rise_ms: float = 10.0
    tau_fall_ms: float = 20.0

    def __post_init__(self) -> None:
        _Device.__post_init__(self)
        _positive(tau_rise_ms=self.tau_rise_ms, tau_fall_ms=self.tau_fall_ms)

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
        whole = self.weight * 1000.0 * self._C_M_PF / (self.tau_rise_ms * self.tau_fall_ms)
        return whole / self.synapses(size) * (1 if self.reduce == "mean" else size)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeRecorder:
    """Every spike of the selected neurons, in the stream `spikes`.

    `sample`: at most so many neurons of each entry, drawn with the seed of the run. A recorded neuron
    costs about 32 KB of memory (80 bytes with the extension module), so large populations want one. For
    transfer functions `spiked` adds a port that says of each neuron whether it fired in the step, `times` one
    with a row (neuron, ms) for each spike of the step; the neuron is its node id, or with
    `global_ids = false` its place in the recorder.
    """

    kind: Literal["spike_recorder"] = "spike_recorder"
    sources: tuple[str, ...]
    sample: int | None = None
    spiked: bool = False
    times: bool = False
    global_ids: bool = True
    switchable: bool = False

    def __post_init__(self) -> None:
        if self.sample is not None and self.sample < 1:
            raise Misfit("sample", "1 or more neurons", str(self.sample))


Source = Poisson | FixedFrequency | DC | AC | NoiseCurrent | SpikeInjector
VoltageSink = LeakyIntegratorAlpha | LeakyIntegratorExp | PopulationRate
Sink = VoltageSink | SpikeRecorder

SOURCE_KINDS: dict[str, type[Source]] = {
    "poisson": Poisson,
    "fixed_frequency": FixedFrequency,
    "dc": DC,
    "ac": AC,
    "noise_current": NoiseCurrent,
    "spike_injector": SpikeInjector,
}
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
