"""URDF, with the `<gazebo>` elements that published files have in it → Model."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from . import sdf_parts
from .colours import Rgb, named
from .files import Files
from .markup import Node, numbers, parse
from .meshes import kind_of
from .plugins import plugin
from .pose import Pose, pose_of
from .sdf_file import placed
from .tree import WORLD, Joint, Link, Model, Plugin, Sensor, Shape
from .trunk import assembled

KINDS = {"revolute": "revolute", "continuous": "revolute", "prismatic": "prismatic", "fixed": "fixed"}
UNBOUNDED = 1e9


def read(text: str, file: str, files: Files) -> Model:
    """The robot in a URDF file. Raises BadExperiment with the line of what cannot be taken over."""
    root = parse(text, file)
    if root.tag != "robot":
        raise root.wrong(f"<{root.tag}> is not URDF: the file must begin with <robot name=…>")
    return Reader(root, files).model()


class Reader:
    """One file while it is read."""

    def __init__(self, root: Node, files: Files) -> None:
        self._root, self._files = root, files
        self._remarks: list[str] = []
        self._colours = {
            node.attributes["name"]: rgb
            for node in root.all("material")
            if "name" in node.attributes and (rgb := _rgb(node))
        }
        self._extras = list(root.all("gazebo"))

    def model(self) -> Model:
        name = self._root.attribute("name")
        links = [self._link(node) for node in self._root.all("link") if node.attributes.get("name") != WORLD]
        joints = [self._joint(node) for node in self._root.all("joint")]
        return assembled(
            name=name,
            where=self._root,
            pose=Pose(),
            poses=self._poses(joints),
            links=links,
            joints=joints,
            sensors=tuple(self._sensors()),
            plugins=tuple(self._plugins()),
            static=any(node.yes("static") for node in self._extras),
            self_collide=any(node.yes("self_collide") for node in self._extras if "reference" not in node.attributes),
            muscles=self._muscles(),
            remarks=tuple(self._remarks),
        )

    def _poses(self, joints: list[Joint]) -> dict[str, Pose]:
        """Where each link is when all joints are at 0, in the axes of the root."""
        inward = {joint.child: joint for joint in joints}
        poses = {}
        for link in [*inward, *(joint.parent for joint in joints), *self._names()]:
            pose, at, seen = Pose(), link, {link}
            while at in inward:
                pose = inward[at].pose @ pose
                at = inward[at].parent
                if at in seen:
                    raise self._root.wrong(f"the link {at!r} hangs on itself: the joints form a ring")
                seen.add(at)
            poses[link] = pose
        return poses

    def _names(self) -> Iterator[str]:
        return (node.attribute("name") for node in self._root.all("link"))

    def _link(self, node: Node) -> Link:
        name = node.attribute("name")
        inertial = node.first("inertial")
        visuals, collisions = (self._shapes(node, tag) for tag in ("visual", "collision"))
        painted = self._painted(name)
        if painted:
            visuals = tuple(replace(shape, rgb=painted) for shape in visuals)
        return Link(
            name=name,
            line=node.line,
            mass_kg=_value(inertial.need("mass"), "value") if inertial else None,
            center=_origin(inertial) if inertial else Pose(),
            inertia_kgm2=_inertia(inertial) if inertial else (0.0,) * 6,
            visuals=visuals,
            collisions=collisions,
            friction=self._friction(name),
        )

    def _shapes(self, link: Node, tag: str) -> tuple[Shape, ...]:
        made = []
        for node in link.all(tag):
            for form in node.need("geometry").children:
                found = self._form(form)
                if found is None:
                    if form.tag != "mesh":
                        self._note(form, f"the {tag} <{form.tag}> is left out")
                    continue
                kind, size, file = found
                rgb = self._colour(node)
                made.append(Shape(kind=kind, pose=_origin(node), size=size, file=file, rgb=rgb))
        return tuple(made)

    def _form(self, form: Node) -> tuple[str, tuple[float, ...], str] | None:
        match form.tag:
            case "box":
                return "box", numbers(form, form.attribute("size"), 3), ""
            case "cylinder" | "capsule":
                return form.tag, (_value(form, "radius"), _value(form, "length")), ""
            case "sphere":
                return "sphere", (_value(form, "radius"),), ""
            case "plane":
                return "plane", numbers(form, form.attributes.get("normal", "0 0 1"), 3), ""
            case "mesh":
                uri = form.attribute("filename")
                file = self._files.find(uri, form.file)
                if file is None:
                    self._note(form, f"a mesh is left out: there is no file {uri!r} in the experiment's folder")
                    return None
                if kind_of(file) is None:
                    self._note(form, f"a mesh is left out: {uri!r} is not OBJ, STL or COLLADA")
                    return None
                scale = form.attributes.get("scale", "1 1 1")
                return "mesh", numbers(form, scale, 3), file
        return None

    def _joint(self, node: Node) -> Joint:
        name, kind = node.attribute("name"), node.attribute("type")
        if kind not in KINDS:
            raise node.wrong(f"the joint {name!r} is of type {kind!r}; a joint must be one of {', '.join(KINDS)}")
        if node.first("mimic"):
            self._note(node, f"the joint {name!r} moves by itself: <mimic> is left out")
        limit, dynamics, axis = node.first("limit"), node.first("dynamics"), node.first("axis")
        limits = None
        if kind in ("revolute", "prismatic"):
            if limit is None:
                raise node.wrong(f"the joint {name!r} is {kind} and needs an element <limit>")
            limits = (_value(limit, "lower", 0.0), _value(limit, "upper", 0.0))
            if limits[0] > limits[1]:
                raise limit.wrong(f"the lower limit {limits[0]:g} is above the upper one {limits[1]:g}")
            if limits[0] <= -UNBOUNDED and limits[1] >= UNBOUNDED:
                limits = None
        given = axis is not None and kind != "fixed"
        vector = np.array(numbers(axis, axis.attribute("xyz"), 3) if axis and given else (1.0, 0.0, 0.0))
        length = float(np.linalg.norm(vector))
        if not length > 0:
            raise (axis or node).wrong("the axis of a joint must point somewhere, not 0 0 0")
        return Joint(
            name=name,
            line=node.line,
            kind=KINDS[kind],
            parent=node.need("parent").attribute("link"),
            child=node.need("child").attribute("link"),
            pose=_origin(node),
            anchor=np.zeros(3),
            axis=vector / length,
            limits=limits,
            effort=_strength(limit, "effort"),
            speed=_strength(limit, "velocity"),
            damping=max(0.0, _value(dynamics, "damping", 0.0)) if dynamics else 0.0,
            friction=max(0.0, _value(dynamics, "friction", 0.0)) if dynamics else 0.0,
            **self._spring(name),
        )

    def _about(self, reference: str) -> Iterator[Node]:
        return (node for node in self._extras if node.attributes.get("reference") == reference)

    def _spring(self, joint: str) -> dict[str, float]:
        found = {"stiffness": 0.0, "reference": 0.0}
        for node in self._about(joint):
            found["stiffness"] = max(0.0, node.number("springStiffness", found["stiffness"]))
            found["reference"] = node.number("springReference", found["reference"])
        return found

    def _friction(self, link: str) -> float:
        return max([0.0, *(node.number("mu1", 1.0) for node in self._about(link))]) if any(self._about(link)) else 1.0

    def _painted(self, link: str) -> Rgb | None:
        for node in self._about(link):
            material = node.word("material")
            if material:
                return named(material)
        return None

    def _sensors(self) -> Iterator[Sensor]:
        for extra in self._extras:
            for node in extra.all("sensor"):
                kind = node.attributes.get("type", "")
                if kind in (sdf_parts.CAMERA, sdf_parts.INERTIAL):
                    yield sdf_parts.sensor(node, kind, extra.attribute("reference"), placed)
                else:
                    self._note(node, f"the sensor {node.attributes.get('name', '')!r} of type {kind!r} is left out")

    def _plugins(self) -> Iterator[Plugin]:
        return (plugin(node) for extra in self._extras for node in extra.all("plugin"))

    def _muscles(self) -> str:
        named_ = next((node.word("muscles") for node in self._extras if node.word("muscles")), "")
        return (self._files.find(named_, self._root.file) or named_) if named_ else ""

    def _colour(self, visual: Node) -> Rgb | None:
        material = visual.first("material")
        if material is None:
            return None
        return _rgb(material) or self._colours.get(material.attributes.get("name", ""))

    def _note(self, node: Node, what: str) -> None:
        self._remarks.append(f"{node.file}, line {node.line}: {what}")


def _origin(node: Node) -> Pose:
    origin = node.first("origin")
    if origin is None:
        return Pose()
    xyz, rpy = (numbers(origin, origin.attributes.get(key, "0 0 0"), 3) for key in ("xyz", "rpy"))
    return pose_of(xyz, rpy)


def _inertia(inertial: Node) -> tuple[float, float, float, float, float, float]:
    node = inertial.need("inertia")
    xx, yy, zz = (_value(node, key) for key in ("ixx", "iyy", "izz"))
    xy, xz, yz = (_value(node, key, 0.0) for key in ("ixy", "ixz", "iyz"))
    return xx, yy, zz, xy, xz, yz


def _strength(limit: Node | None, key: str) -> float:
    value = _value(limit, key, 0.0) if limit else 0.0
    return value if 0 < value < UNBOUNDED else 0.0


def _value(node: Node, key: str, default: float | None = None) -> float:
    if default is not None and key not in node.attributes:
        return default
    return numbers(node, node.attribute(key), 1)[0]


def _rgb(material: Node) -> Rgb | None:
    colour = material.first("color")
    if colour is None:
        return None
    r, g, b, _ = numbers(colour, colour.attribute("rgba"), 4)
    return r, g, b
