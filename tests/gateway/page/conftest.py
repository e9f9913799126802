"""A browser without a screen, and the bench it looks at."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.gateway.page.screen import QUIET, Screen

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60

# The page looks every 3 s, and 6 s after a look that failed.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a browser; without one these tests cannot say anything."""
    found = os.environ.get("REAF_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not found and os.environ.get("CI"):
        pytest.fail("there is no Chromium")
    if not found:
        pytest.skip("there is no Chromium on this machine: install it, or name it in REAF_CHROMIUM")
    return found


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short recorded run of a small motor cortex with its limb."""
    folder = tmp_path_factory.mktemp("recorded") / "run"
    order = [
        "experiments/mouse_reach",
        "--set",
        "area_mm2=0.02",
        "--steps",
        "100",
        "--no-overview",
        "--out",
        str(folder),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "reafference.cli", "run", *order], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def feed(recording: Path) -> Iterator[str]:
    """The address of a bench with 20,000 spikes a second and more, in a process of its own."""
    with serving(recording) as url:
        yield url


@contextlib.contextmanager
def serving(recording: Path, port: int = 0) -> Iterator[str]:
    """The bench; at its end there is no process left."""
    order = [sys.executable, "-m", "tests.gateway.page.feed", str(recording), "--port", str(port)]
    # The rate goes up and down by a quarter: so there are never less than 20,000 a second.
    order += ["--spikes-per-s", "28000"]
    process = subprocess.Popen(order, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url + "api/health").status_code == 200:
                    break
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser without a screen. Not for longer than a file of tests: as long as it is there, an event loop runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def screen(browser: Browser) -> Iterator[Screen]:
    """One window of 1440 x 900."""
    screen = Screen(browser)
    yield screen
    screen.close()
