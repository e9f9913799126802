"""How much memory this machine still has for a network, and how much this process holds."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_CGROUP = Path("/sys/fs/cgroup")


def free_bytes() -> int | None:
    """Memory a process can still take before the machine, or its container, runs out; None if unknown."""
    known = [n for n in (_machine_free(), _container_free()) if n is not None]
    return min(known, default=None)


def held_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@contextmanager
def limited(n_bytes: float) -> Iterator[None]:
    """While inside, this process may hold `n_bytes` of data; to take more is a MemoryError, or one of NEST's.

    Without it the system would end some process of its own choice, and say nothing to anybody.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(n_bytes) if hard == resource.RLIM_INFINITY else min(int(n_bytes), hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def in_words(n_bytes: float) -> str:
    """`3.2 GB`, or `120 MB`."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"


def _machine_free() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _container_free() -> int | None:
    """From control group version 2; file pages that can be dropped count as free."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((_CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return int(limit) - used + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return None
