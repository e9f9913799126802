"""NEST Server's face of a simulation: whoever has a token may look at its kernel, and change nothing."""

import json
import time

import httpx
import pytest

from services.gateway.doors import door_of, with_pages
from tests.gateway.doors import Door
from tests.gateway.runs import PATIENCE_S, Run, uploaded
from tests.mpiexec import ranks_wanted

TOML = """\
[experiment]
name = "seen"
steps = 25
seed = 7
step_ms = 20

[brain]
script = "brain.py"

[brain.sources.drive]
kind = "poisson"
targets = ["A"]
weight = 30.0
rate_hz = 5000.0

[brain.sinks.spikes]
kind = "spike_recorder"
sources = ["A"]
"""
SCRIPT = """\
import nest


def build():
    a = nest.Create("iaf_psc_alpha", 60, {"I_e": 450.0})
    nest.Connect(a, a, {"rule": "fixed_indegree", "indegree": 10}, {"weight": 20.0})
    return {"A": a}
"""
FILES = {"experiment.toml": TOML, "brain.py": SCRIPT}
CALLS = (
    ("GetKernelStatus", {}),
    ("GetStatus", {"nodes_or_conns": [1, 2, 3]}),
    ("GetConnections", {"source": [1]}),
    ("GetNodes", {}),
    ("GetDefaults", {"model": "iaf_psc_alpha"}),
    ("biological_time", {}),
)


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("home")) as door:
        yield door


def looking(door, run, who="vera"):
    """A NEST client of a person, at the address of a simulation."""
    headers = {"NESTServerAuth": door.secrets[who]} if who else {}
    return httpx.Client(base_url=f"{door.url}/nest-server/{run.id}", headers=headers, timeout=PATIENCE_S)


@pytest.fixture
def run(door):
    with Run(door.otto, uploaded(door.otto, FILES), record=False) as run:
        yield run.built()


def test_a_viewer_looks_at_the_kernel_of_a_simulation(door, run):
    vera = looking(door, run)
    assert vera.get("/").json()["mpi"] is False
    assert httpx.get(str(vera.base_url).rstrip("/"), headers=vera.headers).json()["nest"].startswith("3.")
    assert "GetStatus" in vera.get("/api").json()
    for name, arguments in CALLS:
        answer = vera.post(f"/api/{name}", json=arguments)
        assert answer.status_code == 200, answer.text
    assert len(vera.post("/api/GetConnections", json={"target": [1]}).json()["source"]) >= 10
    assert vera.get("/api/nonesuch").status_code == 400


def test_nobody_changes_it_and_is_told_what_to_use_instead(door, run):
    for who in ("vera", "otto", "ada"):
        client = looking(door, run, who)
        for name, instead in (
            ("ResetKernel", "reset"),
            ("Create", "add_device"),
            ("SetStatus", "set_parameters"),
            ("Simulate", "start, pause and step"),
            ("Install", "replace_brain"),
        ):
            answer = client.post(f"/api/{name}", json=[])
            assert answer.status_code == 403
            assert instead in answer.json()["message"]
        answer = client.post("/exec", json={"source": "nest.ResetKernel()"})
        assert answer.status_code == 403
        assert "replace_brain" in answer.json()["message"]
    assert looking(door, run).post("/api/GetKernelStatus", json="network_size").json() > 60


def test_without_a_token_nothing_is_answered(door, run):
    for headers in ({}, {"NESTServerAuth": "wrong"}):
        answer = httpx.get(f"{door.url}/nest-server/{run.id}/api", headers=headers, timeout=60)
        assert (answer.status_code, answer.text) == (403, "Unauthorized")
    assert looking(door, run).get("/api").status_code == 200
    other = httpx.get(f"{door.url}/nest-server/s99/", headers={"NESTServerAuth": door.secrets["vera"]}, timeout=60)
    assert other.status_code == 404


def test_pages_of_this_machine_may_look_and_others_may_not(door, run):
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "nestserverauth,content-type"}
    url = f"{door.url}/nest-server/{run.id}/api"
    page = "http://localhost:54286"
    before = httpx.options(url, headers={"Origin": page, **ask}, timeout=60)
    assert before.headers["access-control-allow-origin"] == page
    assert "nestserverauth" in before.headers["access-control-allow-headers"].lower()
    assert looking(door, run).get("/api", headers={"Origin": page}).headers["access-control-allow-origin"] == page
    for elsewhere in ("https://evil.example", "http://localhost.evil.example"):
        answer = looking(door, run).get("/api", headers={"Origin": elsewhere})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    answer = door.otto.get("/health", headers={"Origin": page})
    assert answer.status_code == 403


def test_pages_that_may_look_are_those_that_were_named():
    named = with_pages(("https://desk.example", "http://localhost:*"))
    seen, own = door_of("/nest-server/s1/api", named), door_of("/api/simulations", named)
    for origin, permitted in (
        ("https://desk.example", True),
        ("https://desk.example:444", False),
        ("http://localhost:1234", True),
        ("http://localhost:1234.evil.example", False),
        ("http://localhostile", False),
    ):
        assert seen.pages(origin) is permitted, origin
        assert not own.pages(origin)
    assert door_of("/nest-server/s1", with_pages(("*",))).pages("https://any.example")
    assert not door_of("/nest-server/s1", with_pages(())).pages("http://localhost:54286")


def digests(door, *, ranks, looked):
    """The digests of a whole run, with somebody looking all the time or with nobody."""
    with Run(door.otto, uploaded(door.otto, FILES), ranks=ranks, pace=0.2) as run:
        run.built()
        clients = [looking(door, run), looking(door, run, "otto")] if looked else []
        answers = []
        run.put("/state", state="started")
        while run.get()["state"] in ("paused", "started"):
            for client in clients:
                for name, arguments in CALLS:
                    answers.append(client.post(f"/api/{name}", json=arguments).status_code)
            time.sleep(0.01)
        recording = run.written()["recording"]
    assert not looked or answers.count(200) > 10, answers
    folder = next(path for path in door.home.rglob(recording) if path.is_dir())
    return json.loads((folder / "summary.json").read_text())["digests"]


def test_onlookers_change_no_spike(door):
    alone = digests(door, ranks=1, looked=False)
    assert alone["brain"]
    assert digests(door, ranks=1, looked=True) == alone


@ranks_wanted()
def test_onlookers_of_two_ranks_change_no_spike_and_see_all_of_it(door):
    alone = digests(door, ranks=2, looked=False)
    assert digests(door, ranks=2, looked=True) == alone
    with Run(door.otto, uploaded(door.otto, FILES), ranks=2, record=False) as run:
        client = looking(door, run.built())
        assert client.get("/").json()["mpi"] is True
        status = client.post("/api/GetStatus", json=[[1, 2, 3, 4]]).json()
        assert all(one["V_m"] < 0 for one in status)
        assert len(client.post("/api/GetConnections", json={"target": [1, 2]}).json()["source"]) >= 20
