"""`tf.transformations`: turns as quaternions x y z w, as angles about fixed axes x, y, z, and as 4 x 4 matrices."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_AXES = "sxyz"


def _only_fixed(axes: str) -> None:
    if axes != _AXES:
        raise NotImplementedError(f"angles are about fixed axes, axes='sxyz': {axes!r} is not to be had")


def quaternion_from_euler(ai: float, aj: float, ak: float, axes: str = _AXES) -> Array:
    """From roll, pitch and yaw in rad."""
    _only_fixed(axes)
    (ci, si), (cj, sj), (ck, sk) = ((math.cos(a / 2), math.sin(a / 2)) for a in (ai, aj, ak))
    return np.array(
        [
            si * cj * ck - ci * sj * sk,
            ci * sj * ck + si * cj * sk,
            ci * cj * sk - si * sj * ck,
            ci * cj * ck + si * sj * sk,
        ]
    )


def euler_from_quaternion(quaternion: Any, axes: str = _AXES) -> tuple[float, float, float]:
    """Roll, pitch and yaw in rad."""
    return euler_from_matrix(quaternion_matrix(quaternion), axes)


def euler_from_matrix(matrix: Any, axes: str = _AXES) -> tuple[float, float, float]:
    """Roll, pitch and yaw in rad."""
    _only_fixed(axes)
    m = np.asarray(matrix, float)
    cosine = math.hypot(m[0, 0], m[1, 0])
    if cosine > 1e-12:
        return math.atan2(m[2, 1], m[2, 2]), math.atan2(-m[2, 0], cosine), math.atan2(m[1, 0], m[0, 0])
    return math.atan2(-m[1, 2], m[1, 1]), math.atan2(-m[2, 0], cosine), 0.0


def euler_matrix(ai: float, aj: float, ak: float, axes: str = _AXES) -> Array:
    """A turn by roll, pitch and yaw."""
    return quaternion_matrix(quaternion_from_euler(ai, aj, ak, axes))


def quaternion_matrix(quaternion: Any) -> Array:
    """A turn."""
    x, y, z, w = np.asarray(quaternion, float) / np.linalg.norm(np.asarray(quaternion, float))
    matrix = np.identity(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return matrix


def quaternion_from_matrix(matrix: Any) -> Array:
    """The quaternion of a turn, w not negative."""
    m = np.asarray(matrix, float)[:3, :3]
    # The matrix whose largest eigenvector it is (Bar-Itzhack): no case where it divides by something small.
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    vector: Array = np.linalg.eigh(k / 3.0)[1][:, -1]
    return -vector if vector[3] < 0 else vector


def quaternion_about_axis(angle: float, axis: Any) -> Array:
    """A turn by an angle in rad about an axis."""
    direction = np.asarray(axis, float)
    return np.array([*(math.sin(angle / 2) * direction / np.linalg.norm(direction)), math.cos(angle / 2)])


def quaternion_multiply(quaternion1: Any, quaternion0: Any) -> Array:
    """First the second turn, then the first."""
    x0, y0, z0, w0 = quaternion0
    x1, y1, z1, w1 = quaternion1
    return np.array(
        [
            w1 * x0 + x1 * w0 + y1 * z0 - z1 * y0,
            w1 * y0 - x1 * z0 + y1 * w0 + z1 * x0,
            w1 * z0 + x1 * y0 - y1 * x0 + z1 * w0,
            w1 * w0 - x1 * x0 - y1 * y0 - z1 * z0,
        ]
    )


def quaternion_conjugate(quaternion: Any) -> Array:
    """The turn back, of a quaternion of length 1."""
    return np.asarray(quaternion, float) * [-1.0, -1.0, -1.0, 1.0]


def quaternion_inverse(quaternion: Any) -> Array:
    """The turn back."""
    back: Array = quaternion_conjugate(quaternion) / np.dot(quaternion, quaternion)
    return back


def translation_matrix(direction: Any) -> Array:
    """A shift."""
    matrix = np.identity(4)
    matrix[:3, 3] = direction
    return matrix


def translation_from_matrix(matrix: Any) -> Array:
    """The shift in a matrix."""
    return np.array(np.asarray(matrix, float)[:3, 3])


def names() -> dict[str, Any]:
    """All of the above by name."""
    return {
        function.__name__: function
        for function in (
            quaternion_from_euler,
            euler_from_quaternion,
            euler_from_matrix,
            euler_matrix,
            quaternion_matrix,
            quaternion_from_matrix,
            quaternion_about_axis,
            quaternion_multiply,
            quaternion_conjugate,
            quaternion_inverse,
            translation_matrix,
            translation_from_matrix,
        )
    }
