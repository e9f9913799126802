"""NEST Server's face: what NEST Desktop and NEST clients ask for, turned into calls of a kernel, and the answers back.

It holds no state. Whose kernel it is, the caller's own or that of a simulation, is its `Kernel`'s affair.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from reafference.errors import ReafferenceError

PORT = 52425
TOKEN_HEADER = "NESTServerAuth"
NO_EXEC = "The route `/exec` has been disabled. Please contact the server administrator."


@dataclass(eq=False)
class CallRefused(Exception):
    """What the caller is told instead of a result; `line` is where in what he sent, 0 if that cannot be said."""

    status: int
    message: str
    line: int = 0

    def response(self) -> Response:
        told: dict[str, Any] = {"message": self.message}
        if self.line:
            told["lineNumber"] = self.line
        return as_json(json.dumps(told, sort_keys=True, separators=(",", ":")), self.status)


class Kernel(Protocol):
    """A kernel of NEST that can be asked. `runs_scripts` says whether it takes `nest_exec`."""

    @property
    def runs_scripts(self) -> bool: ...

    async def ask(self, what: str, arguments: Mapping[str, str]) -> str:
        """The answer to an edit of the brain, `nest_call`, `nest_names` or `nest_exec`, as JSON. Raises CallRefused."""
        ...


KernelOf = Callable[[Request], Kernel]
"""Which kernel a request is for; may raise CallRefused."""


def routes(kernel_of: KernelOf, prefix: str = "") -> list[Route]:
    """The paths of NEST Server, below `prefix`."""

    async def index(request: Request, kernel: Kernel) -> Response:
        build = json.loads(await kernel.ask("nest_call", {"name": "build_info"}))
        several = json.loads(await kernel.ask("nest_call", {"name": "num_processes"})) > 1
        return as_json(json.dumps({"mpi": several, "nest": build["version"]}, separators=(",", ":")))

    async def names(request: Request, kernel: Kernel) -> Response:
        return as_json(await kernel.ask("nest_names", {}))

    async def call(request: Request, kernel: Kernel) -> Response:
        args, kwargs = await arguments_of(request)
        order = {"name": request.path_params["call"], "args": json.dumps(args), "kwargs": json.dumps(kwargs)}
        return as_json(await kernel.ask("nest_call", order))

    async def run(request: Request, kernel: Kernel) -> Response:
        if not kernel.runs_scripts:
            raise CallRefused(403, NO_EXEC)
        _, kwargs = await arguments_of(request)
        source = kwargs.get("source", "")
        if not isinstance(source, str):
            raise CallRefused(400, f"source must be the text of a script, not {source!r:.60}")
        rest = {key: value for key, value in kwargs.items() if key != "source"}
        return as_json(await kernel.ask("nest_exec", {"source": source, "kwargs": json.dumps(rest)}))

    both = ["GET", "POST"]
    found = [
        Route(f"{prefix}/", _answering(kernel_of, index), methods=["GET"]),
        Route(f"{prefix}/api", _answering(kernel_of, names), methods=["GET"]),
        Route(f"{prefix}/api/{{call}}", _answering(kernel_of, call), methods=both),
        Route(f"{prefix}/exec", _answering(kernel_of, run), methods=both),
    ]
    return [*found, Route(prefix, _answering(kernel_of, index), methods=["GET"])] if prefix else found


def _answering(kernel_of: KernelOf, answer: Callable[[Request, Kernel], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            response: Response = await answer(request, kernel_of(request))
        except CallRefused as refused:
            return refused.response()
        return response

    return endpoint


def as_json(text: str, status: int = 200) -> Response:
    return Response(f"{text}\n", status, media_type="application/json")


async def arguments_of(request: Request) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call, by place and by name: as JSON (a list, a map, a text), as a form, or in the address."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        body = await request.body()
    except ClientDisconnect:
        raise CallRefused(400, "the request has not come to its end") from None
    # Clients name JSON in requests that have no body, too.
    if body and (kind == "application/json" or kind.endswith("+json")):
        try:
            found = json.loads(body)
        except ValueError as error:
            raise CallRefused(400, f"the body of the request is no JSON: {error}") from None
        return _of_json(found)
    if kind == "application/x-www-form-urlencoded" and body:
        return _of_pairs(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return _of_pairs(request.query_params.multi_items())


def _of_json(found: Any) -> tuple[list[Any], dict[str, Any]]:
    match found:
        case str() if found:
            return [found], {}
        case list():
            return found, {}
        case dict():
            kwargs = dict(found)
            args = kwargs.pop("args", [])
            if not isinstance(args, list):
                raise CallRefused(400, f"args must be a list, not {args!r:.60}")
            return args, kwargs
    return [], {}


def _of_pairs(pairs: list[tuple[str, str]]) -> tuple[list[Any], dict[str, Any]]:
    args: list[Any] = [value for name, value in pairs if name == "args"]
    if args:
        return args, {}
    named: dict[str, Any] = {}
    for name, value in pairs:
        named.setdefault(name, value)
    return [], named


def told(error: ReafferenceError) -> CallRefused | None:
    """What the brain said of a call that it refused; None if the error is of another kind."""
    message, line = error.detail.get("message"), error.detail.get("lineNumber")
    if isinstance(message, str):
        return CallRefused(int(error.detail.get("status", 400)), message, line if isinstance(line, int) else 0)
    if error.code == "bad_experiment":
        return CallRefused(400, error.text)
    return None


def is_permitted(origin: str, permitted: tuple[str, ...]) -> bool:
    """Whether a page of this origin may come in. A permitted origin may end with ":*", for any port, or be "*"."""
    for one in permitted:
        if one in ("*", origin):
            return True
        start, star, rest = one.partition(":*")
        if star and not rest and (origin == start or _has_port(origin, start)):
            return True
    return False


def _has_port(origin: str, start: str) -> bool:
    return origin.startswith(f"{start}:") and origin[len(start) + 1 :].isdecimal()


LOCAL_PAGES = ("http://localhost:*", "http://127.0.0.1:*")
"""The origins that are permitted where nothing else is said."""
