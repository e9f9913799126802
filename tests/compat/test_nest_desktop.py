"""NEST Desktop as it comes, in a real browser, over `reaf nest-server`."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.compat.nest_servers import ROOT, TOKEN, ours
from tests.page.browsing import chromium

PYTHON = ROOT / ".compat" / "nest-desktop" / "bin" / "python"
PATIENCE_MS = 90_000
LACKING = "" if os.environ.get("CI") or chromium() else "a browser"


@contextlib.contextmanager
def desktop():
    """The address of the app, which its own server gives out."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
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
        page.get_by_text("spike activity", exact=True).first.click()
        sent = []
        page.on("request", lambda request: sent.append(request) if request.url == f"{server.url}/exec" else None)
        with page.expect_response(
            lambda answer: answer.url == f"{server.url}/exec" and answer.request.method == "POST"
        ) as simulated:
            # On a busy machine the app draws its button before it listens to it; a person clicks again.
            until = time.monotonic() + PATIENCE_MS / 1000
            while not sent and time.monotonic() < until:
                page.get_by_text("Simulate", exact=False).first.click()
                page.wait_for_timeout(3000)
        assert simulated.value.status == 200
        events = simulated.value.json()["data"]["events"]
        assert len(events[0]["times"]) > 100
        expect(page.get_by_text("Error", exact=False)).to_have_count(0)
        browser.close()
