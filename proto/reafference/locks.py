"""Which wires leave the machine, and what protects them then: the options of each kind of socket towards an address."""

import re
from collections.abc import Mapping
from typing import Any

import zmq

from .errors import BadExperiment, NoKeys
from .keys import KeyRing

# kind: whose key its other end, or its own, has, and what the wire is called at the door.
LOCKS: Mapping[str, tuple[str, str]] = {
    "step door": ("engine", "step"),
    "step peer": ("engine", "step"),
    "bus out": ("gateway", "bus-in"),
    "bus xsub": ("gateway", "bus-in"),
    "bus in": ("gateway", "bus-out"),
    "bus xpub": ("gateway", "bus-out"),
    "tap out": ("recorder", "tap"),
    "tap in": ("recorder", "tap"),
    "pulse beat": ("engine", "pulse"),
    "pulse door": ("engine", "pulse"),
    "pulse watch": ("engine", "pulse"),
}

# Between machines: who answers nothing for 5 s is gone, also where nobody has closed the connection.
_FAR: Mapping[int, int] = {
    zmq.HEARTBEAT_IVL: 1000,
    zmq.HEARTBEAT_TIMEOUT: 5000,
    zmq.HEARTBEAT_TTL: 5000,
    zmq.HANDSHAKE_IVL: 5000,
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 10,
    zmq.TCP_KEEPALIVE_INTVL: 5,
    zmq.TCP_KEEPALIVE_CNT: 3,
    zmq.RECONNECT_IVL: 100,
    zmq.RECONNECT_IVL_MAX: 2000,
}

# To the end: behind a semicolon the library would take a second address, of another machine perhaps.
_HOME = re.compile(r"(ipc|inproc)://|tcp://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:(\d+|\*))?\Z")


def check_address(address: str, *, insecure: bool = False) -> str:
    """`address` itself, if it needs no keys, or `insecure` says that there shall be none.

    Raises NoKeys for a tcp address that other machines can reach.
    """
    if not re.match(r"(ipc|inproc|tcp)://.", address):
        raise BadExperiment(f"{address!r} is not an address: write ipc://FILE or tcp://HOST:PORT")
    if not insecure and leaves(address):
        raise NoKeys(
            f"{address} leaves this machine and would not be encrypted: make keys (reaf keys FOLDER) and set REAF_KEYS "
            "to their folder, use ipc or a loopback address, or set REAF_INSECURE=1 on a closed bench"
        )
    return address


def leaves(address: str) -> bool:
    """Whether other machines can reach it."""
    return not _HOME.match(address)


def lock_options(kind: str, address: str, keys: KeyRing | None, *, server: bool = False) -> dict[int, Any]:
    """Options for this kind of socket before it goes to `address`: with keys, everything by tcp is encrypted.

    Raises NoKeys for a key that is not there, or if there are none and the address needs them.
    """
    if not address.startswith("tcp://"):
        return {}
    if keys is None:
        return dict(_FAR)
    if kind not in LOCKS:
        raise BadExperiment(f"the {kind} wire stays on this machine: leave {address} to REAF_DOORS, and bind it as ipc")
    owner, wire = LOCKS[kind]
    if server:
        _, secret = keys.pair(owner)
        return {**_FAR, zmq.CURVE_SERVER: 1, zmq.CURVE_SECRETKEY: secret, zmq.ZAP_DOMAIN: wire.encode()}
    public, secret = keys.pair()
    mine: dict[int, Any] = {zmq.CURVE_PUBLICKEY: public, zmq.CURVE_SECRETKEY: secret}
    return {**_FAR, **mine, zmq.CURVE_SERVERKEY: keys.public(owner)}
