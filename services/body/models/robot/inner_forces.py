"""Damping and springs of joints, as torques that are stable at any step."""

from collections.abc import Sequence

import numpy as np

from reafference.frames import Array

from .tree import Joint


class InnerForces:
    """Damping, springs and their rest positions of n joints.

    Torques are those at the end of a step (implicit Euler): published models damp light links so much that a torque
    from the speed at its beginning would throw them about.
    """

    def __init__(self, joints: Sequence[Joint], dt_s: float) -> None:
        n = len(joints)
        self._dt_s = dt_s
        self._stiffness = np.array([joint.stiffness for joint in joints]).reshape(n)
        self._reference = np.array([joint.reference for joint in joints]).reshape(n)
        damping = np.array([joint.damping for joint in joints]).reshape(n)
        self._slope = damping + dt_s * self._stiffness
        self.any = bool(self._slope.any())
        self._mobility = np.zeros((n, n))
        self._solve: Array = np.eye(n)
        self._last_speed: Array | None = None
        self._last = np.zeros(n)

    def place(self, mobility: Array) -> None:
        """Take the accelerations of the joints by unit torques (n, n), in the pose of now."""
        self._mobility = mobility
        self._solve = np.linalg.inv(np.eye(len(mobility)) + self._dt_s * self._slope[:, None] * mobility)

    def torques(self, q: Array, speed: Array) -> Array:
        """Torques (n,) for the next step, from angles and speeds (n,) at its beginning."""
        coming = speed
        if self._last_speed is not None:
            # All else that acts (weight, motors, stops) goes on as in the last step.
            coming = 2 * speed - self._last_speed - self._dt_s * self._mobility @ self._last
        pull = self._stiffness * (q - self._reference) + self._slope * coming
        self._last_speed, self._last = speed, -self._solve @ pull
        return self._last
