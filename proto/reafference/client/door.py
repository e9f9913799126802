"""The HTTP side of a server: one method for each verb, answers as plain values, refusals as exceptions."""

import json
import ssl
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from .. import jsontext, plain
from .refusals import ServerError, Unreachable, refusal

T = TypeVar("T")

CONNECT_S = 10.0
PATIENCE_S = 60.0
"""How long an ordinary call may take; those that build or reset something are given more."""


class Door:
    """Calls of one server with one token. Close it at the end."""

    def __init__(self, url: str, token: str, tls: ssl.SSLContext | None = None) -> None:
        self.url, self.token, self.tls = url.rstrip("/"), token, tls
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # A proxy that stands in the environment is for the outside world, not for a server on this machine.
        self._http = httpx.Client(
            base_url=f"{self.url}/api/", headers=headers, trust_env=False, follow_redirects=False, verify=tls or True
        )

    def close(self) -> None:
        self._http.close()

    def get(self, *path: str, patience_s: float = PATIENCE_S, **query: Any) -> Any:
        return _value(self._ask("GET", path, query=query, patience_s=patience_s))

    def post(self, *path: str, body: Any = None, patience_s: float = PATIENCE_S) -> Any:
        return _value(self._ask("POST", path, body=body, patience_s=patience_s))

    def put(self, *path: str, body: Any, patience_s: float = PATIENCE_S) -> Any:
        return _value(self._ask("PUT", path, body=body, patience_s=patience_s))

    def patch(self, *path: str, body: Any, patience_s: float = PATIENCE_S) -> Any:
        return _value(self._ask("PATCH", path, body=body, patience_s=patience_s))

    def delete(self, *path: str) -> None:
        self._ask("DELETE", path)

    def read(self, *path: str, patience_s: float = PATIENCE_S, **query: Any) -> tuple[bytes, str]:
        """The bytes that lie there, and their ETag (empty where there is none)."""
        answer = self._ask("GET", path, query=query, patience_s=patience_s)
        return answer.content, answer.headers.get("etag", "")

    def write(self, *path: str, raw: bytes, etag: str = "", query: Mapping[str, Any] | None = None) -> Any:
        """Put bytes there; with `etag`, only if nobody has changed them since."""
        headers = {"If-Match": etag} if etag else {}
        return _value(self._ask("PUT", path, raw=raw, headers=headers, query=query))

    def upload(self, *path: str, raw: bytes, patience_s: float, **query: Any) -> Any:
        headers = {"Content-Type": "application/zip"}
        return _value(self._ask("POST", path, raw=raw, headers=headers, query=query, patience_s=patience_s))

    def _ask(
        self,
        verb: str,
        path: tuple[str, ...],
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> httpx.Response:
        sent = dict(headers or {})
        if body is not None:
            raw = jsontext.dumps(plain.dump(body)).encode()
            sent["Content-Type"] = "application/json"
        try:
            answer = self._http.request(
                verb,
                address(*path),
                params={key: value for key, value in (query or {}).items() if value is not None},
                content=raw,
                headers=sent,
                timeout=httpx.Timeout(patience_s, connect=CONNECT_S),
            )
        except httpx.TimeoutException:
            raise Unreachable(f"{self.url} has not answered within {patience_s:g} s: is the server busy?") from None
        except httpx.TransportError as error:
            raise Unreachable(
                f"{self.url} cannot be reached ({error}): start it with `reaf serve`, or check the address"
            ) from None
        if answer.is_success:
            return answer
        raise refusal(answer.status_code, _problem(answer))


def address(*path: str) -> str:
    """The parts of a path, each safe in an address; a part that is a path itself keeps its slashes."""
    return "/".join(quote(part, safe="/") for part in path)


def loaded(cls: type[T], value: Any) -> T:
    """`value` as one of resources.py; keys of a newer server are left out."""
    try:
        return plain.load(cls, value, strict=False)
    except plain.Misfit as misfit:
        raise ServerError(
            f"the server answers in a form that this client does not know ({misfit}): upgrade it"
        ) from None


def _value(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    try:
        return jsontext.loads(answer.content)
    except ValueError:
        raise ServerError("the server's answer is no JSON: is this the address of a Reafference server?") from None


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = json.loads(answer.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
