"""A Model as URDF text, the format that PyBullet reads."""

from collections.abc import Callable, Iterable, Mapping
from xml.etree import ElementTree as Xml

import numpy as np

from reafference.frames import Array

from ...rotation import roll_pitch_yaw
from . import inertia
from .pose import Pose
from .tree import WORLD, Link, Model, Shape

FEATHER_KG, FEATHER_KGM2 = 1e-6, 1e-9
"""Links that only mark a place must weigh something, and do not matter."""
PLAIN_RGB = (0.7, 0.7, 0.7)

Find = Callable[[str], str]
"""The path of a mesh by its name."""


def to_urdf(model: Model, find: Find, wheels: Mapping[str, float]) -> str:
    """The tree of links, each with its axes, its origin moved to its joint (see `origins`).

    URDF wants joint and link at one place. `wheels` has links that roll, with their radius: they touch as spheres
    do, in one point, as a drum's edge has none of its own in PyBullet.
    """
    robot = Xml.Element("robot", name=model.name)
    moved = origins(model)
    if model.root == WORLD:
        _add_link(robot, Link(name=WORLD, line=0, mass_kg=1.0, center=Pose(), inertia_kgm2=_ONE), moved[WORLD], find)
    for link in model.links:
        _add_link(robot, link, moved[link.name], find, wheels.get(link.name))
    for joint in model.joints:
        kind = "continuous" if joint.kind == "revolute" and joint.limits is None else joint.kind
        made = Xml.SubElement(robot, "joint", name=joint.name, type=kind)
        Xml.SubElement(made, "parent", link=joint.parent)
        Xml.SubElement(made, "child", link=joint.child)
        place = joint.pose.point(moved[joint.child]) - moved[joint.parent]
        _add_origin(made, Pose(joint.pose.rotation, place))
        if joint.moves:
            Xml.SubElement(made, "axis", xyz=_text(joint.axis))
        if joint.limits is not None:
            low, high = joint.limits
            Xml.SubElement(made, "limit", lower=repr(low), upper=repr(high), effort="0", velocity="0")
        elif joint.kind == "prismatic":
            # A lower limit above the upper one means none to PyBullet.
            Xml.SubElement(made, "limit", lower="1", upper="-1", effort="0", velocity="0")
    # PyBullet breaks lines of more than a thousand letters anywhere, in the middle of a number too.
    Xml.indent(robot)
    return Xml.tostring(robot, encoding="unicode")


def origins(model: Model) -> dict[str, Array]:
    """Where in its own axes each link (and the world) has the origin that PyBullet knows, (3,) in m by name."""
    return {model.root: np.zeros(3)} | {joint.child: joint.anchor for joint in model.joints}


def _inertia(link: Link) -> tuple[Pose, Array]:
    """Principal axes of a link's inertia at its centre of mass, in its axes, and moments (3,) that PyBullet takes."""
    if not link.mass_kg:
        return link.center, np.full(3, FEATHER_KGM2)
    moments, axes = inertia.principal(link.inertia_kgm2)
    return Pose(link.center.rotation @ axes, link.center.position), inertia.possible(moments)


_ONE = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)


def _add_link(robot: Xml.Element, link: Link, origin: Array, find: Find, radius_m: float | None = None) -> None:
    made = Xml.SubElement(robot, "link", name=link.name)
    inertial = Xml.SubElement(made, "inertial")
    axes, moments = _inertia(link)
    _add_origin(inertial, _moved(axes, origin))
    Xml.SubElement(inertial, "mass", value=repr(link.mass_kg or FEATHER_KG))
    entries = dict(zip(("ixx", "iyy", "izz"), moments, strict=True)) | dict.fromkeys(("ixy", "ixz", "iyz"), 0)
    Xml.SubElement(inertial, "inertia", {name: repr(float(value)) for name, value in entries.items()})
    for number, shape in enumerate(link.visuals or link.collisions):
        part = _add_shape(made, "visual", shape, origin, find)
        material = Xml.SubElement(part, "material", name=f"{link.name} {number}")
        Xml.SubElement(material, "color", rgba=_text((*(shape.rgb or PLAIN_RGB), 1.0)))
    if radius_m is not None:
        ball = Shape(kind="sphere", pose=Pose(), size=(radius_m,))
        _add_shape(made, "collision", Shape(kind=ball.kind, pose=Pose(position=origin), size=ball.size), origin, find)
        return
    for shape in link.collisions:
        _add_shape(made, "collision", shape, origin, find)


def _add_shape(link: Xml.Element, tag: str, shape: Shape, origin: Array, find: Find) -> Xml.Element:
    part = Xml.SubElement(link, tag)
    _add_origin(part, _moved(shape.pose, origin))
    geometry = Xml.SubElement(part, "geometry")
    match shape.kind:
        case "box":
            Xml.SubElement(geometry, "box", size=_text(shape.size))
        case "sphere":
            Xml.SubElement(geometry, "sphere", radius=repr(shape.size[0]))
        case "cylinder" | "capsule":
            radius, length = shape.size
            Xml.SubElement(geometry, shape.kind, radius=repr(radius), length=repr(length))
        case "plane":
            Xml.SubElement(geometry, "plane", normal=_text(shape.size))
        case "mesh":
            Xml.SubElement(geometry, "mesh", filename=find(shape.file), scale=_text(shape.size))
    return part


def _moved(pose: Pose, origin: Array) -> Pose:
    return Pose(pose.rotation, pose.position - origin)


def _add_origin(element: Xml.Element, pose: Pose) -> None:
    Xml.SubElement(element, "origin", xyz=_text(pose.position), rpy=_text(roll_pitch_yaw(pose.rotation)))


def _text(values: Iterable[float]) -> str:
    return " ".join(repr(float(value)) for value in values)
