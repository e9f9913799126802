"""Two hosts on one machine: a network namespace and a host name each, joined by a cable. Takes root.

They share the file system, and nothing leads out of them.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What ssh would do for mpiexec: go to a host, and run there what is left of the words.
_REMOTE = """\
#!/bin/sh
while true; do case $1 in -l|-p|-o) shift 2 ;; -*) shift ;; *) break ;; esac; done
host=$1; shift
exec {enter} "$host" sh -c "$*"
"""
# ... and what being there means.
_ENTER = """\
#!/bin/sh
host=$1; shift
exec nsenter --net=/run/netns/$host unshare --uts --mount sh -c \
    'hostname "$1" && mount --bind {names} /etc/hosts && shift && exec "$@"' sh "$host" "$@"
"""


@dataclass(frozen=True)
class Hosts:
    """`names` of the hosts; `enter` is a command that takes one of them and what to run there."""

    names: tuple[str, str]
    enter: Path
    remote: Path
    hostfile: Path

    def mpi_arguments(self) -> str:
        """For mpiexec. Both hosts have the same cores, and pinning would put all ranks on the first of them."""
        return f"--mca plm_rsh_agent {self.remote} --bind-to none"


@contextlib.contextmanager
def two_hosts(folder: Path) -> Iterator[Hosts]:
    """Hosts that live as long as the block; their files lie in `folder`."""
    names = tuple(f"reaf{os.getpid()}{letter}" for letter in "ab")
    addresses = ("10.98.7.1", "10.98.7.2")
    (folder / "names").write_text(
        "127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for a, n in zip(addresses, names, strict=True))
    )
    enter = _script(folder / "enter", _ENTER.format(names=folder / "names"))
    remote = _script(folder / "remote", _REMOTE.format(enter=enter))
    hostfile = folder / "hostfile"
    hostfile.write_text("".join(f"{name} slots=1\n" for name in names))
    first, second = names
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("link", "add", "cable0", "netns", first, "type", "veth", "peer", "name", "cable0", "netns", second)
        for name, address in zip(names, addresses, strict=True):
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "cable0")
            _ip("-n", name, "link", "set", "cable0", "up")
        yield Hosts((first, second), enter, remote, hostfile)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
