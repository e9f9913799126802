"""Hill-type muscles with elastic tendons: excitation to activation to fibre length to force.

The model is the damped equilibrium muscle of Millard, Uchida, Seth & Delp, J. Biomech. Eng. 135, 021005 (2013),
with activation dynamics after Thelen (2003), as in OpenSim's `Millard2012EquilibriumMuscle`. Arrays only: no
rigid bodies, no messages.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reafference.frames import Array
from reafference.plain import Misfit

from . import curves, kernels

MAX_PENNATION_RAD = math.acos(0.1)
"""A pennate fibre stands no steeper than this to its tendon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MuscleParameters:
    """What tells one muscle from another; the defaults are OpenSim's.

    `max_contraction_velocity` counts optimal fibre lengths per second; `fiber_damping` is in units of the largest
    isometric force per normalised speed. Raises Misfit for values outside their range.
    """

    name: str
    max_isometric_force: float
    optimal_fiber_length_m: float
    tendon_slack_length_m: float
    pennation_rad: float = 0.0
    max_contraction_velocity: float = 10.0
    fiber_damping: float = 0.1
    activation_tau_s: float = 0.010
    deactivation_tau_s: float = 0.040
    min_activation: float = 0.01

    def __post_init__(self) -> None:
        for key in (
            "max_isometric_force",
            "optimal_fiber_length_m",
            "tendon_slack_length_m",
            "max_contraction_velocity",
            "fiber_damping",
            "activation_tau_s",
            "deactivation_tau_s",
        ):
            value = getattr(self, key)
            if not (value > 0 and math.isfinite(value)):
                raise Misfit(key, "a number above 0", repr(value))
        if not 0 <= self.min_activation < 1:
            raise Misfit("min_activation", "a number from 0 to below 1", repr(self.min_activation))
        if not 0 <= self.pennation_rad < MAX_PENNATION_RAD:
            raise Misfit("pennation_rad", f"0 to {MAX_PENNATION_RAD:.4f} rad", repr(self.pennation_rad))

    @property
    def width_m(self) -> float:
        """Height of the parallelogram that a pennate fibre keeps at every length."""
        return self.optimal_fiber_length_m * math.sin(self.pennation_rad)

    @property
    def min_fiber_length_m(self) -> float:
        """The fibre is never shorter: no active force, or the steepest pennation."""
        flattest = self.width_m / math.sin(MAX_PENNATION_RAD)
        return max(curves.MIN_ACTIVE_LENGTH * self.optimal_fiber_length_m, flattest)


class Muscles:
    """Any number of muscles, moved in time together.

    State, each an array of shape (n,): `activation` (0 to 1), `fiber_length` (m), `fiber_speed` (normalised,
    lengthening is positive), `force` (N, in the tendon), `path` (m, the path length it all belongs to). Read
    them freely; they are overwritten by the next call. Call `settle` first.

    Fibres move by an implicit Runge-Kutta method of order 2 that is stable for any step: at low activation a
    fibre relaxes within 35 us, which no explicit method stands at useful steps.
    """

    def __init__(self, muscles: Sequence[MuscleParameters]) -> None:
        self.muscles = tuple(muscles)
        n = len(self.muscles)
        self.parameters = np.array([_row(m) for m in self.muscles]).reshape(n, kernels.N_PARAMETERS)
        self.curves = curves.tables()
        self.activation = np.full(n, 0.05)
        self.fiber_length = np.zeros(n)
        self.fiber_speed = np.zeros(n)
        self.force = np.zeros(n)
        self.path = np.zeros(n)
        self.activation_last = np.zeros(n)
        self.path_last = np.zeros(n)
        self._excitation = np.zeros(n)

    @property
    def fiber_velocity(self) -> Array:
        """Lengthening speeds of the fibres in m/s, shape (n,)."""
        unit = self.parameters[:, kernels.V_MAX] * self.parameters[:, kernels.L_OPT]
        return np.asarray(self.fiber_speed * unit)

    @property
    def pennation(self) -> Array:
        """Angles between fibres and tendons in rad, shape (n,)."""
        return np.asarray(np.arcsin(self.parameters[:, kernels.WIDTH] / self.fiber_length))

    def settle(self, path_m: npt.ArrayLike, activation: npt.ArrayLike) -> None:
        """Put every fibre into static equilibrium at path lengths and activations, each (n,) or one for all."""
        self.path[:] = path_m
        self._set_activation(activation)
        self.fiber_speed[:] = 0.0
        kernels.equilibrate(self.parameters, self.curves, self.activation, self.path, self.fiber_length, self.force)

    def advance(self, path_m: npt.ArrayLike, excitation: npt.ArrayLike, dt_s: float) -> None:
        """Move by `dt_s` under constant excitation (n,), while paths go linearly to the lengths `path_m` (n,)."""
        self._excitation[:] = excitation
        self.activation_last[:] = self.activation
        kernels.advance_activation(self.parameters, self._excitation, dt_s, self.activation)
        self._advance_fibers(path_m, dt_s)

    def advance_activated(self, path_m: npt.ArrayLike, activation: npt.ArrayLike, dt_s: float) -> None:
        """As `advance`, but with prescribed activation (n,), constant through the step."""
        self._set_activation(activation)
        self.activation_last[:] = self.activation
        self._advance_fibers(path_m, dt_s)

    def _set_activation(self, activation: npt.ArrayLike) -> None:
        self.activation[:] = activation
        np.clip(self.activation, self.parameters[:, kernels.A_MIN], 1.0, out=self.activation)

    def _advance_fibers(self, path_m: npt.ArrayLike, dt_s: float) -> None:
        if not dt_s > 0:
            raise ValueError(f"muscles move forward in time only, not by {dt_s} s")
        self.path_last[:] = self.path
        self.path[:] = path_m
        kernels.advance_fibers(
            self.parameters,
            self.curves,
            self.activation_last,
            self.activation,
            self.path_last,
            self.path,
            dt_s,
            self.fiber_length,
            self.fiber_speed,
            self.force,
        )


def _row(m: MuscleParameters) -> list[float]:
    row = [0.0] * kernels.N_PARAMETERS
    row[kernels.F0] = m.max_isometric_force
    row[kernels.L_OPT] = m.optimal_fiber_length_m
    row[kernels.L_SLACK] = m.tendon_slack_length_m
    row[kernels.WIDTH] = m.width_m
    row[kernels.L_MIN] = m.min_fiber_length_m
    row[kernels.V_MAX] = m.max_contraction_velocity
    row[kernels.DAMPING] = m.fiber_damping
    row[kernels.TAU_ACT] = m.activation_tau_s
    row[kernels.TAU_DEACT] = m.deactivation_tau_s
    row[kernels.A_MIN] = m.min_activation
    return row
