"""Who is at the other end of a connection on this machine.

The published client shows no token and speaks in the open, so the kernel has to say whose process it is: a connection
over loopback stands in its table with the user who opened it.
"""

import ipaddress
import os
import struct
from pathlib import Path
from urllib.parse import unquote

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_MAPPED = b"\x00" * 10 + b"\xff\xff"


def is_ours(peer: str) -> bool:
    """Whether the process behind `peer`, as gRPC names it (`ipv4:127.0.0.1:40000`), is our own user's."""
    address = _address_of(peer)
    return address is not None and _owner(address) == os.getuid()


def _address_of(peer: str) -> tuple[bytes, int] | None:
    """The packed address (16 bytes, version 4 mapped) and port."""
    kind, _, rest = peer.partition(":")
    host, _, port = unquote(rest).rpartition(":")
    try:
        packed = ipaddress.ip_address(host.strip("[]").partition("%")[0]).packed
        return (packed if kind == "ipv6" else _MAPPED + packed), int(port)
    except ValueError:
        return None


def _owner(address: tuple[bytes, int]) -> int | None:
    """The user who has this end of a connection; None if no one has."""
    for table in _TABLES:
        try:
            rows = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if _local(fields[1]) == address:
                return int(fields[7])
    return None


def _local(field: str) -> tuple[bytes, int]:
    """An address of the kernel's table: words in the order of this machine's bytes, then the port."""
    host, _, port = field.partition(":")
    words = (int(host[at : at + 8], 16) for at in range(0, len(host), 8))
    packed = b"".join(struct.pack("=I", word) for word in words)
    return (_MAPPED + packed if len(packed) == 4 else packed), int(port, 16)
