"""The error family: every way a run can go wrong has a stable code and an exit status.

A code travels on the wire in an `error` frame and comes back as the same class on the other side.
Texts are for people: they name the thing, the value that was found and what to do next.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class ReafferenceError(Exception):
    """Base of the family; `code` is what travels, `exit_status` what the shell sees."""

    code: ClassVar[str] = "internal"
    exit_status: ClassVar[int] = 1
    retry: ClassVar[bool] = False

    def __init__(self, text: str, *, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.detail: dict[str, Any] = dict(detail or {})

    def __str__(self) -> str:
        return self.text


class BadExperiment(ReafferenceError):
    """Something the user wrote cannot be run; found before step 0. `detail` may hold file, key, line."""

    code = "bad_experiment"
    exit_status = 2


class PortMismatch(BadExperiment):
    """A coupling names a port that is not there, or a value of another shape than the port has."""

    code = "port_mismatch"


class ScriptError(BadExperiment):
    """A brain script or a file of transfer functions has an error; `detail` holds file and line."""

    code = "script_error"


class TransferFailed(ReafferenceError):
    """A transfer function failed in a run whose experiment says on_error = "halt"."""

    code = "transfer_failed"
    exit_status = 3


class DiskFull(ReafferenceError):
    """The recording could not grow any more; what had been acknowledged is safe."""

    code = "disk_full"
    exit_status = 4


class PeerLost(ReafferenceError):
    """A service is gone: its process ended, or its pulse stopped."""

    code = "peer_lost"
    exit_status = 5


class PeerLate(ReafferenceError):
    """A service is alive but did not answer within the deadline of its request."""

    code = "peer_late"
    exit_status = 5


class EngineLost(ReafferenceError):
    """The engine has been silent for longer than this service waits."""

    code = "engine_lost"
    exit_status = 5


class SimulatorFailed(ReafferenceError):
    """A simulator raised in the middle of a run."""

    code = "simulator_failed"
    exit_status = 5


class SequenceGap(ReafferenceError):
    """The recorder misses frames that were sent; the run cannot be called complete."""

    code = "sequence_gap"
    exit_status = 5


class TapFull(ReafferenceError):
    """The tap would block although a full window of steps should fit into it."""

    code = "tap_full"
    exit_status = 5


class Interrupted(ReafferenceError):
    """A person or the system asked for an early end; the run was stopped cleanly."""

    code = "interrupted"
    exit_status = 130


class StepCancelled(ReafferenceError):
    """A step was given up before its end because somebody asked for that; what it put out does not count."""

    code = "step_cancelled"
    exit_status = 130


class Leaving(ReafferenceError):
    """A service was told to end and says so after the step it was in."""

    code = "leaving"
    exit_status = 5


class OutOfOrder(ReafferenceError):
    """A frame came that the receiver's state has no place for."""

    code = "out_of_order"


class WrongVersion(ReafferenceError):
    """The two sides of a wire have no protocol version in common."""

    code = "wrong_version"
    exit_status = 2


class UnknownKind(ReafferenceError):
    """A frame of a kind this side does not know, from a newer minor version perhaps."""

    code = "unknown_kind"


class BadFrame(ReafferenceError):
    """Bytes that are not a frame: truncated, too large, of a wrong type or shape."""

    code = "bad_frame"


class NotAllowed(ReafferenceError):
    """The sender's role does not permit this request."""

    code = "not_allowed"


class NoKeys(ReafferenceError):
    """A wire would leave this machine without encryption."""

    code = "no_keys"
    exit_status = 2


def _family(base: type[ReafferenceError]) -> dict[str, type[ReafferenceError]]:
    found = {base.code: base}
    for child in base.__subclasses__():
        found |= _family(child)
    return found


def from_code(code: str, text: str, detail: Mapping[str, Any] | None = None) -> ReafferenceError:
    """The error a peer meant: the class with this code, or the base class if the code is newer than us."""
    return _family(ReafferenceError).get(code, ReafferenceError)(text, detail=detail)
