"""`reaf nest-server` beside the server that comes with NEST, and with the published client."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.compat import desktop_scripts
from tests.compat.nest_servers import ROOT, TOKEN, Client, brains_of, children_of, ours, stock
from tests.mpiexec import ranks_wanted

CLIENT = ROOT / ".compat" / "nest-client" / "bin" / "python"
OF_THE_CLOCK = ("time_", "max_update_time", "min_update_time", "memory_size")


@pytest.fixture(scope="module")
def own():
    with ours("--exec") as client:
        yield client


@pytest.fixture(scope="module")
def other():
    with stock() as client:
        yield client


@pytest.fixture(scope="module")
def two_threads():
    with ours("--exec", "--threads=2") as client:
        yield client


@pytest.fixture(scope="module")
def two_ranks():
    with ours("--exec", "--ranks=2") as client:
        yield client


def both(own, other, path, **request):
    """The answers of both servers, status and JSON, without what the clock says."""
    found = []
    for client in (own, other):
        answer = client.post(path, **request) if request else client.get(path)
        found.append((answer.status_code, timeless(answer.json())))
    return found


def timeless(value):
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if not key.startswith(OF_THE_CLOCK)}
    return value


def same(own, other, path, **request):
    mine, theirs = both(own, other, path, **request)
    assert mine == theirs
    return mine[1]


# --- beside the stock server ----------------------------------------------------------------------------------


def test_the_first_page_and_the_list_of_calls_are_the_same(own, other):
    assert same(own, other, "/")["mpi"] is False
    assert "GetKernelStatus" in same(own, other, "/api")


def test_what_desktop_asks_at_its_start_is_answered_in_the_same_way(own, other):
    same(own, other, "/api/ResetKernel")
    models = same(own, other, "/api/GetKernelStatus", json={"keys": ["node_models", "synapse_models"]})
    assert "iaf_psc_alpha" in models[0]
    for model in ("iaf_psc_alpha", "poisson_generator", "multimeter", "static_synapse"):
        same(own, other, "/api/GetDefaults", json={"model": model})
    same(own, other, "/api/GetKernelStatus")


@pytest.mark.parametrize("name", desktop_scripts.ALL)
def test_a_first_simulation_of_desktop_gives_the_same_answer(own, other, name):
    request = {"source": desktop_scripts.ALL[name], "response_keys": "response", "return": "response"}
    answer = same(own, other, "/exec", json=request)
    assert all(events["times"] for events in answer["data"]["events"])
    same(own, other, "/api/GetKernelStatus")


def test_unrestricted_scripts_give_the_same_answers():
    request = {"source": desktop_scripts.SPATIAL_FREELY, "return": "response"}
    with ours("--exec-unrestricted") as own, stock(restricted=False) as other:
        answer = same(own, other, "/exec", json=request)
        assert len(answer["data"]["positions"]) == 100
        printing = "import nest\nx = [1]\nx[0] += 1\nprint('one')\nprint('two')\n"
        assert same(own, other, "/exec", json={"source": printing, "return": ["x"]})["stdout"] == "one\ntwo"
        assert same(own, other, "/exec", json={"source": "x = 1\nfoo(\n"})["lineNumber"] == 2


@ranks_wanted()
def test_positions_drawn_by_two_ranks_are_those_of_two_threads():
    source = desktop_scripts.SPATIAL_FREELY
    with ours("--exec-unrestricted", "--ranks=2") as two:
        found = two.run(source)["data"]
    with ours("--exec-unrestricted") as one:
        wanted = one.run(source.replace('"local_num_threads": 1', '"local_num_threads": 2'))["data"]
    assert ordered(found["events"][0]) == ordered(wanted["events"][0])
    assert found["positions"] == wanted["positions"]


def test_a_network_made_by_calls_gives_the_same_answers(own, other):
    for path, request in (
        ("/api/ResetKernel", {"json": {}}),
        ("/api/Create", {"json": {"model": "iaf_psc_alpha", "n": 3, "params": {"I_e": 400.0}}}),
        ("/api/Create", {"json": ["spike_recorder"]}),
        ("/api/Create", {"json": "poisson_generator"}),
        ("/api/Connect", {"json": {"pre": [1, 2, 3], "post": [4]}}),
        ("/api/Connect", {"json": [[5], [1, 2, 3]]}),
        ("/api/Connect", {"json": {"args": [[1], [2, 3]], "syn_spec": {"weight": 5.0}}}),
        ("/api/Simulate", {"json": {"t": 100.0}}),
        ("/api/GetConnections", {"json": {"source": [1], "target": [2, 3]}}),
        ("/api/GetNodes", {"json": {"properties": {"model": "iaf_psc_alpha"}}}),
        ("/api/GetDefaults", {"data": {"model": "iaf_psc_alpha"}}),
        ("/api/GetDefaults?model=iaf_psc_alpha", {}),
        ("/api/GetDefaults?args=iaf_psc_alpha&args=V_th", {}),
        ("/api/GetKernelStatus", {"json": "num_connections"}),
        ("/api/biological_time", {}),
        ("/api/GetDefaults", {"json": {"inspect": "getdoc"}}),
    ):
        same(own, other, path, **request)


def test_a_script_that_prints_and_returns_gives_the_same_answer(own, other):
    source = (
        "import nest\nnest.ResetKernel()\nn = nest.Create('iaf_psc_alpha', 2)\nprint('made', len(n))\na = n\nb = 1.5"
    )
    assert same(own, other, "/exec", json={"source": source, "return": ["a", "b", "c"]}) == {
        "data": {"a": [1, 2], "b": 1.5, "c": None},
        "stdout": "made 2\n",
    }


@pytest.mark.parametrize("source", ["x = 1\ny = x + z\n", "def f(a):\n    return a\n\nf()\n", "open('/etc/passwd')"])
def test_an_error_in_a_script_is_told_with_its_line_as_the_stock_server_does(own, other, source):
    told = same(own, other, "/exec", json={"source": source})
    assert f"line {told['lineNumber']}" in told["message"]


def test_errors_that_break_the_stock_server_are_told_with_their_line_too(own):
    for source, line in (
        ("import nest\n\nnest.Create('nonesuch')\n", 3),
        ("x = 1\nfoo(\n", 2),
        ("x = [1]\n\ny = x[5]\n", 3),
        ("class A:\n    def _f(self):\n        self._g = 1\n", 2),
    ):
        answer = own.post("/exec", json={"source": source})
        assert answer.status_code == 400, source
        assert answer.json()["lineNumber"] == line
    answer = own.post("/api/Create", json={"model": "nonesuch"})
    assert answer.status_code == 400
    assert answer.json() == {
        "lineNumber": 1,
        "message": "UnknownModelName (NESTError) at line 1: nonesuch is not a known model name.",
    }
    assert own.get("/api/nonesuch").status_code == 400
    assert own.post("/api/Create", content="{", headers={"Content-Type": "application/json"}).status_code == 400


def test_the_published_client_works_unchanged(own):
    program = f"""
from nest_client import NESTClient
client = NESTClient({own.url!r}, headers={{"NESTServerAuth": {TOKEN!r}}})
client.ResetKernel()
n = client.Create("iaf_psc_alpha", n=4, params={{"I_e": 400.0}})
recorder = client.Create("spike_recorder")
client.Connect(n, recorder)
client.Simulate(100.0)
events = client.GetStatus(recorder, "events")[0]
assert events["senders"] and set(events["senders"]) == set(n), events
assert client.exec_script("a = 1 + 1", "a") == {{"data": 2}}
try:
    client.Create("nonesuch")
except Exception as error:
    assert "nonesuch is not a known model name" in str(error), error
else:
    raise AssertionError("not refused")
print("all well")
"""
    done = subprocess.run([CLIENT, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "all well", done.stderr


# --- several ranks ------------------------------------------------------------------------------------------


def ordered(events):
    rows = sorted(zip(*(events[key] for key in sorted(events, key=("times", "senders", "V_m").index)), strict=True))
    return [list(column) for column in zip(*rows, strict=True)]


@ranks_wanted()
@pytest.mark.parametrize("name", desktop_scripts.ALL)
def test_two_ranks_answer_like_one_rank_with_two_threads(two_ranks, two_threads, name):
    # The same two virtual processes: a script that sets one thread has two of them on two ranks.
    source = desktop_scripts.ALL[name]
    found = two_ranks.run(source)["data"]
    wanted = two_threads.run(source.replace('"local_num_threads": 1', '"local_num_threads": 2'))["data"]
    assert [ordered(one) for one in found.pop("events")] == [ordered(one) for one in wanted.pop("events")]
    assert found == wanted


@ranks_wanted()
def test_what_two_ranks_tell_is_whole(two_ranks, two_threads):
    source = """
nest.ResetKernel()
n = nest.Create("iaf_psc_alpha", 5, params={"I_e": [400.0, 500.0, 600.0, 700.0, 800.0]})
sr = nest.Create("spike_recorder")
g = nest.Create("dc_generator", params={"amplitude": 10.0})
nest.Connect(n, sr)
nest.Connect(n, n, {"rule": "fixed_indegree", "indegree": 2}, {"weight": 3.0})
nest.Connect(g, n)
nest.Simulate(100.0)
c = nest.GetConnections(n, n)
c.weight = 4.0
d = nest.GetConnections(g)
response = {
    "count": sr.n_events, "v": n.V_m, "one": n[1].V_m, "several": n.get(["V_m", "I_e"]),
    "connections": nest.num_connections, "found": len(c), "weights": c.weight, "sources": c.source, "targets": c.target,
    "driven": [d[i].target for i in range(5)],
    "rates": [sum([1 for s in sr.get("events", "senders") if s == i]) for i in range(7)],
    "local": n.local, "rank": nest.Rank(),
}
"""
    found, wanted = two_ranks.run(source)["data"], two_threads.run(source)["data"]
    pairs = [sorted(zip(one.pop("sources"), one.pop("targets"), strict=True)) for one in (found, wanted)]
    assert pairs[0] == pairs[1]
    assert sorted(found.pop("driven")) == sorted(wanted.pop("driven")) == [1, 2, 3, 4, 5]
    assert found == wanted
    assert found["count"] == sum(found["rates"]) > 0
    status = two_ranks.call("GetStatus", [1, 2, 3, 4, 5, 6])
    assert [one["V_m"] for one in status[:5]] == list(found["v"])
    assert status[5]["n_events"] == found["count"] == len(status[5]["events"]["times"])
    assert status[5]["events"]["times"] == sorted(status[5]["events"]["times"])
    assert two_ranks.call("GetStatus", [1, 2], "V_m") == list(found["v"][:2])
    rows = two_ranks.call("GetConnections", source=[1, 2, 3, 4, 5], target=[1, 2, 3, 4, 5])
    assert len(rows["source"]) == 10
    assert set(rows["weight"]) == {4.0}
    assert two_ranks.get("/").json() == {"mpi": True, "nest": two_threads.get("/").json()["nest"]}


@ranks_wanted()
def test_connecting_and_simulating_in_turns_is_right_on_two_ranks(two_ranks, two_threads):
    found = []
    for client in (two_ranks, two_threads):
        client.call("ResetKernel")
        n = client.call("Create", "iaf_psc_alpha", 40, {"I_e": 420.0})
        recorder = client.call("Create", "spike_recorder")
        client.call("Connect", n, recorder)
        for _ in range(3):
            client.call("Connect", n, n, {"rule": "fixed_indegree", "indegree": 3}, {"weight": 20.0})
            client.call("Simulate", 50.0)
        found.append(ordered(client.call("GetStatus", recorder, "events")[0]))
    assert found[0] == found[1]
    assert len(found[0][0]) > 40


@ranks_wanted()
def test_an_error_on_two_ranks_is_told_once_and_the_kernel_goes_on(two_ranks):
    answer = two_ranks.post("/exec", json={"source": "import nest\nnest.Create('nonesuch')"})
    assert (answer.status_code, answer.json()["lineNumber"]) == (400, 2)
    assert answer.json()["message"] == "UnknownModelName (NESTError) at line 2: nonesuch is not a known model name."
    assert two_ranks.call("Create", "iaf_psc_alpha")


# --- who may -------------------------------------------------------------------------------------------------


def test_without_the_token_nothing_is_answered(own):
    for token in ("", "wrong"):
        client = Client(own.url, token)
        for answer in (client.get("/"), client.get("/api"), client.post("/exec", json={"source": ""})):
            assert (answer.status_code, answer.text) == (403, "Unauthorized")


def test_scripts_are_run_only_where_that_was_asked_for():
    with ours() as client:
        answer = client.post("/exec", json={"source": "x = 1"})
        assert answer.status_code == 403
        assert "`/exec` has been disabled" in answer.json()["message"]
        assert client.call("Create", "iaf_psc_alpha") == [1]


def test_unrestricted_scripts_may_do_more_and_are_warned_of():
    with ours("--exec-unrestricted", "--modules=import nest; import math as m") as client:
        answer = client.run("x = [i for i in range(3)]\nx[0] += int(m.pi)\nprint(x)\nopen('/dev/null')", "x")
        assert answer == {"data": [3, 1, 2], "stdout": "[3, 1, 2]"}
        client.process.send_signal(signal.SIGTERM)
        assert "RUNS ANY CODE" in client.process.stderr.read()


def test_pages_of_this_machine_may_come_in_and_others_may_not(own):
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "nestserverauth,content-type"}
    for page, permitted in (
        ("http://localhost:54286", True),
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://localhost.evil.example", False),
        ("https://evil.example", False),
        ("null", False),
    ):
        before = httpx.options(f"{own.url}/exec", headers={"Origin": page, **ask}, timeout=60)
        answer = own.get("/")
        answer = own.http.get("/", headers={"Origin": page})
        for got in (before, answer):
            assert got.status_code == 200
            assert got.headers.get("access-control-allow-origin") == (page if permitted else None), page
        if permitted:
            assert "POST" in before.headers["access-control-allow-methods"]
            assert "nestserverauth" in before.headers["access-control-allow-headers"]


def test_without_tokens_no_page_from_elsewhere_comes_in():
    with ours("--no-token", "--origins=http://desk.example", token="") as client:
        assert client.get("/").status_code == 200
        assert client.http.get("/", headers={"Origin": "http://desk.example"}).status_code == 200
        assert client.http.get("/", headers={"Origin": "http://localhost:54286"}).status_code == 403
        assert client.http.get("/", headers={"Host": "rebound.example"}).status_code == 403


def test_what_makes_no_sense_on_the_command_line_is_refused_with_a_sentence():
    for arguments, told in (
        (("--no-token", "--host=0.0.0.0"), "--host 127.0.0.1 only"),
        (("--ranks=0",), "--ranks must be 1 or more"),
        (("--port=70000",), "from 0 to 65535"),
        (("--exec", "--modules=import nonesuch", "--port=0"), "nonesuch"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "reafference.cli", "nest-server", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert told in " ".join(done.stderr.split())


# --- what may go wrong ---------------------------------------------------------------------------------------


def test_a_caller_who_goes_away_leaves_a_usable_kernel(own):
    own.call("ResetKernel")
    with pytest.raises(httpx.TimeoutException):
        httpx.post(
            f"{own.url}/exec",
            json={"source": "import nest\nnest.Create('iaf_psc_alpha', 1000)\nnest.Simulate(20000.0)"},
            headers={"NESTServerAuth": TOKEN},
            timeout=0.2,
        )
    assert own.call("GetKernelStatus", "network_size") in (0, 1000)
    own.call("ResetKernel")
    assert own.call("Create", "iaf_psc_alpha") == [1]


def test_others_wait_their_turn(own):
    own.call("ResetKernel")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: Client(own.url).call("Create", "iaf_psc_alpha", 10), range(4)))
    assert sorted(node for nodes in made for node in nodes) == list(range(1, 41))


def marked(number):
    """When a process began, which no other one of the same number did; None if there is none."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


@ranks_wanted()
def test_a_killed_rank_is_told_and_a_new_kernel_is_started():
    with ours("--exec", "--ranks=2") as client:
        client.call("Create", "iaf_psc_alpha", 1000, {"I_e": 400.0})
        brains = brains_of(client.process.pid)
        assert len(brains) == 2
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            long = pool.submit(client.post, "/api/Simulate", json=[10_000_000.0])
            time.sleep(2.0)
            os.kill(brains[1], signal.SIGKILL)
            answer = long.result(timeout=120)
        assert answer.status_code == 503
        assert "a new one is started" in answer.json()["message"]
        assert client.call("Create", "iaf_psc_alpha") == [1]
        left = {number: marked(number) for number in children_of(client.process.pid)}
    assert not [number for number, began in left.items() if marked(number) == began]


@ranks_wanted()
def test_a_script_in_which_the_ranks_part_is_told_and_a_new_kernel_is_started():
    alone = 'if os.environ["OMPI_COMM_WORLD_RANK"] == "0":\n    raise ValueError("alone")\n'
    with ours("--exec-unrestricted", "--ranks=2", "--modules=import nest; import os") as client:
        answer = client.post("/exec", json={"source": f"nest.Create('iaf_psc_alpha', 4)\n{alone}"})
        assert (answer.status_code, answer.json()["lineNumber"]) == (400, 3)
        assert client.call("GetKernelStatus", "network_size") == 4
        answer = client.post("/exec", json={"source": f"nest.Create('iaf_psc_alpha', 4)\n{alone}nest.Simulate(10.0)"})
        assert answer.status_code == 503
        assert client.call("Create", "iaf_psc_alpha") == [1]
