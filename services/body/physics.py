"""One world of PyBullet: made, filled from URDF texts, stepped and closed."""

import tempfile
from collections.abc import Sequence

import pybullet

from reafference.clock import NS_PER_S


class Physics:
    """A world of its own in this process (PyBullet's DIRECT mode), with steps of fixed length.

    Equal worlds that are stepped equally stay equal to the last bit.
    """

    def __init__(self, *, substep_ns: int, gravity: Sequence[float], iterations: int, erp: float) -> None:
        self.client: int = pybullet.connect(pybullet.DIRECT)
        if self.client < 0:
            raise RuntimeError("PyBullet has no room for another world in this process")
        self._open = True
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=substep_ns / NS_PER_S,
            numSubSteps=0,
            numSolverIterations=iterations,
            solverResidualThreshold=0.0,
            erp=erp,
            deterministicOverlappingPairs=1,
            # A cached file would hide that a text of the same name has changed.
            enableFileCaching=0,
            physicsClientId=self.client,
        )
        self.set_gravity(gravity)

    def set_gravity(self, gravity: Sequence[float]) -> None:
        pybullet.setGravity(*gravity, physicsClientId=self.client)

    def load_urdf(self, text: str, *, fixed: bool, flags: int = 0) -> int:
        """Put the multibody that `text` describes into the world; its number there."""
        # PyBullet reads files only; a unique name keeps worlds in several processes apart.
        with tempfile.NamedTemporaryFile("w", suffix=".urdf", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            number: int = pybullet.loadURDF(
                file.name,
                useFixedBase=fixed,
                flags=flags | pybullet.URDF_USE_INERTIA_FROM_FILE,
                physicsClientId=self.client,
            )
        self._remove_damping(number)
        return number

    def joints(self, body: int) -> dict[str, int]:
        """Numbers of the joints of a multibody by name; a link has the number of the joint above it."""
        count = pybullet.getNumJoints(body, physicsClientId=self.client)
        infos = (pybullet.getJointInfo(body, i, physicsClientId=self.client) for i in range(count))
        return {info[1].decode(): int(info[0]) for info in infos}

    def close(self) -> None:
        """Give the world back; safe to call twice."""
        if self._open:
            self._open = False
            pybullet.disconnect(physicsClientId=self.client)

    def _remove_damping(self, body: int) -> None:
        # Bullet damps every link a little unless told not to; damping of joints belongs to the model.
        for link in range(-1, pybullet.getNumJoints(body, physicsClientId=self.client)):
            pybullet.changeDynamics(
                body, link, linearDamping=0.0, angularDamping=0.0, jointDamping=0.0, physicsClientId=self.client
            )
