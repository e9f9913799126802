"""What acts on a body from outside besides its inputs: pushes on links and loads on joints, set while it runs."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from reafference.clock import NS_PER_S
from reafference.frames import Array
from reafference.plain import Misfit, nearest

Vector = tuple[float, float, float]
LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOrder:
    """Push `link` with `force_N` (world axes, held while the link moves) for `duration_s` of simulated time.

    `at_m` is the point that is pushed, in link axes; the centre of mass where it is not given.
    """

    link: str
    force_N: Vector
    duration_s: float
    at_m: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOrder:
    """A constant torque on each of these joints, until it is set again; joints that are not named keep theirs."""

    torque_Nm: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What of a body can be disturbed, and how much.

    `links` has the centre of mass of every link that can be pushed, in its own axes, by name. `why_not` says why the
    other joints take no load; `fixed` are the links that stand fast. `most_m` is how far from the origin of a link
    it can be pushed.
    """

    links: Mapping[str, Vector]
    joints: tuple[str, ...]
    most_N: float
    most_Nm: float
    most_m: float
    fixed: tuple[str, ...] = ()
    why_not: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """For whoever offers pushes and loads to a person."""
        return {
            "pushable": list(self.links),
            "loadable": list(self.joints),
            "most_force_N": self.most_N,
            "most_torque_Nm": self.most_Nm,
        }


class Force(NamedTuple):
    """A force (3,) in N, in world axes, at a point (3,) in link axes; its mean over one substep."""

    link: str
    at_m: Array
    force_N: Array


@dataclass(slots=True)
class _Push:
    link: str
    at_m: Array
    force_N: Array
    left_ns: int

    def facts(self) -> dict[str, Any]:
        return {
            "link": self.link,
            "force_N": self.force_N.tolist(),
            "at_m": self.at_m.tolist(),
            "left_s": self.left_ns / NS_PER_S,
        }


class Disturbances:
    """The pushes and loads of one body. Pushes add up; each ends by itself, to the nanosecond."""

    def __init__(self, reach: Reach) -> None:
        self.reach = reach
        self._pushes: list[_Push] = []
        self.loads = dict.fromkeys(reach.joints, 0.0)

    @property
    def pushing(self) -> bool:
        """Whether any push is under way."""
        return bool(self._pushes)

    @property
    def loading(self) -> bool:
        """Whether any joint bears a load."""
        return any(self.loads.values())

    def push(self, order: PushOrder) -> int:
        """Begin with the next substep. Returns how long it lasts, in ns; raises Misfit for what cannot be done."""
        if order.link not in self.reach.links:
            raise self._not_pushable(order.link)
        force, reach = np.array(order.force_N), self.reach
        if not float(np.linalg.norm(force)) <= reach.most_N:
            raise Misfit("force_N", f"a force of at most {reach.most_N:g} N", f"{list(order.force_N)}")
        at = np.array(reach.links[order.link] if order.at_m is None else order.at_m)
        if not float(np.linalg.norm(at)) <= reach.most_m:
            raise Misfit("at_m", f"a point on the link, at most {reach.most_m:g} m from its origin", f"{order.at_m}")
        if not 0 < order.duration_s <= LONGEST_S:
            raise Misfit("duration_s", f"a time above 0 and up to {LONGEST_S:g} s", f"{order.duration_s:g}")
        lasts_ns = max(1, round(order.duration_s * NS_PER_S))
        self._pushes.append(_Push(order.link, at, force, lasts_ns))
        return lasts_ns

    def load(self, order: LoadOrder) -> None:
        """Set the loads of some joints; raises Misfit, and then none of them has changed."""
        for joint, torque_Nm in order.torque_Nm.items():
            if joint not in self.loads:
                raise self._not_loadable(joint)
            if not (math.isfinite(torque_Nm) and abs(torque_Nm) <= self.reach.most_Nm):
                raise Misfit(f"torque_Nm.{joint}", f"a torque of at most {self.reach.most_Nm:g} N m", f"{torque_Nm:g}")
        self.loads.update(order.torque_Nm)

    def clear(self) -> None:
        """Nothing acts from outside any more."""
        self._pushes.clear()
        self.loads = dict.fromkeys(self.loads, 0.0)

    def forces(self, substep_ns: int) -> Iterator[Force]:
        """Those of the next substep. A push that ends within it acts with a smaller force and its exact impulse."""
        for push in self._pushes:
            share = min(1.0, push.left_ns / substep_ns)
            push.left_ns -= substep_ns
            yield Force(push.link, push.at_m, share * push.force_N)
        self._pushes = [push for push in self._pushes if push.left_ns > 0]

    def facts(self) -> dict[str, Any]:
        """What acts now."""
        return {"loads": dict(self.loads), "pushes": [push.facts() for push in self._pushes]}

    def _not_pushable(self, link: str) -> Misfit:
        known = list(self.reach.links)
        if link in self.reach.fixed:
            return Misfit("link", f"a link that moves ({', '.join(known)})", f"{link!r}, which stands fast")
        hint = nearest(link, known) or f" (there are {', '.join(known)})"
        return Misfit("link", "the name of a link that moves", repr(link), hint)

    def _not_loadable(self, joint: str) -> Misfit:
        known = list(self.loads)
        if joint in self.reach.why_not:
            return Misfit("torque_Nm", f"loads on {', '.join(known)}", f"{joint!r}: {self.reach.why_not[joint]}")
        return Misfit("torque_Nm", f"loads on {', '.join(known)}", repr(joint), nearest(joint, known))
