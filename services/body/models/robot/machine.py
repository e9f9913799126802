"""A robot in PyBullet: joints that are driven, links that are somewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pybullet

from reafference.clock import NS_PER_S
from reafference.frames import Array
from reafference.plain import Misfit

from ...physics import Physics
from ...rotation import matrix_from_quaternion, quaternion_from_matrix
from .bullet_urdf import origins, to_urdf
from .drives import IDLE, KINDS, Choice
from .inner_forces import InnerForces
from .pose import Pose
from .tree import WORLD, Model

STRONGEST = 1e4
"""What drives a joint whose file gives no bound, in N m or N."""
FASTEST = 1e4
"""A ceiling of Bullet's that must never act, in rad/s or m/s."""
FOLLOWS_S = 0.02
"""A driven joint closes all but a third of its distance to the position that was asked for in this time."""
POSITION, VELOCITY, EFFORT = range(len(KINDS))


@dataclass(frozen=True, slots=True)
class Motion:
    """Speeds (3,) of a point in the axes of the world, in m/s and rad/s."""

    linear: Array
    angular: Array


class Machine:
    """The robot at its start, with every joint loose. Joints are the movable ones, in the order of the model."""

    def __init__(
        self,
        physics: Physics,
        model: Model,
        pose: Pose,
        *,
        fixed: bool,
        substep_ns: int,
        wheels: Mapping[str, float],
        find: Callable[[str], str],
    ) -> None:
        self._client, self._dt_s = physics.client, substep_ns / NS_PER_S
        flags = pybullet.URDF_USE_SELF_COLLISION if model.self_collide else 0
        try:
            self._body = physics.load_urdf(to_urdf(model, find, wheels), fixed=fixed, flags=flags)
        except pybullet.error:
            raise Misfit("file", "a robot that PyBullet can build", f"{model.name!r}, which it cannot") from None
        numbers = physics.joints(self._body)
        self.model = model
        self.joints = tuple(joint for joint in model.joints if joint.moves)
        self._joints = [numbers[joint.name] for joint in self.joints]
        self.links = tuple(link.name for link in model.links)
        self._numbers = {model.root: -1} | {joint.child: numbers[joint.name] for joint in model.joints}
        self._origins = origins(model)
        info = pybullet.getDynamicsInfo(self._body, -1, physicsClientId=self._client)
        self._com, self._principal = np.array(info[3]), _matrix(info[4])
        self._inner = InnerForces(self.joints, self._dt_s)
        self._choice = Choice(len(self.joints))
        self._own = np.zeros(len(self.joints))
        self._stand(pose @ model.root_pose)
        self._set_up()

    def command(self, commands: Array) -> None:
        """Drive the joints by `commands` (3, n), in the order of KINDS; NaN where nothing was written."""
        for number in np.flatnonzero(self._choice.take(commands)):
            self._drive(int(number))

    def prepare_step(self) -> None:
        """Look at the pose of now, before some substeps."""
        if self._inner.any:
            self._inner.place(self._mobility())

    def substep(self, loads: Array | None) -> None:
        """Move by one substep; `loads` (n,) are torques from outside. Bullet forgets all torques after each."""
        own = np.where(self._choice.kind == EFFORT, self._choice.target, 0.0)
        total = own if loads is None else own + loads
        if self._inner.any:
            q, speed, _ = self.joint_states()
            total = total + self._inner.torques(q, speed)
        if total.any():
            pybullet.setJointMotorControlArray(
                self._body, self._joints, pybullet.TORQUE_CONTROL, forces=total.tolist(), physicsClientId=self._client
            )
        pybullet.stepSimulation(physicsClientId=self._client)
        self._own = own

    def joint_states(self) -> tuple[Array, Array, Array]:
        """Angles, speeds and what the drives have done to each in the last substep, each (n,)."""
        if not self._joints:
            return np.zeros(0), np.zeros(0), np.zeros(0)
        states = pybullet.getJointStates(self._body, self._joints, physicsClientId=self._client)
        q, speed, motor = (np.array([state[i] for state in states]) for i in (0, 1, 3))
        return q, speed, np.where(self._choice.kind == EFFORT, self._own, motor)

    def link_pose(self, name: str) -> Pose:
        """Axes and own origin of a link in the world."""
        number = self._numbers[name]
        if number < 0:
            place, turn = pybullet.getBasePositionAndOrientation(self._body, physicsClientId=self._client)
            # Bullet speaks of the centre of mass and its principal axes.
            rotation = _matrix(turn) @ self._principal.T
            return Pose(rotation, np.array(place) - rotation @ self._com)
        state = pybullet.getLinkState(self._body, number, computeForwardKinematics=True, physicsClientId=self._client)
        rotation = _matrix(state[5])
        return Pose(rotation, np.array(state[4]) - rotation @ self._origins[name])

    def motion(self, name: str, at: Array) -> Motion:
        """How a point (3,) in the world moves that is fixed to a link."""
        number = self._numbers[name]
        if number < 0:
            place, _ = pybullet.getBasePositionAndOrientation(self._body, physicsClientId=self._client)
            linear, angular = pybullet.getBaseVelocity(self._body, physicsClientId=self._client)
        else:
            state = pybullet.getLinkState(
                self._body,
                number,
                computeLinkVelocity=True,
                computeForwardKinematics=True,
                physicsClientId=self._client,
            )
            place, linear, angular = state[0], state[6], state[7]
        turning = np.array(angular)
        return Motion(np.array(linear) + np.cross(turning, at - np.array(place)), turning)

    def base_pose(self) -> Pose:
        """The frame of the model in the world."""
        return self.link_pose(self.model.root) @ self.model.root_pose.inverse()

    def push(self, link: str, at_m: Array, force_N: Array) -> None:
        """Let a force (3,) in the axes of the world act in the next substep, at a point (3,) in the link's axes."""
        self.force(link, self.link_pose(link).point(at_m), force_N)

    def force(self, link: str, at_m: Array, force_N: Array) -> None:
        """Let a force (3,) act on a link in the next substep at a point (3,), both in the axes of the world."""
        pybullet.applyExternalForce(
            self._body,
            self._numbers[link],
            force_N.tolist(),
            at_m.tolist(),
            pybullet.WORLD_FRAME,
            physicsClientId=self._client,
        )

    def spin(self, joints: list[int], speeds: list[float], torque: float) -> None:
        """Hold joints, by their places among `joints`, at these speeds with at most so much torque."""
        pybullet.setJointMotorControlArray(
            self._body,
            [self._joints[number] for number in joints],
            pybullet.VELOCITY_CONTROL,
            targetVelocities=speeds,
            forces=[torque] * len(joints),
            physicsClientId=self._client,
        )

    def contact_forces(self) -> Array:
        """How hard each link is pressed against others in the last substep, N, shape (n_links,)."""
        total = dict.fromkeys(self._numbers.values(), 0.0)
        for contact in pybullet.getContactPoints(bodyA=self._body, physicsClientId=self._client):
            total[contact[3]] += contact[9]
            if contact[2] == self._body:
                total[contact[4]] += contact[9]
        return np.array([total[self._numbers[name]] for name in self.links])

    def _drive(self, number: int) -> None:
        joint, kind = self.joints[number], int(self._choice.kind[number])
        target, strength = float(self._choice.target[number]), joint.effort or STRONGEST
        shared = {"physicsClientId": self._client}
        if kind == POSITION:
            if joint.limits is not None:
                target = min(max(target, joint.limits[0]), joint.limits[1])
            pybullet.setJointMotorControl2(
                self._body,
                self._joints[number],
                pybullet.POSITION_CONTROL,
                targetPosition=target,
                force=strength,
                positionGain=min(1.0, self._dt_s / FOLLOWS_S),
                velocityGain=1.0,
                maxVelocity=joint.speed or FASTEST,
                **shared,
            )
        elif kind == VELOCITY:
            speed = min(max(target, -joint.speed), joint.speed) if joint.speed else target
            pybullet.setJointMotorControl2(
                self._body,
                self._joints[number],
                pybullet.VELOCITY_CONTROL,
                targetVelocity=speed,
                force=strength,
                **shared,
            )
        else:
            if kind == EFFORT:
                self._choice.target[number] = min(max(target, -strength), strength)
            # A motor that holds the speed 0 with so little force is dry friction.
            pybullet.setJointMotorControl2(
                self._body,
                self._joints[number],
                pybullet.VELOCITY_CONTROL,
                targetVelocity=0.0,
                force=joint.friction,
                **shared,
            )

    def _set_up(self) -> None:
        for number, joint in enumerate(self._joints):
            pybullet.changeDynamics(self._body, joint, maxJointVelocity=FASTEST, physicsClientId=self._client)
            # Every joint comes with a motor that holds it.
            assert self._choice.kind[number] == IDLE
            self._drive(number)
        for link in self.model.links:
            pybullet.changeDynamics(
                self._body, self._numbers[link.name], lateralFriction=link.friction, physicsClientId=self._client
            )

    def _mobility(self) -> Array:
        """Accelerations of the joints (n, n) by unit torques on them."""
        q, _, _ = self.joint_states()
        # Bullet numbers joints in an order of its own.
        order = np.argsort(self._joints)
        mass = np.array(pybullet.calculateMassMatrix(self._body, q[order].tolist(), physicsClientId=self._client))
        n, back = len(order), np.argsort(order)
        inverse: Array = np.linalg.inv(mass)[-n:, -n:]
        return inverse[np.ix_(back, back)]

    def _stand(self, root: Pose) -> None:
        place = root.point(self._com)
        w, x, y, z = quaternion_from_matrix(root.rotation @ self._principal)
        pybullet.resetBasePositionAndOrientation(self._body, place.tolist(), [x, y, z, w], physicsClientId=self._client)


def is_fixed(model: Model) -> bool:
    """Whether the file fastens the robot to the world."""
    return model.static or model.root == WORLD


def _matrix(quaternion: tuple[float, float, float, float]) -> Array:
    """Rotation matrix of one of Bullet's quaternions, whose w comes last."""
    x, y, z, w = quaternion
    return matrix_from_quaternion((w, x, y, z))
