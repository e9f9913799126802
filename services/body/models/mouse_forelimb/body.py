"""The forelimb behind the ports of a simulator."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from reafference.clock import NS_PER_MS, steps_per
from reafference.frames import Array, Plan, Port, Ports, Step
from reafference.simulator import Report

from ...disturbances import Disturbances, Reach
from ...inputs import finite
from ...kernels import LOWER, UPPER
from ...ports import REAL, output_ports
from ...rotation import quaternion_from_matrix
from ...settings import BodySettings, load_parameters
from .description import Description, load
from .limb import Limb
from .parameters import Parameters
from .topics import point_labels
from .topics import table as topics

MOST_FORCE_N = 10.0
"""Some ten times what the strongest muscle pulls with."""
MOST_TORQUE_NM = 0.1
"""A hundred times the load that the stick bears always; it bends the stops by a third of their range."""
MOST_OFF_M = 0.1
STICK = "stick"


def build(settings: BodySettings, substep_ns: int, report: Report, plan: Plan) -> "ForelimbBody":
    """The forelimb that `settings` describe, at rest; raises Misfit."""
    del report, plan  # it takes milliseconds, and the settings say it all
    description = load()
    return ForelimbBody(Limb(description, load_parameters(Parameters, settings), substep_ns), substep_ns)


class ForelimbBody:
    """A limb, its inputs and its sensors."""

    def __init__(self, limb: Limb, substep_ns: int) -> None:
        self._limb = limb
        self._substep_ns = substep_ns
        n = len(limb.muscles.muscles)
        self._excitation, self._load = np.zeros(n), np.zeros(len(limb.q))
        self.disturbances = Disturbances(_reach(limb.description))
        self._sensors = Sensors(limb)
        self.ports = _ports(limb, substep_ns, self._sensors.read(self._excitation))

    def advance(self, step: Step) -> dict[str, Array]:
        """Move through `step` under constant excitation and effort, and whatever else acts from outside."""
        self._excitation[:] = finite("excitation", step)
        self._load[:] = finite("effort", step)
        if self.disturbances.loading:
            self._load += self._outside_load()
        started_ns = time.perf_counter_ns()
        self._limb.load(self._load)
        substeps = steps_per(step.dt_ns, self._substep_ns)
        pushed = self._advance_pushed(substeps)
        self._limb.advance(self._excitation, substeps - pushed)
        moved_ns = time.perf_counter_ns()
        outputs = self._sensors.read(self._excitation)
        outputs["timing.run"] = np.array(moved_ns - started_ns)
        outputs["timing.readout"] = np.array(time.perf_counter_ns() - moved_ns)
        return outputs

    def scene(self) -> dict[str, Any]:
        return _scene(self._limb)

    def reset_world(self) -> None:
        """There is nothing beside the limb and its stick."""

    def close(self) -> None:
        self._limb.close()

    def _outside_load(self) -> Array:
        loads = self.disturbances.loads
        return np.array([loads.get(hinge.name, 0.0) for hinge in self._limb.description.hinge])

    def _advance_pushed(self, most: int) -> int:
        """Move by substeps while anything pushes, at most so many; how many it were."""
        limb, done = self._limb, 0
        while done < most and self.disturbances.pushing:
            # The force keeps its direction while the limb turns, so that its torques are new in each substep.
            limb.load(self._load + self._torques())
            limb.advance(self._excitation, 1)
            done += 1
        if done:
            limb.load(self._load)
        return done

    def _torques(self) -> Array:
        """Torques (6,) of the pushes in the next substep."""
        hinges = {hinge.child: number for number, hinge in enumerate(self._limb.description.hinge)}
        total = np.zeros(len(self._load))
        for push in self.disturbances.forces(self._substep_ns):
            total += self._limb.linkage.torques(hinges[push.link], push.at_m, push.force_N)
        return total


class Sensors:
    """What can be read from a limb, each time as arrays of its own."""

    def __init__(self, limb: Limb) -> None:
        self._limb = limb
        links = [link.name for link in limb.description.link]
        fixed = limb.description.fixed_poses()
        self._positions = np.zeros((len(links), 3))
        self._orientations = np.zeros((len(links), 4))
        for i, name in enumerate(links):
            if name in fixed:
                self._orientations[i] = quaternion_from_matrix(fixed[name][0])
                self._positions[i] = fixed[name][1]
        self._moving = [links.index(hinge.child) for hinge in limb.description.hinge]
        self._n_points = int(limb.linkage.first[-1])

    def read(self, excitation: Array) -> dict[str, Array]:
        """Every output but the times."""
        limb, linkage, muscles = self._limb, self._limb.linkage, self._limb.muscles
        for hinge, link in enumerate(self._moving):
            self._positions[link] = linkage.position[hinge]
            self._orientations[link] = quaternion_from_matrix(linkage.rotation[hinge])
        return {
            "joints.position": limb.q.copy(),
            "joints.velocity": limb.qd.copy(),
            "joints.effort": limb.torque.copy(),
            "muscles.excitation": excitation.copy(),
            "muscles.activation": muscles.activation.copy(),
            "muscles.force": muscles.force.copy(),
            "muscles.length": linkage.path.copy(),
            "muscles.velocity": (linkage.slope * limb.qd).sum(axis=1),
            "muscles.fiber_length": muscles.fiber_length.copy(),
            "tip.position": limb.tip.copy(),
            "links.position": self._positions.copy(),
            "links.orientation": self._orientations.copy(),
            "muscle_points.position": linkage.points[: self._n_points].copy(),
            "grip.error": np.array(limb.grip_error_m),
        }


_MEANINGS: Mapping[str, tuple[str, str]] = {
    "joints.position": ("rad", "hinge angles; 0 is the rest pose"),
    "joints.velocity": ("rad/s", "hinge speeds"),
    "joints.effort": ("N m", "torque on each hinge: muscles, damping, stops and load"),
    "muscles.excitation": ("1", "as received, held through the step"),
    "muscles.activation": ("1", "0 to 1; follows the excitation within some 10 ms"),
    "muscles.force": ("N", "tension of the tendon"),
    "muscles.length": ("m", "length of the path from origin to insertion"),
    "muscles.velocity": ("m/s", "speed at which the path gets longer"),
    "muscles.fiber_length": ("m", "length of the fibre; the rest of the path is tendon"),
    "tip.position": ("m", "tip of the stick in the rig frame: x to the mouse's left, y backwards, z up"),
    "links.position": ("m", "origins of the links in the rig frame"),
    "links.orientation": ("1", "quaternions w x y z from link axes to the rig frame"),
    "muscle_points.position": ("m", "path points in the rig frame; facts.muscles tells which are whose"),
    "grip.error": ("m", "distance between the foot's grip and the tip of the stick"),
}


def _ports(limb: Limb, substep_ns: int, rest: Mapping[str, Array]) -> Ports:
    description = limb.description
    hinges = tuple(hinge.name for hinge in description.hinge)
    muscles = tuple(muscle.name for muscle in limb.muscles.muscles)
    labels = {
        "joints": hinges,
        "muscles": muscles,
        "tip": ("x", "y", "z"),
        "links": tuple(link.name for link in description.link),
        "muscle_points": point_labels(muscles, np.diff(limb.linkage.first).tolist()),
    }
    return Ports(
        inputs=(
            Port(
                name="excitation",
                shape=(len(muscles),),
                dtype=REAL,
                unit="1",
                labels=muscles,
                description="neural drive of each muscle, 0 to 1 (clipped); held through a step",
            ),
            Port(
                name="effort",
                shape=(len(hinges),),
                dtype=REAL,
                unit="N m",
                labels=hinges,
                rest=np.array([hinge.constant_effort for hinge in description.hinge]),
                description="torque on each hinge from outside; the stick's load unless something writes here",
            ),
        ),
        outputs=output_ports(rest, _MEANINGS, labels),
        facts=_facts(limb, description, hinges, muscles, substep_ns),
    )


def _facts(
    limb: Limb, description: Description, hinges: Sequence[str], muscles: Sequence[str], substep_ns: int
) -> dict[str, Any]:
    return _scene(limb) | {
        "substep_ms": substep_ns / NS_PER_MS,
        "pybullet": version("pybullet"),
        "counts": {
            "links": len(description.link),
            "joints": len(hinges),
            "muscles": len(muscles),
            "path_points": int(limb.linkage.first[-1]),
        },
        "topics": topics(
            hinges, [link.name for link in description.link], muscles, np.diff(limb.linkage.first).tolist()
        ),
        **_reach(description).facts(),
    }


def _scene(limb: Limb) -> dict[str, Any]:
    """What a viewer draws; `links` and path points move with the streams of these names."""
    description, first = limb.description, limb.linkage.first.tolist()
    return {
        "model": "mouse_forelimb",
        "links": description.shapes(),
        "muscles": [
            {
                "name": muscle.name,
                "points": list(range(first[i], first[i + 1])),
                "max_isometric_force_N": muscle.max_isometric_force,
            }
            for i, muscle in enumerate(limb.muscles.muscles)
        ],
        "joints": [
            {
                "name": hinge.name,
                "link": hinge.child,
                "axis": list(hinge.axis),
                "limits_rad": [float(limb.law[i, LOWER]), float(limb.law[i, UPPER])],
            }
            for i, hinge in enumerate(description.hinge)
        ],
        "room": [],
        "display": {
            "center_m": list(description.display.center_m),
            "extent_m": description.display.extent_m,
            "up": list(description.display.up),
            "rig_in_room_m": list(description.display.rig_in_room_m),
        },
    }


def _reach(description: Description) -> Reach:
    """Every link that moves can be pushed. The joystick's two axes have a solenoid each, which can load them."""
    links = {link.name: link for link in description.link}
    moving = [hinge.child for hinge in description.hinge]
    joints = [hinge.name for hinge in description.hinge]
    why = "no solenoid acts on it; push its link, or write to body.effort in a transfer function"
    return Reach(
        links={name: links[name].com_m for name in moving},
        joints=tuple(joint for joint in joints if joint.startswith(STICK)),
        most_N=MOST_FORCE_N,
        most_Nm=MOST_TORQUE_NM,
        most_m=MOST_OFF_M,
        fixed=tuple(name for name in links if name not in moving),
        why_not={joint: why for joint in joints if not joint.startswith(STICK)},
    )
