"""The body of a simulation, seen from a script."""

from collections.abc import Mapping, Sequence
from typing import Any

from .door import Door, loaded
from .resources import Scene


class Body:
    """Push it, load its joints, look at what it is made of. Where it is comes with the stream `body/links`."""

    def __init__(self, door: Door, simulation: str) -> None:
        self._door, self._path = door, ("simulations", simulation)

    def scene(self) -> Scene:
        """Links, muscles, joints and room; which links can be pushed, and which joints loaded."""
        return loaded(Scene, self._door.get(*self._path, "body"))

    def push(
        self, link: str, force_N: Sequence[float], *, duration_s: float, at_m: Sequence[float] | None = None
    ) -> None:
        """Push a link by a force in world axes for a time, at a point in link axes or else at its centre of mass."""
        body: dict[str, Any] = {"link": link, "force_N": _numbers(force_N), "duration_s": duration_s}
        if at_m is not None:
            body["at_m"] = _numbers(at_m)
        self._door.post(*self._path, "body", "push", body=body)

    def load(self, torque_Nm: Mapping[str, float]) -> None:
        """A constant torque on joints, by name, until it is set again; 0 takes it away."""
        self._door.put(*self._path, "body", "load", body=dict(torque_Nm))

    def reset(self) -> None:
        """Put the robot back to its first pose; the clock and the brain go on, and the simulation is paused."""
        self._door.post(*self._path, "reset", body={"what": "body"}, patience_s=3600.0)

    def reset_world(self) -> None:
        """Put the objects around the robot back; the simulation is paused."""
        self._door.post(*self._path, "reset", body={"what": "world"}, patience_s=3600.0)


def _numbers(values: Sequence[float]) -> list[float]:
    return [float(value) for value in values]
