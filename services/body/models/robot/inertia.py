"""Moments of inertia, and which of them a solid body can have."""

import numpy as np

from reafference.frames import Array

Inertia = tuple[float, float, float, float, float, float]
"""xx, yy, zz, xy, xz, yz in kg m2."""
MARGIN = 1.001


def principal(inertia: Inertia) -> tuple[Array, Array]:
    """The moments (3,) about the principal axes, and these axes as the columns of a rotation (3, 3)."""
    xx, yy, zz, xy, xz, yz = inertia
    if not (xy or xz or yz):
        return np.array([xx, yy, zz]), np.eye(3)
    moments, axes = np.linalg.eigh(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
    # A mirror image is no rotation.
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    return np.asarray(moments), np.asarray(axes)


def is_possible(moments: Array) -> bool:
    """Whether no moment is larger than the other two together, as in every solid body."""
    return bool(2 * moments.max() <= moments.sum() * MARGIN)


def possible(moments: Array) -> Array:
    """The nearest moments (3,) above these that a solid body can have; PyBullet takes no others."""
    low, middle, high = np.argsort(moments)
    lacking = max(0.0, moments[high] - moments[low] - moments[middle])
    raised: Array = moments.copy()
    raised[[low, middle]] += 0.5 * (lacking + (MARGIN - 1) * moments[high] if lacking else 0.0)
    return raised
