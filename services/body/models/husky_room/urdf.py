"""The robot as URDF text, the format that PyBullet reads."""

from collections.abc import Iterable
from xml.etree import ElementTree as Xml

from .description import Chassis, Description, Inertia, Vector, Wheel

CHASSIS = "chassis"


def to_urdf(description: Description) -> str:
    """A chassis and four wheels on axles along y. Wheels look like cylinders and touch like spheres."""
    robot = Xml.Element("robot", name="husky")
    _add_chassis(robot, description.chassis)
    for name, center in description.wheel.centers_m.items():
        _add_wheel(robot, description.wheel, name, center)
    return Xml.tostring(robot, encoding="unicode")


def _add_chassis(robot: Xml.Element, chassis: Chassis) -> None:
    link = Xml.SubElement(robot, "link", name=CHASSIS)
    _add_inertia(link, chassis.mass_kg, chassis.com_m, chassis.inertia_kgm2)
    for kind in ("visual", "collision"):
        part = Xml.SubElement(link, kind)
        Xml.SubElement(part, "origin", xyz=_text(chassis.box_center_m))
        Xml.SubElement(Xml.SubElement(part, "geometry"), "box", size=_text(chassis.box_size_m))
        if kind == "visual":
            _add_colour(part, "chassis_colour", chassis.rgb)


def _add_wheel(robot: Xml.Element, wheel: Wheel, name: str, center: Vector) -> None:
    link = Xml.SubElement(robot, "link", name=name)
    _add_inertia(link, wheel.mass_kg, (0.0, 0.0, 0.0), wheel.inertia_kgm2)
    visual = Xml.SubElement(link, "visual")
    Xml.SubElement(visual, "origin", xyz="0 0 0", rpy="1.5707963267948966 0 0")
    cylinder = {"radius": repr(wheel.radius_m), "length": repr(wheel.width_m)}
    Xml.SubElement(Xml.SubElement(visual, "geometry"), "cylinder", cylinder)
    _add_colour(visual, f"{name}_colour", wheel.rgb)
    collision = Xml.SubElement(link, "collision")
    Xml.SubElement(Xml.SubElement(collision, "geometry"), "sphere", radius=repr(wheel.radius_m))
    joint = Xml.SubElement(robot, "joint", name=name, type="continuous")
    Xml.SubElement(joint, "parent", link=CHASSIS)
    Xml.SubElement(joint, "child", link=name)
    Xml.SubElement(joint, "origin", xyz=_text(center))
    Xml.SubElement(joint, "axis", xyz="0 1 0")


def _add_inertia(link: Xml.Element, mass_kg: float, com_m: Vector, inertia: Inertia) -> None:
    inertial = Xml.SubElement(link, "inertial")
    Xml.SubElement(inertial, "origin", xyz=_text(com_m))
    Xml.SubElement(inertial, "mass", value=repr(mass_kg))
    names = ("ixx", "iyy", "izz", "ixy", "ixz", "iyz")
    Xml.SubElement(inertial, "inertia", {name: repr(value) for name, value in zip(names, inertia, strict=True)})


def _add_colour(visual: Xml.Element, name: str, rgb: Vector) -> None:
    Xml.SubElement(Xml.SubElement(visual, "material", name=name), "color", rgba=_text((*rgb, 1.0)))


def _text(values: Iterable[float]) -> str:
    return " ".join(repr(float(value)) for value in values)
