"""A tree of hinges and the muscle paths on it: where everything is at given angles, and how paths change."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reafference.frames import Array

from . import kernels

WORLD = -1
"""The link number of everything that does not move."""


@dataclass(frozen=True, slots=True)
class Hinge:
    """A joint and the link below it, which is known by the hinge's number.

    `anchor` (3,) is in the axes of the parent; `turn` (3, 3) takes the link's axes to the parent's at angle 0;
    `axis` and `offset` (3,), where the link's own origin is not at the hinge, are in the link's axes. For a
    parent WORLD the world's axes take the place of the parent's.
    """

    parent: int
    anchor: Array
    turn: Array
    axis: Array
    offset: Array


@dataclass(frozen=True, slots=True)
class Point:
    """A point (3,) in the axes of a link, or of the world."""

    link: int
    at: Array


class Linkage:
    """Hinges with n angles, and m polylines through points on the links.

    After `place`: `rotation` (n, 3, 3) and `position` (n, 3) of the links, `axis` and `anchor` (n, 3) of the
    hinges, `points` (n_points, 3), all in the world; `path` (m,) in m and `slope` (m, n) = dL/dq in m/rad. They are
    overwritten by the next call. A moment arm is -dL/dq.
    """

    def __init__(self, hinges: Sequence[Hinge], paths: Sequence[Sequence[Point]], marks: Sequence[Point] = ()) -> None:
        """`marks` are further points, after those of the paths. Raises ValueError if a parent comes late."""
        if any(hinge.parent >= number for number, hinge in enumerate(hinges)):
            raise ValueError("a hinge must come after the hinge of its parent")
        n, m = len(hinges), len(paths)
        points = [point for path in paths for point in path] + list(marks)
        self.parent = np.array([hinge.parent for hinge in hinges], dtype=np.int64)
        self.hinges = np.array([_row(hinge) for hinge in hinges]).reshape(n, kernels.N_HINGE_COLUMNS)
        self.link = np.array([point.link for point in points], dtype=np.int64)
        self.local = np.array([point.at for point in points], dtype=float).reshape(len(points), 3)
        self.first = np.cumsum([0] + [len(path) for path in paths], dtype=np.int64)
        self.rotation = np.zeros((n, 3, 3))
        self.position = np.zeros((n, 3))
        self.axis = np.zeros((n, 3))
        self.anchor = np.zeros((n, 3))
        self.points = np.zeros((len(points), 3))
        self.path = np.zeros(m)
        self.slope = np.zeros((m, n))
        self.work = np.zeros((n, 6))
        self._q = np.zeros(n)

    def torques(self, link: int, at: Array, force: Array) -> Array:
        """Torques (n,) on the hinges by a force (3,) in world axes at a point (3,) in the axes of `link`, as placed."""
        point = self.position[link] + self.rotation[link] @ at
        torques = np.zeros(len(self.parent))
        while link != WORLD:
            torques[link] = self.axis[link] @ np.cross(point - self.anchor[link], force)
            link = int(self.parent[link])
        return torques

    def place(self, q: npt.ArrayLike) -> None:
        """Bring everything to the angles `q` (n,) in rad."""
        self._q[:] = q
        kernels.place_links(self.parent, self.hinges, self._q, self.rotation, self.position, self.axis, self.anchor)
        kernels.place_points(self.link, self.local, self.rotation, self.position, self.points)
        kernels.measure_paths(
            self.parent,
            self.first,
            self.link,
            self.points,
            self.axis,
            self.anchor,
            self.work,
            self.path,
            self.slope,
        )


def _row(hinge: Hinge) -> Array:
    return np.concatenate([hinge.anchor, np.ravel(hinge.turn), hinge.axis, hinge.offset])
