"""The wheeled robot in PyBullet: driven wheels, and where the chassis is."""

from dataclasses import dataclass

import numpy as np
import pybullet

from reafference.frames import Array

from ...physics import Physics
from ...rotation import matrix_from_quaternion, quaternion_from_matrix
from .description import Description, Vector
from .urdf import to_urdf

AXLE_DIRECTION = 1  # wheels turn about their y


@dataclass(frozen=True, slots=True)
class Pose:
    """Origin (3,) and axes (3, 3) of a link in the room, with linear and angular speed of that origin."""

    position: Array
    rotation: Array
    linear: Array
    angular: Array


class Robot:
    """The robot at its start, with brakes on: wheels are held at the speed they were last told."""

    def __init__(self, physics: Physics, description: Description, position_m: Vector, yaw_rad: float) -> None:
        self._client, self._drive = physics.client, description.drive
        self._body = physics.load_urdf(to_urdf(description), fixed=False)
        numbers = physics.joints(self._body)
        self.wheels = tuple(description.wheel.centers_m)
        self._wheels = [numbers[name] for name in self.wheels]
        self._is_left = np.array([name.endswith("left") for name in self.wheels])
        info = pybullet.getDynamicsInfo(self._body, -1, physicsClientId=self._client)
        self._com, self._principal = np.array(info[3]), _matrix(info[4])
        self._stand_at(position_m, yaw_rad)
        self._set_friction(description)
        self.drive(0.0, 0.0)

    def drive(self, linear_m_per_s: float, angular_rad_per_s: float) -> None:
        """Ask the wheels for these speeds of the robot; each has a limited torque to follow with."""
        turn = 0.5 * angular_rad_per_s * self._drive.track_m
        rim = np.where(self._is_left, linear_m_per_s - turn, linear_m_per_s + turn)
        pybullet.setJointMotorControlArray(
            self._body,
            self._wheels,
            pybullet.VELOCITY_CONTROL,
            targetVelocities=(2.0 * rim / self._drive.wheel_diameter_m).tolist(),
            forces=[self._drive.max_torque] * len(self._wheels),
            physicsClientId=self._client,
        )

    def push(self, link: str, at_m: Array, force_N: Array) -> None:
        """Let a force (3,) in room axes act in the next substep, at a point (3,) in the axes of the link."""
        number, origin, rotation = self._place(link)
        point = origin + rotation @ at_m
        pybullet.applyExternalForce(
            self._body,
            number,
            force_N.tolist(),
            point.tolist(),
            pybullet.WORLD_FRAME,
            physicsClientId=self._client,
        )

    def load(self, torques_Nm: list[float]) -> None:
        """Let a torque act on each wheel in the next substep, against which its motor has to hold the speed."""
        pybullet.setJointMotorControlArray(
            self._body, self._wheels, pybullet.TORQUE_CONTROL, forces=torques_Nm, physicsClientId=self._client
        )

    def wheel_states(self) -> tuple[Array, Array, Array]:
        """Angles (rad), speeds (rad/s) and torques (N m) of the wheels, each (4,)."""
        states = pybullet.getJointStates(self._body, self._wheels, physicsClientId=self._client)
        columns = [np.array([state[i] for state in states]) for i in (0, 1, 3)]
        return columns[0], columns[1], columns[2]

    def pose(self) -> Pose:
        """The chassis. Bullet speaks of its centre of mass and principal axes, this of its origin and axes."""
        place, turn = pybullet.getBasePositionAndOrientation(self._body, physicsClientId=self._client)
        linear, angular = (np.array(v) for v in pybullet.getBaseVelocity(self._body, physicsClientId=self._client))
        rotation = _matrix(turn) @ self._principal.T
        to_origin = -rotation @ self._com
        return Pose(np.array(place) + to_origin, rotation, linear + np.cross(angular, to_origin), angular)

    def wheel_poses(self) -> tuple[Array, Array]:
        """Centres (4, 3) and quaternions w x y z (4, 4) of the wheels."""
        states = [
            pybullet.getLinkState(self._body, wheel, computeForwardKinematics=True, physicsClientId=self._client)
            for wheel in self._wheels
        ]
        centers = np.array([state[4] for state in states])
        turns = np.array([quaternion_from_matrix(_matrix(state[5])) for state in states])
        return centers, turns

    def _place(self, link: str) -> tuple[int, Array, Array]:
        """Bullet's number of a link, its origin (3,) and axes (3, 3) in the room."""
        if link not in self.wheels:
            pose = self.pose()
            return -1, pose.position, pose.rotation
        number = self._wheels[self.wheels.index(link)]
        state = pybullet.getLinkState(self._body, number, computeForwardKinematics=True, physicsClientId=self._client)
        return number, np.array(state[4]), _matrix(state[5])

    def _stand_at(self, position_m: Vector, yaw_rad: float) -> None:
        rotation = matrix_from_quaternion((np.cos(0.5 * yaw_rad), 0.0, 0.0, np.sin(0.5 * yaw_rad)))
        place = np.array(position_m) + rotation @ self._com
        w, x, y, z = quaternion_from_matrix(rotation @ self._principal)
        pybullet.resetBasePositionAndOrientation(self._body, place.tolist(), [x, y, z, w], physicsClientId=self._client)

    def _set_friction(self, description: Description) -> None:
        wheel = description.wheel
        for name, number in zip(self.wheels, self._wheels, strict=True):
            axle = name.split("_")[0]
            anisotropy = [1.0, 1.0, 1.0]
            anisotropy[AXLE_DIRECTION] = wheel.friction_across[axle] / wheel.friction_along
            pybullet.changeDynamics(
                self._body,
                number,
                lateralFriction=wheel.friction_along,
                anisotropicFriction=anisotropy,
                physicsClientId=self._client,
            )


def _matrix(quaternion: tuple[float, float, float, float]) -> Array:
    """Rotation matrix of one of Bullet's quaternions, whose w comes last."""
    x, y, z, w = quaternion
    return matrix_from_quaternion((w, x, y, z))
