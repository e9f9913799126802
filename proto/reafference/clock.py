"""Simulated time in integer nanoseconds, and wall-clock deadlines.

Floats are made at the door of a simulator that wants them, nowhere else.
"""

import time
from dataclasses import dataclass
from decimal import Decimal

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


def ns_from_ms(milliseconds: float | int | str | Decimal) -> int:
    """Nanoseconds of a time in milliseconds as a person writes it.

    Raises ValueError when the time is not a whole number of nanoseconds.
    """
    # Through the decimal text, because 0.1 as a float is not a tenth.
    try:
        exact = Decimal(str(milliseconds)) * NS_PER_MS
    except ArithmeticError:
        raise ValueError(f"{milliseconds!r} is not a time in milliseconds") from None
    if not exact.is_finite() or exact != exact.to_integral_value():
        raise ValueError(f"{milliseconds} ms is not a whole number of nanoseconds")
    return int(exact)


def steps_per(outer_ns: int, inner_ns: int) -> int:
    """How many inner steps make one outer step.

    Raises ValueError unless the inner step divides the outer one.
    """
    if inner_ns <= 0 or outer_ns <= 0 or outer_ns % inner_ns:
        raise ValueError(f"{outer_ns / NS_PER_MS:g} ms is not a multiple of {inner_ns / NS_PER_MS:g} ms")
    return outer_ns // inner_ns


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment by which a whole chain of waits must be over; handed down instead of time-outs."""

    at_ns: int

    @classmethod
    def after_s(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic_ns() + int(seconds * NS_PER_S))

    def left_ms(self) -> int:
        """Milliseconds left, rounded up, 0 once it is over."""
        return max(0, -(-(self.at_ns - time.monotonic_ns()) // NS_PER_MS))

    def passed(self) -> bool:
        return time.monotonic_ns() >= self.at_ns

    def sooner(self, other: "Deadline") -> "Deadline":
        return self if self.at_ns <= other.at_ns else other
