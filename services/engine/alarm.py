"""The alarm clock of code that somebody else wrote: it is cut off after a time."""

import signal
from types import FrameType


class Late(BaseException):
    """It did not come back within its time; nobody can catch this by `except Exception`."""


class Alarm:
    """Lets Late be raised after a time; it works in the main thread only."""

    def __init__(self) -> None:
        self._before = signal.signal(signal.SIGALRM, _ring)

    def ring_after(self, seconds: float) -> None:
        """0 for never. Rings again after the first time, for functions that catch every exception in a loop."""
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.05 if seconds else 0)

    def close(self) -> None:
        """Give the signal back to whoever had it before."""
        self.ring_after(0)
        signal.signal(signal.SIGALRM, self._before)


def _ring(number: int, frame: FrameType | None) -> None:
    raise Late
