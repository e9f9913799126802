"""`python -m services.body`: the body as a participant, until the engine says bye.

With --about it prints one line of JSON about the simulator and ends.
"""

import json
import os
import sys
from importlib.metadata import version

from reafference import participant
from reafference.config import ServiceConfig


def _about() -> int:
    import pybullet

    about = {"pybullet": version("pybullet"), "numba": version("numba"), "api": pybullet.getAPIVersion()}
    print(json.dumps(about))
    return 0


def _serve() -> int:
    from .bullet_body import BulletBody

    return participant.run(BulletBody(), ServiceConfig.load("body", os.environ))


if __name__ == "__main__":
    sys.exit(_about() if "--about" in sys.argv else _serve())
