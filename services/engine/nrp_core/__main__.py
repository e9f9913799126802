"""`python -m services.engine.nrp_core NAME`: the script engine NAME as a participant, until the engine says bye."""

import os
import sys

from reafference import participant
from reafference.config import ServiceConfig

from .simulator import ScriptSimulator

if __name__ == "__main__":
    sys.exit(participant.run(ScriptSimulator(), ServiceConfig.load(sys.argv[1], os.environ)))
