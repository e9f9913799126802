"""What an experiment may choose about the forelimb: `[body.parameters]`."""

import math
from dataclasses import dataclass

from reafference.plain import Misfit

from .description import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """`variant`: "experiment" (the body of the large brain experiment) or "base" (wider wrist, softer stick).

    `stops`: hinges push back beyond their limits with the given stiffness and dissipation. `muscles`: off leaves
    a passive limb. `initial_activation` is that of every muscle at the start, with fibres in equilibrium.
    """

    variant: Variant = "experiment"
    stops: bool = True
    stop_stiffness: float = 1.0
    stop_dissipation: float = 1.0
    muscles: bool = True
    initial_activation: float = 0.05

    def __post_init__(self) -> None:
        for key in ("stop_stiffness", "stop_dissipation"):
            value = getattr(self, key)
            if not (value >= 0 and math.isfinite(value)):
                raise Misfit(key, "a number from 0", repr(value))
        if not 0 <= self.initial_activation <= 1:
            raise Misfit("initial_activation", "a number from 0 to 1", repr(self.initial_activation))
