"""Where a frame stands in another one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from reafference.frames import Array


@dataclass(frozen=True, slots=True)
class Pose:
    """`rotation` (3, 3) takes a vector of this frame to the outer one, `position` (3,) in m is its origin there."""

    rotation: Array = field(default_factory=lambda: np.eye(3))
    position: Array = field(default_factory=lambda: np.zeros(3))

    def __matmul__(self, inner: "Pose") -> "Pose":
        """The pose of something whose pose in this frame is `inner`."""
        return Pose(self.rotation @ inner.rotation, self.position + self.rotation @ inner.position)

    def inverse(self) -> "Pose":
        """The outer frame as seen from this one."""
        return Pose(self.rotation.T, -self.rotation.T @ self.position)

    def point(self, at: Array) -> Array:
        """A point (3,) of this frame in the outer one."""
        place: Array = self.position + self.rotation @ at
        return place


def pose_of(xyz: Sequence[float], rpy: Sequence[float]) -> Pose:
    """From a place in m and angles in rad about the fixed x, then y, then z, as URDF and SDF have them."""
    return Pose(matrix_from_angles(rpy), np.array(xyz, dtype=float))


def matrix_from_angles(rpy: Sequence[float]) -> Array:
    """The rotation (3, 3) by roll about the fixed x, then pitch about y, then yaw about z, in rad."""
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(angle), math.sin(angle)) for angle in rpy)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )
