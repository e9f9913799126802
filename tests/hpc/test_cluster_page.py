"""The cluster tab over a real Slurm: submitted, launched on, looked at and aborted by somebody at the page."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import CROWDED, PYTHON, processes_of, wait
from playwright.sync_api import Browser, Locator, expect, sync_playwright

from tests.page.browsing import Server, Visitor, chromium, launch, visitor

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

READY_MS = 60_000
SETTINGS = """\
[cluster]
title = "Four nodes"
scheduler = "slurm"
folder = "{folder}"
python = "{python}"
setup = ["{setup}"]
poll_s = 0.5
exclusive = true

[cluster.defaults]
nodes = 2
time_s = 600
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """On what all nodes share."""
    made = Path(f"/var/tmp/reaf-page-{os.getpid()}")
    made.mkdir(mode=0o700)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def site(cluster: object, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`reaf serve` with this cluster; no job outlives it."""
    home = tmp_path_factory.mktemp("home")
    (home / "cluster.toml").write_text(SETTINGS.format(folder=folder, python=PYTHON, setup=CROWDED[0]))
    made = Server(home)
    try:
        yield made
        for job in made.ask("GET", "jobs"):
            if job["state"] in ("waiting", "starting", "serving"):
                made.ask("DELETE", f"jobs/{job['id']}")
        wait(lambda: all(over(job) for job in made.ask("GET", "jobs")), 90, lambda: made.ask("GET", "jobs"))
        wait(lambda: not processes_of(folder), 30, lambda: processes_of(folder))
    finally:
        made.close()


def over(job: dict[str, object]) -> bool:
    return job["state"] in ("ended", "failed", "aborted")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        pytest.fail("there is no Chromium on this machine: the page is not tested")
    with sync_playwright() as playwright:
        found = launch(playwright)
        yield found
        found.close()


@pytest.fixture
def person(browser: Browser, site: Server) -> Iterator[Visitor]:
    with visitor(browser, site) as made:
        yield made
        assert made.outside == []
        assert made.errors == []


def submit(person: Visitor) -> str:
    """Another job by the form; its id."""
    person.go("#/cluster")
    form = person.page.get_by_role("form", name="New job")
    expect(form.locator("[name=nodes]")).to_have_value("2")
    form.get_by_role("button", name="Submit job").click()
    made = form.get_by_role("status").get_by_role("link")
    expect(made).to_be_visible()
    return made.inner_text()


def card(person: Visitor, name: str) -> Locator:
    return person.page.get_by_role("region", name=name)


def test_a_job_is_submitted_launched_on_and_aborted_at_the_page(person, site):
    experiment = site.ask("POST", "experiments", {"source": "mouse_reach"})
    first = submit(person)
    second = submit(person)
    waiting = person.page.locator(f'tr[data-job="{second}"]')
    expect(waiting).to_contain_text("Waiting")
    expect(waiting).to_contain_text("it waits for nodes to become free", ignore_case=True, timeout=READY_MS)
    serving = person.page.locator(f'tr[data-job="{first}"]')
    expect(serving.locator(".chip")).to_have_text("Serving", timeout=READY_MS)
    expect(card(person, "Nodes").locator(".node")).to_have_count(4)
    expect(card(person, "Nodes").locator(".node", has=person.page.get_by_role("link", name=first))).to_have_count(3)
    person.picture("cluster_slurm_light")

    serving.get_by_role("link", name="Open").click()
    expect(card(person, "Layout").locator("li")).to_have_count(3)
    expect(card(person, "Log")).to_contain_text("simulations can be launched on it")
    runs = card(person, "Simulations")
    runs.get_by_label("Experiment to launch on it").select_option(experiment["id"])
    runs.get_by_role("button", name="Launch…").click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_label("brain.parameters.area_mm2").fill("0.02")
    dialog.get_by_role("button", name="Launch", exact=True).click()
    person.page.wait_for_url(f"**/#/run/{first}-s*", timeout=READY_MS)
    expect(person.page.locator('.state-chip[data-state="paused"]')).to_be_visible(timeout=READY_MS)
    sim = person.page.url.rsplit("/", 1)[-1]
    person.page.keyboard.press("Space")
    person.until(lambda: site.ask("GET", f"simulations/{sim}")["t_s"] > 0.1, "0.1 s simulated", 60)
    person.picture("cluster_slurm_run_light")

    person.go(f"#/cluster/{first}")
    expect(runs.get_by_role("link")).to_have_attribute("href", f"#/run/{sim}")
    person.picture("cluster_slurm_job_light")
    person.page.get_by_role("button", name="Abort…").click()
    dialog.get_by_role("button", name="Abort", exact=True).click()
    expect(person.page.locator(".about-head .chip")).to_have_text("Aborted", timeout=READY_MS)
    expect(person.page.locator(".job-text")).to_contain_text("stopped in order")
    person.picture("cluster_slurm_aborted_light")

    # Its nodes are for the other one now.
    person.go(f"#/cluster/{second}")
    expect(person.page.locator(".timeline .now")).to_contain_text("Serving", timeout=READY_MS)
    person.page.get_by_role("button", name="Abort…").click()
    dialog.get_by_role("button", name="Abort", exact=True).click()
    expect(person.page.locator(".about-head .chip")).to_have_text("Aborted", timeout=READY_MS)


def test_what_slurm_does_not_give_is_refused_beside_its_field(person, site):
    person.go("#/cluster")
    form = person.page.get_by_role("form", name="New job")
    form.locator("[name=time_s]").fill("2:00")
    expect(form.locator("#job-time_s-fault")).to_have_text("At most 1:00 here")  # MaxTime of the partition
    form.locator("[name=nodes]").fill("4")
    expect(form.locator("#job-nodes-fault")).to_have_text("At most 3 nodes here")
    before = site.ask("GET", "jobs")
    form.get_by_role("button", name="Submit job").click()
    expect(form.locator("[name=nodes]")).to_be_focused()
    assert [job["id"] for job in site.ask("GET", "jobs")] == [job["id"] for job in before]
