import numpy as np

from services.body.models.robot.drives import IDLE, Choice

NAN = np.nan


def take(choice, position=NAN, velocity=NAN, effort=NAN):
    return bool(choice.take(np.array([[position], [velocity], [effort]]))[0])


def test_a_joint_is_idle_until_something_is_written():
    choice = Choice(1)
    assert not take(choice)
    assert choice.kind[0] == IDLE


def test_the_kind_that_is_written_anew_drives():
    choice = Choice(1)
    assert take(choice, velocity=1.0)
    assert (choice.kind[0], choice.target[0]) == (1, 1.0)
    assert take(choice, position=0.5, velocity=1.0)
    assert (choice.kind[0], choice.target[0]) == (0, 0.5)
    assert not take(choice, position=0.5, velocity=1.0)
    assert take(choice, position=0.5, velocity=2.0)
    assert (choice.kind[0], choice.target[0]) == (1, 2.0)


def test_of_two_that_are_written_at_once_the_position_drives():
    choice = Choice(1)
    take(choice, position=0.1, velocity=1.0, effort=3.0)
    assert (choice.kind[0], choice.target[0]) == (0, 0.1)


def test_joints_are_driven_apart():
    choice = Choice(2)
    choice.take(np.array([[1.0, NAN], [NAN, NAN], [NAN, -2.0]]))
    assert choice.kind.tolist() == [0, 2]
    assert choice.target.tolist() == [1.0, -2.0]
