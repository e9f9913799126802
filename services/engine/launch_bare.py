"""`python -m services.engine.launch_bare EXPERIMENT …`: as launch.py, without a gateway.

For a server that opens the bus itself, in the folder which the line `wires` names: then nothing that is published can
be lost because a gateway is not there yet.
"""

import sys
from collections.abc import Sequence

from .launch import Launch, launched

_GATEWAY = "gateway"


class BareLaunch(Launch):
    """The processes of one run but for its gateway."""

    def _services(self) -> list[tuple[str, str, list[str]]]:
        return [service for service in super()._services() if service[0] != _GATEWAY]


def main(arguments: Sequence[str] | None = None) -> int:
    """Launch, watch, clean up; returns the exit status of the run."""
    return launched(BareLaunch, list(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    sys.exit(main())
