"""Which body stands for a published robot: one that is shipped, or what its own description makes of it."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .bibi import BodyModel
from .exd import Pose
from .files import Files

_HUSKY = re.compile(r"husky", re.IGNORECASE)
_FORELIMB = re.compile(r"fore_?limb|rodent|joystick|mouse.*(sled|arm|limb|stick)|(sled|arm|limb).*mouse", re.IGNORECASE)
_MOUSE = re.compile(r"mouse|rat\b", re.IGNORECASE)
_ROOM = re.compile(r"virtual_?room|husky|holodeck", re.IGNORECASE)
_DESCRIPTIONS = (".sdf", ".urdf")


@dataclass(frozen=True, slots=True)
class Body:
    """The table [body], and what there is to say about it."""

    table: dict[str, Any]
    remarks: tuple[str, ...]


def body(
    bodies: Sequence[BodyModel], poses: dict[str, Pose], environment: str, files: Files, beside: str
) -> Body | None:
    """The body for these robots; None where there is none. Raises BadExperiment for one that nobody can build.

    `beside` is the file that names them.
    """
    if not bodies:
        return None
    first, others = bodies[0], bodies[1:]
    pose = poses.get(first.robot) or poses.get("") or (next(iter(poses.values())) if len(poses) == 1 else None)
    remarks = [f"the robot {other.robot or other.src!r} is left out: there is one body" for other in others]
    made = _known(first, pose, environment, files, beside) or _described(first, pose, environment, files, beside)
    return Body(made.table, (*remarks, *made.remarks))


def _known(model: BodyModel, pose: Pose | None, environment: str, files: Files, beside: str) -> Body | None:
    words = f"{model.src} {model.model} {model.robot}"
    own = _description(model, files, beside)
    if model.custom and own is not None:
        return None
    if _HUSKY.search(words):
        return _husky(pose, environment)
    if _FORELIMB.search(words):
        return _forelimb(environment)
    if _MOUSE.search(words) and own is None:
        made = _forelimb(environment)
        return Body(
            made.table,
            (
                f"the shipped forelimb stands for {model.src or model.robot!r}, which may be another mouse",
                *made.remarks,
            ),
        )
    return None


def _husky(pose: Pose | None, environment: str) -> Body:
    table: dict[str, Any] = {"model": "husky_room"}
    remarks = []
    if pose is not None:
        roll, pitch, yaw = pose.angles_rad
        table["parameters"] = {"start_position_m": list(pose.position_m), "start_yaw_rad": yaw}
        if abs(roll) > 1e-6 or abs(pitch) > 1e-6:
            remarks.append(f"the robot begins upright: its roll of {roll:g} and pitch of {pitch:g} rad are left out")
    if environment and not _ROOM.search(environment):
        remarks.append(f"the robot stands in the shipped room with two screens, not in {environment!r}")
    return Body(table, tuple(remarks))


def _forelimb(environment: str) -> Body:
    remarks = ["the forelimb is the shipped one, with its joystick, at its own place"]
    if environment:
        remarks.append(f"the environment {environment!r} is not shown")
    return Body({"model": "mouse_forelimb"}, tuple(remarks))


def _described(model: BodyModel, pose: Pose | None, environment: str, files: Files, beside: str) -> Body:
    found = _description(model, files, beside)
    if found is None:
        name = model.src or model.model or model.robot
        packed = next((one for one in (model.src, model.model) if one.lower().endswith(".zip")), "")
        if packed:
            model.place.refuse(f"the robot is packed in {packed}: unpack it in the folder, and name its SDF here")
        model.place.refuse(
            f"the robot {name!r} is none that is shipped (husky, mouse forelimb), and there is no such file: put its "
            "SDF or URDF, with its meshes, into the experiment's folder"
        )
    table: dict[str, Any] = {"model": "robot", "file": found}
    if model.robot:
        table["name"] = model.robot
    if pose is not None:
        table |= {"position_m": list(pose.position_m), **_turned(pose)}
    world = files.find(environment, beside) if environment else None
    remarks = []
    if world is not None and world.lower().endswith((".sdf", ".world")):
        table["environment"] = world
    elif environment:
        remarks.append(f"the environment {environment!r} is not in the folder: the robot stands on a plane")
    return Body(table, tuple(remarks))


def _turned(pose: Pose) -> dict[str, Any]:
    """The orientation as [body] has it: an angle about the vertical, or a quaternion w, x, y, z."""
    roll, pitch, yaw = pose.angles_rad
    if roll == 0 and pitch == 0:
        return {"yaw_rad": yaw}
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(angle / 2), math.sin(angle / 2)) for angle in (roll, pitch, yaw))
    return {
        "orientation": [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ]
    }


def _description(model: BodyModel, files: Files, beside: str) -> str | None:
    """The SDF or URDF of a robot, as it is written, or within a folder of its name."""
    within = [f"{model.model}/{model.src or 'model.sdf'}", f"{model.model}.sdf"] if model.model else []
    for reference in (*within, model.src):
        if reference.lower().endswith(_DESCRIPTIONS) and (found := files.find(reference, beside)):
            return found
    return None
