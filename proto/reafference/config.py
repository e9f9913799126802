"""Where things are: read once from the environment at the start of a process, then a value.

What an experiment is stands in its own file and is the engine's business.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .errors import BadExperiment
from .topics import is_name

LEVELS = ("debug", "info", "warning", "error")


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
        names = ("step", "bus_in", "bus_out", "tap", "pulse_beat", "pulse_echo")
        return cls(**{name: f"ipc://{folder}/{name.replace('_', '-')}" for name in names})

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """From REAF_WIRES (a folder), each address overridden by its own variable (REAF_STEP, REAF_TAP, …).

        Raises BadExperiment when neither says where a wire is.
        """
        names = cls.__slots__
        known: dict[str, str] = {}
        if environ.get("REAF_WIRES"):
            base = cls.in_folder(Path(environ["REAF_WIRES"]))
            known = {name: getattr(base, name) for name in names}
        known |= {name: environ[_variable(name)] for name in names if environ.get(_variable(name))}
        for name in names:
            if name not in known:
                raise BadExperiment(
                    f"the address of the {name.replace('_', ' ')} wire is unknown: set {_variable(name)}, "
                    "or REAF_WIRES to a folder that holds all of them"
                )
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """What one service needs to find the others.

    `patience_s`: how long the engine may be silent before this service leaves; `join_s`: how long to wait
    for an engine at the start. `ranks`: see Hello.
    """

    name: str
    addresses: Addresses
    patience_s: float = 10.0
    join_s: float = 60.0
    parent_pid: int = 0
    insecure: bool = False
    log_level: str = "info"
    ranks: tuple[int, ...] = ()

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
        )


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
