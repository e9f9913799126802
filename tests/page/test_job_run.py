"""The page of a run on a job: as that of any other run, and back by itself when the connection to the job is."""

from browsing import visitor
from playwright.sync_api import Browser, expect

from tests.gateway.job_gateway import JobGateway, Site, Wire
from tests.gateway.runs import Run, uploaded


def test_the_page_of_a_run_on_a_job_comes_back_when_the_connection_does(browser: Browser, tmp_path) -> None:
    with (
        JobGateway(tmp_path / "job") as far,
        Wire(far.url) as wire,
        Site(tmp_path / "home", [far.job(wire.url)]) as site,
    ):
        site.token = site.secrets["otto"]
        site.ready()
        with Run(site.otto, uploaded(site.otto), server="j4", start=True) as run:
            run.built()
            with visitor(browser, site) as person:
                person.go(f"#/run/{run.id}")
                chip = person.page.locator(".state-chip")
                expect(chip).to_have_text("Running")
                step = run.get()["step"]
                wire.cut()
                notice = person.page.locator(".notice-text", has_text="No connection since")
                expect(notice).to_be_visible(timeout=20_000)
                expect(notice).to_contain_text("The run goes on")
                wire.mend()
                expect(notice).to_be_hidden(timeout=30_000)
                expect(chip).to_have_text("Running")
                person.page.get_by_role("button", name="Pause").click()
                expect(chip).to_have_text("Paused")
                now = run.until(lambda now: now["state"] == "paused")
                assert now["step"] > step
                person.picture("job_run")
                assert person.outside == []
