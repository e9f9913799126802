"""What comes in with a step."""

import numpy as np

from reafference.errors import SimulatorFailed
from reafference.frames import Array, Step


def finite(name: str, step: Step) -> Array:
    """The input `name` of a step. Raises SimulatorFailed where a value is not a finite number."""
    value = step.inputs[name]
    if not np.isfinite(value).all():
        raise SimulatorFailed(
            f"body.{name} is {value.tolist()} in step {step.number}, but must be finite: check what writes to it"
        )
    return value
