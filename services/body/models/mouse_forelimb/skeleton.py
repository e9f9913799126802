"""The bones of the forelimb in PyBullet: six hinges under torque, and the grip that closes the loop."""

import numpy as np
import pybullet

from reafference.frames import Array

from ...kernels import OFFSET
from ...linkage import WORLD, Linkage, Point
from ...physics import Physics
from ...rotation import matrix_from_quaternion
from .description import Description
from .urdf import to_urdf

# Fifty sweeps bring the three rows of the grip to rounding error; ten leave a gap of 4 um.
SOLVER_ITERATIONS = 50
# Share of the grip's gap that is closed in one step; Bullet's 0.2 leaves 0.8 um, this 0.2 um.
GRIP_ERP = 0.8
GRIP_MAX_FORCE_N = 1e6
# A ceiling of Bullet's that must never act.
MAX_HINGE_SPEED_RAD_PER_S = 1e4


class Skeleton:
    """The bones at rest in a world of their own.

    Bullet's step is a leapfrog: it takes new speeds from the forces at the beginning of a step, and with them goes
    through the whole step. Read so, it is of second order: `v` (n,) are the speeds in the middle of the last step,
    `v_last` those in the middle of the step before, `q` (n,) the angles at its end. Hence the first step, from
    rest, gets half the impulse.
    """

    def __init__(self, description: Description, linkage: Linkage, substep_ns: int) -> None:
        """`linkage` has the same hinges, placed at rest; its last two points are the two sides of the grip."""
        n = len(description.hinge)
        self.q, self.v, self.v_last = np.zeros(n), np.zeros(n), np.zeros(n)
        self._at_rest = True
        self._gravity = description.gravity_m_per_s2
        self._physics = Physics(
            substep_ns=substep_ns, gravity=self._gravity, iterations=SOLVER_ITERATIONS, erp=GRIP_ERP
        )
        self._client = self._physics.client
        self._body = self._physics.load_urdf(to_urdf(description), fixed=True)
        numbers = self._physics.joints(self._body)
        self._hinges = [numbers[hinge.name] for hinge in description.hinge]
        self._free_hinges()
        self._close_loop(linkage)
        self.mobility = self._measure_mobility(linkage)
        """Angular acceleration of each hinge per torque on it, rad/s2 per N m, shape (n,), with the grip closed.
        Taken at rest; the inertias are such that it changes little within the stops."""

    def step(self, torque: Array) -> None:
        """Move by one substep under torques (n,) in N m."""
        forces = torque.tolist()
        first = self._at_rest
        if first:
            forces = [0.5 * force for force in forces]
            self._physics.set_gravity([0.5 * g for g in self._gravity])
        client, body, hinges = self._client, self._body, self._hinges
        pybullet.setJointMotorControlArray(body, hinges, pybullet.TORQUE_CONTROL, forces=forces, physicsClientId=client)
        pybullet.stepSimulation(physicsClientId=client)
        q, v = self.q, self.v
        for i, state in enumerate(pybullet.getJointStates(body, hinges, physicsClientId=client)):
            q[i] = state[0]
            v[i] = state[1]
        if first:
            self._at_rest = False
            self._physics.set_gravity(self._gravity)
            # A start from rest looks the same backwards in time.
            self.v_last[:] = -v

    def close(self) -> None:
        """Give the world back; safe to call twice."""
        self._physics.close()

    def _free_hinges(self) -> None:
        for hinge in self._hinges:
            pybullet.changeDynamics(
                self._body, hinge, maxJointVelocity=MAX_HINGE_SPEED_RAD_PER_S, physicsClientId=self._client
            )
            # Every hinge comes with a motor that holds it.
            pybullet.setJointMotorControl2(
                self._body, hinge, pybullet.VELOCITY_CONTROL, force=0.0, physicsClientId=self._client
            )

    def _close_loop(self, linkage: Linkage) -> None:
        links, pivots = [], []
        for link, at in zip(linkage.link[-2:], linkage.local[-2:], strict=True):
            links.append(self._hinges[link])
            pivots.append(self._pivot(self._hinges[link], at - linkage.hinges[link, OFFSET:]))
        constraint = pybullet.createConstraint(
            self._body,
            links[0],
            self._body,
            links[1],
            pybullet.JOINT_POINT2POINT,
            [0.0, 0.0, 0.0],
            pivots[0],
            pivots[1],
            physicsClientId=self._client,
        )
        pybullet.changeConstraint(constraint, maxForce=GRIP_MAX_FORCE_N, physicsClientId=self._client)

    def _pivot(self, number: int, at: Array) -> list[float]:
        """A point of a URDF link in the frame of its principal inertia, where Bullet wants pivots."""
        info = pybullet.getDynamicsInfo(self._body, number, physicsClientId=self._client)
        x, y, z, w = info[4]
        pivot = matrix_from_quaternion((w, x, y, z)).T @ (at - np.array(info[3]))
        return [float(value) for value in pivot]

    def _measure_mobility(self, linkage: Linkage) -> Array:
        rest = [0.0] * len(self._hinges)
        mass = np.array(pybullet.calculateMassMatrix(self._body, rest, physicsClientId=self._client))
        free = np.linalg.inv(mass)
        gap = _gap_slope(linkage)
        held = free @ gap.T @ np.linalg.inv(gap @ free @ gap.T) @ gap @ free
        return np.diag(free - held).copy()


def grip_points(description: Description) -> list[Point]:
    """Both sides of the grip: on the foot, and the tip of the stick."""
    grip = description.grip
    return [description.point(grip.link_a, grip.point_a_m), description.point(grip.link_b, grip.point_b_m)]


def _gap_slope(linkage: Linkage) -> Array:
    """Derivative by the angles of the grip's gap, shape (3, n)."""
    slope = np.zeros((3, len(linkage.parent)))
    for sign, point in ((1.0, -2), (-1.0, -1)):
        j = linkage.link[point]
        while j != WORLD:
            slope[:, j] += sign * np.cross(linkage.axis[j], linkage.points[point] - linkage.anchor[j])
            j = linkage.parent[j]
    return slope
