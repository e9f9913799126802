"""Plugins of a model file as plain values; SDF and URDF write them alike."""

from collections.abc import Iterator

from .markup import Node
from .tree import Model, Plugin

DRIVES = ("diff_drive", "diffdrive", "skid_steer", "husky_gazebo_plugins")
UNDERSTOOD = (*DRIVES, "joint_state", "p3d", "ros_control", "controller", "muscle")
"""Parts of the names of libraries whose work is done here."""


def plugin(node: Node) -> Plugin:
    """One element `<plugin>`."""
    return Plugin(
        name=node.attributes.get("name", ""),
        library=node.attributes.get("filename", ""),
        line=node.line,
        parameters={plain(child.tag): child.text for child in node.children if not child.children},
        parts=tuple(_part(child) for child in node.children if child.children or child.tag == "controller"),
    )


def left_out(model: Model, file: str) -> Iterator[str]:
    """What there is to say of plugins of a model that do nothing here."""
    for one in model.plugins:
        if not one.parts and not any(word in one.library.lower() for word in UNDERSTOOD):
            yield f"{file}, line {one.line}: the plugin {one.library or one.name!r} is left out"


def plain(tag: str) -> str:
    """A tag however it is written: `leftJoint`, `left_joint` and `LeftJoint` are one."""
    return tag.replace("_", "").lower()


def _part(node: Node) -> dict[str, str]:
    inner = {plain(child.tag): child.text for child in node.children}
    return {plain(key): value for key, value in node.attributes.items()} | inner | {"": plain(node.tag)}
