"""`python -m services.gateway.nrp_core`: what NRPCoreSim becomes."""

import sys

from .program import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
