"""What functions print and log, passed on to the terminal or the log file of the program."""

import contextlib

from reafference.errors import ReafferenceError
from reafference.frames import Message

from ..history import BusFrame
from ..simulation import Simulation

_TOPIC = "engine/log"
_AT_LEAST = {"debug": 0, "info": 0, "warning": 1, "error": 2}


class Said:
    """Watches a simulation and prints its messages as they come, but for those below `level`."""

    name = "log"

    def __init__(self, simulation: Simulation, level: str) -> None:
        self._simulation, self._least = simulation, _AT_LEAST[level]
        self._order = 0

    def wake(self) -> None:
        """There may be something new."""
        for frame in self._simulation.history.after(_TOPIC, self._order):
            self._order = frame.order
            with contextlib.suppress(ReafferenceError, OSError):
                self._print(frame)

    def _print(self, frame: BusFrame) -> None:
        message = frame.frame
        if isinstance(message, Message) and _AT_LEAST[message.severity] >= self._least:
            before = "" if message.severity == "info" else f"{message.severity}: "
            print(f"{before}{message.text}", flush=True)
