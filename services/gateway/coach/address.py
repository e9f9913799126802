"""Under which address a client has reached us, to tell it other addresses that it can reach as well."""

import re

from starlette.requests import HTTPConnection

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9_.~-]+)+")


def base(connection: HTTPConnection) -> str:
    """`http://HOST:PORT`, with the path in front of ours where a server before us says that there is one."""
    headers = connection.headers
    host = _first(headers.get("x-forwarded-host", ""))
    prefix = _first(headers.get("x-forwarded-prefix", "")).rstrip("/")
    scheme = _first(headers.get("x-forwarded-proto", "")).lower()
    return (
        f"{scheme if scheme in ('http', 'https') else connection.url.scheme}://"
        f"{host if _HOST.fullmatch(host) else headers.get('host', '')}"
        f"{prefix if _PREFIX.fullmatch(prefix) else ''}"
    )


def socket_base(connection: HTTPConnection) -> str:
    """The same for WebSockets: `ws://HOST:PORT`."""
    return "ws" + base(connection).removeprefix("http")


def _first(value: str) -> str:
    """What the outermost of several servers before us has written."""
    return value.split(",")[0].strip()
