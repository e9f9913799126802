"""One server and one browser for all tests of the page."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parent))

from browsing import Server, chromium, launch

if chromium() is None and not os.environ.get("CI"):
    collect_ignore_glob = ["test_*.py"]

# The page looks every 3 s, and 6 s after a look that failed.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Not for longer than a file of tests: as long as it is there, an event loop runs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = launch(playwright)
        yield found
        found.close()
