"""People: who holds which token, and what that person may do.

A token is 256 random bits. Nobody can guess it or list all of them, so one round of SHA-256 is enough to keep
it from being read out of the file; slow hashes are for passwords, which people choose.
"""

import hashlib
import hmac
import json
import os
import secrets
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import quote, unquote

from fastapi import Depends, Request, Security, WebSocket
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from reafference.errors import BadExperiment

from .problems import Problem, not_found

Role = Literal["viewer", "owner", "admin"]
MOST_TOKENS = 1000
PERSON = "reafference.person"
"""Where the guard leaves the Person in the scope of a request."""

SPEAKS_FOR = "reafference-for"
"""The header in which a site says to the gateway of a job for whom it speaks: see `Person.as_header`."""

_SUBPROTOCOL = "bearer."
_GIVEN = "given"
"""The id of the token that was given in a file."""
_SHORTEST_GIVEN = 32


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token."""

    name: str
    role: Role

    @classmethod
    def of_header(cls, said: str) -> "Person | None":
        """The inverse of `as_header`; None for anything else."""
        role, _, name = said.partition(":")
        if not name or len(name) > 1000 or role not in get_args(Role):
            return None
        return cls(unquote(name), role)  # type: ignore[arg-type]

    @property
    def as_header(self) -> str:
        """Who this is, for the header SPEAKS_FOR."""
        return f"{self.role}:{quote(self.name, safe='')}"

    @property
    def edits(self) -> bool:
        """Whether this person may change anything at all."""
        return self.role != "viewer"

    def may_change(self, owner: str) -> bool:
        """Whether this person may change what belongs to `owner`."""
        return self.role == "admin" or (self.role == "owner" and self.name == owner)

    def must_own(self, owner: str, what: str) -> None:
        """Raises Problem 403 unless this person may change `what`, which belongs to `owner`."""
        if not self.may_change(owner):
            raise Problem(403, "forbidden", f"{what} belongs to {owner}: clone it to change it")


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token."""

    id: str
    name: str
    role: Role
    created_at: str
    sha256: str


class People:
    """The tokens of one server, kept in `path`. Safe to use from several threads.

    To the gateway of a job (`of_job`) all come through their site. Its token, an administrator's, may speak for each of
    them.
    """

    def __init__(self, path: Path, *, of_job: bool = False) -> None:
        self._path, self.of_job = path, of_job
        self._lock = threading.Lock()
        self._tokens = _read(path)

    @classmethod
    def everyone(cls) -> "People":
        """A server without tokens: whoever comes is the administrator "you"."""
        return _Everyone()

    @property
    def asked_for(self) -> bool:
        """Whether a token is needed."""
        return True

    @property
    def empty(self) -> bool:
        """Whether nobody has a token yet."""
        return not self._tokens

    def find(self, secret: str) -> Person | None:
        """Whose token this is; None if nobody's. Takes the same time for a nearly right one."""
        digest = _hash(secret)
        found = None
        for token in self._tokens.values():
            if hmac.compare_digest(token.sha256, digest):
                found = Person(token.name, token.role)
        return found

    def meant(self, person: Person | None, said: str) -> Person | None:
        """For whom `person` speaks, who has said this in the header SPEAKS_FOR; None if that cannot be understood."""
        if person is None or not said or not self.of_job or person.role != "admin":
            return person
        return Person.of_header(said)

    def all(self) -> list[Token]:
        """All tokens, oldest first."""
        return sorted(self._tokens.values(), key=lambda token: token.created_at)

    def make(self, name: str, role: Role) -> tuple[Token, str]:
        """A new token and its secret, which is kept nowhere."""
        secret = secrets.token_urlsafe(32)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        token = Token(secrets.token_hex(6), name, role, now, _hash(secret))
        with self._lock:
            if len(self._tokens) >= MOST_TOKENS:
                raise Problem(409, "conflict", f"there are {MOST_TOKENS} tokens: revoke some")
            self._keep(self._tokens | {token.id: token})
        return token, secret

    def admit(self, path: Path) -> None:
        """Know the administrator by the token in a file; the one that an earlier such file held is forgotten.

        Raises BadExperiment if the file cannot be read, or if what it holds could be guessed.
        """
        try:
            secret = path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise BadExperiment(f"the token in {path} cannot be read: {reason}") from None
        if len(secret) < _SHORTEST_GIVEN or len(secret.split()) != 1:
            raise BadExperiment(
                f"{path} must hold one word of {_SHORTEST_GIVEN} characters or more (openssl rand -hex 32 makes one)"
            )
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock:
            if self.find(secret) != Person("admin", "admin"):
                self._keep(self._tokens | {_GIVEN: Token(_GIVEN, "admin", "admin", now, _hash(secret))})

    def revoke(self, id: str) -> None:
        """Raises Problem 404 if there is no such token, 409 if nobody could make another one then."""
        with self._lock:
            if id not in self._tokens:
                raise not_found("token", id)
            left = {key: token for key, token in self._tokens.items() if key != id}
            if not any(token.role == "admin" for token in left.values()):
                raise Problem(409, "conflict", "this is the last administrator's token: make another one first")
            self._keep(left)

    def _keep(self, tokens: Mapping[str, Token]) -> None:
        text = json.dumps({"tokens": [asdict(token) for token in tokens.values()]}, indent=1)
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".tokens-")  # mode 600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, self._path)
        self._tokens = dict(tokens)


class _Everyone(People):
    def __init__(self) -> None:
        super().__init__(Path(os.devnull))

    @property
    def asked_for(self) -> bool:
        return False

    def find(self, secret: str) -> Person | None:
        return Person("you", "admin")

    def make(self, name: str, role: Role) -> tuple[Token, str]:
        raise Problem(409, "conflict", "this server works without tokens: start it without --no-tokens to make one")


def identify(people: People, authorization: str) -> Person | None:
    """Whom the header `Authorization` speaks for; None if nobody."""
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer":
        secret = ""
    return people.find(secret.strip())


def unauthorized(shown: str, how: str = "send the header Authorization: Bearer TOKEN") -> Problem:
    """The answer to a request without a token, or with a wrong one. `how` says how to show one."""
    words = "this token is not known here" if shown else f"no token: {how}"
    return Problem(401, "unauthorized", words, headers={"WWW-Authenticate": "Bearer"})


def person_of_socket(websocket: WebSocket) -> Person | None:
    """Who opens a WebSocket, by header or by the subprotocol `bearer.TOKEN`; None if nobody known."""
    people: People = websocket.app.state.gateway.people
    offered = websocket.headers.get("sec-websocket-protocol", "")
    words = [word.strip() for word in offered.split(",")]
    secrets_ = [word.removeprefix(_SUBPROTOCOL) for word in words if word.startswith(_SUBPROTOCOL)]
    if secrets_:
        return people.find(secrets_[0])
    found = identify(people, websocket.headers.get("authorization", ""))
    return people.meant(found, websocket.headers.get(SPEAKS_FOR, ""))


_bearer = HTTPBearer(auto_error=False, description="The token that `reaf serve` printed, or one made with it.")


def reader(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None) -> Person:
    """Dependency: whoever has a token."""
    person: Person | None = request.scope.get(PERSON)
    if person is None:
        raise unauthorized(request.headers.get("authorization", ""))
    return person


def editor(person: Annotated[Person, Depends(reader)]) -> Person:
    """Dependency: somebody who may change something, if only what is their own."""
    if not person.edits:
        raise only_reads(person)
    return person


def administrator(person: Annotated[Person, Depends(reader)]) -> Person:
    """Dependency: an administrator."""
    if person.role != "admin":
        raise Problem(403, "forbidden", f"{person.name} is no administrator: ask one")
    return person


def only_reads(person: Person) -> Problem:
    """The answer to a viewer who wants to change something."""
    return Problem(403, "forbidden", f"{person.name} may only watch: ask for a token with the role owner")


Reader = Annotated[Person, Depends(reader)]
Editor = Annotated[Person, Depends(editor)]
Administrator = Annotated[Person, Depends(administrator)]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> dict[str, Token]:
    if not path.is_file():
        return {}
    if path.stat().st_mode & 0o077:
        raise BadExperiment(f"{path} can be read by others: chmod 600 {path}")
    try:
        kept: list[Any] = json.loads(path.read_text(encoding="utf-8"))["tokens"]
        tokens = [Token(**item) for item in kept]
    except (ValueError, TypeError, KeyError) as error:
        raise BadExperiment(f"{path} cannot be understood ({error}): restore it, or remove it to begin anew") from None
    return {token.id: token for token in tokens}
