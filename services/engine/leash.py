"""`python -m services.engine.leash PARENT COMMAND …`: become COMMAND, and die when the process PARENT ends.

Our own services see to that themselves; this is for programs that are not ours.
"""

import os
import signal
import sys

from reafference.process import die_with

if __name__ == "__main__":
    die_with(int(sys.argv[1]), signal.SIGKILL)
    os.execvp(sys.argv[2], sys.argv[2:])
