"""`NRPCoreSim`: the name under which published clients of NRP-core start a simulation server.

It becomes `python -m services.gateway.nrp_core` under the same process id: its clients watch and end that process.
"""

import os
import sys


def main() -> None:
    """Become the gateway; returns only by an exception."""
    os.execv(sys.executable, [sys.executable, "-m", "services.gateway.nrp_core", *sys.argv[1:]])
