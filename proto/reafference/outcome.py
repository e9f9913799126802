"""What settles a request to the engine: each of these looks at the frames that arrive until one is the answer."""

from collections.abc import Callable
from typing import Any

from . import plain
from .errors import OutOfOrder, ReafferenceError, from_code
from .frames import Bye, Edited, ErrorFrame, Frame, StateNote, Welcome

Outcome = Callable[[Frame], Any]
"""The answer in a frame, or None where it is no answer; raises the error that it tells of."""


def of_edit(number: int, what: str) -> Outcome:
    """What the edit with this id has to say of itself, by name."""

    def outcome(frame: Frame) -> dict[str, Any] | None:
        match frame:
            case Edited(id=found) if found == number:
                result: dict[str, Any] = plain.with_arrays(frame.result)
                return result
            case ErrorFrame() if frame.detail.get("edit") == number:
                raise from_code(frame.code, frame.text, frame.detail)
            case Bye():
                raise OutOfOrder(f"the run ended before the edit {what!r} was carried out")
        return None

    return outcome


def of_full_reset(run: str) -> Outcome:
    """The id of the run that follows `run` ("-" if that is still to be told), once it is ready."""
    runs = [] if run == "-" else [run]

    def outcome(frame: Frame) -> str | None:
        match frame:
            case Welcome():
                runs.append(frame.run)
            case StateNote(state="ready") if len(runs) > 1:
                return runs[-1]
            case StateNote(state="fault"):
                raise ReafferenceError(frame.text)
            case ErrorFrame() if "edit" not in frame.detail:
                raise from_code(frame.code, frame.text, frame.detail)
            case Bye():
                raise OutOfOrder("the run ended before it could be reset: start another one")
        return None

    return outcome
