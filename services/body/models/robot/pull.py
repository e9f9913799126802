"""Muscles that pull at the links of a robot in PyBullet."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reafference.frames import Array

from ...muscles import Muscles
from .machine import Machine
from .osim import Muscle
from .tree import WORLD

RESTING_ACTIVATION = 0.05


class Pull:
    """The muscles of one robot, at rest where its links are now.

    `points` (n_points, 3) are those of all paths in the world. In each substep the forces at its beginning move the
    links, then the fibres follow the new path lengths.
    """

    def __init__(self, machine: Machine, muscles: Sequence[Muscle], dt_s: float) -> None:
        self._machine, self._dt_s = machine, dt_s
        path = [point for muscle in muscles for point in muscle.path]
        self._local = np.array([point.at for point in path])
        self._of_link = {
            link: np.array([number for number, point in enumerate(path) if point.link == link])
            for link in dict.fromkeys(point.link for point in path)
        }
        self.first = np.cumsum([0, *(len(muscle.path) for muscle in muscles)])
        # Between the last point of a muscle and the first of the next one there is nothing.
        self._within = np.ones(len(path) - 1, dtype=bool)
        self._within[self.first[1:-1] - 1] = False
        self._muscle = np.repeat(np.arange(len(muscles)), np.diff(self.first))
        self.points = self._local.copy()
        self.muscles = Muscles([muscle.parameters for muscle in muscles])
        self.muscles.settle(self._place(), RESTING_ACTIVATION)
        self._excitation = np.full(len(muscles), RESTING_ACTIVATION)
        self._speed = np.zeros(len(muscles))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(muscle.name for muscle in self.muscles.muscles)

    def excite(self, excitation: Array) -> None:
        """Take the drive of each muscle (n,), 0 to 1, for the coming substeps."""
        self._excitation = np.clip(excitation, 0.0, 1.0)

    def act(self) -> None:
        """Let the tendons pull at the links in the next substep."""
        force = np.zeros_like(self.points)
        tension = self.muscles.force[self._muscle[:-1]][:, None] * self._directions()
        force[:-1] += tension
        force[1:] -= tension
        for link, rows in self._of_link.items():
            if link != WORLD:
                for row in rows:
                    self._machine.force(link, self.points[row], force[row])

    def follow(self) -> None:
        """Bring the muscles to where the links are after a substep."""
        before = self.muscles.path.copy()
        self.muscles.advance(self._place(), self._excitation, self._dt_s)
        self._speed = (self.muscles.path - before) / self._dt_s

    def read(self) -> dict[str, Array]:
        """What can be told of the muscles, as arrays of its own."""
        muscles = self.muscles
        return {
            "muscles.excitation": self._excitation.copy(),
            "muscles.activation": muscles.activation.copy(),
            "muscles.force": muscles.force.copy(),
            "muscles.length": muscles.path.copy(),
            "muscles.velocity": self._speed.copy(),
            "muscles.fiber_length": muscles.fiber_length.copy(),
            "muscle_points.position": self.points.copy(),
        }

    def describe(self) -> list[dict[str, Any]]:
        """The muscles for viewers: the rows of `muscle_points` that each has."""
        return [
            {
                "name": muscle.name,
                "points": list(range(int(self.first[number]), int(self.first[number + 1]))),
                "max_isometric_force_N": muscle.max_isometric_force,
            }
            for number, muscle in enumerate(self.muscles.muscles)
        ]

    def _place(self) -> Array:
        """Bring the points to their links; the lengths (n,) of the paths."""
        for link, rows in self._of_link.items():
            if link != WORLD:
                pose = self._machine.link_pose(link)
                self.points[rows] = self._local[rows] @ pose.rotation.T + pose.position
        pieces = np.linalg.norm(np.diff(self.points, axis=0), axis=1) * self._within
        return np.bincount(self._muscle[:-1], weights=pieces, minlength=len(self.first) - 1)

    def _directions(self) -> Array:
        """From each point to the next one of its muscle, length 1; zeros where there is none."""
        pieces = np.diff(self.points, axis=0)
        lengths = np.linalg.norm(pieces, axis=1)
        there = self._within & (lengths > 0)
        return np.asarray(pieces * (there / np.where(there, lengths, 1.0))[:, None])
