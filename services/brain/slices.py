"""How a step is cut into pieces for NEST, so that one that explodes can be stopped. Values in, values out.

NEST cuts a run into slices of the shortest delay, counted from the start of each Run: pieces that are multiples of
it, laid end to end from a multiple of it, give the same spikes as one piece does. So how a step is cut may follow
the wall clock; only all ranks have to cut alike, and so learn from the same times.
"""

_PIECE_NS = 200_000_000
"""How long one piece is meant to take: that long a cancelled step may go on."""

_GROWTH = 4
"""A piece is at most so many times as long as the one before it: what explodes does so faster than one learns."""


class Slices:
    """Cuts the steps of one brain."""

    def __init__(self) -> None:
        self._piece_ns = 0

    def next(self, left_ns: int, shortest_ns: int) -> int:
        """Length of the next piece of a step of which `left_ns` are left; both are multiples of `shortest_ns`."""
        return max(1, min(self._piece_ns, left_ns) // shortest_ns) * shortest_ns

    def learn(self, piece_ns: int, took_ns: int) -> None:
        """A piece has taken `took_ns` on the slowest rank."""
        fitting = piece_ns * _PIECE_NS // max(took_ns, 1)
        self._piece_ns = min(fitting, _GROWTH * max(piece_ns, self._piece_ns))
