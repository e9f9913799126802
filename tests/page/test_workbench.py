"""A person at the workbench: what an order or an edit changes can be seen, and nothing leaves the machine."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import NARROW, Server, Visitor, visitor
from playwright.sync_api import Browser, expect

SMALL = {"area_mm2": 0.02}
FUNCTION = "motor_drive"


def launched(server: Server, **wish: Any) -> str:
    """A run of a fresh clone of mouse_reach, loaded and paused; its id."""
    clone = server.ask("POST", "experiments", {"source": "mouse_reach"})
    wish = {"set": SMALL, "limit": {"kind": "simulated", "s": 600}, "pace": 1.0, **wish}
    made = server.ask("POST", "simulations", {"experiment": clone["id"], **wish})
    return str(made["id"])


def simulation(server: Server, sim: str) -> dict[str, Any]:
    return dict(server.ask("GET", f"simulations/{sim}"))


def has_state(server: Server, sim: str, state: str) -> bool:
    now = simulation(server, sim)
    assert now["state"] not in ("failed", "halted") or now["state"] == state, now["problem"]
    return bool(now["state"] == state)


def stop(server: Server, sim: str) -> None:
    if simulation(server, sim)["state"] not in ("stopped", "failed", "halted"):
        server.ask("PUT", f"simulations/{sim}/state", {"state": "stopped"})


@pytest.fixture
def person(browser: Browser, server: Server) -> Iterator[Visitor]:
    """Somebody at the page; everything the page did was right and stayed here."""
    with visitor(browser, server) as made:
        yield made
        assert made.outside == []
        assert made.errors == []


@pytest.fixture
def sim(server: Server) -> Iterator[str]:
    made = launched(server)
    yield made
    stop(server, made)


def looks(person: Visitor, panel: str) -> str:
    """What a panel shows, as a number that changes with any of its pixels."""
    return hashlib.sha256(person.page.locator(f'[data-panel="{panel}"]').screenshot()).hexdigest()


def opened(person: Visitor, sim: str, state: str = "paused") -> None:
    """At the workbench of this run, once it is in this state."""
    person.go(f"#/run/{sim}")
    showing(person, state)


def showing(person: Visitor, state: str, patience_s: float = 60.0) -> None:
    expect(person.page.locator(f'.state-chip[data-state="{state}"]')).to_be_visible(timeout=patience_s * 1000)


def press(person: Visitor, name: str) -> None:
    person.page.get_by_role("group", name="Orders").get_by_role("button", name=name, exact=True).click()


def write(person: Visitor, source: str) -> None:
    """Type another source for the function and apply it by the keyboard."""
    row = person.page.locator(f'.functions li[data-name="{FUNCTION}"]')
    row.locator('[data-part="name"]').click()
    area = person.page.get_by_label("Source of the function")
    expect(area).to_have_value(re.compile(rf"def {FUNCTION}\("))
    area.fill(source)
    area.press("Control+Enter")


def source_of(server: Server, sim: str) -> str:
    return str(server.ask("GET", f"simulations/{sim}/transfer-functions/{FUNCTION}")["source"])


def test_by_the_keyboard_alone_a_template_is_cloned_launched_played_and_stopped(person, server):
    person.go("#/")
    card = person.page.locator("article.template", has_text="motor cortex moves a mouse")
    card.get_by_role("button", name="Clone").focus()
    person.page.keyboard.press("Enter")
    launch = person.page.locator("tr.fresh").get_by_role("button", name=re.compile("Launch"))
    expect(launch).to_be_focused()
    person.picture("entry_light_1440")
    person.page.keyboard.press("Enter")
    # It shall not be over before it has been looked at.
    person.page.get_by_label("Ends after").focus()
    person.page.keyboard.press("Control+A")
    person.page.keyboard.type("600")
    speed = person.page.get_by_label("Speed")
    speed.focus()
    person.page.keyboard.press("ArrowDown")  # no faster than real time
    expect(speed).to_have_value("1")
    area = person.page.get_by_label("brain.parameters.area_mm2")
    area.focus()
    person.page.keyboard.press("Control+A")
    person.page.keyboard.type("0.02")
    person.picture("launch_light_1440")
    person.page.keyboard.press("Enter")
    person.page.wait_for_url("**/#/run/*")
    sim = person.page.url.rsplit("/", 1)[-1]
    showing(person, "paused")
    before = looks(person, "brain"), looks(person, "body")
    person.page.keyboard.press("Space")
    showing(person, "started")
    person.until(lambda: simulation(server, sim)["t_s"] > 0.3, "0.3 s simulated", 60)
    person.until(lambda: looks(person, "brain") != before[0], "the raster moves")
    person.until(lambda: looks(person, "body") != before[1], "the arm moves")
    person.page.keyboard.press("Shift+S")
    person.page.get_by_role("dialog").get_by_role("button", name="Stop", exact=True).click()
    showing(person, "stopped")
    assert simulation(server, sim)["outcome"] == "stopped"


def test_another_gain_sends_the_tip_elsewhere(person, server, sim):
    opened(person, sim)
    press(person, "Play")
    person.until(lambda: simulation(server, sim)["t_s"] > 0.9, "0.9 s simulated", 90)
    with_drive = tip(server, sim)
    before = looks(person, "body")
    write(person, source_of(server, sim).replace("scale * voltage_mV", "0.0 * scale * voltage_mV"))
    edited_s = simulation(server, sim)["t_s"]
    person.until(lambda: simulation(server, sim)["t_s"] > edited_s + 1.0, "another second simulated", 90)
    assert abs(tip(server, sim) - with_drive) > 0.5e-3
    assert looks(person, "body") != before
    expect(person.page.locator(f'.functions li[data-name="{FUNCTION}"] .wrong')).to_have_count(0)
    person.picture("gain_changed_light_1440")


def tip(server: Server, sim: str) -> float:
    """Where the stick's tip is along y, in metres."""
    rows = rows_of(server, sim, "body/tip")
    column = next(name for name in rows[0] if "_y_" in name)
    return float(rows[-1][column])


def rows_of(server: Server, sim: str, stream: str) -> list[dict[str, str]]:
    import httpx

    answer = httpx.get(
        f"{server.url}/api/simulations/{sim}/data.csv",
        params={"stream": stream},
        headers={"Authorization": f"Bearer {server.token}"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_a_broken_function_shows_its_line_and_the_rest_goes_on(person, server, sim):
    opened(person, sim)
    press(person, "Play")
    person.until(lambda: simulation(server, sim)["step"] > 5, "some steps", 60)
    good = source_of(server, sim)
    lines = good.splitlines()
    wrong = next(number for number, line in enumerate(lines, 1) if "scale * voltage_mV" in line)
    write(person, good.replace("scale * voltage_mV", "scale * voltage_mv"))
    row = person.page.locator(f'.functions li[data-name="{FUNCTION}"]')
    expect(row.locator(".wrong")).to_contain_text(f"line {wrong}")
    bad = person.page.locator(".code-rows .bad")
    expect(bad).to_contain_text("voltage_mv")
    expect(person.page.locator(".code-message")).to_contain_text("NameError")
    expect(person.page.locator(".code-message")).to_contain_text("go on")
    expect(person.page.locator(".log .bad").last).to_contain_text("voltage_mv")
    step, spent = simulation(server, sim)["step"], simulation(server, sim)["function_s"]
    person.until(lambda: simulation(server, sim)["step"] > step + 10, "the run goes on", 60)
    later = simulation(server, sim)["function_s"]
    assert later["base"] > spent["base"]
    person.picture("broken_light_1440")
    person.page.keyboard.press("Escape")
    write(person, good)
    expect(row.locator(".wrong")).to_have_count(0)


def test_pause_holds_step_makes_one_and_reset_begins_anew(person, server, sim):
    opened(person, sim)
    person.page.keyboard.press("Space")
    showing(person, "started")
    person.until(lambda: simulation(server, sim)["step"] > 10, "some steps", 60)
    person.page.keyboard.press("Space")
    showing(person, "paused")
    step = simulation(server, sim)["step"]
    person.picture("paused_light_1440")
    person.page.keyboard.press(".")
    person.until(lambda: simulation(server, sim)["step"] == step + 1, "one more step")
    showing(person, "paused")
    run = simulation(server, sim)["run"]
    person.page.keyboard.press("r")
    person.page.get_by_role("menuitem", name=re.compile("Everything")).click()
    person.until(lambda: simulation(server, sim)["run"] != run, "another run", 60)
    showing(person, "paused")
    person.until(lambda: simulation(server, sim)["step"] == 0, "at the beginning")
    expect(person.page.get_by_role("button", name="Reset", exact=True)).to_be_enabled()
    person.page.keyboard.press("r")
    person.page.get_by_role("menuitem", name=re.compile("Robot pose")).click()
    orders = person.page.get_by_role("group", name="Orders")
    expect(orders.get_by_role("button", name="Play", exact=True)).to_be_enabled()
    person.page.keyboard.press("Space")
    showing(person, "started")
    person.until(lambda: simulation(server, sim)["step"] > 3, "it plays again")


def test_what_is_plotted_can_be_had_as_csv(person, server, sim, tmp_path):
    opened(person, sim)
    press(person, "Play")
    person.until(lambda: simulation(server, sim)["t_s"] > 0.4, "0.4 s simulated", 60)
    press(person, "Pause")
    showing(person, "paused")
    plots = person.page.locator('[data-panel="plots"]')
    with person.page.expect_download() as download:
        plots.get_by_role("button", name="CSV").click()
        person.page.get_by_role("menuitem").first.click()
    path = Path(tmp_path / "plot.csv")
    download.value.save_as(path)
    rows = list(csv.DictReader(path.open()))
    assert len(rows) >= 10
    assert any("Foot1" in name for name in rows[0])
    assert float(rows[-1][next(iter(rows[0]))]) <= simulation(server, sim)["t_s"] + 1e-9


def test_two_people_see_the_same_state_and_a_viewer_only_looks(browser, person, server, sim):
    opened(person, sim)
    with visitor(browser, server, token=server.token_for("ben", "viewer"), viewport=NARROW) as ben:
        opened(ben, sim)
        press(person, "Play")
        showing(ben, "started")
        orders = ben.page.get_by_role("group", name="Orders")
        expect(orders.get_by_role("button", name="Pause")).to_be_disabled()
        press(person, "Pause")
        showing(ben, "paused")
        showing(person, "paused")
        clock = ".face.big .face-value"
        person.until(
            lambda: person.page.locator(clock).inner_text() == ben.page.locator(clock).inner_text(), "the same clock"
        )
        ben.picture("viewer_light_1024")
        assert ben.outside == []
        assert ben.errors == []


def test_dark_and_light_wide_and_narrow_show_the_same_without_scrolling(browser, person, server, sim):
    server.ask("PUT", f"simulations/{sim}/state", {"state": "started"})
    with visitor(browser, server, viewport=NARROW, color_scheme="dark") as narrow:
        for one, name in ((person, "workbench_1440"), (narrow, "workbench_1024")):
            opened(one, sim, "started")
            one.until(lambda: simulation(server, sim)["t_s"] > 1.0, "1 s simulated", 90)
            for _ in range(2):
                theme = one.page.evaluate("document.documentElement.dataset.theme")
                one.page.wait_for_timeout(500)
                one.picture(f"{name}_{theme}")
                size = one.page.evaluate(
                    "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
                )
                assert size[0] <= one.page.viewport_size["width"]
                assert size[1] <= one.page.viewport_size["height"]
                one.page.keyboard.press("Shift+D")
