"""The page of `docker compose up`, in a browser: a run up to its recording, and a gateway that is restarted."""

import re
from collections.abc import Iterator

import pytest
from browsing import Visitor, chromium, launch, visitor
from deployment import Deployment, until
from playwright.sync_api import Browser, expect

pytestmark = [pytest.mark.containers, pytest.mark.campaign, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    if chromium() is None:
        pytest.fail("the page cannot be tested: there is no Chromium (Debian: apt install chromium)", pytrace=False)
    with sync_playwright() as playwright:
        found = launch(playwright)
        yield found
        found.close()


@pytest.fixture
def person(browser: Browser, site: Deployment) -> Iterator[Visitor]:
    with visitor(browser, site) as made:  # type: ignore[arg-type]
        yield made
        assert made.outside == []


def showing(person: Visitor, state: str) -> None:
    expect(person.page.locator(f'.state-chip[data-state="{state}"]')).to_be_visible(timeout=90_000)


def launched_from_the_page(person: Visitor) -> str:
    """A clone of mouse_reach, made smaller; the id of its run, which is loaded."""
    person.go("#/")
    card = person.page.locator("article.template", has_text="motor cortex moves a mouse")
    card.get_by_role("button", name="Clone").click()
    person.page.locator("tr.fresh").get_by_role("button", name=re.compile("Launch")).click()
    person.page.get_by_label("brain.parameters.area_mm2").fill("0.02")
    person.page.keyboard.press("Enter")
    person.page.wait_for_url("**/#/run/*")
    showing(person, "paused")
    return str(person.page.url.rsplit("/", 1)[-1])


def test_mouse_reach_runs_from_the_page_and_its_recording_is_there(person: Visitor, site: Deployment) -> None:
    sim = launched_from_the_page(person)
    person.page.keyboard.press("Space")
    status = until(lambda: ended(site, sim), "the run has ended", 120)
    assert status["outcome"] == "finished"
    showing(person, "stopped")
    person.picture("containers_finished_light_1440")
    found = site.ask("GET", f"experiments/{status['experiment']}/recordings/{status['recording']}")
    assert found["outcome"] == "finished"
    assert found["steps"] == 50
    assert "recording.mcap" in [file["path"] for file in found["files"]]
    assert person.errors == []


def test_the_page_comes_back_when_the_gateway_was_restarted(person: Visitor, site: Deployment) -> None:
    clone = site.ask("POST", "experiments", {"source": "mouse_reach"})
    wish = {"set": {"area_mm2": 0.02}, "limit": {"kind": "simulated", "s": 120}, "pace": 1.0}
    sim = site.ask("POST", "simulations", {"experiment": clone["id"], **wish})["id"]
    person.go(f"#/run/{sim}")
    showing(person, "paused")
    person.page.keyboard.press("Space")
    showing(person, "started")
    until(lambda: site.state(sim)["step"] > 10, "ten steps are made")
    site.kill_container("gateway")
    until(site.answers, "the page answers")
    step = until(lambda: site.state(sim), "the run is known")["step"]
    until(lambda: site.state(sim)["step"] > step, "steps go on")
    # Without a touch: the clock of the page moves, and what it draws.
    showing(person, "started")
    brain = person.page.locator('[data-panel="brain"]')
    before = brain.screenshot()
    person.until(lambda: brain.screenshot() != before, "the raster moves", 60)
    person.picture("containers_back_light_1440")
    person.page.keyboard.press("Space")
    showing(person, "paused")
    site.ask("PUT", f"simulations/{sim}/state", {"state": "stopped"})
    until(lambda: ended(site, sim), "the run has ended")


def ended(site: Deployment, sim: str):
    found = site.state(sim)
    assert found["state"] not in ("failed", "halted"), found["problem"]
    return found if found["outcome"] else None
