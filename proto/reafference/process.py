"""What every service does about its own process: whom it dies with, how it is asked to leave, what it used."""

import ctypes
import os
import platform
import signal
import struct
import sys
import time
from types import FrameType

_PR_SET_PDEATHSIG = 1
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_SCHED_ATTR = struct.Struct("=IIQiIQQQII")
_SHORT_SLICE_NS = 100_000
_SAME_WISH_S = 0.5


def die_with(parent_pid: int, with_signal: signal.Signals = signal.SIGTERM) -> None:
    """Let the kernel send `with_signal` when the parent ends, however it ends; 0 means nobody's child.

    Call it early: a parent that is gone already ends this process at once.
    """
    if not parent_pid:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(with_signal))
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), with_signal)


def wake_promptly() -> bool:
    """Ask the scheduler for short time slices, for this thread and those it starts; whether it granted them.

    A thread that is woken may then interrupt one with longer slices. On the way from the brain to the engine and
    back six threads wake each other in turn; each could otherwise wait for milliseconds, while a core is shared,
    until a recorder or a plot has used up its slice. The share of the cores stays the same. Linux 6.12 and later
    honour it; earlier ones take the request and ignore it.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return False
    # size, policy (SCHED_OTHER), flags, nice, real-time priority, slice, deadline, period, least and most use
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = _SCHED_ATTR.pack(_SCHED_ATTR.size, 0, 0, nice, 0, _SHORT_SLICE_NS, 0, 0, 0, 0)
    return not ctypes.CDLL(None, use_errno=True).syscall(number, 0, wanted, 0)


class Leave:
    """The wish that this process end, as SIGTERM brings it: once means soon, again half a second later means now.

    What comes sooner is the same wish: when a parent with several threads is killed, the kernel may send the
    signal of `die_with` once for each of them.

    SIGINT is ignored: Ctrl-C in a terminal reaches every process of the run, and only the one the person talks to
    shall act on it.
    """

    def __init__(self) -> None:
        self.asked = False
        self._asked_at = 0.0
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked and now - self._asked_at > _SAME_WISH_S:
            os._exit(128 + number)
        self._asked_at = self._asked_at or now
        self.asked = True


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MB (10^6 bytes)."""
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return 0.0


def usable_cores() -> int:
    """Cores this process may run on, which in a container or under Slurm are fewer than the machine has."""
    return len(os.sched_getaffinity(0))
