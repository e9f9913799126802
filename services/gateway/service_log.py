"""What a service of a simulation has written to its own log."""

import os
import re

from .problems import Problem, not_found
from .simulation import Simulation

MOST_BYTES = 64 * 1024

_NAME = re.compile(r"[a-z]{1,20}")


def tail(simulation: Simulation, service: str) -> str:
    """The last lines of the log, while it runs or from its recording. Raises Problem 404 if there is none."""
    folders = [simulation.wires, simulation.recording / "logs" if simulation.recording else None]
    known = sorted({file.stem for folder in folders if folder and folder.is_dir() for file in folder.glob("*.log")})
    if not _NAME.fullmatch(service) or service not in known:
        hint = f": there are {', '.join(known)}" if known else ""
        raise not_found("log of", service, hint)
    for folder in folders:
        try:
            if folder is not None:
                with (folder / f"{service}.log").open("rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(0, size - MOST_BYTES))
                    text = file.read().decode("utf-8", errors="replace")
                    return text if size <= MOST_BYTES else text.partition("\n")[2]
        except OSError:
            continue
    raise Problem(404, "not_found", f"the log of {service} is gone")
