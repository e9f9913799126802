"""The doors of the server: which paths need a token, and by which means the clients behind each of them show it.

Published clients cannot be taught our ways, so each door speaks its client's. Whatever lies behind none of them is the
page, which is open.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection
from starlette.responses import Response

from .archive import MOST_ZIP_BYTES
from .nest_api import look as nest_look
from .nest_api.face import TOKEN_HEADER, is_permitted
from .problems import Problem
from .storage import MIB, MOST_FILE_BYTES

MOST_BODY_BYTES = 8 * MIB
"""Of a request that is neither a file nor a zip file."""

_READING = frozenset(("GET", "HEAD", "OPTIONS"))


def bearer(headers: Headers, query: QueryParams) -> str:
    """The secret in `Authorization: Bearer SECRET`; empty if there is none."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def in_query(headers: Headers, query: QueryParams) -> str:
    """The secret in `?token=SECRET`, or else that of the header."""
    return query.get("token", "") or bearer(headers, query)


def in_nest_header(headers: Headers, query: QueryParams) -> str:
    """The secret in `NESTServerAuth: SECRET`, or else that of the usual header."""
    return headers.get(TOKEN_HEADER, "") or bearer(headers, query)


def everything(method: str, path: str) -> bool:
    """Whether a viewer may ask for this, where whatever can be asked for changes nothing."""
    return True


def only_reading(method: str, path: str) -> bool:
    """Whether a request changes nothing, as its method promises."""
    return method in _READING


def as_problem(problem: Problem) -> Response:
    """A refusal as everywhere in our own interface."""
    return problem.response()


def nobody_else(origin: str) -> bool:
    """No page of another origin may come in."""
    return False


def one_size(method: str, path: str) -> int:
    """How large a body may be where neither files nor zip files are sent."""
    return MOST_BODY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What is behind `prefix`, which has no slash at its end.

    `secret` finds the token. `open_to_all` are whole paths that need none. `viewer_may` says, of method and path, what
    somebody may do who only reads. `most_bytes` says how large a body may be. `refusal` is the form of a refusal.
    `pages` says which pages of other origins may use it, by their origin; their browsers are then told so.
    """

    prefix: str
    secret: Callable[[Headers, QueryParams], str] = bearer
    open_to_all: frozenset[str] = frozenset()
    viewer_may: Callable[[str, str], bool] = only_reading
    most_bytes: Callable[[str, str], int] = one_size
    refusal: Callable[[Problem], Response] = as_problem
    pages: Callable[[str], bool] = nobody_else
    how: str = "send the header Authorization: Bearer TOKEN"

    def leads_to(self, path: str) -> bool:
        """Whether a path is behind this door."""
        return path == self.prefix or path.startswith(f"{self.prefix}/")

    def secret_of(self, connection: HTTPConnection) -> str:
        """The token that is shown; empty if there is none."""
        return self.secret(connection.headers, connection.query_params)


def _own_sizes(method: str, path: str) -> int:
    if method == "POST" and path == "/api/experiments/upload":
        return MOST_ZIP_BYTES
    if method == "PUT" and path.startswith("/api/copies/"):
        return MOST_ZIP_BYTES
    if method == "PUT" and path.startswith("/api/experiments/") and "/files/" in path:
        return MOST_FILE_BYTES
    return MOST_BODY_BYTES


def _coach_sizes(method: str, path: str) -> int:
    if method == "POST" and path.startswith(("/proxy/storage/importExperiment", "/proxy/storage/models/")):
        return MOST_ZIP_BYTES
    if method == "POST" and path.startswith("/proxy/storage/"):
        return MOST_FILE_BYTES
    return MOST_BODY_BYTES


API = Door(prefix="/api", open_to_all=frozenset(("/api/health",)), most_bytes=_own_sizes)
COACH_LOGIN = "/proxy/authentication/authenticate"

DOORS = (
    API,
    Door(prefix="/proxy", open_to_all=frozenset((COACH_LOGIN,)), most_bytes=_coach_sizes),
    Door(prefix="/coach"),
    Door(prefix="/rosbridge", secret=in_query, how="add ?token=TOKEN to the address"),
    Door(
        prefix=nest_look.PREFIX,
        secret=in_nest_header,
        viewer_may=everything,  # for nobody can do more than look
        refusal=nest_look.refusal,
        how=f"send the header {TOKEN_HEADER}: TOKEN",
    ),
)


def with_pages(origins: tuple[str, ...]) -> tuple[Door, ...]:
    """All doors; that of NEST's callers is open to pages of these origins."""
    return tuple(
        replace(door, pages=lambda origin: is_permitted(origin, origins)) if door.prefix == nest_look.PREFIX else door
        for door in DOORS
    )


def door_of(path: str, doors: tuple[Door, ...] = DOORS) -> Door | None:
    """The door that a path is behind; None where everybody may go."""
    return next((door for door in doors if door.leads_to(path)), None)
