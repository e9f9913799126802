"""Which place of a user's script is to blame, and how to say it in one sentence."""

import builtins
import linecache
import traceback
from collections.abc import Iterable
from types import TracebackType

from reafference import plain

_MOST_NAMES = 2000


def phrase(error: BaseException) -> str:
    """Kind and text of an error in one line, with the name that was meant where one comes near."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # whatever the user's own error does
        text = ""
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return readable(f"{said}{_suggestion(error)}")


def readable(text: str) -> str:
    """The same as text that can be sent: half characters, as in names of files, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def places(trace: TracebackType | None, file: str) -> list[tuple[int, int]]:
    """Lines and columns of this file in a traceback, counted from 1, the deepest last; 0 for a column not known."""
    return [
        (frame.lineno, _column(linecache.getline(file, frame.lineno), frame.colno))
        for frame in traceback.extract_tb(trace)
        if frame.filename == file and frame.lineno
    ]


def _column(row: str, place: int | None) -> int:
    """A place that Python counts in bytes, in characters from 1."""
    return 0 if place is None else len(row.encode()[:place].decode(errors="replace")) + 1


def _suggestion(error: BaseException) -> str:
    name = getattr(error, "name", None)
    if not isinstance(name, str) or isinstance(error, ImportError):
        return ""
    known: Iterable[str] = ()
    if isinstance(error, NameError):
        known = _visible(error.__traceback__)
    elif isinstance(error, AttributeError):
        known = _attributes(error.obj)
    return plain.nearest(name, [word for word in known if word != name][:_MOST_NAMES])


def _visible(trace: TracebackType | None) -> list[str]:
    """The names that could have been used where the error was raised."""
    if trace is None:
        return []
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    known = {*frame.f_locals, *frame.f_globals, *dir(builtins)}
    return sorted(word for word in known if isinstance(word, str) and not word.startswith("_"))


def _attributes(owner: object) -> list[str]:
    try:
        return sorted(word for word in dir(owner) if not word.startswith("_"))
    except Exception:  # whatever the user's own __dir__ does
        return []
