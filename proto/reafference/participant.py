"""The loop a simulator lives in: hello, prepare, step…, halt, bye.

`run` is all of a simulator's `__main__`. `serve` is the loop itself and knows no sockets: it talks to a `Link`,
which is made of wires (`link.py`), or of lists in a test (`testing.py`).
"""

import gc
import signal

from . import logs
from .config import ServiceConfig
from .errors import (
    EngineLost,
    Leaving,
    ReafferenceError,
    SimulatorFailed,
    StepCancelled,
    UnknownKind,
    from_code,
)
from .frames import Bye, Edit, ErrorFrame, Frame, Halt, Halted, Prepare, Ready, StepGrant
from .link import Link, WireLink, error_frame
from .process import Leave, die_with, wake_promptly
from .session import Session
from .simulator import Simulator
from .sockets import Wires


def run(simulator: Simulator, config: ServiceConfig) -> int:
    """Live as a participant until the engine says bye; returns the exit status of the process."""
    leave = Leave()
    # A simulator has nothing to save, and may be in a long C++ call that would delay a gentler signal.
    die_with(config.parent_pid, signal.SIGKILL)
    wake_promptly()
    log = logs.configure(config.name, config.log_level)
    try:
        with (
            Wires(insecure=config.insecure, keys=config.ring()) as wires,
            WireLink(wires, config, "participant", leave) as link,
        ):
            link.join()
            serve(simulator, link, config.name)
    except ReafferenceError as error:
        log.error("service left", code=error.code, text=error.text)
        return error.exit_status
    finally:
        simulator.close()
    return 0


def serve(simulator: Simulator, link: Link, name: str) -> None:
    """Answer the engine until it says bye.

    Every request is answered once: by its reply, or by an error frame after which the engine decides.
    """
    session: Session | None = None
    for frame in link.frames():
        try:
            match frame:
                case Prepare():
                    session = None  # what an earlier run left must be free before the next one is built
                    gc.unfreeze()
                    session = Session(simulator, link, name, frame.plan)
                    _settle_memory()
                    link.send(Ready(ports=session.ports))
                case StepGrant() if session:
                    session.answer(frame)
                case Edit() if session:
                    edited = session.edit(frame)
                    if edited.ports is not None:
                        _settle_memory()
                    link.send(edited)
                case Halt():
                    link.send(session.halted() if session else Halted(step=-1))
                case Bye():
                    link.send(Bye())
                    return
                case ErrorFrame():
                    raise from_code(frame.code, frame.text, frame.detail)
                case _:
                    raise UnknownKind(f"{name} cannot act on a {frame.kind!r} frame now")
        except (EngineLost, Leaving):
            raise
        except ReafferenceError as error:
            link.send(_told(error, frame))
            if isinstance(frame, ErrorFrame):
                raise


def _told(error: ReafferenceError, about: Frame) -> ErrorFrame:
    """The error as the answer to a frame. An edit that has failed is named only if everything is as before."""
    if isinstance(about, Edit) and not isinstance(error, (SimulatorFailed, StepCancelled)):
        error.detail["edit"] = about.id
    return error_frame(error, about.step if isinstance(about, StepGrant) else -1)


def _settle_memory() -> None:
    """What has been built stays: take it out of the collector's rounds, and what it has replaced out of memory."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
