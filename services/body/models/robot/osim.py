"""Muscles of an OpenSim model: their paths over the links of a robot, and their parameters."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from reafference.frames import Array
from reafference.plain import Misfit, nearest

from ...muscles import MuscleParameters
from .markup import Node, numbers, parse
from .tree import WORLD

GROUND = ("ground", WORLD)
POINTS = ("PathPoint",)


@dataclass(frozen=True, slots=True)
class PathPoint:
    """A point (3,) in m in the axes of a link, or of the world."""

    link: str
    at: Array


@dataclass(frozen=True, slots=True)
class Muscle:
    """One muscle: from its origin over its path to its insertion."""

    parameters: MuscleParameters
    path: tuple[PathPoint, ...]


def read(text: str, file: str, links: Collection[str], remarks: list[str]) -> tuple[Muscle, ...]:
    """The muscles in an OpenSim file, attached to links of these names. What is left out goes to `remarks`.

    Raises BadExperiment, with the line, for what cannot be built.
    """
    root = parse(text, file)
    if root.tag != "OpenSimDocument":
        raise root.wrong(f"<{root.tag}> is not an OpenSim model: the file must begin with <OpenSimDocument>")
    forces = root.find("Model/ForceSet/objects")
    found = [node for node in forces.children if node.first("GeometryPath")] if forces else []
    if not found:
        raise root.wrong("there are no muscles in the <ForceSet> of the model")
    muscles = tuple(_muscle(node, links, remarks) for node in found)
    names = [muscle.parameters.name for muscle in muscles]
    for node, name in zip(found, names, strict=True):
        if names.count(name) > 1:
            raise node.wrong(f"there are two muscles called {name!r}")
    return muscles


def _muscle(node: Node, links: Collection[str], remarks: list[str]) -> Muscle:
    name, path = node.attribute("name"), node.need("GeometryPath")
    wraps = path.find("PathWrapSet/objects")
    if wraps is not None and wraps.children:
        remarks.append(f"{node.file}, line {node.line}: the muscle {name!r} goes straight: wrapping is left out")
    points = tuple(_points(path, links))
    if len(points) < 2:
        raise path.wrong(f"the muscle {name!r} needs two path points or more")
    speed = node.number("max_contraction_velocity", 10.0)
    try:
        parameters = MuscleParameters(
            name=name,
            max_isometric_force=node.number("max_isometric_force", 1000.0),
            optimal_fiber_length_m=node.number("optimal_fiber_length", 0.1),
            tendon_slack_length_m=node.number("tendon_slack_length", 0.2),
            pennation_rad=node.number("pennation_angle_at_optimal", node.number("pennation_angle", 0.0)),
            max_contraction_velocity=speed,
            fiber_damping=node.number("fiber_damping", 0.1) or 0.1,
            activation_tau_s=node.number("activation_time_constant", 0.010),
            deactivation_tau_s=node.number("deactivation_time_constant", 0.040),
            min_activation=node.number("minimum_activation", 0.01),
        )
    except Misfit as misfit:
        raise node.wrong(f"the muscle {name!r}: {misfit}") from None
    return Muscle(parameters, points)


def _points(path: Node, links: Collection[str]) -> Iterator[PathPoint]:
    objects = path.find("PathPointSet/objects")
    for node in objects.children if objects else ():
        if node.tag not in POINTS:
            raise node.wrong(f"<{node.tag}> is not built: a path must be of {', '.join(POINTS)} alone")
        location = node.need("location")
        yield PathPoint(_link(node, links), np.array(numbers(location, location.text, 3)))


def _link(node: Node, links: Collection[str]) -> str:
    """The link of a point: <body> names it, or, since OpenSim 4, <socket_parent_frame>."""
    body = (node.word("body") or node.word("socket_parent_frame")).rstrip("/").rpartition("/")[2]
    if body in GROUND:
        return WORLD
    if body in links:
        return body
    inner = [link for link in links if link.rpartition("::")[2] == body]
    if len(inner) == 1:
        return inner[0]
    raise node.wrong(f"there is no link {body!r} for the point of a muscle{nearest(body, links)}")
