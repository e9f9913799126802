"""`python -m services.engine.launch_bare EXPERIMENT …`: as launch.py, without a gateway.

For a server that opens the bus itself, in the folder which the line `wires` names: then nothing that is published can
be lost because a gateway is not there yet.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reafference.errors import ReafferenceError
from reafference.process import Leave, die_with

from . import experiment, launch
from .__main__ import overrides, parser

_GATEWAY = "gateway"


class BareLaunch(launch.Launch):
    """The processes of one run but for its gateway."""

    def _services(self) -> list[tuple[str, str, list[str]]]:
        return [service for service in super()._services() if service[0] != _GATEWAY]


def main(arguments: Sequence[str] | None = None) -> int:
    """Launch, watch, clean up; returns the exit status of the run."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    leave = Leave()
    die_with(int(os.environ.get("REAF_PARENT_PID", "0")))
    try:
        wanted = experiment.load(parser().parse_args(given).experiment, overrides(parser().parse_args(given)))
        launch.check_mpi(wanted)
    except ReafferenceError as error:
        launch.say("failed", code=error.code, text=error.text)
        return error.exit_status
    folder = Path(tempfile.mkdtemp(prefix="reaf-"))
    try:
        return BareLaunch(folder, wanted, given, leave).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
