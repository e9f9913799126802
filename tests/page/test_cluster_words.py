"""What the cluster tab computes and says, asked of its modules in a real browser."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from browsing import Server, Visitor, unbroken, visitor
from playwright.sync_api import Browser

OFFER = {
    "partitions": [
        {"name": "normal", "nodes": 9, "time_limit_s": 86400, "default": True},
        {"name": "debug", "nodes": 2, "time_limit_s": 1800, "default": False},
        {"name": "single", "nodes": 1, "time_limit_s": None, "default": False},
    ],
    "limits": {
        "nodes": 16,
        "time_s": 43200,
        "ranks_per_node": None,
        "cores_per_node": 36,
        "sockets_per_node": 2,
        "memory_gb_per_node": 120.0,
    },
}
ORDER = {"nodes": 4, "ranks_per_node": 4, "threads_per_rank": 9, "time_s": 5400}
JOB = {
    "id": "j4",
    "state": "serving",
    "reason": "",
    "submitted_at": "2026-05-03T10:00:00+00:00",
    "started_at": "2026-05-03T10:01:00+00:00",
    "ended_at": None,
    "waited_s": 60,
    "elapsed_s": 600,
    "limit_s": 3600,
    "ready_after_s": 20,
    "nodes": 2,
    "ranks_per_node": 2,
    "threads_per_rank": 4,
    "node_names": ["n5", "n6", "n7"],
}
WATCHING = """async (failing) => {
  const base = document.querySelector('script[src$="main.js"]').src.replace("main.js", "");
  const { makeWatch } = await import(`${base}cluster/watch.js`);
  window.seen = [];
  window.fails = failing;
  window.watch = makeWatch(async () => { window.seen.push(Date.now()); if (window.fails) throw new Error("no"); });
}"""

HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


class Modules:
    """The page's own modules; a call gives what `body` returns, with the module as `m` and the argument as `a`."""

    def __init__(self, visitor: Visitor) -> None:
        self.page = visitor.page

    def ask(self, module: str, body: str, argument: Any = None) -> Any:
        base = "document.querySelector('script[src$=\"main.js\"]').src.replace('main.js', '')"
        code = f"async (a) => {{ const m = await import({base} + '{module}'); {body} }}"
        return unbroken(lambda: self.page.evaluate(code, argument))


@pytest.fixture
def person(browser: Browser, server: Server) -> Iterator[Visitor]:
    with visitor(browser, server, timezone_id="UTC") as made:
        yield made


@pytest.fixture
def modules(person: Visitor) -> Modules:
    person.go("#/cluster")
    return Modules(person)


def faults(modules: Modules, **changed: Any) -> dict[str, str]:
    order = {key: value for key, value in (ORDER | changed).items() if value != "missing"}
    found = modules.ask("cluster/order.js", "return m.faults(a.order, a.offer)", {"order": order, "offer": OFFER})
    return dict(found)


def test_an_order_that_fits_has_no_fault(modules):
    assert faults(modules) == {}
    assert faults(modules, partition="normal", memory_gb_per_node=120) == {}


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"nodes": 9}, "nodes", "At most 8 nodes"),  # one of nine is for the rest
        ({"nodes": 2, "partition": "debug", "time_s": 600}, "nodes", "At most 1 node here"),
        ({"nodes": 1, "partition": "single"}, "nodes", "one more node is needed"),
        ({"nodes": 0}, "nodes", "whole number"),
        ({"nodes": 1.5}, "nodes", "whole number"),
        ({"nodes": "missing"}, "nodes", "whole number"),
        ({"threads_per_rank": 10}, "threads_per_rank", "40 threads, but a node has 36 cores"),
        ({"memory_gb_per_node": 500}, "memory_gb_per_node", "120 GB"),
        ({"memory_gb_per_node": 0}, "memory_gb_per_node", "above 0"),
        ({"time_s": None}, "time_s", "such as 1:30"),
        ({"time_s": 59}, "time_s", "At least 0:01"),
        ({"time_s": 43201}, "time_s", "At most 12:00"),
        ({"nodes": 1, "partition": "debug", "time_s": 1801}, "time_s", "At most 0:30"),
    ],
)
def test_what_is_wrong_is_said_of_its_field(modules, changed, field, words):
    found = faults(modules, **changed)
    assert list(found) == [field]
    assert words in found[field]


def test_an_order_comes_to_processes_nodes_and_hours(modules):
    sums = modules.ask("cluster/order.js", "return m.sums(a)", ORDER)
    assert sums == {"processes": 144, "nodes": 5, "cores": 36, "node_hours": 7.5}


@pytest.mark.parametrize(
    ("text", "s"),
    [("1:30", 5400), ("0:02:30", 150), (" 24:00 ", 86400), ("1:60", None), ("90", None), ("90 min", None), ("", None)],
)
def test_times_are_read_as_hours_and_minutes(modules, text, s):
    assert modules.ask("cluster/order.js", "return m.readTime(a)", text) == s


@pytest.mark.parametrize(("s", "text"), [(5400, "1:30"), (150, "0:02:30"), (86400, "24:00")])
def test_times_are_written_as_they_are_read(modules, s, text):
    assert modules.ask("cluster/order.js", "return m.writeTime(a)", s) == text
    assert modules.ask("cluster/order.js", "return m.readTime(a)", text) == s


def course(modules: Modules, **changed: Any) -> list[tuple[str, str, str]]:
    points = modules.ask("cluster/timeline.js", "return m.pointsOf(a)", JOB | changed)
    return [(point["name"], point["note"], point["state"]) for point in points]


def test_the_course_of_a_serving_job_tells_when_it_must_end(modules):
    _, waited, starting, serving, end = course(modules)
    assert waited == ("Waited", "1:00", "done")
    assert starting == ("Starting", "10:01, took 0:20", "done")
    assert serving == ("Serving", "10:01, for 9:40", "now")
    assert end == ("End", "by 11:01", "ahead")


def test_the_course_of_a_waiting_job_is_ahead(modules):
    waiting = course(modules, state="waiting", started_at=None, elapsed_s=0, ready_after_s=None, node_names=[])
    assert [point[0] for point in waiting] == ["Submitted", "Waiting", "Starting", "Serving", "End"]
    assert [point[2] for point in waiting] == ["done", "now", "ahead", "ahead", "ahead"]
    assert [point[1] for point in waiting[2:]] == ["–", "–", "–"]


def test_a_job_that_failed_before_it_served_shows_where(modules):
    failed = course(modules, state="failed", ready_after_s=None, ended_at="2026-05-03T10:05:00+00:00")
    assert [point[2] for point in failed] == ["done", "done", "wrong", "never", "wrong"]
    assert failed[-1][0] == "Failed"


def test_a_job_aborted_while_it_waited_never_started(modules):
    ended_at = "2026-05-03T10:05:00+00:00"
    aborted = course(modules, state="aborted", started_at=None, elapsed_s=0, ready_after_s=None, ended_at=ended_at)
    assert [point[2] for point in aborted] == ["done", "never", "never", "never", "done"]


def test_ranks_are_counted_through_the_nodes_after_the_first(modules):
    nodes = modules.ask("cluster/layout.js", "return m.nodesOf(a)", JOB)
    assert [(node["name"], node["ranks"]) for node in nodes] == [("n5", []), ("n6", [0, 1]), ("n7", [2, 3])]
    unknown = modules.ask("cluster/layout.js", "return m.nodesOf(a)", JOB | {"node_names": []})
    assert [node["name"] for node in unknown] == ["node 1", "node 2", "node 3"]


def test_cells_of_a_node_stand_in_whole_rows(modules):
    columns = modules.ask("cluster/nodes.js", "return a.map(m.columnsOf)", [2, 8, 24, 36, 56, 64])
    assert columns == [4, 8, 12, 12, 14, 16]


@pytest.mark.parametrize(
    ("joules", "text"),
    [(None, "–"), (0, "0 J"), (812, "812 J"), (4210, "4.21 kJ"), (1.3e6, "1.30 MJ"), (2.5e9, "2.50 GJ")],
)
def test_energy_has_a_unit_and_none_is_a_dash(modules, joules, text):
    assert modules.ask("words.js", "return m.energy(a)", joules) == text


def test_a_time_limit_that_was_met_in_order_is_no_failure(modules):
    ended = {"state": "ended", "reason": "time limit"}
    assert modules.ask("words.js", "return m.jobState(a)", ended) == {"text": "Time limit met", "kind": "warn"}
    assert modules.ask("words.js", "return m.jobState(a)", {"state": "failed"}) == {"text": "Failed", "kind": "err"}


@pytest.fixture
def held(person: Visitor) -> Visitor:
    """Somebody whose clock only a test moves."""
    person.page.clock.install(time=0)
    person.go("#/login")
    person.page.clock.pause_at(3600)
    return person


def watching(person: Visitor, *, failing: bool) -> None:
    """From now on it looks."""
    unbroken(lambda: person.page.evaluate(WATCHING, failing))


def pauses(person: Visitor) -> list[int]:
    """Seconds between the looks so far."""
    at = person.page.evaluate("window.seen")
    return [round((later - earlier) / 1000) for earlier, later in itertools.pairwise(at)]


def test_it_looks_every_three_seconds(held):
    watching(held, failing=False)
    held.page.clock.run_for(12_500)
    assert pauses(held) == [3, 3, 3, 3]


def test_it_looks_more_and_more_rarely_while_nobody_answers_and_often_again_after(held):
    watching(held, failing=True)
    held.page.clock.run_for(103_000)
    assert pauses(held) == [6, 12, 24, 30, 30]
    held.page.evaluate("window.fails = false")
    held.page.clock.run_for(36_000)
    assert pauses(held)[5:] == [30, 3, 3]


def test_a_hidden_tab_asks_nothing_and_a_seen_one_asks_at_once(held):
    watching(held, failing=False)
    held.page.clock.run_for(1000)
    held.page.evaluate(HIDE, True)
    held.page.clock.run_for(60_000)
    assert pauses(held) == []
    held.page.evaluate(HIDE, False)
    assert pauses(held) == [61]
    held.page.evaluate("window.watch.close()")
    held.page.clock.run_for(60_000)
    assert pauses(held) == [61]
