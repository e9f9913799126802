"""What can be read from a robot: joints, base, links, contacts, inertial sensors, pictures."""

from collections.abc import Mapping, Sequence

import numpy as np

from reafference.clock import NS_PER_S
from reafference.frames import Array

from ...camera import Camera
from ...rotation import quaternion_from_matrix
from .machine import Machine
from .sdf_parts import CAMERA
from .tree import Sensor
from .wheels import Drive

EVERY_STEP_HZ = 1e9
"""The rate of a sensor whose file names none."""


class Senses:
    """The sensors of one robot; each reading gives arrays of its own."""

    def __init__(self, machine: Machine, client: int, gravity: Sequence[float], drive: Drive | None) -> None:
        self._machine, self._drive = machine, drive
        self._gravity = np.array(gravity)
        sensors = names(machine.model.sensors)
        self._cameras = {
            name: (sensor, _camera(client, sensor)) for name, sensor in sensors.items() if sensor.kind == CAMERA
        }
        self._inertial = {name: sensor for name, sensor in sensors.items() if sensor.kind != CAMERA}
        self._speeds = {name: np.zeros(3) for name in self._inertial}

    def rest(self) -> dict[str, Array]:
        """Everything before the first step, pictures included."""
        return self._read(0.0) | {port: self._picture(name, 0) for name, port in self._ports().items()}

    def read(self, t_ns: int, dt_ns: int) -> dict[str, Array]:
        """Everything at the end `t_ns` of a step of `dt_ns`; a picture only where a new one was due."""
        due = {port: name for name, port in self._ports().items() if self._cameras[name][1].is_due(t_ns)}
        return self._read(dt_ns / NS_PER_S) | {port: self._picture(name, t_ns) for port, name in due.items()}

    def _ports(self) -> Mapping[str, str]:
        return {name: f"{name}.image" for name in self._cameras}

    def _read(self, dt_s: float) -> dict[str, Array]:
        machine = self._machine
        angles, speeds, efforts = machine.joint_states()
        base = machine.base_pose()
        motion = machine.motion(machine.model.root, base.position)
        poses = [machine.link_pose(name) for name in machine.links]
        read = {
            "base.position": base.position,
            "base.orientation": quaternion_from_matrix(base.rotation),
            "base.velocity": np.concatenate([motion.linear, motion.angular]),
            "links.position": np.array([pose.position for pose in poses]),
            "links.orientation": np.array([quaternion_from_matrix(pose.rotation) for pose in poses]),
            "contacts.force": machine.contact_forces(),
        }
        if machine.joints:
            read |= {"joints.position": angles, "joints.velocity": speeds, "joints.effort": efforts}
        if self._drive:
            read["drive.velocity"] = np.array(
                [base.rotation[:, 0] @ motion.linear, base.rotation[:, 2] @ motion.angular]
            )
        for name, sensor in self._inertial.items():
            read |= self._inertia(name, sensor, dt_s)
        return read

    def _inertia(self, name: str, sensor: Sensor, dt_s: float) -> dict[str, Array]:
        """What an inertial sensor feels, in its own axes: at rest, one g upwards."""
        frame = self._machine.link_pose(sensor.link) @ sensor.pose
        motion = self._machine.motion(sensor.link, frame.position)
        faster = (motion.linear - self._speeds[name]) / dt_s if dt_s else np.zeros(3)
        self._speeds[name] = motion.linear
        return {
            f"{name}.orientation": quaternion_from_matrix(frame.rotation),
            f"{name}.angular_velocity": frame.rotation.T @ motion.angular,
            f"{name}.linear_acceleration": frame.rotation.T @ (faster - self._gravity),
        }

    def _picture(self, name: str, t_ns: int) -> Array:
        sensor, camera = self._cameras[name]
        frame = self._machine.link_pose(sensor.link) @ sensor.pose
        return camera.take(t_ns, frame.position, frame.rotation[:, 0], frame.rotation[:, 2])


def names(sensors: Sequence[Sensor]) -> dict[str, Sensor]:
    """The sensors by the name of their stream: `camera/eye`, `imu/head`. Signs that no stream can have become `_`."""
    found: dict[str, Sensor] = {}
    for sensor in sensors:
        kind = "camera" if sensor.kind == CAMERA else "imu"
        plain = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "_-") else "_" for sign in sensor.name)
        name, number = f"{kind}/{plain}", 1
        while name in found:
            number += 1
            name = f"{kind}/{plain}_{number}"
        found[name] = sensor
    return found


def _camera(client: int, sensor: Sensor) -> Camera:
    return Camera(
        client,
        width_px=sensor.width_px,
        height_px=sensor.height_px,
        horizontal_field_rad=sensor.horizontal_field_rad,
        near_m=sensor.near_m,
        far_m=sensor.far_m,
        rate_hz=sensor.rate_hz or EVERY_STEP_HZ,
    )
