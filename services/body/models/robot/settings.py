"""What an experiment says of a robot that it brings along: `[body]` with `model = "robot"`."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reafference.plain import Misfit

from ...rotation import matrix_from_quaternion
from ...settings import BodySettings
from .pose import Pose, matrix_from_angles

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RobotSettings(BodySettings):
    """`file` is the robot's SDF or URDF, `environment` an SDF world of things that stand still; both relative to the
    experiment's folder. `name` takes the place of the model's own, in topics too. `base` is "fixed" or "free"; without
    it the file decides. `position_m` and `yaw_rad`, or `orientation` (w, x, y, z), put the model elsewhere than its
    file does. `gravity` is in m/s2.
    """

    file: str
    name: str = ""
    environment: str = ""
    base: Literal["", "fixed", "free"] = ""
    position_m: Vector | None = None
    yaw_rad: float | None = None
    orientation: tuple[float, float, float, float] | None = None
    gravity: Vector | None = None

    def __post_init__(self) -> None:
        numbers = [*(self.position_m or ()), self.yaw_rad or 0.0, *(self.orientation or ()), *(self.gravity or ())]
        if not all(math.isfinite(number) for number in numbers):
            raise Misfit("", "finite numbers for pose and gravity", repr(numbers))
        if self.orientation is not None and (self.yaw_rad is not None or not any(self.orientation)):
            raise Misfit("orientation", "a quaternion w, x, y, z, and no yaw_rad beside it", repr(self.orientation))
        if self.parameters:
            raise Misfit("parameters", "nothing: a robot has none", ", ".join(map(repr, self.parameters)))

    def pose(self, of_file: Pose) -> Pose:
        """Where the robot begins, if its file puts it at `of_file`."""
        place = of_file.position if self.position_m is None else np.array(self.position_m)
        if self.orientation is not None:
            return Pose(matrix_from_quaternion(self.orientation), place)
        if self.yaw_rad is not None:
            return Pose(matrix_from_angles((0.0, 0.0, self.yaw_rad)), place)
        return Pose(of_file.rotation, place)
