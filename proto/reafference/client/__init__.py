"""The client: script a server (`connect`, `local`), or watch (`Monitor`) and steer (`Operator`) one run on its wires.

    import reafference.client

    with reafference.client.connect("http://127.0.0.1:8080") as session:
        with session.launch(session.clone("mouse_reach")) as sim:
            sim.run(for_s=1.0)
            print(sim.csv("body/tip")["position_y_m"][-1])

`Monitor` and `Operator` speak the wire that PROTOCOL.md describes and can be used from any process that reaches its
addresses; the rest asks `reaf serve` over HTTP, as services/gateway/API.md says, and needs the extra "client".
"""

import os
import ssl
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tls import from_environment
from .monitor import Monitor
from .operator import Operator
from .refusals import (
    Busy,
    Changed,
    Conflict,
    Failed,
    Flawed,
    Forbidden,
    Invalid,
    Late,
    NotFound,
    ServerError,
    TooLarge,
    Unauthorized,
    Unreachable,
)
from .resources import Experiment, Limit, Recording, Status, TransferFunction

if TYPE_CHECKING:
    from .jobs import Job
    from .live import Sample
    from .session import Session
    from .simulation import Simulation
    from .standalone import StandaloneBrain

DEFAULT_URL = "http://127.0.0.1:8080"

_LATER = {
    "Job": "jobs",
    "Sample": "live",
    "Session": "session",
    "Simulation": "simulation",
    "StandaloneBrain": "standalone",
}


def connect(
    url: str = DEFAULT_URL, token: str | None = None, *, remember: bool = False, tls: ssl.SSLContext | None = None
) -> "Session":
    """A session with the server at `url`.

    The token is the one given, else that in REAF_TOKEN, else that in ~/.config/reafference/token; `remember` keeps it
    there. For `https://` the certificate is checked with `tls`, else with those in the file REAF_CERTIFICATE names,
    else with the usual authorities. Raises Unreachable where nobody answers, Unauthorized where the token is not
    accepted.
    """
    from . import tokens

    found = tokens.find(os.environ) if token is None else token
    session = _session(url, found, tls=tls or from_environment(os.environ))
    if remember and found:
        tokens.remember(found, os.environ)
    return session


def local(home: Path | str | None = None, *, places: int = 1) -> "Session":
    """A session with a server of its own, on this machine until the session is closed, or the script ends.

    Experiments and recordings are kept in `home`; without it in a temporary folder, and deleted at the end. So many
    simulations as it has `places` can run at a time.
    """
    from .place import Place

    place = Place(None if home is None else Path(home), places)
    try:
        return _session(place.url, place.token, at_end=place.close)
    except BaseException:
        place.close()
        raise


def _session(
    url: str, token: str, *, at_end: Callable[[], None] | None = None, tls: ssl.SSLContext | None = None
) -> "Session":
    """One with a server that has accepted the token."""
    from .door import Door
    from .session import Session, check_address

    door = Door(check_address(url), token, tls)
    session = Session(door, at_end=at_end)
    try:
        session.me()
    except BaseException:
        door.close()
        raise
    return session


def __getattr__(name: str) -> Any:
    # What needs the libraries of the web is imported when it is asked for: a run in a terminal does without.
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "DEFAULT_URL",
    "Busy",
    "Changed",
    "Conflict",
    "Experiment",
    "Failed",
    "Flawed",
    "Forbidden",
    "Invalid",
    "Job",
    "Late",
    "Limit",
    "Monitor",
    "NotFound",
    "Operator",
    "Recording",
    "Sample",
    "ServerError",
    "Session",
    "Simulation",
    "StandaloneBrain",
    "Status",
    "TooLarge",
    "TransferFunction",
    "Unauthorized",
    "Unreachable",
    "connect",
    "local",
]
