"""The forelimb as URDF text, the format that PyBullet reads."""

from collections.abc import Iterable
from xml.etree import ElementTree as Xml

import numpy as np

from ...linkage import WORLD, Hinge
from ...rotation import roll_pitch_yaw
from .description import Description, Link

ROOT = "world"


def to_urdf(description: Description) -> str:
    """One tree from the world with two branches, arm and stick; the grip that closes the loop is not part of it.

    Hinges have no limits and no damping: both are torques of ours. A URDF link has its origin at its hinge, so
    links whose own origin lies elsewhere (the stick's is at its tip) are shifted. Shapes are left out: nothing
    collides, and nothing is drawn by PyBullet.
    """
    robot = Xml.Element("robot", name="mouse_forelimb")
    root = Link(name=ROOT, mass_kg=1.0, com_m=(0.0, 0.0, 0.0), inertia_kgm2=(1.0, 1.0, 1.0, 0.0, 0.0, 0.0))
    _add_link(robot, root, np.zeros(3))
    links = {link.name: link for link in description.link}
    hinges = description.hinges()
    for data, hinge in zip(description.hinge, hinges, strict=True):
        _add_link(robot, links[data.child], hinge.offset)
        parent = ROOT if hinge.parent == WORLD else description.hinge[hinge.parent].child
        # The parent's origin is at its own hinge too.
        shift = np.zeros(3) if hinge.parent == WORLD else hinges[hinge.parent].offset
        _add_hinge(robot, data.name, parent, data.child, hinge, shift)
    return Xml.tostring(robot, encoding="unicode")


def _add_link(robot: Xml.Element, link: Link, offset: np.ndarray) -> None:
    inertial = Xml.SubElement(Xml.SubElement(robot, "link", name=link.name), "inertial")
    Xml.SubElement(inertial, "origin", xyz=_text(np.array(link.com_m) - offset), rpy="0 0 0")
    Xml.SubElement(inertial, "mass", value=repr(link.mass_kg))
    names = ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")
    entries = {name: repr(value) for name, value in zip(names, link.inertia_kgm2, strict=True)}
    Xml.SubElement(inertial, "inertia", entries)


def _add_hinge(robot: Xml.Element, name: str, parent: str, child: str, hinge: Hinge, shift: np.ndarray) -> None:
    joint = Xml.SubElement(robot, "joint", name=name, type="continuous")
    Xml.SubElement(joint, "parent", link=parent)
    Xml.SubElement(joint, "child", link=child)
    Xml.SubElement(joint, "origin", xyz=_text(hinge.anchor - shift), rpy=_text(roll_pitch_yaw(hinge.turn)))
    Xml.SubElement(joint, "axis", xyz=_text(hinge.axis))


def _text(values: Iterable[float]) -> str:
    return " ".join(repr(float(value)) for value in values)
