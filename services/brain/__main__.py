"""`python -m services.brain`: the brain as a participant, until the engine says bye.

With --about it prints one line of JSON about the simulator and ends.
"""

import json
import os
import sys

from reafference import participant
from reafference.config import ServiceConfig


def _about() -> int:
    from .kernel import nest

    build = nest.build_info
    keys = ("version", "have_mpi", "have_threads", "have_gsl")
    print(json.dumps({key: build[key] for key in keys}))
    return 0


def _serve() -> int:
    from .nest_brain import NestBrain

    return participant.run(NestBrain(), ServiceConfig.load("brain", os.environ))


if __name__ == "__main__":
    status = _about() if "--about" in sys.argv else _serve()
    sys.stdout.flush()
    sys.stderr.flush()
    # Taking a large network apart piece by piece takes seconds; the system does it at once.
    os._exit(status)
