"""The forelimb as data: `body.toml` as frozen dataclasses."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reafference import plain
from reafference.frames import Array

from ...linkage import WORLD, Hinge, Point
from ...muscles import MuscleParameters
from ...rotation import matrix_from_quaternion

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Variant = Literal["experiment", "base"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    kind: Literal["box"]
    center_m: Vector
    size_m: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid:
    kind: Literal["ellipsoid"]
    center_m: Vector
    semi_axes_m: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Capsule:
    kind: Literal["capsule"]
    from_m: Vector
    to_m: Vector
    radius_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A rigid body; `inertia_kgm2` is xx, yy, zz, xy, xz, yz about the centre of mass. Shapes are for viewers."""

    name: str
    mass_kg: float
    com_m: Vector
    inertia_kgm2: tuple[float, float, float, float, float, float]
    shape: Box | Ellipsoid | Capsule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A rigid connection; both origins coincide at `anchor_in_parent_m`."""

    child: str
    parent: str
    anchor_in_parent_m: Vector
    quaternion: Quaternion


@dataclass(frozen=True, slots=True, kw_only=True)
class HingeVariant:
    limits_rad: tuple[float, float]
    damping: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HingeData:
    name: str
    parent: str
    child: str
    anchor_in_parent_m: Vector
    anchor_in_child_m: Vector
    quaternion: Quaternion
    axis: Vector
    experiment: HingeVariant
    base: HingeVariant
    constant_effort: float = 0.0

    def variant(self, name: Variant) -> HingeVariant:
        return self.experiment if name == "experiment" else self.base


@dataclass(frozen=True, slots=True, kw_only=True)
class Grip:
    """Two points on two links that are held together."""

    link_a: str
    point_a_m: Vector
    link_b: str
    point_b_m: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPoint:
    link: str
    at_m: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class MuscleData:
    name: str
    max_isometric_force: float
    optimal_fiber_length_m: float
    tendon_slack_length_m: float
    path: tuple[PathPoint, ...]

    def parameters(self) -> MuscleParameters:
        return MuscleParameters(
            name=self.name,
            max_isometric_force=self.max_isometric_force,
            optimal_fiber_length_m=self.optimal_fiber_length_m,
            tendon_slack_length_m=self.tendon_slack_length_m,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    center_m: Vector
    extent_m: float
    up: Vector
    rig_in_room_m: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All of `body.toml`. Links, hinges and muscles are numbered in the order of the file."""

    gravity_m_per_s2: Vector
    link: tuple[Link, ...]
    mount: tuple[Mount, ...]
    hinge: tuple[HingeData, ...]
    grip: Grip
    muscle: tuple[MuscleData, ...]
    display: Display

    def fixed_poses(self) -> dict[str, tuple[Array, Array]]:
        """Rotation (3, 3) and origin (3,) in the rig frame of the world and of every link mounted on it."""
        poses = {"world": (np.eye(3), np.zeros(3))}
        for mount in self.mount:
            turn, origin = poses[mount.parent]
            poses[mount.child] = (
                turn @ matrix_from_quaternion(mount.quaternion),
                origin + turn @ np.array(mount.anchor_in_parent_m),
            )
        return poses

    def hinges(self) -> list[Hinge]:
        """The hinges of a Linkage; those on mounted links are brought to the rig frame."""
        moving = {hinge.child: number for number, hinge in enumerate(self.hinge)}
        fixed = self.fixed_poses()
        made = []
        for hinge in self.hinge:
            parent = moving.get(hinge.parent, WORLD)
            turn, origin = fixed[hinge.parent] if parent == WORLD else (np.eye(3), np.zeros(3))
            made.append(
                Hinge(
                    parent=parent,
                    anchor=origin + turn @ np.array(hinge.anchor_in_parent_m),
                    turn=turn @ matrix_from_quaternion(hinge.quaternion),
                    axis=np.array(hinge.axis),
                    offset=np.array(hinge.anchor_in_child_m),
                )
            )
        return made

    def point(self, link: str, at_m: Vector) -> Point:
        """A point on a link for a Linkage."""
        for number, hinge in enumerate(self.hinge):
            if hinge.child == link:
                return Point(number, np.array(at_m))
        turn, origin = self.fixed_poses()[link]
        return Point(WORLD, origin + turn @ np.array(at_m))

    def shapes(self) -> list[Mapping[str, Any]]:
        """Name and shape of every link, as plain maps for viewers."""
        return [{"name": link.name, "shape": plain.dump(link.shape)} for link in self.link]


@cache
def load() -> Description:
    """The forelimb that is shipped with this file."""
    return plain.load(Description, tomllib.loads((Path(__file__).parent / "body.toml").read_text("utf-8")))
