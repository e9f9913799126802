"""Drive plugins of wheeled robots: which joints are wheels, and how fast each must turn."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reafference.errors import BadExperiment
from reafference.frames import Array

from .plugins import DRIVES
from .pose import Pose
from .tree import Model, Plugin

WHEEL_KEYS = tuple(
    f"{a}{b}joint"
    for a, b in (
        ("left", ""),
        ("right", ""),
        ("leftfront", ""),
        ("rightfront", ""),
        ("leftrear", ""),
        ("rightrear", ""),
        ("front", "left"),
        ("front", "right"),
        ("back", "left"),
        ("back", "right"),
    )
)
SEPARATION_KEYS, DIAMETER_KEYS = ("wheelseparation",), ("wheeldiameter",)
TORQUE_KEYS = ("wheeltorque", "torque", "maxwheeltorque", "maxforce")
USUAL_TORQUE_NM = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Wheels by joint and by link. `along` (n,) is how fast a wheel turns (rad/s) for 1 m/s ahead, `about` (n,) for
    1 rad/s to the left."""

    plugin: Plugin
    joints: tuple[str, ...]
    links: tuple[str, ...]
    radius_m: float
    torque_Nm: float
    along: Array
    about: Array

    def speeds(self, linear: float, angular: float) -> list[float]:
        """Speeds of the wheels, rad/s, for so many m/s ahead and rad/s to the left."""
        speeds: list[float] = (self.along * linear + self.about * angular).tolist()
        return speeds

    @property
    def radii(self) -> Mapping[str, float]:
        """The radius of each wheel's link."""
        return dict.fromkeys(self.links, self.radius_m)


def is_drive(plugin: Plugin) -> bool:
    return any(word in plugin.library.lower() for word in DRIVES)


def drive_of(model: Model, file: str) -> Drive | None:
    """The drive that a plugin of the model makes, if any; raises BadExperiment for one that cannot be understood.

    The robot looks along x. A wheel is on the left if it stands there, and turns ahead if its axis points to the left.
    """
    found = [plugin for plugin in model.plugins if is_drive(plugin)]
    if not found:
        return None
    plugin = found[0]
    names = [plugin.parameters[key] for key in WHEEL_KEYS if plugin.parameters.get(key)]
    joints = {joint.name: joint for joint in model.joints if joint.moves}
    unknown = [name for name in names if name not in joints]
    if not names or unknown:
        said = f"names joints that there are not: {', '.join(unknown)}" if unknown else "names no joints of wheels"
        raise _wrong(plugin, file, f"the drive {plugin.library!r} {said}")
    frames = link_frames(model)
    wheels = [joints[name] for name in names]
    centers = np.array([frames[wheel.child].point(wheel.anchor) for wheel in wheels])
    axes = np.array([frames[wheel.child].rotation @ wheel.axis for wheel in wheels])
    sense = np.where(axes[:, 1] < -0.5, -1.0, 1.0)
    middle = 0.5 * (centers[:, 1].min() + centers[:, 1].max())
    side = np.sign(centers[:, 1] - middle)
    separation_m = _number(plugin, file, SEPARATION_KEYS, float(np.ptp(centers[:, 1])))
    diameter_m = _number(plugin, file, DIAMETER_KEYS, 0.0)
    if not (diameter_m > 0 and separation_m > 0):
        raise _wrong(plugin, file, f"the drive {plugin.library!r} needs <wheelDiameter> and <wheelSeparation> above 0")
    radius_m = 0.5 * diameter_m
    return Drive(
        plugin=plugin,
        joints=tuple(names),
        links=tuple(wheel.child for wheel in wheels),
        radius_m=radius_m,
        torque_Nm=_number(plugin, file, TORQUE_KEYS, USUAL_TORQUE_NM) or USUAL_TORQUE_NM,
        along=sense / radius_m,
        about=-sense * side * 0.5 * separation_m / radius_m,
    )


def link_frames(model: Model) -> dict[str, Pose]:
    """Every link in the frame of the model when all joints are at 0."""
    frames = {model.root: model.root_pose}
    for joint in model.joints:
        frames[joint.child] = frames[joint.parent] @ joint.pose
    return frames


def _number(plugin: Plugin, file: str, keys: tuple[str, ...], default: float) -> float:
    for key in keys:
        text = plugin.parameters.get(key)
        if text:
            try:
                return abs(float(text))
            except ValueError:
                raise _wrong(plugin, file, f"<{key}> must be a number, not {text[:60]!r}") from None
    return default


def _wrong(plugin: Plugin, file: str, what: str) -> BadExperiment:
    return BadExperiment(f"{file}, line {plugin.line}: {what}", detail={"file": file, "line": plugin.line})
