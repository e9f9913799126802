"""SDF 1.4 to 1.7 → Model. Frames, nested models and includes are resolved; what is left out is remarked."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from reafference.frames import Array

from . import sdf_parts
from .files import Files
from .markup import Node, numbers
from .plugins import plugin
from .pose import Pose
from .sdf_file import included, opened, placed
from .tree import WORLD, Joint, Link, Model, Plugin, Sensor
from .trunk import assembled

MODEL = "__model__"
KINDS = {"revolute": "revolute", "continuous": "revolute", "prismatic": "prismatic", "fixed": "fixed"}
UNBOUNDED = 1e9
DEEPEST = 20
"""Models within models; more than that include each other."""


@dataclass(slots=True)
class Group:
    """What is in one model, nested ones included: links with their poses in its frame, joints between them."""

    name: str
    poses: dict[str, Pose] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    joints: list[Joint] = field(default_factory=list)
    sensors: list[Sensor] = field(default_factory=list)
    plugins: list[Plugin] = field(default_factory=list)


def read(text: str, file: str, files: Files) -> Model:
    """The one robot in an SDF file. Raises BadExperiment with the line of what cannot be taken over."""
    root, version = opened(text, file)
    nodes = [*root.all("model"), *(model for world in root.all("world") for model in world.all("model"))]
    if len(nodes) != 1:
        raise root.wrong(f"there must be one <model> in the file of a robot, not {len(nodes)}")
    remarks: list[str] = []
    node = nodes[0]
    scope = Scope(node, version, files, remarks)
    group = scope.group()
    return assembled(
        name=group.name,
        where=node,
        pose=placed(node),
        poses=group.poses,
        links=group.links,
        joints=group.joints,
        sensors=tuple(group.sensors),
        plugins=tuple(group.plugins),
        static=node.yes("static"),
        self_collide=node.yes("self_collide"),
        muscles=files.find(node.word("muscles"), file) or node.word("muscles") if node.first("muscles") else "",
        remarks=tuple(remarks),
    )


class Scope:
    """The names of one <model>: frames, links, joints and nested models."""

    def __init__(self, node: Node, version: str, files: Files, remarks: list[str], depth: int = 0) -> None:
        if depth > DEEPEST:
            raise node.wrong(f"models are nested more than {DEEPEST} deep: does one include itself?")
        self._node, self._files, self._remarks, self._depth = node, files, remarks, depth
        self._version = version
        self._named_frames = version >= "1.7"
        self._frames: dict[str, tuple[str, Pose]] = {MODEL: ("", Pose())}
        self._carriers: dict[str, str] = {}
        self._nested: dict[str, Group] = {}
        self._collect()

    def group(self) -> Group:
        """Everything in this model, nested models by their names with `::`."""
        made = Group(self._node.attribute("name"))
        for node in self._links():
            name = node.attribute("name")
            if name in made.poses:
                raise node.wrong(f"there are two links called {name!r}")
            made.poses[name] = self._pose(name, node)
            made.links.append(self._link(node, name))
            made.sensors += sdf_parts.sensors(node, name, partial(self._within, name), self._note)
        for name, inner in self._nested.items():
            _add_nested(made, name, inner, self._pose(name, self._node))
        made.joints += [self._joint(node) for node in self._node.all("joint")]
        made.plugins += [plugin(node) for node in self._node.all("plugin")]
        for node in self._node.all("gripper"):
            self._note(node, "the gripper is left out")
        for node in self._node.all("joint"):
            for sensor in node.all("sensor"):
                self._note(sensor, f"the sensor {sensor.attributes.get('name', '')!r} of a joint is left out")
        return made

    def _collect(self) -> None:
        """Learn the names first: poses may speak of what stands later in the file."""
        for node in self._links():
            name = node.attribute("name")
            self._frames[name] = (self._relative(node, MODEL), placed(node))
            self._carriers[name] = name
        for node in self._node.all("frame"):
            name, to = node.attribute("name"), node.attributes.get("attached_to", "")
            self._frames[name] = (self._relative(node, to or MODEL), placed(node))
            self._carriers[name] = to
        for name, inner, pose, relative in self._inner_models():
            self._nested[name] = inner
            self._frames[name] = (relative, pose)
            for link, at in inner.poses.items():
                self._frames[f"{name}::{link}"] = (name, at)
                self._carriers[f"{name}::{link}"] = f"{name}::{link}"
            self._carriers[name] = f"{name}::{next(iter(inner.poses), '')}"
        for node in self._node.all("joint"):
            child = self._end(node, "child")
            self._frames.setdefault(node.attribute("name"), (self._relative(node, child), placed(node)))
            self._carriers.setdefault(node.attribute("name"), child)

    def _links(self) -> Iterator[Node]:
        """The links, but for one that stands for the world."""
        return (node for node in self._node.all("link") if node.attributes.get("name") != WORLD)

    def _inner_models(self) -> Iterator[tuple[str, Group, Pose, str]]:
        """Nested and included models: name, content, pose, and what the pose is relative to."""
        for node in self._node.all("model"):
            inner = Scope(node, self._version, self._files, self._remarks, self._depth + 1).group()
            yield inner.name, inner, placed(node), self._relative(node, MODEL)
        for node in self._node.all("include"):
            model, version = included(node, self._files)
            inner = Scope(model, version, self._files, self._remarks, self._depth + 1).group()
            pose = placed(node) if node.first("pose") else placed(model)
            yield node.word("name", inner.name), inner, pose, self._relative(node, MODEL)

    def _relative(self, node: Node, default: str) -> str:
        """The frame in which the pose of an element is."""
        pose = node.first("pose")
        if pose is None or not self._named_frames:
            return default
        return pose.attributes.get("relative_to", "") or default

    def _pose(self, name: str, node: Node) -> Pose:
        """A frame in that of the model."""
        pose, seen = Pose(), [name]
        while name != MODEL:
            if name not in self._frames:
                raise node.wrong(f"there is no frame, link or joint {name!r} that a pose could be relative to")
            name, inner = self._frames[name]
            pose = inner @ pose
            if name in seen:
                raise node.wrong(f"the poses of {' and '.join(seen)} are relative to each other")
            seen.append(name)
        return pose

    def _within(self, link: str, node: Node) -> Pose:
        """The pose of a part of a link, in the axes of that link."""
        relative = self._relative(node, link)
        if relative == link:
            return placed(node)
        return self._pose(link, node).inverse() @ self._pose(relative, node) @ placed(node)

    def _end(self, joint: Node, tag: str) -> str:
        """What a joint calls its parent or child; some write the name of the model itself before that of a link."""
        name = joint.need(tag).text
        return name if name in self._carriers else name.removeprefix(f"{self._node.attribute('name')}::")

    def _carrier(self, name: str, node: Node) -> str:
        """The link that a frame is fastened to, or the world."""
        seen: list[str] = []
        while name != WORLD and self._carriers.get(name) != name:
            if name not in self._carriers or name in seen:
                raise node.wrong(f"there is no link {seen[0] if seen else name!r}")
            seen.append(name)
            name = self._carriers[name] or next(iter(self._carriers))
        return name

    def _link(self, node: Node, name: str) -> Link:
        inertial = node.first("inertial")
        inside = partial(self._within, name)
        return Link(
            name=name,
            line=node.line,
            mass_kg=node.number("inertial/mass", 1.0),
            center=self._within(name, inertial) if inertial else Pose(),
            inertia_kgm2=sdf_parts.inertia(node),
            visuals=sdf_parts.shapes(node, "visual", inside, self._files, self._note),
            collisions=sdf_parts.shapes(node, "collision", inside, self._files, self._note),
            friction=sdf_parts.friction(node),
        )

    def _joint(self, node: Node) -> Joint:
        name, kind = node.attribute("name"), node.attribute("type")
        if kind not in KINDS:
            raise node.wrong(f"the joint {name!r} is of type {kind!r}; a joint must be one of {', '.join(KINDS)}")
        parent, named = self._end(node, "parent"), self._end(node, "child")
        parent, child = self._carrier(parent, node), self._carrier(named, node)
        if child == WORLD:
            raise node.wrong(f"the joint {name!r} has the world as its child: make it the parent")
        here = self._pose(child, node).inverse() @ self._pose(self._relative(node, named), node)
        frame = here @ placed(node)
        made = Joint(
            name=name,
            line=node.line,
            kind=KINDS[kind],
            parent=parent,
            child=child,
            pose=Pose(),
            anchor=frame.position,
            axis=np.array([1.0, 0.0, 0.0]),
        )
        if not made.moves:
            return made
        axis = node.need("axis")
        return replace(
            made,
            axis=self._axis(axis, child, frame),
            limits=None if kind == "continuous" else _limits(axis),
            effort=_strength(axis, "limit/effort"),
            speed=_strength(axis, "limit/velocity"),
            damping=max(0.0, axis.number("dynamics/damping", 0.0)),
            friction=max(0.0, axis.number("dynamics/friction", 0.0)),
            stiffness=max(0.0, axis.number("dynamics/spring_stiffness", 0.0)),
            reference=axis.number("dynamics/spring_reference", 0.0),
        )

    def _axis(self, axis: Node, child: str, frame: Pose) -> Array:
        """The direction (3,) of an axis in the child's axes. Up to 1.4 it was written in those of the model."""
        xyz = axis.need("xyz")
        vector = np.array(numbers(xyz, xyz.text, 3))
        length = float(np.linalg.norm(vector))
        if not length > 0:
            raise xyz.wrong("the axis of a joint must point somewhere, not 0 0 0")
        vector /= length
        in_model = self._version == "1.4" or axis.yes("use_parent_model_frame")
        named = xyz.attributes.get("expressed_in", "") if self._named_frames else ""
        if named or (in_model and not self._named_frames):
            outer = self._pose(named or MODEL, xyz)
            vector, frame = outer.rotation @ vector, self._pose(child, xyz).inverse()
        return np.asarray(frame.rotation @ vector)

    def _note(self, node: Node, what: str) -> None:
        self._remarks.append(f"{node.file}, line {node.line}: {what}")


def _add_nested(outer: Group, name: str, inner: Group, pose: Pose) -> None:
    def scoped(link: str) -> str:
        return link if link == WORLD else f"{name}::{link}"

    outer.poses |= {scoped(link): pose @ at for link, at in inner.poses.items()}
    outer.links += [replace(link, name=scoped(link.name)) for link in inner.links]
    outer.joints += [
        replace(joint, name=scoped(joint.name), parent=scoped(joint.parent), child=scoped(joint.child))
        for joint in inner.joints
    ]
    outer.sensors += [replace(sensor, link=scoped(sensor.link)) for sensor in inner.sensors]
    outer.plugins += inner.plugins


def _limits(axis: Node) -> tuple[float, float] | None:
    low, high = _bound(axis, "limit/lower", -math.inf), _bound(axis, "limit/upper", math.inf)
    if low <= -UNBOUNDED and high >= UNBOUNDED:
        return None
    if low > high:
        raise axis.wrong(f"the lower limit {low:g} is above the upper one {high:g}")
    return max(low, -UNBOUNDED), min(high, UNBOUNDED)


def _strength(axis: Node, path: str) -> float:
    """A bound of what drives a joint; 0 where there is none, as the file says with -1 or a huge number."""
    value = _bound(axis, path, -1.0)
    return value if 0 < value < math.inf else 0.0


def _bound(axis: Node, path: str, default: float) -> float:
    """A number that may be infinite."""
    node = axis.find(path)
    if node is None or not node.text:
        return default
    if node.text.lower().lstrip("+-") in ("inf", "infinity"):
        return -math.inf if node.text.startswith("-") else math.inf
    value = numbers(node, node.text, 1)[0]
    return value if abs(value) < UNBOUNDED else math.copysign(math.inf, value)
