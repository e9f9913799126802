from types import SimpleNamespace

import numpy as np
import pytest

from services.body.models.robot.inner_forces import InnerForces

DT_S = 0.001


def forces(damping=0.0, stiffness=0.0, reference=0.0):
    joint = SimpleNamespace(damping=damping, stiffness=stiffness, reference=reference)
    return InnerForces([joint], DT_S)


def moved(inner, inertia, torque, steps, speed=0.0):
    """Angle and speed of one joint after so many steps under a constant torque."""
    q, v = np.zeros(1), np.full(1, speed)
    inner.place(np.array([[1 / inertia]]))
    for _ in range(steps):
        v = v + DT_S * (inner.torques(q, v) + torque) / inertia
        q = q + DT_S * v
    return q[0], v[0]


def test_damping_slows_a_joint_as_the_formula_says():
    _, speed = moved(forces(damping=0.2), 0.1, 0.0, 1000, speed=3.0)
    assert speed == pytest.approx(3.0 * np.exp(-2.0), rel=2e-3)


@pytest.mark.parametrize("inertia", [1e-1, 1e-3, 1e-5, 1e-7])
def test_a_heavily_damped_joint_goes_at_the_speed_of_torque_by_damping(inertia):
    _, speed = moved(forces(damping=2.0), inertia, 0.5, 5000)
    assert speed == pytest.approx(0.25, rel=1e-6)


def test_a_stiff_spring_holds_a_torque_where_the_formula_says():
    q, speed = moved(forces(damping=0.1, stiffness=50.0, reference=0.2), 1e-4, 1.0, 5000)
    assert q == pytest.approx(0.2 + 1.0 / 50.0, rel=1e-6)
    assert speed == pytest.approx(0.0, abs=1e-9)
