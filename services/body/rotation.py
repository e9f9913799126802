"""Rotations: unit quaternions (w, x, y, z), matrices (3, 3) that act on column vectors, and URDF's angles."""

from collections.abc import Sequence

import numpy as np

from reafference.frames import Array


def matrix_from_quaternion(quaternion: Sequence[float]) -> Array:
    """The matrix of a quaternion (w, x, y, z), which is brought to unit length first."""
    w, x, y, z = np.asarray(quaternion, dtype=float) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(matrix: Array) -> Array:
    """The quaternion (w, x, y, z) of a rotation matrix, with w >= 0."""
    m = matrix
    # Four ways to write it; the one with the largest divisor loses no digits.
    squares = np.array(
        [
            1 + m[0, 0] + m[1, 1] + m[2, 2],
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
        ]
    )
    best = int(np.argmax(squares))
    wx, wy, wz = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    xy, xz, yz = m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1]
    rows = (
        (squares[0], wx, wy, wz),
        (wx, squares[1], xy, xz),
        (wy, xy, squares[2], yz),
        (wz, xz, yz, squares[3]),
    )
    quaternion: Array = np.array(rows[best]) / (2 * np.sqrt(squares[best]))
    return -quaternion if quaternion[0] < 0 else quaternion


def roll_pitch_yaw(matrix: Array) -> Array:
    """The angles (3,) of URDF's `rpy`: about fixed x, then y, then z."""
    m = matrix
    across = np.hypot(m[0, 0], m[1, 0])
    pitch = np.arctan2(-m[2, 0], across)
    if across < 1e-8:
        # Pitched straight up or down, roll and yaw turn about the same line: let roll do it all.
        return np.array([np.arctan2(-m[1, 2], m[1, 1]), pitch, 0.0])
    return np.array([np.arctan2(m[2, 1], m[2, 2]), pitch, np.arctan2(m[1, 0], m[0, 0])])
