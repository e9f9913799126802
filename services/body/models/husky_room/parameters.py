"""What an experiment may choose about the wheeled robot: `[body.parameters]`."""

import math
from dataclasses import dataclass

from reafference.plain import Misfit


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Where the robot starts (the published pose unless given), and whether it takes pictures."""

    start_position_m: tuple[float, float, float] | None = None
    start_yaw_rad: float | None = None
    camera: bool = True

    def __post_init__(self) -> None:
        numbers = [*(self.start_position_m or ()), self.start_yaw_rad or 0.0]
        if not all(math.isfinite(number) for number in numbers):
            raise Misfit("", "finite numbers for the start", repr(numbers))
