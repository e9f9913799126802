"""`python -m services.brain.nrp_core NAME`: the NEST engine NAME as a participant, until the engine says bye."""

import os
import sys

from reafference import participant
from reafference.config import ServiceConfig

from .simulator import NestScriptSimulator

if __name__ == "__main__":
    status = participant.run(NestScriptSimulator(), ServiceConfig.load(sys.argv[1], os.environ))
    sys.stdout.flush()
    sys.stderr.flush()
    # Taking a large network apart piece by piece takes seconds; the system does it at once.
    os._exit(status)
