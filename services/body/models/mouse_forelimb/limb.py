"""The forelimb in motion: PyBullet moves the bones, compiled kernels move the muscles."""

import numpy as np

from reafference.clock import NS_PER_S
from reafference.frames import Array
from reafference.plain import Misfit

from ...kernels import COMPLIANCE, STIFFNESS, VISCOSITY, advance_limb, sum_torques
from ...linkage import Linkage
from ...muscles import Muscles
from .description import Description
from .parameters import Parameters
from .skeleton import Skeleton, grip_points


class Limb:
    """One forelimb at rest in its own world, ready to move in substeps.

    `q` and `qd` (6,): hinge angles and speeds at the end of the last substep. `torque` (6,): what acts on the
    hinges there, in N m. `linkage` and `muscles` hold the rest of the state.

    Raises Misfit where the stops are too stiff, or the substep too long, for a stable run.
    """

    def __init__(self, description: Description, parameters: Parameters, substep_ns: int) -> None:
        self.description = description
        self.dt_s = substep_ns / NS_PER_S
        muscles = description.muscle if parameters.muscles else ()
        self.linkage = Linkage(
            description.hinges(),
            [[description.point(p.link, p.at_m) for p in muscle.path] for muscle in muscles],
            marks=grip_points(description),
        )
        self.linkage.place(np.zeros(len(description.hinge)))
        self.muscles = Muscles([muscle.parameters() for muscle in muscles])
        # One array with two readers: where the paths are is where the muscles are.
        self.muscles.path = self.linkage.path
        self.muscles.settle(self.linkage.path, parameters.initial_activation)
        self._skeleton = Skeleton(description, self.linkage, substep_ns)
        self.q = self._skeleton.q
        self.qd, self.torque = np.zeros_like(self.q), np.zeros_like(self.q)
        try:
            self.law = _hinge_law(description, parameters, self._skeleton.mobility, self.dt_s)
        except Misfit:
            self.close()
            raise
        self.load(np.array([hinge.constant_effort for hinge in description.hinge]))

    @property
    def grip_error_m(self) -> float:
        """Distance between the foot's grip and the tip of the stick."""
        return float(np.linalg.norm(self.linkage.points[-2] - self.linkage.points[-1]))

    @property
    def tip(self) -> Array:
        """Tip of the stick in the rig frame, m, shape (3,)."""
        tip: Array = self.linkage.points[-1]
        return tip

    def load(self, load_Nm: Array) -> None:
        """Let the torques (6,) act on the hinges from now on, beside muscles, damping and stops."""
        self._load = load_Nm
        v = self._skeleton.v
        sum_torques(self.law, self.linkage.slope, self.muscles.force, self.q, self.qd, v, load_Nm, self.torque)

    def advance(self, excitation: Array, substeps: int) -> None:
        """Move by substeps under constant excitation (n_muscles,) and load."""
        for _ in range(substeps):
            self.move_bones()
            self.move_muscles(excitation)

    def move_bones(self) -> None:
        """First half of a substep: the rigid bodies follow the torques."""
        self._skeleton.step(self.torque)

    def move_muscles(self, excitation: Array) -> None:
        """Second half of a substep: the muscles follow the bones, and the torques are those of the new state."""
        linkage, muscles, skeleton = self.linkage, self.muscles, self._skeleton
        advance_limb(
            linkage.parent, linkage.hinges, self.law, linkage.link, linkage.local, linkage.first,
            muscles.parameters, muscles.curves,
            self.dt_s,
            skeleton.q, skeleton.v, skeleton.v_last, self._load, excitation,
            linkage.rotation, linkage.position, linkage.axis, linkage.anchor,
            linkage.points, linkage.work, linkage.slope,
            muscles.path, muscles.path_last, muscles.activation, muscles.activation_last,
            muscles.fiber_length, muscles.fiber_speed, muscles.force, self.qd, self.torque,
        )  # fmt: skip

    def close(self) -> None:
        """Give the world back; safe to call twice."""
        self._skeleton.close()


def _hinge_law(description: Description, parameters: Parameters, mobility: Array, dt_s: float) -> Array:
    """Rows for `sum_torques`, shape (6, 6)."""
    stiffness = parameters.stop_stiffness if parameters.stops else 0.0
    dissipation = parameters.stop_dissipation
    rows = []
    for hinge in description.hinge:
        variant = hinge.variant(parameters.variant)
        rows.append([*variant.limits_rad, variant.damping, stiffness, dissipation, 0.0])
    law = np.array(rows)
    law[:, COMPLIANCE] = 0.5 * dt_s * mobility
    _check_stability(law, mobility, dt_s)
    return law


def _check_stability(law: Array, mobility: Array, dt_s: float) -> None:
    # A leapfrog is stable up to a phase of 2 rad per step, and accurate well below.
    stiffest = float(1.0 / (dt_s**2 * mobility.max()))
    found = float(law[:, STIFFNESS].max())
    if found > stiffest:
        expected = f"at most {stiffest:.3g} with substeps of {1e3 * dt_s:g} ms (substep_ms)"
        raise Misfit("parameters.stop_stiffness", expected, repr(found))
    # Speeds extrapolated from two middles damp well up to half a time constant per step.
    longest = float(0.5 / (law[:, VISCOSITY] * mobility).max())
    if dt_s > longest:
        raise Misfit("substep_ms", f"at most {1e3 * longest:.3g} for this body", f"{1e3 * dt_s:g}")
