"""The wheeled robot and its room behind the ports of a simulator."""

import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pybullet

from reafference.clock import NS_PER_MS, steps_per
from reafference.frames import Array, Plan, Port, Ports, Step
from reafference.simulator import Report

from ...camera import Camera
from ...disturbances import Disturbances, Reach
from ...inputs import finite
from ...physics import Physics
from ...ports import REAL, output_ports
from ...rotation import quaternion_from_matrix
from ...settings import BodySettings, load_parameters
from .description import Description, load, load_room
from .parameters import Parameters
from .robot import Robot
from .room import Room
from .topics import table as topics
from .urdf import CHASSIS

GRAVITY_M_PER_S2 = (0.0, 0.0, -9.8)
SOLVER_ITERATIONS = 50
CONTACT_ERP = 0.2
PICTURE = "camera/eye.image"
MOST_FORCE_N = 5000.0
"""A dozen times what the robot weighs."""
MOST_TORQUE_NM = 100.0
"""About three times what the motor of a wheel can hold against."""
MOST_OFF_M = 2.0


def build(settings: BodySettings, substep_ns: int, report: Report, plan: Plan) -> "HuskyBody":
    """The robot that `settings` describe, at its start; raises Misfit."""
    del plan  # the settings say it all
    parameters = load_parameters(Parameters, settings)
    report("body", detail="build the room")
    return HuskyBody(load(), parameters, substep_ns)


class HuskyBody:
    """A robot with a camera in a room with two screens."""

    def __init__(self, description: Description, parameters: Parameters, substep_ns: int) -> None:
        self._substep_ns = substep_ns
        self._physics = Physics(
            substep_ns=substep_ns, gravity=GRAVITY_M_PER_S2, iterations=SOLVER_ITERATIONS, erp=CONTACT_ERP
        )
        client = self._physics.client
        self._room = Room(client, description.room, load_room())
        start = description.start
        self._robot = Robot(
            self._physics,
            description,
            start.position_m if parameters.start_position_m is None else parameters.start_position_m,
            start.yaw_rad if parameters.start_yaw_rad is None else parameters.start_yaw_rad,
        )
        self._description = description
        self.disturbances = Disturbances(_reach(description))
        self._eye = np.array(description.camera.eye_m)
        self._camera = _camera(client, description) if parameters.camera else None
        rest = self._read()
        if self._camera:
            rest[PICTURE] = self._picture(self._camera, 0)
        self.ports = Ports(
            inputs=_inputs(),
            outputs=output_ports(rest, _MEANINGS, _labels(self._robot)),
            facts=_facts(description, substep_ns)
            | {
                "room": self._room.describe(),
                "topics": topics(self._robot.wheels, camera=PICTURE if self._camera else ""),
            },
        )

    def advance(self, step: Step) -> dict[str, Array]:
        """Drive through `step` with constant command. The picture is absent unless a new one was taken."""
        linear, angular = (float(value) for value in finite("velocity", step))
        screens = finite("screens", step)
        started_ns = time.perf_counter_ns()
        self._room.show(screens)
        self._robot.drive(linear, angular)
        for _ in range(steps_per(step.dt_ns, self._substep_ns)):
            self._disturb()
            pybullet.stepSimulation(physicsClientId=self._physics.client)
        moved_ns = time.perf_counter_ns()
        outputs = self._read()
        end_ns = step.t_ns + step.dt_ns
        if self._camera and self._camera.is_due(end_ns):
            outputs[PICTURE] = self._picture(self._camera, end_ns)
        outputs["timing.run"] = np.array(moved_ns - started_ns)
        outputs["timing.readout"] = np.array(time.perf_counter_ns() - moved_ns)
        return outputs

    def scene(self) -> dict[str, Any]:
        return _scene(self._description) | {"room": self._room.describe()}

    def reset_world(self) -> None:
        """Turn the screens to the colour they start with; the next step shows on them what is written then."""
        self._room.reset()

    def close(self) -> None:
        self._physics.close()

    def _disturb(self) -> None:
        """Let pushes and loads act in the next substep; Bullet forgets them after it."""
        outside = self.disturbances
        if outside.pushing:
            for push in outside.forces(self._substep_ns):
                self._robot.push(push.link, push.at_m, push.force_N)
        if outside.loading:
            self._robot.load([outside.loads[wheel] for wheel in self._robot.wheels])

    def _read(self) -> dict[str, Array]:
        angles, speeds, torques = self._robot.wheel_states()
        pose = self._robot.pose()
        turn = quaternion_from_matrix(pose.rotation)
        centers, turns = self._robot.wheel_poses()
        return {
            "joints.position": angles,
            "joints.velocity": speeds,
            "joints.effort": torques,
            "base.position": pose.position,
            "base.orientation": turn,
            "base.velocity": np.concatenate([pose.linear, pose.angular]),
            "links.position": np.vstack([pose.position, centers]),
            "links.orientation": np.vstack([turn, turns]),
        }

    def _picture(self, camera: Camera, t_ns: int) -> Array:
        pose = self._robot.pose()
        eye = pose.position + pose.rotation @ self._eye
        return camera.take(t_ns, eye, pose.rotation[:, 0], pose.rotation[:, 2])


_MEANINGS: Mapping[str, tuple[str, str]] = {
    "joints.position": ("rad", "wheel angles since the start"),
    "joints.velocity": ("rad/s", "wheel speeds"),
    "joints.effort": ("N m", "torque of each wheel's motor in the last substep"),
    "base.position": ("m", "origin of the chassis in the room, 0.14 m above the ground it stands on"),
    "base.orientation": ("1", "quaternion w x y z from chassis axes (x ahead, z up) to the room"),
    "base.velocity": ("m/s, rad/s", "linear and angular speed of the chassis origin, room axes"),
    "links.position": ("m", "origins of the links in the room"),
    "links.orientation": ("1", "quaternions w x y z from link axes to the room"),
    PICTURE: ("1", "what the camera sees: rows from the top, red green blue, 0 to 255"),
}


def _labels(robot: Robot) -> dict[str, tuple[str, ...]]:
    return {
        "joints": robot.wheels,
        "base.position": ("x", "y", "z"),
        "base.orientation": ("w", "x", "y", "z"),
        "base.velocity": ("vx", "vy", "vz", "wx", "wy", "wz"),
        "links": (CHASSIS, *robot.wheels),
    }


def _inputs() -> tuple[Port, ...]:
    return (
        Port(
            name="velocity",
            shape=(2,),
            dtype=REAL,
            unit="m/s, rad/s",
            labels=("linear", "angular"),
            description="speed ahead and rate of turning to the left that the wheels are driven for",
        ),
        Port(
            name="screens",
            shape=(2,),
            dtype=REAL,
            unit="1",
            labels=("left", "right"),
            description="colour of each screen: 0 blue, 1 red",
        ),
    )


def _camera(client: int, description: Description) -> Camera:
    data = description.camera
    return Camera(
        client,
        width_px=data.width_px,
        height_px=data.height_px,
        horizontal_field_rad=data.horizontal_field_rad,
        near_m=data.near_m,
        far_m=data.far_m,
        rate_hz=data.rate_hz,
    )


def _facts(description: Description, substep_ns: int) -> dict[str, Any]:
    wheels = len(description.wheel.centers_m)
    return _scene(description) | {
        "substep_ms": substep_ns / NS_PER_MS,
        "pybullet": version("pybullet"),
        "counts": {"links": 1 + wheels, "joints": wheels},
        **_reach(description).facts(),
    }


def _reach(description: Description) -> Reach:
    """Chassis and wheels can be pushed, wheels can be loaded."""
    wheels = tuple(description.wheel.centers_m)
    return Reach(
        links={CHASSIS: description.chassis.com_m, **dict.fromkeys(wheels, (0.0, 0.0, 0.0))},
        joints=wheels,
        most_N=MOST_FORCE_N,
        most_Nm=MOST_TORQUE_NM,
        most_m=MOST_OFF_M,
    )


def _scene(description: Description) -> dict[str, Any]:
    """What a viewer draws besides the room; links move with the stream of this name."""
    chassis, wheel = description.chassis, description.wheel
    box = {"kind": "box", "center_m": list(chassis.box_center_m), "size_m": list(chassis.box_size_m)}
    half = 0.5 * wheel.width_m
    cylinder = {
        "kind": "cylinder",
        "from_m": [0.0, -half, 0.0],
        "to_m": [0.0, half, 0.0],
        "radius_m": wheel.radius_m,
    }
    return {
        "model": "husky_room",
        "links": [
            {"name": CHASSIS, "shape": box, "rgb": list(chassis.rgb)},
            *({"name": name, "shape": cylinder, "rgb": list(wheel.rgb)} for name in wheel.centers_m),
        ],
        "muscles": [],
        "joints": [
            {"name": name, "link": name, "axis": [0.0, 1.0, 0.0], "limits_rad": None} for name in wheel.centers_m
        ],
        "display": {"center_m": [0.0, 0.0, 1.0], "extent_m": 12.0, "up": [0.0, 0.0, 1.0]},
    }
