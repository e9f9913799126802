"""A fixed course for each body and the digest of all that comes out; run as a script, the same in another process."""

import hashlib
import sys

import numpy as np

from reafference.frames import Plan, Step
from services.body.bullet_body import BulletBody

STEP_NS = 20_000_000


def digest_of(model: str, steps: int, substep_ms: float = 1.0) -> str:
    """Hash over every output that belongs to the digest, of `steps` steps of 20 ms."""
    body, digest = BulletBody(), hashlib.sha256()
    settings = {"model": model, "substep_ms": substep_ms}
    ports = body.prepare(Plan(run="r1", name="body", seed=1, dt_ns=STEP_NS, folder=".", settings=settings))
    rest = {port.name: port.resting() for port in ports.inputs}
    kept = sorted(port.name for port in ports.outputs if port.digest)
    for number in range(steps):
        if model == "mouse_forelimb":
            moving = {"excitation": 0.5 + 0.5 * np.sin(0.3 * number + np.arange(8))}
        else:
            moving = {"velocity": np.array([0.3, 0.5 * np.sin(0.1 * number)])}
        inputs = {**rest, **moving}
        outputs = body.advance(Step(number=number, t_ns=number * STEP_NS, dt_ns=STEP_NS, inputs=inputs))
        for name in kept:
            digest.update(outputs[name].tobytes())
    body.close()
    return digest.hexdigest()


if __name__ == "__main__":
    print("digest", digest_of(sys.argv[1], int(sys.argv[2])))
