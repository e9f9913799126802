"""The guard: no route can be reached around it."""

import asyncio
import http.client
import json
import re

import httpx
import pytest
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from services.gateway import doors, guard
from services.gateway.doors import API, DOORS, Door, as_problem, door_of
from services.gateway.people import People
from tests.gateway import doors as served
from tests.gateway.doors import SMALL, zip_of

READING = {"GET", "HEAD", "OPTIONS"}
MIB = 2**20
OPEN = frozenset().union(*(door.open_to_all for door in DOORS))


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with served.Door(tmp_path_factory.mktemp("home")) as door:
        door.experiment = door.otto.post("/experiments/upload", content=zip_of(SMALL)).json()["id"]
        yield door


def routes(door, doors=DOORS):
    """Every route of the application behind these doors: methods (None: a WebSocket), path, and who must be there."""
    found = []
    for route in iter_route_contexts(door.app.routes):
        if door_of(route.path) in doors and route.path != "/api/openapi.json":
            callers = _dependencies(route.dependant) if hasattr(route, "dependant") else set()
            found.append((route.methods, re.sub(r":\w+\}", "}", route.path), callers))
    return found


def _dependencies(dependant):
    """The names of all a route depends on."""
    found = set()
    for one in dependant.dependencies:
        found |= {getattr(one.call, "__name__", "")} | _dependencies(one)
    return found


NAMES = {
    "/templates/{id}": "/templates/mouse_reach",
    "{path}": "transfer.py",
    "/{id}/{name}": "/{id}/transfer.py",
    "models/{kind}/{name}": "models/robots/arm",
    "{kind}": "csv",
    "{server}": "localhost",
    "{number}": "1",
}


def calls(door, doors=DOORS):
    """Method and path of every call, names filled in with what is there."""
    found = []
    for methods, path, _ in routes(door, doors):
        for name, there in NAMES.items():
            path = path.replace(name, there)
        path = re.sub(r"/(experiments?|storage|clone)/\{id\}", rf"/\1/{door.experiment}", path)
        found += [(method, re.sub(r"\{[^}]*\}", "s1", path)) for method in methods or ()]
    assert len(found) > 20
    return found


def ask(door, method, path, **headers):
    """An answer as it is, whatever a client would make of it."""
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=20)
    try:
        connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_the_description_has_every_route_of_the_application(door):
    described = {(method.upper(), path) for path, some in door.app.openapi()["paths"].items() for method in some}
    assert {(method, path) for methods, path, _ in routes(door, [API]) for method in methods or ()} == described


def test_every_door_has_something_behind_it(door):
    assert {door_of(path) for _, path, _ in routes(door)} == set(DOORS)


def test_whatever_has_no_door_is_the_page(door):
    behind_none = {route.path for route in iter_route_contexts(door.app.routes) if door_of(route.path) is None}
    assert behind_none == {"/", "/v/{version}/{path:path}"}


def test_without_a_token_or_with_a_wrong_one_nothing_is_told_and_nothing_changes(door):
    before = door.tree()
    wrong = "x" * 43
    for method, path in calls(door):
        if path in OPEN:
            continue
        for header in ({}, {"Authorization": f"Bearer {wrong}"}, {"Authorization": "Bearer"}, {"Authorization": wrong}):
            status, headers, body = ask(door, method, path, **header)
            assert status in (401, 403), (method, path)
            if door_of(path).refusal is as_problem:
                assert status == 401, (method, path)
                assert headers["WWW-Authenticate"] == "Bearer"
                assert json.loads(body)["code"] == "unauthorized"
    assert door.tree() == before


def test_a_viewer_who_wants_to_change_something_is_refused_and_nothing_changes(door):
    before = door.tree()
    changing = [(method, path) for method, path in calls(door) if not door_of(path).viewer_may(method, path)]
    assert len(changing) > 40
    for method, path in changing:
        if path in OPEN:
            continue
        status, _, body = ask(door, method, path, Authorization=f"Bearer {door.secrets['vera']}")
        assert status == 403, (method, path)
        if door_of(path).refusal is as_problem:
            assert json.loads(body)["code"] == "forbidden"
    assert door.tree() == before


def test_the_routes_themselves_name_who_may(door):
    """A second lock, should the guard one day look elsewhere."""
    for methods, path, callers in routes(door):
        if methods is None or path in OPEN:
            continue
        watching = methods <= READING or all(door_of(path).viewer_may(method, path) for method in methods)
        allowed = {"reader", "editor", "administrator"} if watching else {"editor", "administrator"}
        # What is no route of FastAPI names nobody: it must be a place where there is nothing but to look.
        only_looking = not callers and door_of(path).viewer_may is doors.everything
        assert callers & allowed or only_looking, (methods, path)


def test_the_reading_calls_answer_a_viewer(door):
    for method, path in calls(door, [API]):
        if method in READING and not re.search(r"s1|/tokens|recordings/", path):
            assert ask(door, method, path, Authorization=f"Bearer {door.secrets['vera']}")[0] == 200, path


def test_tokens_are_for_administrators(door):
    for person in (door.vera, door.otto):
        assert person.get("/tokens").status_code == 403
    assert door.otto.post("/tokens", json={"name": "x", "role": "admin"}).status_code == 403
    made = door.ada.post("/tokens", json={"name": "eve", "role": "viewer"}).json()
    assert door.client(made["token"]).get("/me").json() == {"name": "eve", "role": "viewer"}
    listed = door.ada.get("/tokens").json()
    assert made["id"] in [token["id"] for token in listed]
    assert made["token"] not in str(listed)
    assert door.ada.delete(f"/tokens/{made['id']}").status_code == 204
    assert door.client(made["token"]).get("/me").status_code == 401


def test_paths_that_lead_nowhere_are_problems_too(door):
    assert ask(door, "GET", "/api/nothing")[0] == 401
    for method, path, status in (("GET", "/api/nothing", 404), ("PUT", "/api/me", 405), ("GET", "/nothing", 404)):
        told, headers, body = ask(door, method, path, Authorization=f"Bearer {door.secrets['ada']}")
        assert (told, headers["Content-Type"]) == (status, "application/problem+json")
        assert path in json.loads(body)["detail"]


def test_a_second_slash_in_front_leads_nowhere_else(door):
    token = {"Authorization": f"Bearer {door.secrets['vera']}"}
    for path in ("//proxy/health", "///proxy/health", "//api/me"):
        assert ask(door, "GET", path)[0] == 401
        assert ask(door, "GET", path, **token)[0] == 200
    assert ask(door, "POST", "//proxy/storage/clone", **token)[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "", "127.0.0.1.evil.example", "[", "a b"])
def test_a_name_that_is_not_ours_is_refused(door, host):
    for path in ("/", "/api/health", "/api/experiments"):
        assert ask(door, "GET", path, Host=host)[0] in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1", "10.1.2.3:8080", "[::1]:80"])
def test_this_machine_and_plain_addresses_are_known(door, host):
    assert ask(door, "GET", "/api/health", Host=host)[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_of_other_origins_are_refused(door, origin):
    before = door.tree()
    header = {"Authorization": f"Bearer {door.secrets['ada']}", "Origin": origin}
    assert ask(door, "DELETE", f"/api/experiments/{door.experiment}", **header)[0] == 403
    assert door.tree() == before
    assert ask(door, "GET", "/api/me", **(header | {"Origin": door.url}))[0] == 200


def test_a_body_that_is_too_large_is_refused_whether_announced_or_not(door):
    header = {"Authorization": f"Bearer {door.secrets['ada']}"}
    assert ask(door, "POST", "/api/tokens", **header, Content_Length=str(9 * MIB))[0] == 413

    def drops():
        for _ in range(20):
            yield b" " * MIB

    answer = door.ada.post("/tokens", content=drops(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert "8 MiB" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "most_mib"),
    [
        ("/proxy/authentication/authenticate", 8),
        ("/proxy/storage/clone/x_0", 50),
        ("/proxy/storage/x_0/notes.txt", 50),
        ("/proxy/storage/importExperiment", 200),
        ("/proxy/storage/models/robots/arm", 200),
        ("/coach/localhost/simulation", 8),
    ],
)
def test_a_body_that_is_too_large_for_its_door_is_refused(door, path, most_mib):
    header = {"Authorization": f"Bearer {door.secrets['ada']}"}
    status, _, body = ask(door, "POST", path, **header, Content_Length=str((most_mib + 1) * MIB))
    assert status == 413
    assert f"{most_mib} MiB" in json.loads(body)["detail"]


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]", b"null", b'{"name": 3}', b"[" * 100_000])
def test_what_is_not_understood_is_a_problem_with_a_reason(door, content):
    answer = door.ada.post("/tokens", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_every_answer_forbids_what_a_browser_need_not_do(door):
    for path in ("/api/health", "/api/nothing", "/", "/nothing"):
        _, headers, _ = ask(door, "GET", path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        assert "unsafe" not in headers["Content-Security-Policy"]


def test_without_tokens_everybody_is_the_administrator(tmp_path):
    with served.Door(tmp_path / "home", tokens=False) as door:
        assert door.nobody.get("/me").json() == {"name": "you", "role": "admin"}
        assert door.nobody.post("/experiments", json={"source": "mouse_reach"}).status_code == 201
        refused = door.nobody.post(
            "/experiments", json={"source": "mouse_reach"}, headers={"Origin": "http://evil.example"}
        )
        assert refused.status_code == 403
        assert door.nobody.post("/tokens", json={"name": "x", "role": "viewer"}).status_code == 409


def test_every_websocket_wants_a_token(door):
    address = f"ws://127.0.0.1:{door.port}/api/simulations/s1/stream"
    for subprotocols in (["reafference.1"], ["reafference.1", "bearer.wrong"]):
        with (
            pytest.raises(ConnectionClosed) as closed,
            connect(address, subprotocols=subprotocols, open_timeout=10) as socket,
        ):
            socket.recv(timeout=10)
        assert closed.value.rcvd.code == 4401
    header = {"Origin": "http://evil.example", "Authorization": f"Bearer {door.secrets['ada']}"}
    with pytest.raises(InvalidStatus), connect(address, additional_headers=header, open_timeout=10):
        pass


def test_a_socket_behind_another_door_wants_a_token_in_its_address(door):
    paths = [path for methods, path, _ in routes(door) if methods is None and door_of(path) is not API]
    assert "/rosbridge/{server}" in paths
    for path in paths:
        address = f"ws://127.0.0.1:{door.port}{path.replace('{server}', 'localhost')}"
        for query in ("", "?token=", "?token=wrong", "?Token=x"):
            with pytest.raises(ConnectionClosed) as closed, connect(address + query, open_timeout=10) as socket:
                socket.recv(timeout=10)
            assert closed.value.rcvd.code == guard.UNKNOWN_TOKEN
            assert "?token=TOKEN" in closed.value.rcvd.reason
        with connect(f"{address}?token={door.secrets['vera']}", open_timeout=10) as socket:
            socket.send('{"op": "set_level", "level": "info"}')
            with pytest.raises(TimeoutError):
                socket.recv(timeout=0.5)


def test_pages_of_other_origins_come_in_only_where_a_door_admits_them():
    page = "http://desk.example:8000"
    admitting = (API, Door(prefix="/desk", pages=lambda origin: origin == page), Door(prefix="/proxy"))
    guarded = guard.Guard(JSONResponse("in"), People.everyone(), doors=admitting)

    async def asked():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://localhost") as client:
            first = {
                "Origin": page,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization",
            }
            allowed = await client.options("/desk/x", headers=first)
            answered = await client.get("/desk/x", headers={"Origin": page})
            others = [
                await client.get(path, headers={"Origin": origin})
                for origin, path in (
                    ("http://evil.example", "/desk/x"),
                    (page, "/api/me"),
                    (page, "/"),
                    (page, "/proxy"),
                )
            ]
            return allowed, answered, others

    allowed, answered, others = asyncio.run(asked())
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (204, page)
    assert allowed.headers["Access-Control-Allow-Headers"] == "authorization"
    assert (answered.status_code, answered.headers["Access-Control-Allow-Origin"]) == (200, page)
    assert answered.headers["Vary"] == "Origin"
    assert [other.status_code for other in others] == [403] * 4
    assert not [other for other in others if "Access-Control-Allow-Origin" in other.headers]
