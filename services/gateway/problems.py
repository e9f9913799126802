"""Problems: every error of the door in one shape, `application/problem+json`.

API.md has the shape. Where a script is to blame, `file`, `line`, `column` and `line_text` say where.
"""

import errno
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from reafference import jsontext
from reafference.errors import ReafferenceError

MEDIA_TYPE = "application/problem+json"
PLACES = ("file", "line", "column", "line_text", "key", "function", "source", "type_name")
"""What of an error's detail is told along."""

_STATUS = {
    "bad_experiment": 422,
    "port_mismatch": 422,
    "script_error": 422,
    "transfer_failed": 422,
    "unknown_kind": 422,
    "disk_full": 507,
    "out_of_order": 409,
    "interrupted": 409,
    "step_cancelled": 409,
    "not_allowed": 403,
    "peer_late": 504,
    "peer_lost": 502,
    "engine_lost": 502,
    "simulator_failed": 502,
    "wrong_version": 502,
    "bad_frame": 502,
    "leaving": 503,
}
_CODES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "not_allowed",
    409: "conflict",
    412: "conflict",
    413: "too_large",
    422: "invalid",
    500: "internal",
    503: "unavailable",
}


class ProblemBody(BaseModel):
    """What went wrong, and what to do about it."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="one of proto/reafference/errors.py, or of the web")
    detail: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    line_text: str | None = None


class Problem(HTTPException):
    """What is answered instead of a result. `extra` joins the answer as it is."""

    media_type: ClassVar[str] = MEDIA_TYPE

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(status_code=status, detail=detail, headers=dict(headers) if headers else None)
        self.status, self.code, self.extra = status, code, extra

    def body(self) -> dict[str, Any]:
        """The answer as a map."""
        head = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        return head | {key: value for key, value in self.extra.items() if value is not None}

    def response(self) -> Response:
        """The answer as it goes out."""
        return Response(jsontext.dumps(self.body()), self.status, self.headers, media_type=MEDIA_TYPE)


def of(error: ReafferenceError) -> Problem:
    """An error of the house as a problem of the web."""
    places = {key: error.detail[key] for key in PLACES if key in error.detail}
    return Problem(_STATUS.get(error.code, 500), error.code, error.text, **places)


def not_found(what: str, name: str, hint: str = "") -> Problem:
    """There is no such thing."""
    return Problem(404, "not_found", f"there is no {what} {name!r}{hint}")


def install(app: FastAPI) -> None:
    """Let every error of `app` leave as a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(ReafferenceError, _house)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(OSError, _system)
    app.add_exception_handler(Exception, _unknown)


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


def _house(request: Request, error: Exception) -> Response:
    assert isinstance(error, ReafferenceError)
    return of(error).response()


def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [{"where": _where(item["loc"]), "text": str(item["msg"])} for item in error.errors()]
    words = "; ".join(f"{item['where']}: {item['text']}" if item["where"] else item["text"] for item in found[:5])
    return Problem(422, "invalid", words, errors=found[:50]).response()


def _where(location: tuple[int | str, ...]) -> str:
    """Path of a value in the request: `body` and the like are left out, they help nobody."""
    return ".".join(str(part) for part in location[1:])


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    words = {
        404: f"there is nothing at {request.url.path}",
        405: f"{request.method} cannot be used on {request.url.path}",
    }
    detail = words.get(status, str(error.detail))
    return Problem(status, _CODES.get(status, "invalid"), detail, headers=error.headers).response()


def _gone(request: Request, error: Exception) -> Response:
    """Nobody will read this."""
    return Problem(400, "invalid", "the connection ended before all had been sent").response()


def _system(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Problem(507, "disk_full", f"there is no room left for this: {error.strerror}").response()
    return _unknown(request, error)


def _unknown(request: Request, error: Exception) -> Response:
    log = structlog.get_logger()
    log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    return Problem(500, "internal", f"the server failed: {type(error).__name__}; its log says more").response()
