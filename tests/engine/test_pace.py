"""services.engine.pace: not faster than the wall clock."""

from services.engine.pace import Pace


def test_without_a_pace_nothing_waits():
    pace = Pace(0)
    assert not pace.hold(5)
    assert not pace.due(10)


def test_each_step_waits_until_its_time():
    pace = Pace(100)
    assert not pace.hold(1000)  # the first step sets the schedule
    assert pace.hold(1030)
    assert pace.until_ns == 1100
    assert not pace.due(1099)
    assert pace.due(1100)
    assert pace.release(1104) == 74
    assert not pace.holding
    assert pace.hold(1110)
    assert pace.until_ns == 1200  # the schedule does not drift with the late release
    assert pace.overruns == 0


def test_a_step_that_takes_too_long_is_counted_and_moves_the_schedule():
    pace = Pace(100)
    pace.hold(1000)
    assert not pace.hold(1250)
    assert pace.overruns == 1
    assert pace.hold(1260)
    assert pace.until_ns == 1350  # what was lost is not made up for in a rush


def test_a_step_that_takes_exactly_its_time_is_no_overrun():
    pace = Pace(100)
    pace.hold(1000)
    assert not pace.hold(1100)
    assert pace.overruns == 0


def test_a_pause_is_not_an_overrun():
    pace = Pace(100)
    pace.hold(1000)
    pace.hold(1050)
    pace.release(1100)
    pace.restart()
    assert not pace.hold(9000)
    assert pace.overruns == 0
    assert pace.hold(9010)


def test_an_end_ends_the_wait_too():
    pace = Pace(100)
    pace.hold(1000)
    assert pace.hold(1050)
    pace.restart()
    assert not pace.holding
    assert not pace.due(99_999)
