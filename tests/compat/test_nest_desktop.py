"""NEST Desktop as it comes, in a real browser, over `reaf nest-server`."""

import contextlib
import json
import os
import signal
import subprocess
import time

import httpx
import pytest
from playwright.sync_api import TimeoutError as Refused
from playwright.sync_api import expect, sync_playwright

from tests.compat.nest_servers import ROOT, TOKEN, ours
from tests.page.browsing import chromium
from tests.ports import free_port

PYTHON = ROOT / ".compat" / "nest-desktop" / "bin" / "python"
PATIENCE_MS = 150_000
PRESS_MS = 15_000
PROJECT = "spike activity"
LACKING = "" if os.environ.get("CI") or chromium() else "a browser"


@contextlib.contextmanager
def desktop():
    """The address of the app, which its own server gives out."""
    port = free_port()
    process = subprocess.Popen(
        [PYTHON, "-m", "nest_desktop.app", "127.0.0.1", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(url)
                break
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def settings(url):
    """A script that tells the app, as its settings do, where the server is and which token it wants."""
    local = json.dumps({"state": {"enabled": True, "loadedFromAssets": True, "url": url}})
    session = json.dumps({"state": {"accessToken": TOKEN}})
    return (
        f"localStorage.setItem('nest-backend-store', {json.dumps(local)});"
        f"sessionStorage.setItem('nest-backend-store', {json.dumps(session)});"
    )


def press_simulate(page, simulated):
    """Open the first project and press its button, until something comes back or it is no use."""
    for button in (page.get_by_text(PROJECT, exact=True), page.get_by_role("button", name="Simulate")):
        with contextlib.suppress(Refused):
            button.first.click(timeout=PRESS_MS)  # it may be hidden behind a message for some seconds
    until = time.monotonic() + PRESS_MS / 1000
    while not simulated.is_done() and time.monotonic() < until:
        page.wait_for_timeout(200)


@pytest.mark.skipif(bool(LACKING), reason=f"{LACKING} is missing here")
def test_nest_desktop_simulates_its_first_project():
    with ours("--exec") as server, desktop() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(settings(server.url))
        with page.expect_response(lambda answer: answer.url == f"{server.url}/api/GetKernelStatus") as models:
            page.goto(f"{url}#/nest")
        assert models.value.status == 200
        assert "iaf_psc_alpha" in models.value.json()[0]
        with page.expect_response(
            lambda answer: answer.url == f"{server.url}/exec" and answer.request.method == "POST"
        ) as simulated:
            until = time.monotonic() + PATIENCE_MS / 1000
            press_simulate(page, simulated)
            while not simulated.is_done() and time.monotonic() < until:
                # The app sometimes shows an empty plot, asks the server for nothing, and its button is dead from then
                # on, whichever server it has: a person loads the page again.
                page.goto("about:blank")
                page.goto(f"{url}#/nest")
                press_simulate(page, simulated)
        assert simulated.value.status == 200
        events = simulated.value.json()["data"]["events"]
        assert len(events[0]["times"]) > 100
        # Not for longer: an error that is shown for a while is one, too.
        expect(page.get_by_text("Error", exact=False)).to_have_count(0, timeout=5_000)
        browser.close()
