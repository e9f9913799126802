"""What can go wrong between a script and its server, as exceptions that say what to do."""

from collections.abc import Mapping
from typing import Any, ClassVar


class ServerError(Exception):
    """The server refused, failed or could not be reached.

    `status` is that of HTTP (0 where there was no answer), `code` is stable (API.md). `file`, `line`, `column` and
    `line_text` say where in a script the cause is; they are empty, or 0, where no script is to blame. `detail` is all
    that the server said.
    """

    def __init__(self, text: str, *, status: int = 0, code: str = "", detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.text, self.status, self.code = text, status, code
        self.detail = dict(detail or {})
        self.file = str(self.detail.get("file") or "")
        self.line = int(self.detail.get("line") or 0)
        self.column = int(self.detail.get("column") or 0)
        self.line_text = str(self.detail.get("line_text") or "")

    def __str__(self) -> str:
        if not self.line or f"line {self.line}" in self.text:
            return self.text
        shown = f": {self.line_text.strip()}" if self.line_text.strip() else ""
        return f"{self.text} ({self.file or 'script'}, line {self.line}{shown})"


class Unreachable(ServerError):
    """Nobody answers at the address, or not in time."""


class Late(ServerError):
    """What was waited for has not happened within the time given; the simulation goes on as it is."""


class Unauthorized(ServerError):
    """The token is missing or wrong."""

    status_of: ClassVar[int] = 401


class Forbidden(ServerError):
    """The token's role, or the owner of the thing, does not permit it."""

    status_of: ClassVar[int] = 403


class NotFound(ServerError):
    """There is no such experiment, simulation, file or function."""

    status_of: ClassVar[int] = 404


class Conflict(ServerError):
    """It cannot be done in the present state."""

    status_of: ClassVar[int] = 409


class Busy(Conflict):
    """Every place is taken; the text says by whom."""


class Changed(ServerError):
    """Somebody else has changed the file since it was read."""

    status_of: ClassVar[int] = 412


class TooLarge(ServerError):
    """More bytes than the server takes."""

    status_of: ClassVar[int] = 413


class Invalid(ServerError):
    """A value, an experiment or a script that cannot be used."""

    status_of: ClassVar[int] = 422


class Failed(ServerError):
    """The simulation could not be built, or has failed while it ran."""


class Flawed(Invalid):
    """The function has been taken over as it is, but does not run; `line` is counted in its source."""


_BY_STATUS: Mapping[int, type[ServerError]] = {
    cls.status_of: cls for cls in (Unauthorized, Forbidden, NotFound, Conflict, Changed, TooLarge, Invalid)
}


def refusal(status: int, problem: Mapping[str, Any]) -> ServerError:
    """The exception for an answer of the server that is a problem (API.md, Errors)."""
    code = str(problem.get("code") or "")
    text = str(problem.get("detail") or problem.get("title") or f"the server answered with the status {status}")
    cls = Busy if code == "busy" else _BY_STATUS.get(status, ServerError)
    return cls(text, status=status, code=code, detail=problem)


def failure(problem: Mapping[str, Any] | None, text: str) -> Failed:
    """The exception for a simulation that is halted or failed, from the problem it keeps."""
    given = problem or {}
    said = str(given.get("detail") or given.get("text") or text or "the simulation failed, and gave no reason")
    return Failed(said, status=int(given.get("status") or 0), code=str(given.get("code") or ""), detail=given)
