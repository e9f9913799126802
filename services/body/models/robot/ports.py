"""What goes into a robot and comes out of it, described."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reafference.frames import Port

from ...ports import REAL
from .drives import KINDS
from .tree import Joint

UNITS = {"position": "rad, m", "velocity": "rad/s, m/s", "effort": "N m, N"}


def inputs(driven: Sequence[Joint], muscles: Sequence[Mapping[str, Any]], *, wheeled: bool) -> tuple[Port, ...]:
    """What the robot takes: commands for the joints it can drive, drive of muscles and of wheels, where there are."""
    names = tuple(joint.name for joint in driven)
    ports = [
        Port(
            name=f"command.{kind}",
            shape=(len(driven),),
            dtype=REAL,
            unit=UNITS[kind],
            labels=names,
            rest=np.full(len(driven), np.nan),
            description=f"{kind} that each joint is driven for from when it is written; none before",
        )
        for kind in KINDS
        if driven
    ]
    if muscles:
        ports.append(
            Port(
                name="excitation",
                shape=(len(muscles),),
                dtype=REAL,
                unit="1",
                labels=tuple(muscle["name"] for muscle in muscles),
                description="neural drive of each muscle, 0 to 1 (clipped); held through a step",
            )
        )
    if wheeled:
        purpose = "speed ahead and rate of turning to the left that the wheels are driven for"
        ports.append(
            Port(
                name="velocity",
                shape=(2,),
                dtype=REAL,
                unit="m/s, rad/s",
                labels=("linear", "angular"),
                description=purpose,
            )
        )
    return tuple(ports)


_MEANINGS: Mapping[str, tuple[str, str]] = {
    "joints.position": (UNITS["position"], "angles of hinges, ways of slides"),
    "joints.velocity": (UNITS["velocity"], "speeds of the joints"),
    "joints.effort": (UNITS["effort"], "what drives each joint, in the last substep"),
    "base.position": ("m", "origin of the model in the world"),
    "base.orientation": ("1", "quaternion w x y z from the model's axes to the world"),
    "base.velocity": ("m/s, rad/s", "linear and angular speed of that origin, axes of the world"),
    "drive.velocity": ("m/s, rad/s", "speed ahead and rate of turning to the left, as they are"),
    "links.position": ("m", "origins of the links in the world"),
    "links.orientation": ("1", "quaternions w x y z from link axes to the world"),
    "contacts.force": ("N", "how hard each link is pressed by what it touches, in the last substep"),
    "muscles.excitation": ("1", "as received, held through the step"),
    "muscles.activation": ("1", "0 to 1; follows the excitation within some 10 ms"),
    "muscles.force": ("N", "tension of the tendon"),
    "muscles.length": ("m", "length of the path from origin to insertion"),
    "muscles.velocity": ("m/s", "speed at which the path gets longer"),
    "muscles.fiber_length": ("m", "length of the fibre; the rest of the path is tendon"),
    "muscle_points.position": ("m", "path points in the world; facts.muscles tells which are whose"),
    "image": ("1", "what the camera sees: rows from the top, red green blue, 0 to 255"),
    "orientation": ("1", "quaternion w x y z from the sensor's axes to the world"),
    "angular_velocity": ("rad/s", "turning in the sensor's axes"),
    "linear_acceleration": ("m/s^2", "acceleration and weight in the sensor's axes; one g upwards at rest"),
}


def meaning(name: str) -> tuple[str, str]:
    """Unit and description of an output."""
    return _MEANINGS.get(name) or _MEANINGS[name.rpartition(".")[2]]
