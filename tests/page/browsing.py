"""A real server and a real browser for tests, and what a test wants to know of a page."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    TimeoutError,
)

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "test-output" / "page"
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 1024, "height": 768}
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_SERVE = (sys.executable, "-m", "reafference.cli", "serve")
_END_S = 30.0
_AGAIN = 3
_FIRST_MS = 5000
_REST_S = 0.5
_BROKEN_OFF = ("ERR_NETWORK_CHANGED", "dynamically imported module")


def chromium() -> str | None:
    """The browser of this machine."""
    return next((found for name in _CHROMIUM if (found := shutil.which(name))), None)


def unbroken(do: Callable[[], Any]) -> Any:
    """What it gives. When other tests make or remove network interfaces, Chromium breaks off what it loads: then it is
    done again."""
    for _ in range(_AGAIN - 1):
        try:
            return do()
        except Error as error:
            if not any(word in error.message for word in _BROKEN_OFF):
                raise
            time.sleep(_REST_S)
    return do()


def arrive(page: Page, address: str) -> None:
    """Go there, until something of the page is to be seen; what was broken off meanwhile is loaded again."""
    unbroken(lambda: page.goto(address))
    for _ in range(_AGAIN):
        with contextlib.suppress(TimeoutError):
            page.wait_for_selector("#page > *", state="attached", timeout=_FIRST_MS)
            return
        unbroken(page.reload)


def hold(page: Page, holds: Callable[[], bool], what: str, patience_s: float = 30.0) -> None:
    """Wait until something holds; the test fails with `what` if it does not."""
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, f"not within {patience_s:g} s: {what}"
        page.wait_for_timeout(100)


def tells(message: ConsoleMessage) -> bool:
    """Whether it tells of a fault of the page. When other tests make or remove network interfaces, Chromium breaks off
    requests; the page asks again."""
    return message.type == "error" and "ERR_NETWORK_CHANGED" not in message.text


@dataclass
class Server:
    """`reaf serve` on a free port of this machine, with a storage of its own."""

    home: Path
    places: int = 2
    url: str = ""
    token: str = ""
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [*_SERVE, "--home", str(self.home), "--port", "0", "--places", str(self.places), "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.url, self.token = said["url"].rstrip("/"), said["token"]

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """What the server answers below /api; raises where it refuses."""
        answer = httpx.request(
            method,
            f"{self.url}/api/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token or self.token}"},
            timeout=120,
        )
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def token_for(self, name: str, role: str) -> str:
        """A new token; its secret."""
        made = self.ask("POST", "tokens", {"name": name, "role": role})
        return str(made["token"])

    def close(self) -> None:
        """End it as a person would, and wait for that."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(_END_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()


@dataclass
class Visitor:
    """One person's browser: its page, what it asked for, and what went wrong in it."""

    context: BrowserContext
    page: Page
    server: Server
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def go(self, place: str) -> None:
        """To a route of the page, `#/run/s1` for instance."""
        arrive(self.page, f"{self.server.url}/{place}")

    def picture(self, name: str) -> Path:
        """Keep a screenshot under this name."""
        OUTPUT.mkdir(parents=True, exist_ok=True)
        path = OUTPUT / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def until(self, holds: Callable[[], bool], what: str, patience_s: float = 30.0) -> None:
        """Wait until something holds; the test fails with `what` if it does not."""
        hold(self.page, holds, what, patience_s)

    def close(self) -> None:
        self.context.close()


def launch(playwright: Playwright) -> Browser:
    """A headless browser that renders in software."""
    return playwright.chromium.launch(executable_path=chromium(), headless=True, args=list(_ARGUMENTS))


@contextlib.contextmanager
def visitor(
    browser: Browser, server: Server, *, token: str | None = None, viewport: dict[str, int] | None = None, **how: Any
) -> Iterator[Visitor]:
    """Somebody who is logged in; `token` "" is somebody who is not."""
    context = browser.new_context(viewport=viewport or WIDE, **how)  # type: ignore[arg-type]
    secret = server.token if token is None else token
    if secret:
        context.add_init_script(f"sessionStorage.setItem('reaf.token', {json.dumps(secret)})")
    page = context.new_page()
    page.set_default_timeout(20_000)
    made = Visitor(context, page, server)
    home = urlsplit(server.url).netloc

    def note(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != home:
            made.outside.append(request.url)

    context.on("request", note)
    page.on("websocket", lambda socket: made.outside.append(socket.url) if home not in socket.url else None)
    page.on("console", lambda message: made.errors.append(message.text) if tells(message) else None)
    page.on("pageerror", lambda error: made.errors.append(str(error)))
    try:
        yield made
    finally:
        made.close()
