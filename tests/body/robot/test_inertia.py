import numpy as np
import pytest

from services.body.models.robot.inertia import is_possible, possible, principal


def test_principal_axes_bring_the_matrix_back():
    moments, axes = principal((2.0, 3.0, 4.0, 0.1, -0.2, 0.3))
    assert np.linalg.det(axes) == pytest.approx(1.0)
    np.testing.assert_allclose(
        axes @ np.diag(moments) @ axes.T, [[2, 0.1, -0.2], [0.1, 3, 0.3], [-0.2, 0.3, 4]], atol=1e-12
    )


def test_moments_of_solid_bodies_stay_as_they_are():
    moments = np.array([0.5, 1.0, 1.2])
    assert is_possible(moments)
    np.testing.assert_array_equal(possible(moments), moments)


def test_moments_of_no_solid_body_are_raised_just_enough():
    moments = np.array([3.0, 0.5, 0.1])
    assert not is_possible(moments)
    raised = possible(moments)
    assert is_possible(raised)
    assert raised[0] == 3.0
    assert raised.sum() == pytest.approx(6.0, rel=1e-3)
