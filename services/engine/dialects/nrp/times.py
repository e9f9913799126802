"""`rospy.Time` and `rospy.Duration`: simulated time in whole seconds and nanoseconds."""

from typing import Any

_NS = 1_000_000_000


class _Stamp:
    __slots__ = ("nsecs", "secs")

    def __init__(self, secs: float = 0, nsecs: int = 0) -> None:
        total = int(nsecs) + (secs * _NS if isinstance(secs, int) else round(secs * _NS))
        self.secs, self.nsecs = divmod(total, _NS)

    @classmethod
    def from_sec(cls, seconds: float) -> Any:
        return cls(float(seconds))

    @classmethod
    def from_ns(cls, ns: int) -> Any:
        return cls(0, ns)

    def to_sec(self) -> float:
        return self.to_nsec() / _NS

    def to_nsec(self) -> int:
        return self.secs * _NS + self.nsecs

    def is_zero(self) -> bool:
        return self.to_nsec() == 0

    def __bool__(self) -> bool:
        return not self.is_zero()

    def __eq__(self, other: object) -> bool:
        return self.to_nsec() == other.to_nsec() if isinstance(other, _Stamp) else NotImplemented

    def __lt__(self, other: "_Stamp") -> bool:
        return self.to_nsec() < other.to_nsec()

    def __le__(self, other: "_Stamp") -> bool:
        return self.to_nsec() <= other.to_nsec()

    def __gt__(self, other: "_Stamp") -> bool:
        return self.to_nsec() > other.to_nsec()

    def __ge__(self, other: "_Stamp") -> bool:
        return self.to_nsec() >= other.to_nsec()

    def __hash__(self) -> int:
        return hash(self.to_nsec())

    def __repr__(self) -> str:
        return f"rospy.{type(self).__name__}[{self.to_nsec()}]"


class Duration(_Stamp):
    """A span of time."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Duration):
            return Duration(0, self.to_nsec() + other.to_nsec())
        return other + self if isinstance(other, Time) else NotImplemented

    def __sub__(self, other: "Duration") -> "Duration":
        return Duration(0, self.to_nsec() - other.to_nsec())

    def __mul__(self, factor: float) -> "Duration":
        return Duration(0, round(self.to_nsec() * factor))

    __rmul__ = __mul__

    def __neg__(self) -> "Duration":
        return Duration(0, -self.to_nsec())


class Time(_Stamp):
    """A moment of simulated time."""

    __slots__ = ()

    def __add__(self, other: Duration) -> "Time":
        return Time(0, self.to_nsec() + other.to_nsec()) if isinstance(other, Duration) else NotImplemented

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, Time):
            return Duration(0, self.to_nsec() - other.to_nsec())
        return Time(0, self.to_nsec() - other.to_nsec()) if isinstance(other, Duration) else NotImplemented
