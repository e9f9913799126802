"""reafference.clock: integer nanoseconds and deadlines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reafference.clock import NS_PER_MS, Deadline, ns_from_ms, steps_per
from reafference.testing import HandClock


@pytest.fixture
def clock(monkeypatch):
    hands = HandClock()
    monkeypatch.setattr("reafference.clock.time", hands)
    return hands


@pytest.mark.parametrize(
    ("milliseconds", "ns"), [(20, 20_000_000), (0.1, 100_000), ("0.000001", 1), (1e-6, 1), (0, 0), (-1.5, -1_500_000)]
)
def test_a_time_in_milliseconds_becomes_whole_nanoseconds(milliseconds, ns):
    assert ns_from_ms(milliseconds) == ns


@given(st.integers(-(10**15), 10**15))
def test_every_whole_number_of_nanoseconds_survives_the_way_through_text(ns):
    assert ns_from_ms(f"{ns / NS_PER_MS:.6f}") == pytest.approx(ns, rel=1e-15)
    assert ns_from_ms(f"{ns // NS_PER_MS}.{ns % NS_PER_MS:06d}" if ns >= 0 else "0") == max(ns, 0)


@pytest.mark.parametrize("milliseconds", [1e-7, 0.0000005, float("nan"), float("inf"), "soon", True, [20]])
def test_what_is_no_whole_number_of_nanoseconds_is_refused(milliseconds):
    with pytest.raises(ValueError, match="not a"):
        ns_from_ms(milliseconds)


def test_inner_steps_are_counted():
    assert steps_per(20_000_000, 1_000_000) == 20
    assert steps_per(5, 5) == 1


@pytest.mark.parametrize(("outer", "inner"), [(20, 3), (3, 20), (0, 1), (20, 0), (20, -1), (-20, 1)])
def test_steps_that_do_not_divide_are_refused(outer, inner):
    with pytest.raises(ValueError, match="is not a multiple of"):
        steps_per(outer, inner)


def test_a_deadline_counts_down_and_stays_at_zero(clock):
    deadline = Deadline.after_s(0.5)
    assert deadline.left_ms() == 500
    clock.advance_s(0.4996)
    assert deadline.left_ms() == 1  # rounded up, so that a wait of 0 means that it is over
    assert not deadline.passed()
    clock.advance_s(0.0004)
    assert deadline.passed()
    clock.advance_s(10)
    assert deadline.left_ms() == 0


def test_the_sooner_of_two_deadlines(clock):
    first, second = Deadline.after_s(1), Deadline.after_s(2)
    assert first.sooner(second) is first
    assert second.sooner(first) is first
