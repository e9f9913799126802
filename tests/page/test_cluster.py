"""The cluster tab as a person uses it: without a cluster, and with one whose jobs serve for real."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browsing import NARROW, Server, Visitor, visitor
from desk import Desk
from playwright.sync_api import Browser, Locator, expect

from tests.gateway.doors import SMALL, zip_of

STEPS = "101.batch|batch|00|812M|01:10|0\n101.0|brain|00|58G|03:36:40|4210\n".replace("|00|", "|65|")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Desk(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest.fixture
def limb(desk: Desk) -> str:
    """A small experiment of Otto's."""
    made = desk.otto.post("experiments/upload?name=limb", content=zip_of(SMALL))
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


@pytest.fixture
def person(browser: Browser, desk: Desk) -> Iterator[Visitor]:
    """Otto; everything the page did was right and stayed here."""
    with visitor(browser, desk) as made:
        yield made
        assert made.outside == []
        assert made.errors == []
    for entry in list(desk.scheduler.entries):
        desk.scheduler.over(entry, "CANCELLED")


@pytest.fixture
def at_cluster(person: Visitor) -> Visitor:
    person.go("#/cluster")
    expect(form(person)).to_be_visible()
    return person


def form(person: Visitor) -> Locator:
    return person.page.get_by_role("form", name="New job")


def field(person: Visitor, name: str) -> Locator:
    return form(person).locator(f"[name={name}]")


def fault(person: Visitor, name: str) -> Locator:
    """What is said beside a field."""
    return form(person).locator(f"#job-{name}-fault")


def row(person: Visitor, id: str) -> Locator:
    return person.page.locator(f'tr[data-job="{id}"]')


def card(person: Visitor, name: str) -> Locator:
    return person.page.get_by_role("region", name=name)


def nothing_is_cut_off(person: Visitor) -> None:
    widths = person.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]


class TestWithoutACluster:
    @pytest.fixture
    def person(self, browser: Browser, server: Server) -> Iterator[Visitor]:
        with visitor(browser, server, viewport=NARROW) as made:
            yield made
            assert made.outside == []
            assert made.errors == []

    def test_it_says_kindly_that_there_is_none_and_how_to_connect_one(self, person):
        person.go("#/cluster")
        expect(person.page.get_by_role("heading", name="Everything runs on this machine")).to_be_visible()
        expect(person.page.get_by_text("[cluster]")).to_be_visible()
        expect(card(person, "Servers")).to_contain_text("This machine")
        assert person.page.locator("form").count() == 0
        nothing_is_cut_off(person)
        person.picture("cluster_none_1024")

    def test_what_each_key_is_for_can_be_read(self, person):
        person.go("#/cluster")
        link = person.page.get_by_role("link", name="What each key is for").get_attribute("href")
        answer = httpx.get(link)
        assert answer.status_code == 200
        assert "cluster.toml" in answer.text

    def test_no_job_is_no_job(self, person):
        person.go("#/cluster/j9")
        expect(person.page.get_by_role("heading", name="There is no job j9")).to_be_visible()
        # The browser tells of the answer 404 by itself.
        assert all("404" in each for each in person.errors)
        person.errors.clear()

    def test_a_page_whose_script_does_not_come_at_once_is_asked_for_again(self, person):
        refused = []

        def once(route):
            refused.append(route.request.url)
            route.abort() if len(refused) == 1 else route.continue_()

        person.page.route("**/cluster/overview.js", once)
        person.go("#/cluster")
        expect(card(person, "Servers")).to_contain_text("This machine")
        assert len(refused) == 2
        assert all("ERR_FAILED" in each for each in person.errors)
        person.errors.clear()

    def test_it_asks_nothing_once_another_page_is_open(self, person):
        person.page.clock.install()
        person.go("#/cluster")
        expect(card(person, "Servers")).to_contain_text("This machine")
        asked = []
        person.go("#/")
        expect(person.page.get_by_role("heading", name="Templates")).to_be_visible()
        person.page.on("request", lambda request: asked.append(request.url))
        person.page.clock.run_for(20_000)
        assert asked
        assert not [url for url in asked if url.endswith(("/cluster", "/jobs", "/nodes"))]


class TestTheForm:
    def test_what_a_job_comes_to_is_computed(self, at_cluster):
        for name, value in {"nodes": "3", "ranks_per_node": "2", "threads_per_rank": "4", "time_s": "0:30"}.items():
            field(at_cluster, name).fill(value)
        sums = form(at_cluster).locator("dl")
        expect(sums).to_contain_text(re.compile("Virtual processes *24"))
        expect(sums).to_contain_text(re.compile("Cores of a node *8 of 8"))
        expect(sums).to_contain_text(re.compile("Node hours at most *2.00"))

    def test_what_is_wrong_stands_beside_its_field_and_is_not_sent(self, at_cluster, desk):
        field(at_cluster, "nodes").fill("4")
        expect(fault(at_cluster, "nodes")).to_have_text("At most 3 nodes here")
        field(at_cluster, "threads_per_rank").fill("5")
        expect(fault(at_cluster, "threads_per_rank")).to_have_text("10 threads, but a node has 8 cores")
        field(at_cluster, "time_s").fill("90 min")
        expect(field(at_cluster, "time_s")).to_have_attribute("aria-invalid", "true")
        before = desk.otto.get("jobs").json()
        form(at_cluster).get_by_role("button", name="Submit job").click()
        expect(field(at_cluster, "nodes")).to_be_focused()
        at_cluster.picture("cluster_faults_light")
        assert desk.otto.get("jobs").json() == before

    def test_the_limits_are_those_of_the_chosen_partition(self, at_cluster):
        field(at_cluster, "time_s").fill("1:00")
        expect(fault(at_cluster, "time_s")).to_be_hidden()
        field(at_cluster, "partition").select_option("short")
        expect(fault(at_cluster, "time_s")).to_have_text("At most 0:10 here")
        expect(fault(at_cluster, "nodes")).to_have_text("At most 1 node here")

    def test_one_rank_per_socket_fills_a_node(self, at_cluster):
        field(at_cluster, "ranks_per_node").fill("1")
        form(at_cluster).get_by_role("button", name="One rank per socket").click()
        expect(field(at_cluster, "ranks_per_node")).to_have_value("2")
        expect(field(at_cluster, "threads_per_rank")).to_have_value("4")

    def test_what_the_scheduler_refuses_is_said_where_it_was_asked_for(self, at_cluster, desk):
        desk.scheduler.refuses = "Invalid account"
        try:
            form(at_cluster).get_by_role("button", name="Submit job").click()
            expect(form(at_cluster).get_by_role("status")).to_contain_text("Invalid account")
        finally:
            desk.scheduler.refuses = ""
        assert all("422" in each for each in at_cluster.errors)
        at_cluster.errors.clear()

    def test_a_viewer_finds_no_control_that_does_something(self, browser, desk):
        with visitor(browser, desk, token=desk.secrets["vera"]) as vera:
            vera.go("#/cluster")
            expect(form(vera)).to_contain_text("A viewer may look")
            expect(form(vera).get_by_role("button", name="Submit job")).to_be_disabled()
            for control in form(vera).locator("input, select").all():
                expect(control).to_be_disabled()


def test_by_the_keyboard_alone_a_job_is_submitted_and_opened(at_cluster, desk):
    field(at_cluster, "nodes").focus()
    at_cluster.page.keyboard.press("Control+A")
    at_cluster.page.keyboard.type("1")
    at_cluster.page.keyboard.press("Enter")
    made = form(at_cluster).get_by_role("status").get_by_role("link")
    expect(made).to_be_visible()
    id = made.inner_text()
    expect(row(at_cluster, id)).to_contain_text("Waiting")
    expect(row(at_cluster, id)).to_contain_text("It waits for nodes to become free")
    job = desk.job(id)
    assert (job["nodes"], job["ranks_per_node"], job["threads_per_rank"], job["limit_s"]) == (1, 2, 4, 3600)
    row(at_cluster, id).get_by_role("link", name="Open").focus()
    at_cluster.page.keyboard.press("Enter")
    expect(at_cluster.page.locator(".timeline .now")).to_contain_text("Waiting")
    expect(card(at_cluster, "Layout")).to_contain_text("node 1")


def test_a_job_that_serves_shows_its_nodes_its_place_and_its_course(person, desk, limb):
    id, number = desk.submitted(experiment=None)
    person.go(f"#/cluster/{id}")
    expect(person.page.locator(".timeline .now")).to_contain_text("Waiting")
    desk.scheduler.start(number, 3)
    expect(person.page.locator(".timeline .now")).to_contain_text("Starting")
    desk.scheduler.serve(number, id)
    expect(person.page.locator(".timeline .now")).to_contain_text("Serving")
    layout = card(person, "Layout")
    expect(layout.locator("li").first).to_contain_text("n1")
    expect(layout.locator("li").first).to_contain_text("recorder")
    expect(layout.locator(".rank")).to_have_count(4)
    expect(card(person, "Log")).to_contain_text("nodes n1 n2 n3")
    expect(card(person, "Simulations").get_by_role("button", name="Launch…")).to_be_enabled()
    person.picture("cluster_job_light")
    person.go("#/cluster")
    expect(card(person, "Servers")).to_contain_text(id)
    expect(card(person, "Nodes").locator(".node", has_text="n2").locator("i.ours")).to_have_count(8)
    expect(card(person, "Nodes").locator(".node", has_text="n4").locator("i.ours")).to_have_count(0)
    expect(row(person, id).locator(".chip")).to_have_text("Serving")
    person.picture("cluster_light")
    nothing_is_cut_off(person)


def test_the_log_follows_and_can_be_paused(person, desk):
    id, number = desk.submitted()
    desk.scheduler.start(number, 3)
    person.go(f"#/cluster/{id}")
    log = card(person, "Log")
    expect(log).to_contain_text("nodes n1 n2 n3")
    log.get_by_role("button", name="Pause").click()
    desk.scheduler.log(number, *(f"line {i}" for i in range(100)))
    # What else is on the page goes on meanwhile.
    desk.scheduler.serve(number, id)
    expect(person.page.locator(".timeline .now")).to_contain_text("Serving")
    expect(log).not_to_contain_text("line 99")
    log.get_by_role("button", name="Follow").click()
    expect(log).to_contain_text("line 99")
    at_end = "element => element.scrollHeight - element.scrollTop - element.clientHeight < 30"
    assert log.locator("pre").evaluate(at_end)
    with person.page.expect_download() as kept:
        log.get_by_role("button", name="Download").click()
    assert "line 0\n" in Path(kept.value.path()).read_text()
    assert kept.value.suggested_filename == f"{id}.log"


def test_an_experiment_is_launched_on_a_job_from_its_page_and_found_there_again(person, desk, limb):
    id, _ = desk.serving()
    person.go(f"#/cluster/{id}")
    runs = card(person, "Simulations")
    runs.get_by_label("Experiment to launch on it").select_option(limb)
    runs.get_by_role("button", name="Launch…").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog.get_by_label("Where")).to_have_value(id)
    expect(dialog).to_contain_text("4 ranks of 4 threads on 2 nodes, as the job has them")
    expect(dialog.get_by_text("Threads per rank")).to_be_hidden()
    person.picture("cluster_launch_light")
    dialog.get_by_role("button", name="Launch", exact=True).click()
    person.page.wait_for_url(f"**/#/run/{id}-s*", timeout=60_000)
    expect(person.page.locator('.state-chip[data-state="paused"]')).to_be_visible(timeout=60_000)
    sim = person.page.url.rsplit("/", 1)[-1]
    person.go(f"#/cluster/{id}")
    expect(runs.get_by_role("link")).to_have_attribute("href", f"#/run/{sim}")
    expect(runs).to_contain_text("Paused")
    person.picture("cluster_job_runs_light")
    person.go("#/")
    expect(person.page.locator("article.run-card", has_text=id)).to_be_visible()


def test_aborting_asks_once_and_forgetting_too(person, desk):
    id, _ = desk.serving()
    person.go(f"#/cluster/{id}")
    person.page.get_by_role("button", name="Abort…").click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_contain_text("recordings completed")
    assert desk.job(id)["state"] == "serving"
    dialog.get_by_role("button", name="Cancel").click()
    assert desk.job(id)["state"] == "serving"
    person.page.get_by_role("button", name="Abort…").click()
    dialog.get_by_role("button", name="Abort", exact=True).click()
    expect(person.page.locator(".about-head .chip")).to_have_text("Aborted")
    person.page.get_by_role("button", name="Forget…").click()
    dialog.get_by_role("button", name="Forget", exact=True).click()
    person.page.wait_for_url("**/#/cluster")
    expect(form(person)).to_be_visible()
    expect(row(person, id)).to_have_count(0)
    assert desk.otto.get(f"jobs/{id}").status_code == 404


def test_a_failed_job_says_why_and_what_its_steps_used(person, desk):
    id, number = desk.serving()
    desk.scheduler.used(number, STEPS)
    desk.scheduler.over(number, "OUT_OF_MEMORY")
    person.go(f"#/cluster/{id}")
    expect(person.page.locator(".about-head .chip.err")).to_have_text("Failed")
    expect(person.page.locator(".job-text")).to_contain_text("more memory than it was given")
    expect(person.page.locator(".timeline .wrong")).to_contain_text("Failed")
    steps = card(person, "Steps").locator("tbody tr")
    expect(steps.nth(0).locator("td")).to_have_text(["batch", "1:05", "851 MB", "1:10", "–"])
    expect(steps.nth(1).locator("td")).to_have_text(["brain.0", "1:05", "62.3 GB", "3:36:40", "4.21 kJ"])
    person.picture("cluster_failed_light")


def test_a_scheduler_that_is_silent_loses_no_job(person, desk):
    id, _ = desk.submitted()
    person.go("#/cluster")
    expect(row(person, id)).to_contain_text("Waiting")
    desk.scheduler.silent = "squeue did not answer within 10 s"
    try:
        expect(card(person, "Nodes").locator(".problem")).to_contain_text("the nodes cannot be told", ignore_case=True)
        expect(row(person, id)).to_contain_text("has not answered")
        expect(card(person, "Nodes").locator(".node")).to_have_count(4)
    finally:
        desk.scheduler.silent = ""
    expect(card(person, "Nodes").locator(".problem")).to_be_hidden()
    assert all("503" in each for each in person.errors)
    person.errors.clear()


def test_dark_and_narrow_it_is_whole(browser, desk, limb):
    id, _ = desk.serving(experiment=limb)
    with visitor(browser, desk, viewport=NARROW, color_scheme="dark") as narrow:
        narrow.go("#/cluster")
        expect(row(narrow, id).locator(".chip")).to_have_text("Serving")
        nothing_is_cut_off(narrow)
        narrow.picture("cluster_dark_1024")
        narrow.go(f"#/cluster/{id}")
        expect(card(narrow, "Simulations").get_by_role("link")).to_have_count(1, timeout=60_000)
        nothing_is_cut_off(narrow)
        narrow.picture("cluster_job_dark_1024")
        assert narrow.outside == []
        assert narrow.errors == []
