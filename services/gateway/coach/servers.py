"""Servers, as published clients of the Virtual Coach know them: each place for a simulation is one of its own.

So a socket that is opened for a server follows the simulation in that place, and no other. The first place has the name
that a local server had in the published platform.
"""

from ..problems import not_found
from ..simulation import Simulation
from ..simulations import Simulations

_FIRST = "localhost"


def id_of(place: int) -> str:
    """The server of the place with this number, counted from 1."""
    return _FIRST if place == 1 else f"{_FIRST}-{place}"


def ids(simulations: Simulations) -> list[str]:
    """All servers."""
    return [id_of(place) for place in range(1, simulations.places + 1)]


def place_of(server: str, simulations: Simulations) -> int:
    """The number of a server's place; raises Problem 404 if there is no such server."""
    known = ids(simulations)
    if server not in known:
        raise not_found("server", server, f": there is {' and '.join(known)}")
    return known.index(server) + 1


def available(simulations: Simulations) -> list[str]:
    """The servers on which a simulation can be launched now; one that has just ended is gone in a moment."""
    taken = {one.place for one in simulations.holders() if not one.status.ended}
    return [id_of(place) for place in range(1, simulations.places + 1) if place not in taken]


def newest(simulations: Simulations, place: int | None = None) -> Simulation | None:
    """The simulation that was launched last, in this place or in any."""
    return next((one for one in simulations.all() if place in (None, one.place)), None)
