"""A camera in a PyBullet world: pictures by its software renderer, no more often than it can."""

import math
from collections.abc import Sequence

import numpy as np
import pybullet

from reafference.clock import NS_PER_S
from reafference.frames import Array

# Mostly ambient light: faces of one box can be told apart, and a pure colour stays pure.
AMBIENT, DIFFUSE = 0.8, 0.25


class Camera:
    """Pictures as arrays (height, width, 3) of uint8: red, green, blue, from the top left."""

    def __init__(
        self,
        client: int,
        *,
        width_px: int,
        height_px: int,
        horizontal_field_rad: float,
        near_m: float,
        far_m: float,
        rate_hz: float,
    ) -> None:
        self._client = client
        self._size = width_px, height_px
        vertical = 2 * math.atan(math.tan(0.5 * horizontal_field_rad) * height_px / width_px)
        self._projection = pybullet.computeProjectionMatrixFOV(
            math.degrees(vertical), width_px / height_px, near_m, far_m
        )
        self._period_ns = math.ceil(NS_PER_S / rate_hz)
        self._taken_ns = 0

    def is_due(self, t_ns: int) -> bool:
        """Whether the last picture is old enough."""
        return t_ns - self._taken_ns >= self._period_ns

    def take(self, t_ns: int, eye_m: Array, forward: Array, up: Sequence[float] | Array) -> Array:
        """What is seen at time `t_ns` from `eye_m` (3,) along `forward` (3,)."""
        self._taken_ns = t_ns
        view = pybullet.computeViewMatrix(list(eye_m), list(eye_m + forward), list(up))
        width, height = self._size
        picture = pybullet.getCameraImage(
            width,
            height,
            view,
            self._projection,
            lightDirection=[2.0, 3.0, 5.0],
            lightAmbientCoeff=AMBIENT,
            lightDiffuseCoeff=DIFFUSE,
            lightSpecularCoeff=0.0,
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self._client,
        )
        rgba = np.asarray(picture[2], dtype=np.uint8).reshape(height, width, 4)
        return np.ascontiguousarray(rgba[:, :, :3])
