"""One muscle by itself, at prescribed lengths: what a muscle ergometer does in the laboratory."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reafference.frames import Array

from .muscles import MuscleParameters, Muscles


@dataclass(frozen=True, slots=True)
class Trace:
    """What was measured at each time, arrays (n,): N, m, m/s (lengthening is positive), 0 to 1."""

    force: Array
    fiber_length: Array
    fiber_velocity: Array
    activation: Array


def pull(
    muscle: MuscleParameters,
    t_s: npt.ArrayLike,
    path_m: npt.ArrayLike,
    *,
    dt_s: float,
    excitation: npt.ArrayLike | None = None,
    activation: npt.ArrayLike | None = None,
    initial_activation: float | None = None,
) -> Trace:
    """Drive `muscle` along path lengths `path_m` (n,) at rising times `t_s` (n,), in steps of about `dt_s`.

    Between two times the length goes linearly, and the excitation (n,), or the activation (n,) if that is
    prescribed instead, keeps its earlier value. A single number stands for n equal ones. The start is static
    equilibrium at `initial_activation`, or at the first excitation or activation. Raises ValueError unless exactly
    one of the two is given.
    """
    if (excitation is None) == (activation is None):
        raise ValueError("prescribe either excitation or activation")
    times = np.asarray(t_s, dtype=float)
    paths = np.broadcast_to(np.asarray(path_m, dtype=float), times.shape)
    drive = np.broadcast_to(np.asarray(activation if excitation is None else excitation, dtype=float), times.shape)
    muscles = Muscles([muscle])
    muscles.settle(paths[0], drive[0] if initial_activation is None else initial_activation)
    advance = muscles.advance_activated if excitation is None else muscles.advance
    rows = [_reading(muscles)]
    for i in range(len(times) - 1):
        gap_s = times[i + 1] - times[i]
        steps = max(1, round(gap_s / dt_s))
        for k in range(1, steps + 1):
            advance(paths[i] + k / steps * (paths[i + 1] - paths[i]), drive[i], gap_s / steps)
        rows.append(_reading(muscles))
    return Trace(*np.array(rows).T)


def _reading(muscles: Muscles) -> tuple[float, float, float, float]:
    return (
        float(muscles.force[0]),
        float(muscles.fiber_length[0]),
        float(muscles.fiber_velocity[0]),
        float(muscles.activation[0]),
    )
