"""Where things are: read once from the environment at the start of a process, then a value.

What an experiment is stands in its own file and is the engine's business.
"""

import contextlib
import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from .errors import BadExperiment
from .keys import KeyRing
from .topics import is_name

LEVELS = ("debug", "info", "warning", "error")
WIRES = ("step", "bus_in", "bus_out", "tap", "pulse_beat", "pulse_echo")

_LAST_PORT = 65535
_TRIES = 50
_EVERYWHERE = ("*", "0.0.0.0", "[::]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the wires of one run are bound."""

    step: str
    bus_in: str
    bus_out: str
    tap: str
    pulse_beat: str
    pulse_echo: str

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """All wires as sockets in one folder, which should be private to the user."""
        return cls(**{name: f"ipc://{folder}/{name.replace('_', '-')}" for name in WIRES})

    @classmethod
    def at(cls, address: str, variable: str = "REAF_WIRES") -> Self:
        """All wires at six consecutive ports from that of tcp://HOST:PORT on; raises BadExperiment."""
        host, port = _split(address, variable)
        if not 1 <= port <= _LAST_PORT - len(WIRES):
            raise BadExperiment(
                f"{variable} is {address!r}, but must be tcp://HOST:PORT with {len(WIRES)} ports from PORT"
            )
        return cls(**{name: f"tcp://{host}:{port + place}" for place, name in enumerate(WIRES)})

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """From REAF_WIRES (a folder, or tcp://HOST:PORT), each address overridden by its own variable (REAF_STEP, …).

        Raises BadExperiment when neither says where a wire is.
        """
        names = WIRES
        known: dict[str, str] = {}
        if where := environ.get("REAF_WIRES"):
            base = cls.at(where) if where.startswith("tcp://") else cls.in_folder(Path(where))
            known = {name: getattr(base, name) for name in names}
        known |= {name: environ[_variable(name)] for name in names if environ.get(_variable(name))}
        for name in names:
            if name not in known:
                raise BadExperiment(
                    f"the address of the {name.replace('_', ' ')} wire is unknown: set {_variable(name)}, "
                    "or REAF_WIRES to a folder that holds all of them (or to tcp://HOST:PORT of the engine's doors)"
                )
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """What one service needs to find the others.

    `patience_s`: how long the engine may be silent before this service leaves; `join_s`: how long to wait
    for an engine at the start. `ranks`: see Hello. `doors`: where the wires are for other machines, of those that this
    service binds. `keys`: the folder of its keys, see keys.py.
    """

    name: str
    addresses: Addresses
    patience_s: float = 10.0
    join_s: float = 60.0
    parent_pid: int = 0
    insecure: bool = False
    log_level: str = "info"
    ranks: tuple[int, ...] = ()
    doors: Addresses | None = None
    keys: Path | None = None

    @classmethod
    def load(cls, name: str, environ: Mapping[str, str]) -> Self:
        """Raises BadExperiment naming the variable that cannot be read."""
        return cls(
            name=_own_name(environ, name),
            addresses=Addresses.load(environ),
            patience_s=_number(environ, "REAF_PATIENCE_S", 10.0),
            join_s=_number(environ, "REAF_JOIN_S", 60.0),
            parent_pid=int(_number(environ, "REAF_PARENT_PID", 0)),
            insecure=environ.get("REAF_INSECURE", "") in ("1", "true", "yes"),
            log_level=_log_level(environ),
            doors=_doors(environ),
            keys=Path(environ["REAF_KEYS"]) if environ.get("REAF_KEYS") else None,
        )

    def ring(self, name: str = "") -> KeyRing | None:
        """The keys that we use under our name, or under that of one of our ranks; None if there are none.

        Raises NoKeys if there should be, and others could read them.
        """
        return None if self.keys is None else KeyRing(self.keys, name or self.name)


def pick_doors(doors: str) -> str:
    """`doors` with an IP address and a port: where none is given (tcp://HOST), one from which on six are free now.

    Raises BadExperiment where HOST is no address of this machine that others can reach.
    """
    host, port = _split(doors, "REAF_DOORS")
    host = _of_this_machine(host)
    if port:
        return f"tcp://{host}:{port}"
    for _ in range(_TRIES):
        if first := _free_row(host):
            return f"tcp://{host}:{first}"
    raise BadExperiment(f"there are no {len(WIRES)} free ports in a row at {host}: give REAF_DOORS a port")


def _free_row(host: str) -> int:
    """The first of six ports in a row that are free, or 0 if the system's proposal has none behind it."""
    with contextlib.ExitStack() as held:
        first = 0
        for place in range(len(WIRES)):
            try:
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                bound = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
                bound.bind((host.strip("[]"), first + place if first else 0))
            except OSError as error:
                if not first:
                    why = error.strerror or str(error)
                    raise BadExperiment(f"REAF_DOORS: {host} cannot be used on this machine: {why}") from None
                return 0
            except OverflowError:
                return 0
            first = first or int(bound.getsockname()[1])
    return first


def _doors(environ: Mapping[str, str]) -> Addresses | None:
    text = environ.get("REAF_DOORS", "")
    if not text:
        return None
    host, port = _split(text, "REAF_DOORS")
    if not port:
        raise BadExperiment(f"REAF_DOORS is {text!r}, but a service needs the port too: tcp://HOST:PORT")
    return Addresses.at(f"tcp://{_of_this_machine(host)}:{port}", "REAF_DOORS")


def _of_this_machine(host: str) -> str:
    """The IP address behind `host`: sockets are bound to numbers."""
    meant = "name the address at which other machines reach this one"
    if host in _EVERYWHERE:
        raise BadExperiment(f"REAF_DOORS has the host {host!r}, which is every address: {meant}")
    if host.startswith("["):
        return host
    try:
        found = socket.gethostbyname(host)
    except OSError as error:
        raise BadExperiment(f"REAF_DOORS: the host {host!r} is not known here ({error.strerror}): {meant}") from None
    if found.startswith("127.") and found != host and host != "localhost":
        raise BadExperiment(f"REAF_DOORS: the host {host!r} is {found} for this machine itself: {meant}")
    return found


def _split(address: str, variable: str) -> tuple[str, int]:
    """Host and port (0 if there is none) of tcp://HOST:PORT."""
    try:
        parts = urlsplit(address)
        port = parts.port or 0
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "tcp" or not parts.hostname or parts.path:
        raise BadExperiment(f"{variable} is {address!r}, but must be tcp://HOST:PORT")
    return f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname, port


def _variable(name: str) -> str:
    return "REAF_" + name.upper()


def _own_name(environ: Mapping[str, str], default: str) -> str:
    name = environ.get("REAF_NAME", default)
    if not is_name(name):
        raise BadExperiment(f"REAF_NAME is {name!r}, but must be made of letters, digits, '_', '-' and '.'")
    return name


def _log_level(environ: Mapping[str, str]) -> str:
    level = environ.get("REAF_LOG_LEVEL", "info")
    if level not in LEVELS:
        raise BadExperiment(f"REAF_LOG_LEVEL is {level!r}, but must be {' or '.join(LEVELS)}")
    return level


def _number(environ: Mapping[str, str], variable: str, default: float) -> float:
    text = environ.get(variable, "")
    try:
        number = float(text) if text else default
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadExperiment(f"{variable} is {text!r}, but must be a number")
    return number
