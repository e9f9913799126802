"""Reference data, plans and steps for the tests of the body."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reafference.frames import Array, Plan, Step
from services.body.models.mouse_forelimb.description import load
from services.body.muscles import MuscleParameters

REFERENCE = Path(__file__).parent / "reference"
STEP_NS = 20_000_000


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Any]:
    """Read a reference file by name: a structured array with one field per column."""

    def read(name: str) -> Any:
        return np.genfromtxt(REFERENCE / f"{name}.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")

    return read


@pytest.fixture(scope="session")
def muscles_by_name() -> Mapping[str, MuscleParameters]:
    """The parameters of the forelimb's muscles."""
    return {muscle.name: muscle.parameters() for muscle in load().muscle}


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., Plan]:
    """A plan of 20 ms steps for a table [body]."""

    def make(**settings: Any) -> Plan:
        return Plan(run="r1", name="body", seed=1, dt_ns=STEP_NS, folder=".", settings=settings)

    return make


@pytest.fixture(scope="session")
def make_step() -> Callable[..., Step]:
    """Step `number` of 20 ms with the given inputs."""

    def make(number: int, **inputs: Array) -> Step:
        return Step(number=number, t_ns=number * STEP_NS, dt_ns=STEP_NS, inputs=inputs)

    return make


@pytest.fixture(scope="session")
def script() -> Callable[[float], Array]:
    """The scripted excitations of the reference runs, (8,) at a time in seconds."""
    base = np.array([0.5, 0.9, 0.2, 0.4, 0.6, 0.8, 0.2, 0.6])
    driven = [1, 4, 6]

    def excitation(t_s: float) -> Array:
        values = base.copy()
        if t_s >= 0.1:
            values[0] = 0.2
            values[driven] = 1.0 if 0.5 <= t_s < 1.0 else 0.01
        return values

    return excitation
