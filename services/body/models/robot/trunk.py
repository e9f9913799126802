"""Links and joints of a file → the tree of a Model, or a complaint about what is no tree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .inertia import is_possible, principal
from .markup import Node
from .pose import Pose
from .tree import WORLD, Joint, Link, Model, Plugin, Sensor


def assembled(
    *,
    name: str,
    where: Node,
    pose: Pose,
    poses: Mapping[str, Pose],
    links: Sequence[Link],
    joints: Sequence[Joint],
    sensors: tuple[Sensor, ...],
    plugins: tuple[Plugin, ...],
    static: bool = False,
    self_collide: bool = False,
    muscles: str = "",
    remarks: tuple[str, ...] = (),
) -> Model:
    """The model whose links stand at `poses` in its frame. Raises BadExperiment, with the line, for loops, for
    parts that nothing holds, and for moving links without mass."""
    if not links:
        raise where.wrong(f"the model {name!r} has no link")
    _check_names(where, links, joints)
    if static:
        held = {joint.child for joint in joints}
        joints = [*joints, *(_bolt(link) for link in links if link.name not in held)]
    root = _root(where, links, joints)
    frames = {WORLD: Pose(), **poses}
    placed = [replace(joint, pose=frames[joint.parent].inverse() @ frames[joint.child]) for joint in joints]
    ordered = tuple(_from_root(root, placed))
    if len(ordered) < len(placed):
        reached = {joint.name for joint in ordered}
        lost = [joint.name for joint in placed if joint.name not in reached]
        raise where.wrong(f"the joints {', '.join(lost[:4])} hang on nothing: they form a ring")
    _check_masses(where, links, ordered)
    remarks += tuple(_raised(where, links))
    return Model(
        name=name,
        root=root,
        pose=pose,
        root_pose=frames[root],
        links=tuple(links),
        joints=ordered,
        sensors=sensors,
        plugins=plugins,
        static=static,
        self_collide=self_collide,
        muscles=muscles,
        remarks=remarks,
    )


def _check_names(where: Node, links: Sequence[Link], joints: Sequence[Joint]) -> None:
    known = {WORLD} | {link.name for link in links}
    for joint in joints:
        for end in (joint.parent, joint.child):
            if end not in known:
                raise _at(where, joint.line, f"the joint {joint.name!r} names a link {end!r} that there is not")
    for kind, parts in (("links", links), ("joints", joints)):
        seen: set[str] = set()
        for part in parts:
            if part.name in seen:
                raise _at(where, part.line, f"there are two {kind} called {part.name!r}")
            seen.add(part.name)


def _root(where: Node, links: Sequence[Link], joints: Sequence[Joint]) -> str:
    """The one link that nothing carries; the world, where something hangs on it."""
    carried: dict[str, str] = {}
    for joint in joints:
        if joint.child in carried:
            raise _at(
                where,
                joint.line,
                f"the link {joint.child!r} hangs on two joints, {carried[joint.child]!r} and {joint.name!r}: loops of "
                "links cannot be built; take one of the joints out",
            )
        carried[joint.child] = joint.name
    free = [link for link in links if link.name not in carried]
    if any(joint.parent == WORLD for joint in joints):
        if free:
            raise _at(where, free[0].line, f"no joint holds the link {free[0].name!r}; fix it to another one")
        return WORLD
    if not free:
        raise where.wrong("every link hangs on another one: the joints form a ring")
    if len(free) > 1:
        names = " and ".join(repr(link.name) for link in free[:2])
        raise _at(where, free[1].line, f"no joint holds {names} together; add a fixed joint, or leave one of them out")
    return free[0].name


def _from_root(root: str, joints: Sequence[Joint]) -> Iterator[Joint]:
    """The joints in the order of the file, but none before the one that carries its parent."""
    reached, waiting = {root}, list(joints)
    while waiting:
        following = next((joint for joint in waiting if joint.parent in reached), None)
        if following is None:
            return
        waiting.remove(following)
        reached.add(following.child)
        yield following


def _check_masses(where: Node, links: Sequence[Link], joints: Sequence[Joint]) -> None:
    moving = {joint.child for joint in joints if joint.moves}
    for link in links:
        if link.mass_kg is not None and not link.mass_kg >= 0:
            raise _at(where, link.line, f"the mass of the link {link.name!r} is {link.mass_kg:g} kg")
        if link.name in moving and not link.mass_kg:
            raise _at(where, link.line, f"the link {link.name!r} moves but has no mass: give it an <inertial>")
        if link.mass_kg and not (principal(link.inertia_kgm2)[0] > 0).all():
            raise _at(where, link.line, f"the moments of inertia of the link {link.name!r} must be above 0")


def _raised(where: Node, links: Sequence[Link]) -> Iterator[str]:
    """What there is to say of inertias that no solid body has."""
    for link in links:
        if link.mass_kg and not is_possible(principal(link.inertia_kgm2)[0]):
            yield (
                f"{where.file}, line {link.line}: the inertia of the link {link.name!r} is that of no solid body (one "
                "moment is above the sum of the others); the smaller ones are raised"
            )


def _bolt(link: Link) -> Joint:
    """What holds a link of a static model."""
    return Joint(
        name=f"{link.name}__static",
        line=link.line,
        kind="fixed",
        parent=WORLD,
        child=link.name,
        pose=Pose(),
        anchor=np.zeros(3),
        axis=np.array([1.0, 0.0, 0.0]),
    )


def _at(where: Node, line: int, what: str) -> Exception:
    return replace(where, line=line).wrong(what)
