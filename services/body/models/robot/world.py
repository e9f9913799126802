"""What stands around a robot: an SDF world of things that do not move, or a plain ground."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pybullet

from reafference.frames import Array

from ...rotation import quaternion_from_matrix
from . import sdf_parts
from .bullet_urdf import PLAIN_RGB
from .files import Files
from .markup import Node
from .meshes import bounds
from .pose import Pose
from .sdf_file import included, opened, placed
from .tree import Shape

GROUND_M = 200.0
THIN_M = 0.02
GROUND_RGB = (0.55, 0.57, 0.6)
GRAVITY = (0.0, 0.0, -9.81)
DEEPEST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A piece of the surroundings, touched or seen or both; the pose of its shape is in the world."""

    name: str
    shape: Shape
    touched: bool
    seen: bool
    friction: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The surroundings of a robot. `gravity` (3,) in m/s2."""

    things: tuple[Thing, ...]
    gravity: tuple[float, ...] = GRAVITY
    remarks: tuple[str, ...] = ()


def plain_world() -> World:
    """Nothing but a ground at z = 0."""
    plane = Shape(kind="plane", pose=Pose(), size=(0.0, 0.0, 1.0), rgb=GROUND_RGB)
    return World(things=(Thing(name="ground", shape=plane, touched=True, seen=True),))


def read(text: str, file: str, files: Files) -> World:
    """The models of an SDF world as things that stand still. Raises BadExperiment with the line of what is wrong."""
    root, version = opened(text, file)
    world = root.first("world") or root
    remarks: list[str] = []

    def note(node: Node, what: str) -> None:
        remarks.append(f"{node.file}, line {node.line}: {what}")

    things = [
        thing
        for model, pose, name in _models(world, Pose(), files, version, 0)
        for thing in _things(model, pose, name, files, note)
    ]
    return World(things=tuple(things), gravity=world.vector("gravity", GRAVITY), remarks=tuple(remarks))


def build(client: int, things: Sequence[Thing], files: Files) -> None:
    """Put the things into a world of PyBullet."""
    for thing in things:
        shape = thing.shape
        touch = pybullet.createCollisionShape(**_form(shape, files, seen=False), physicsClientId=client)
        look = -1
        if thing.seen:
            rgba = [*(shape.rgb or PLAIN_RGB), 1.0]
            look = pybullet.createVisualShape(**_form(shape, files, seen=True), rgbaColor=rgba, physicsClientId=client)
        w, x, y, z = quaternion_from_matrix(shape.pose.rotation)
        place = shape.pose.position
        if shape.kind == "plane":
            # What is seen of a plane is a thin slab below it.
            look = _slab(client, shape) if thing.seen else -1
        number = pybullet.createMultiBody(
            0.0, touch if thing.touched else -1, look, place.tolist(), [x, y, z, w], physicsClientId=client
        )
        pybullet.changeDynamics(number, -1, lateralFriction=thing.friction, physicsClientId=client)


def describe(things: Sequence[Thing], files: Files, ground_m: float) -> list[dict[str, Any]]:
    """The things for viewers, who know boxes and upright cylinders; a plane is a slab of `ground_m`."""
    return [_described(thing, files, ground_m) for thing in things if thing.seen]


def _models(node: Node, pose: Pose, files: Files, version: str, depth: int) -> Iterator[tuple[Node, Pose, str]]:
    """Every <model> below `node`, with its pose in the world and its name."""
    if depth > DEEPEST:
        raise node.wrong(f"models are nested more than {DEEPEST} deep: does one include itself?")
    for model in node.all("model"):
        at = pose @ placed(model)
        yield model, at, model.attribute("name")
        yield from _models(model, at, files, version, depth + 1)
    for include in node.all("include"):
        model, inner_version = included(include, files)
        at = pose @ (placed(include) if include.first("pose") else placed(model))
        yield model, at, include.word("name", model.attribute("name"))
        yield from _models(model, at, files, inner_version, depth + 1)


def _things(model: Node, pose: Pose, name: str, files: Files, note: sdf_parts.Note) -> Iterator[Thing]:
    links = list(model.all("link"))
    if links and not model.yes("static"):
        note(model, f"{name!r} stands still here: only the robot moves")
    for link in links:
        at, friction = pose @ placed(link), sdf_parts.friction(link)
        collisions = sdf_parts.shapes(link, "collision", placed, files, note)
        visuals = sdf_parts.shapes(link, "visual", placed, files, note)
        label = name if len(links) == 1 else f"{name}/{link.attribute('name')}"
        yield from (_thing(shape, at, label, friction, touched=True, seen=not visuals) for shape in collisions)
        yield from (_thing(shape, at, label, friction, touched=False, seen=True) for shape in visuals)


def _thing(shape: Shape, at: Pose, name: str, friction: float, *, touched: bool, seen: bool) -> Thing:
    moved = replace(shape, pose=at @ shape.pose)
    return Thing(name=name, shape=moved, touched=touched, seen=seen, friction=friction)


def _form(shape: Shape, files: Files, *, seen: bool) -> dict[str, Any]:
    """A shape in the words of PyBullet, whose two functions name the length of a cylinder differently."""
    length = "length" if seen else "height"
    match shape.kind:
        case "box":
            return {"shapeType": pybullet.GEOM_BOX, "halfExtents": [0.5 * x for x in shape.size]}
        case "sphere":
            return {"shapeType": pybullet.GEOM_SPHERE, "radius": shape.size[0]}
        case "cylinder":
            return {"shapeType": pybullet.GEOM_CYLINDER, "radius": shape.size[0], length: shape.size[1]}
        case "capsule":
            return {"shapeType": pybullet.GEOM_CAPSULE, "radius": shape.size[0], length: shape.size[1]}
        case "plane":
            return {"shapeType": pybullet.GEOM_PLANE, "planeNormal": list(shape.size)}
    path = str(files.mesh(shape.file))
    # Things that stand still may be hollow.
    flags = {} if seen else {"flags": pybullet.GEOM_FORCE_CONCAVE_TRIMESH}
    return {"shapeType": pybullet.GEOM_MESH, "fileName": path, "meshScale": list(shape.size)} | flags


def _slab(client: int, plane: Shape) -> int:
    number: int = pybullet.createVisualShape(
        pybullet.GEOM_BOX,
        halfExtents=[0.5 * GROUND_M, 0.5 * GROUND_M, 0.5 * THIN_M],
        visualFramePosition=[0.0, 0.0, -0.5 * THIN_M],
        rgbaColor=[*(plane.rgb or GROUND_RGB), 1.0],
        physicsClientId=client,
    )
    return number


def _described(thing: Thing, files: Files, ground_m: float) -> dict[str, Any]:
    shape = thing.shape
    forward = shape.pose.rotation[:, 0]
    upright = abs(shape.pose.rotation[2, 2]) > 1 - 1e-6
    low, high = box_around(shape, files)
    told = {"name": thing.name, "rgb": list(shape.rgb or (GROUND_RGB if shape.kind == "plane" else PLAIN_RGB))}
    if shape.kind == "plane":
        low, high = np.array([-0.5 * ground_m] * 2 + [-THIN_M]), np.array([0.5 * ground_m] * 2 + [0.0])
    if upright:
        center = shape.pose.point(0.5 * (low + high))
        yaw, size = float(np.arctan2(forward[1], forward[0])), high - low
    else:
        corners = _corners(low, high) @ shape.pose.rotation.T + shape.pose.position
        center, yaw = 0.5 * (corners.min(axis=0) + corners.max(axis=0)), 0.0
        size = np.ptp(corners, axis=0)
    kind = "cylinder" if shape.kind == "cylinder" and upright else "box"
    return told | {"shape": kind, "center_m": center.tolist(), "yaw_rad": yaw, "size_m": size.tolist()}


def box_around(shape: Shape, files: Files) -> tuple[Array, Array]:
    """The lowest and highest corner (3,) of a shape in its own axes."""
    if shape.kind == "mesh":
        low, high = bounds(files.mesh(shape.file), shape.file)
        scaled = np.array([low, high]) * np.array(shape.size)
        return scaled.min(axis=0), scaled.max(axis=0)
    match shape.kind:
        case "box":
            half = 0.5 * np.array(shape.size)
        case "sphere":
            half = np.full(3, shape.size[0])
        case "cylinder":
            half = np.array([shape.size[0], shape.size[0], 0.5 * shape.size[1]])
        case "capsule":
            half = np.array([shape.size[0], shape.size[0], 0.5 * shape.size[1] + shape.size[0]])
        case _:
            half = np.array([0.5 * GROUND_M, 0.5 * GROUND_M, 0.0])
    return -half, half


def _corners(low: Array, high: Array) -> Array:
    return np.array([[(low, high)[(n >> axis) & 1][axis] for axis in range(3)] for n in range(8)])
