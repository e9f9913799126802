"""The guard: no route can be reached around it."""

import http.client
import json
import re

import pytest
from fastapi.routing import iter_route_contexts
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from services.gateway import guard
from tests.gateway.doors import SMALL, Door, zip_of

READING = {"GET", "HEAD", "OPTIONS"}
MIB = 2**20


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("home")) as door:
        door.experiment = door.otto.post("/experiments/upload", content=zip_of(SMALL)).json()["id"]
        yield door


def routes(door):
    """Every route of the application below /api: methods (None: a WebSocket), path, and who must be there."""
    found = []
    for route in iter_route_contexts(door.app.routes):
        if route.path.startswith("/api/") and route.path != "/api/openapi.json":
            callers = _dependencies(route.dependant)
            found.append((route.methods, re.sub(r":\w+\}", "}", route.path), callers))
    return found


def _dependencies(dependant):
    """The names of all a route depends on."""
    found = set()
    for one in dependant.dependencies:
        found |= {getattr(one.call, "__name__", "")} | _dependencies(one)
    return found


def calls(door):
    """Method and path of every call, names filled in with what is there."""
    found = []
    for methods, path, _ in routes(door):
        named = path.replace("/experiments/{id}", f"/experiments/{door.experiment}")
        named = named.replace("/templates/{id}", "/templates/mouse_reach").replace("{path}", "transfer.py")
        found += [(method, re.sub(r"\{[^}]*\}", "s1", named)) for method in methods or ()]
    assert len(found) > 50
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
    assert {(method, path) for methods, path, _ in routes(door) for method in methods or ()} == described


def test_without_a_token_or_with_a_wrong_one_nothing_is_told_and_nothing_changes(door):
    before = door.tree()
    wrong = "x" * 43
    for method, path in calls(door):
        if path in guard.OPEN:
            continue
        for header in ({}, {"Authorization": f"Bearer {wrong}"}, {"Authorization": "Bearer"}, {"Authorization": wrong}):
            status, headers, body = ask(door, method, path, **header)
            assert status == 401, (method, path)
            assert headers["WWW-Authenticate"] == "Bearer"
            assert json.loads(body)["code"] == "unauthorized"
    assert door.tree() == before


def test_a_viewer_who_wants_to_change_something_is_refused_and_nothing_changes(door):
    before = door.tree()
    changing = [(method, path) for method, path in calls(door) if method not in READING]
    assert len(changing) > 10
    for method, path in changing:
        status, _, body = ask(door, method, path, Authorization=f"Bearer {door.secrets['vera']}")
        assert status == 403, (method, path)
        assert json.loads(body)["code"] == "forbidden"
    assert door.tree() == before


def test_the_routes_themselves_name_who_may(door):
    """A second lock, should the guard one day look elsewhere."""
    for methods, path, callers in routes(door):
        if methods is None or path in guard.OPEN:
            continue
        allowed = {"reader", "editor", "administrator"} if methods <= READING else {"editor", "administrator"}
        assert callers & allowed, (methods, path)


def test_the_reading_calls_answer_a_viewer(door):
    for method, path in calls(door):
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
    with Door(tmp_path / "home", tokens=False) as door:
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
