"""Stretches of a run that published clients mark with start and stop."""

from services.gateway.coach.recorder import Mark, begun, ended


def test_a_stretch_begins_and_ends():
    assert ended(begun([], 10), 30) == [Mark(10, 30)]
    assert ended(begun([Mark(10, 30)], 40), 50) == [Mark(10, 30), Mark(40, 50)]


def test_what_is_so_already_stays():
    going_on = [Mark(10)]
    assert begun(going_on, 20) == going_on
    assert ended([Mark(10, 30)], 50) == [Mark(10, 30)]
    assert ended([], 50) == []


def test_a_stretch_without_time_is_none():
    assert ended([Mark(10, 20), Mark(30)], 30) == [Mark(10, 20)]
