"""What NEST is told for each kind of source: its model, how it is created, and how a new value reaches it.

Between Prepare and Cleanup NEST ignores some settings without a word: the rate of a `poisson_generator`,
amplitude, frequency and phase of an `ac_generator`. A kind whose values would be ignored is therefore made of another
model that takes them at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from services.brain.device_kinds import AC, DC, FixedFrequency, NoiseCurrent, Poisson, Source, SpikeInjector

Values = npt.NDArray[np.float64]
"""One row per device, one column per quantity (or per time of an injector)."""

Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

S = TypeVar("S", bound=Source)
T = TypeVar("T", bound="AC | DC | NoiseCurrent")


@dataclass(frozen=True, slots=True)
class Grid:
    """NEST's time: steps of `resolution_ns` from where its clock stood at 0, at `begin_ns` of the run."""

    resolution_ns: int
    begin_ns: int = 0

    def ms(self, t_ns: int) -> float:
        """A time of the run on NEST's clock."""
        return (t_ns - self.begin_ns) / 1e6

    def window(self, start_ms: float, stop_ms: float, shift: int = 0) -> dict[str, float]:
        """`start` and `stop` of a device that acts in that part of the run; `shift` in time steps."""
        offset_ms = (shift * self.resolution_ns - self.begin_ns) / 1e6
        started = start_ms == 0 or start_ms * 1e6 <= self.begin_ns
        window = {"start": -np.inf if started else start_ms + offset_ms}
        if np.isfinite(stop_ms):
            window["stop"] = stop_ms + offset_ms
        return window


@dataclass(frozen=True, slots=True)
class Span:
    """A step that is about to be made, from `t_ns` for `dt_ns` of the run."""

    t_ns: int
    dt_ns: int
    grid: Grid

    @property
    def first_ms(self) -> float:
        """End of its first time step, on NEST's clock: the spikes of a step carry times in (t, t + dt]."""
        return self.grid.ms(self.t_ns + self.grid.resolution_ns)

    def ends_ns(self) -> npt.NDArray[np.int64]:
        """The end of each of its time steps, in the run."""
        h = self.grid.resolution_ns
        return np.arange(self.t_ns + h, self.t_ns + self.dt_ns + h, h)


class Driver(Generic[S]):
    """One kind of source; `specs` has one entry per device."""

    model: ClassVar[str]
    silent: ClassVar[float] = 0.0
    """What all values of a device are taken for while it is off."""
    restless: ClassVar[bool] = False
    """Whether devices may have to be written although no value has changed."""

    def __init__(self, specs: Sequence[S], grid: Grid) -> None:
        self.specs = specs
        self.grid = grid

    def parameters(self, spec: S) -> dict[str, Any]:
        """What NEST creates the device with."""
        return {}

    def window(self, spec: S) -> dict[str, Any]:
        """The part of the run in which the device acts, as NEST is told; nothing where it has none."""
        return {}

    def due(self, values: Values, written: Values, span: Span) -> Flags:
        """Which devices have to be written, shape (n,)."""
        changed: Flags = np.any(values != written, axis=1)
        return changed

    def orders(self, at: Places, values: Values, written: Values, span: Span) -> list[dict[str, Any]]:
        """What NEST is to set so that `values` hold from the start of the step on, for the devices `at`.

        `values` and `written`, which are those of the last step, have a row for each of them.
        """
        raise NotImplementedError


class PoissonDriver(Driver[Poisson]):
    """An inhomogeneous generator, which takes a rate from the next time step on."""

    model = "inhomogeneous_poisson_generator"

    def parameters(self, spec: Poisson) -> dict[str, Any]:
        return self.window(spec)

    def window(self, spec: Poisson) -> dict[str, Any]:
        # This model takes its window one time step later than the others do.
        return self.grid.window(spec.start_ms, spec.stop_ms, shift=-1)

    def orders(self, at: Places, values: Values, written: Values, span: Span) -> list[dict[str, Any]]:
        return [
            {"rate_times": [span.first_ms], "rate_values": [rate * self.specs[i].n]}
            for i, rate in zip(at.tolist(), values[:, 0].tolist(), strict=True)
        ]


class FixedFrequencyDriver(Driver[FixedFrequency]):
    """A neuron whose interspike interval has a closed form, and whose spike times lie between time steps."""

    model = "iaf_psc_delta_ps"

    def parameters(self, spec: FixedFrequency) -> dict[str, Any]:
        return {
            "C_m": spec.C_m_pF,
            "tau_m": spec.tau_m_ms,
            "t_ref": spec.t_ref_ms,
            "V_th": spec.V_th_mV,
            "V_reset": spec.V_reset_mV,
            "E_L": spec.E_L_mV,
            "V_m": spec.E_L_mV,
            "I_e": 0.0,
        }

    def orders(self, at: Places, values: Values, written: Values, span: Span) -> list[dict[str, Any]]:
        rates = values[:, 0].tolist()
        return [{"I_e": self.specs[i].current(rate)} for i, rate in zip(at.tolist(), rates, strict=True)]


class _CurrentDriver(Driver[T]):
    """A current source that acts within a window of time."""

    def parameters(self, spec: T) -> dict[str, Any]:
        return self.window(spec)

    def window(self, spec: T) -> dict[str, Any]:
        return self.grid.window(spec.start_ms, spec.stop_ms)


class DCDriver(_CurrentDriver[DC]):
    """NEST takes a new amplitude at once."""

    model = "dc_generator"

    def parameters(self, spec: DC) -> dict[str, Any]:
        return {"amplitude": 0.0, **super().parameters(spec)}

    def orders(self, at: Places, values: Values, written: Values, span: Span) -> list[dict[str, Any]]:
        return [{"amplitude": amplitude} for amplitude in values[:, 0].tolist()]


class ACDriver(_CurrentDriver[AC]):
    """A current that is given as its values at the time steps of each step, computed here."""

    model = "step_current_generator"
    restless = True

    def due(self, values: Values, written: Values, span: Span) -> Flags:
        amplitude, _, frequency, _ = values.T
        moving: Flags = (amplitude != 0) & (frequency != 0)
        return np.logical_or(moving, super().due(values, written, span))

    def orders(self, at: Places, values: Values, written: Values, span: Span) -> list[dict[str, Any]]:
        amplitude, offset, frequency, phase = values.T[:, :, np.newaxis]
        ends_ns = span.ends_ns()
        sines = np.sin(2 * np.pi * frequency * (ends_ns / 1e9) + np.deg2rad(phase))
        times_ms = (ends_ns - span.grid.begin_ns) / 1e6
        return [{"amplitude_times": times_ms, "amplitude_values": row} for row in offset + amplitude * sines]


class NoiseDriver(_CurrentDriver[NoiseCurrent]):
    """NEST takes mean and standard deviation with the next number it draws."""

    model = "noise_generator"

    def parameters(self, spec: NoiseCurrent) -> dict[str, Any]:
        return {"mean": 0.0, "std": 0.0, "dt": spec.interval_ms, **super().parameters(spec)}

    def orders(self, at: Places, values: Values, written: Values, span: Span) -> list[dict[str, Any]]:
        return [{"mean": mean, "std": std} for mean, std in values.tolist()]


class InjectorDriver(Driver[SpikeInjector]):
    """A generator that is given, before each step, the spikes that lie in it."""

    model = "spike_generator"
    silent = SpikeInjector.NEVER_S
    restless = True

    def due(self, values: Values, written: Values, span: Span) -> Flags:
        acting: Flags = np.any(self._acting(values, written, span), axis=1)
        return acting

    def orders(self, at: Places, values: Values, written: Values, span: Span) -> list[dict[str, Any]]:
        h = span.grid.resolution_ns
        into_ns = np.maximum(_nanoseconds(values) - span.t_ns, 0)
        # The time step that begins at a moment is the one that holds it, so that "now" acts at once.
        ends_ns = (into_ns // h + 1) * h + span.t_ns - span.grid.begin_ns
        acting = self._acting(values, written, span)
        return [{"spike_times": (np.sort(row[act]) / 1e6).tolist()} for row, act in zip(ends_ns, acting, strict=True)]

    def _acting(self, values: Values, written: Values, span: Span) -> Flags:
        """Those in the step, and those new ones that are late by a step at most.

        A function that runs more often than the brain steps writes moments that have passed when the next step begins.
        """
        moments_ns = _nanoseconds(values)
        late: Flags = (values != written) & (moments_ns >= span.t_ns - span.dt_ns) & (moments_ns < span.t_ns)
        return np.logical_or(late, (moments_ns >= span.t_ns) & (moments_ns < span.t_ns + span.dt_ns))


def _nanoseconds(seconds: Values) -> npt.NDArray[np.int64]:
    """As whole numbers, in which a moment is either in a step or in the next one."""
    # Beyond this there are no whole numbers of 64 bits; nor will a run come that far.
    return np.rint(np.clip(seconds, -1.0, 9e9) * 1e9).astype(np.int64)


DRIVERS: dict[type[Source], type[Driver[Any]]] = {
    Poisson: PoissonDriver,
    FixedFrequency: FixedFrequencyDriver,
    DC: DCDriver,
    AC: ACDriver,
    NoiseCurrent: NoiseDriver,
    SpikeInjector: InjectorDriver,
}
