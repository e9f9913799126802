"""How a step is cut: in multiples of the shortest delay, short at first, and short again where it becomes slow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.brain.slices import Slices

MS = 1_000_000


def pieces(slices, dt_ns, shortest_ns, ns_per_ns):
    """The pieces of one step in which NEST needs `ns_per_ns` of wall time for each nanosecond."""
    left, found = dt_ns, []
    while left:
        piece = slices.next(left, shortest_ns)
        slices.learn(piece, int(piece * ns_per_ns))
        found.append(piece)
        left -= piece
    return found


def test_the_first_piece_is_the_shortest_and_they_grow():
    assert pieces(Slices(), 20 * MS, MS, 1.0) == [MS, 4 * MS, 15 * MS]


def test_a_step_that_is_fast_enough_is_one_piece_from_then_on():
    slices = Slices()
    pieces(slices, 20 * MS, MS, 1.0)
    assert pieces(slices, 20 * MS, MS, 1.0) == [20 * MS]


def test_what_explodes_is_cut_to_the_shortest():
    slices = Slices()
    for _ in range(5):
        pieces(slices, 100 * MS, MS, 1.0)
    assert pieces(slices, 1000 * MS, MS, 100_000.0)[-1] == MS


@given(st.integers(1, 30), st.integers(1, 200), st.floats(0.01, 1e5))
def test_pieces_are_multiples_of_the_shortest_and_make_up_the_step(shortest, count, slowness):
    slices = Slices()
    for _ in range(3):
        found = pieces(slices, shortest * MS * count, shortest * MS, slowness)
        assert sum(found) == shortest * MS * count
        assert all(piece > 0 and piece % (shortest * MS) == 0 for piece in found)


@pytest.mark.parametrize("slowness", [0.5, 20.0, 3000.0])
def test_a_piece_takes_no_longer_than_a_fifth_of_a_second_if_it_can_be_cut_so_short(slowness):
    slices = Slices()
    for _ in range(4):
        found = pieces(slices, 200 * MS, MS // 10, slowness)
    assert all(piece * slowness <= 200 * MS or piece == MS // 10 for piece in found)
