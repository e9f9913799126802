"""A browser window that tests look at: what it complained of, where it wanted to go, how smoothly it ran."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page

from tests.page.browsing import arrive, hold, tells, unbroken

QUIET = (
    "--no-sandbox",
    "--enable-unsafe-swiftshader",
    "--enable-precise-memory-info",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_MEASURE = """async (seconds) => {
  const begun = performance.now(), frames = [];
  await new Promise((done) => {
    const next = (now) => (frames.push(now), now - begun < seconds * 1000 ? requestAnimationFrame(next) : done());
    requestAnimationFrame(next);
  });
  const gaps = frames.slice(1).map((t, i) => t - frames[i]);
  const span = frames.at(-1) - frames[0];
  return {
    frames_per_s: (frames.length - 1) / span * 1000,
    longest_gap_ms: Math.max(...gaps),
    heap_mb: performance.memory.usedJSHeapSize / 1e6,
  };
}"""


@dataclass
class Screen:
    """A window of a browser without a screen; `errors` and `outside` shall stay empty."""

    browser: Browser
    width: int = 1440
    height: int = 900
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    page: Page = field(init=False)

    def __post_init__(self) -> None:
        self.page = self.window()

    def close(self) -> None:
        """Close all windows."""
        for context in self.browser.contexts:
            context.close()

    def window(self) -> Page:
        """A further window, with nothing in common with the first."""
        page = self.browser.new_page(viewport={"width": self.width, "height": self.height})
        page.on("pageerror", lambda error: self.errors.append(f"{error} {error.stack}"))
        page.on("console", lambda line: self.errors.append(line.text) if tells(line) else None)
        page.on("request", lambda request: self._request(request.url))
        return page

    def open(self, url: str, route: str, theme: str = "dark") -> Page:
        """The page at this route."""
        self.page.add_init_script(f"localStorage.setItem('reaf.theme', {theme!r})")
        arrive(self.page, f"{url}#{route}")
        return self.page

    def until(self, holds: Callable[[], bool], what: str, patience_s: float = 30.0) -> None:
        """Wait until something holds; the test fails with `what` if it does not."""
        hold(self.page, holds, what, patience_s)

    def measure(self, seconds: float) -> dict[str, float]:
        """Frames per second, longest gap between two of them and heap in the next seconds."""
        found: dict[str, float] = self.page.evaluate(_MEASURE, seconds)
        return found

    def busy(self, seconds: float) -> dict[str, float]:
        """Longest task and share of a core of the page's main thread, in processor time.

        Wall time would count what other processes take from this one on a busy machine.
        """
        self.browser.start_tracing(page=self.page, categories=["toplevel", "__metadata"])
        self.page.wait_for_timeout(seconds * 1000)
        events = json.loads(self.browser.stop_tracing())["traceEvents"]
        tasks: dict[tuple[int, int], list[float]] = {}
        for event in events:
            if event.get("ph") == "X" and event["name"].endswith("RunTask"):
                tasks.setdefault((event["pid"], event["tid"]), []).append(event.get("tdur", 0) / 1000)
        mains = {
            (event["pid"], event["tid"])
            for event in events
            if event.get("name") == "thread_name" and event["args"]["name"] == "CrRendererMain"
        }
        main = max((took for thread, took in tasks.items() if thread in mains), key=sum)
        return {"longest_task_ms": max(main), "main_thread_share": sum(main) / 1000 / seconds}

    def script(self, url: str, module: str, body: str, argument: Any = None) -> Any:
        """What `body` returns, in which `m` is a module of the page and `a` the argument."""
        if not self.page.url.startswith(url):
            unbroken(lambda: self.page.goto(url + "#/login"))
        code = f"async (a) => {{ const m = await import('/v/fresh/{module}'); {body} }}"
        return unbroken(lambda: self.page.evaluate(code, argument))

    def shot(self, path: Path) -> Path:
        """A picture of the window."""
        self.page.screenshot(path=path)
        return path

    def _request(self, url: str) -> None:
        if urlsplit(url).hostname not in ("127.0.0.1", "localhost", None):
            self.outside.append(url)
