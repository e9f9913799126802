"""A robot and its surroundings for viewers, who draw one simple shape for each link."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reafference.frames import Array

from .files import Files
from .tree import Joint, Link, Model, Shape
from .wheels import link_frames
from .world import box_around

SIGHT = 5.0
"""How far one looks around, in sizes of the robot."""
Corners = tuple[Array, Array]


def links(model: Model, files: Files) -> list[dict[str, Any]]:
    """Name, shape and colour of every link. Meshes are drawn as the box around them."""
    told = []
    for link in model.links:
        shape = _largest(link, files)
        entry: dict[str, Any] = {"name": link.name, "shape": _drawn(shape, files) if shape else None}
        told.append(entry | ({"rgb": list(shape.rgb)} if shape and shape.rgb else {}))
    return told


def joints(movable: Sequence[Joint]) -> list[dict[str, Any]]:
    """Name, link, axis and limits of every joint that moves."""
    return [
        {
            "name": joint.name,
            "link": joint.child,
            "axis": joint.axis.tolist(),
            "limits_rad": None if joint.limits is None else list(joint.limits),
        }
        for joint in movable
    ]


def extent(model: Model, files: Files) -> tuple[Array, Array]:
    """The lowest and highest corner (3,) of the box around the robot when all joints are at 0, in its frame."""
    frames = link_frames(model)
    points = [np.zeros(3)]
    for link in model.links:
        points.append(frames[link.name].position)
        for shape in link.visuals or link.collisions:
            if shape.kind != "plane":
                pose = frames[link.name] @ shape.pose
                low, high = box_around(shape, files)
                middle, reach = 0.5 * (low + high), float(np.linalg.norm(high - low)) / 2
                points += [pose.point(middle) - reach, pose.point(middle) + reach]
    return np.min(points, axis=0), np.max(points, axis=0)


def size(model: Model, files: Files) -> float:
    """The longest side of the box around the robot, m."""
    low, high = extent(model, files)
    return max(float((high - low).max()), 1e-3)


def display(model: Model, files: Files, at: Array) -> Mapping[str, Any]:
    """Where to look from; `at` (3,) is where the robot begins."""
    low, high = extent(model, files)
    center = at + 0.5 * (low + high)
    return {"center_m": center.tolist(), "extent_m": SIGHT * size(model, files), "up": [0.0, 0.0, 1.0]}


def _largest(link: Link, files: Files) -> Shape | None:
    def room(shape: Shape) -> float:
        low, high = box_around(shape, files)
        return float(np.prod(high - low))

    candidates = [shape for shape in link.visuals or link.collisions if shape.kind != "plane"]
    return max(candidates, key=room, default=None)


def _drawn(shape: Shape, files: Files) -> dict[str, Any]:
    pose = shape.pose
    if shape.kind in ("cylinder", "capsule"):
        radius, length = shape.size
        half = 0.5 * length * pose.rotation[:, 2]
        ends = {"from_m": (pose.position - half).tolist(), "to_m": (pose.position + half).tolist()}
        return {"kind": shape.kind, **ends, "radius_m": radius}
    if shape.kind == "sphere":
        # A capsule without length; viewers draw an ellipsoid as a veil.
        radius, tiny = shape.size[0], 1e-3 * shape.size[0] * pose.rotation[:, 2]
        ends = {"from_m": (pose.position - tiny).tolist(), "to_m": (pose.position + tiny).tolist()}
        return {"kind": "capsule", **ends, "radius_m": radius}
    low, high = box_around(shape, files)
    # Boxes of viewers stand along the axes of the link.
    size = np.abs(pose.rotation) @ (high - low)
    return {"kind": "box", "center_m": pose.point(0.5 * (low + high)).tolist(), "size_m": size.tolist()}
