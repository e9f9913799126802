import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from services.body.rotation import matrix_from_quaternion, quaternion_from_matrix, roll_pitch_yaw

quaternions = st.tuples(*[st.floats(-1, 1)] * 4)


def about(axis: int, angle: float) -> np.ndarray:
    """The matrix of a turn about one coordinate axis, from its definition."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn = np.eye(3)
    turn[a, a] = turn[b, b] = np.cos(angle)
    turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
    return turn


@given(quaternions)
def test_matrices_turn_and_do_not_stretch(q):
    assume(np.linalg.norm(q) > 1e-3)
    m = matrix_from_quaternion(q)
    np.testing.assert_allclose(m @ m.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(m) > 0


@given(quaternions)
def test_a_quaternion_comes_back_from_its_matrix(q):
    assume(np.linalg.norm(q) > 1e-3)
    unit = np.array(q) / np.linalg.norm(q)
    back = quaternion_from_matrix(matrix_from_quaternion(q))
    assert back[0] >= 0
    assert abs(abs(back @ unit) - 1) < 1e-9


@given(quaternions)
def test_roll_pitch_and_yaw_build_the_matrix_again(q):
    assume(np.linalg.norm(q) > 1e-3)
    m = matrix_from_quaternion(q)
    roll, pitch, yaw = roll_pitch_yaw(m)
    np.testing.assert_allclose(about(2, yaw) @ about(1, pitch) @ about(0, roll), m, atol=1e-6)


def test_a_quarter_turn_about_z_takes_x_to_y():
    m = matrix_from_quaternion((np.sqrt(0.5), 0, 0, np.sqrt(0.5)))
    np.testing.assert_allclose(m @ [1, 0, 0], [0, 1, 0], atol=1e-15)
