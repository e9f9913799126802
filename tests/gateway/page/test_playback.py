"""A recording in the workbench, in a real browser: it plays, stands still, and goes where it is dragged."""

import shutil

import pytest

from tests.gateway.doors import Door
from tests.gateway.runs import uploaded

READY_MS = 30_000
SETTLED_MS = 600  # numbers are drawn a few times a second only
TO_S = 2.0
STEP_S = 0.02


@pytest.fixture(scope="module")
def route(tmp_path_factory, recording):
    """Address and route of a recording of 2 s."""
    with Door(tmp_path_factory.mktemp("home"), tokens=False) as door:
        you = door.client(None)
        experiment = uploaded(you)
        shutil.copytree(recording, door.storage.recordings(experiment) / "r1")
        yield door.url + "/", f"/play/{experiment}/r1"


@pytest.fixture
def played(screen, route):
    """The recording, opened and run to its end."""
    page = screen.open(*route)
    page.wait_for_selector(".notice-host .notice", state="attached", timeout=READY_MS)
    page.wait_for_selector(".playbar [aria-label=Play]", timeout=READY_MS)
    until(page, TO_S)
    settled(screen)
    yield page
    assert screen.errors == []
    assert screen.outside == []


def until(page, t_s):
    """Wait until the clock shows this time."""
    page.wait_for_function(
        "(t) => document.querySelector('.face.big .face-value').textContent === t", arg=f"{t_s:.2f}", timeout=READY_MS
    )


def drag_to(screen, part):
    """Put the scrub bar there, and wait until each panel shows another moment."""
    page = screen.page
    before = pictures(page)
    box = page.locator(".scrub").bounding_box()
    page.mouse.click(box["x"] + 8 + (box["width"] - 16) * part, box["y"] + box["height"] / 2)
    screen.until(lambda: clock(page) == pytest.approx(part * TO_S, abs=STEP_S), "the clock is there")
    screen.until(lambda: all_differ(before, pictures(page)), "each panel shows another moment")
    settled(screen)


def settled(screen):
    """Wait until nothing is drawn any more."""

    def still():
        before = pictures(screen.page)
        screen.page.wait_for_timeout(SETTLED_MS)
        return pictures(screen.page) == before

    screen.until(still, "nothing is drawn any more")


def all_differ(ones, others):
    return all(one != other for one, other in zip(ones, others, strict=True))


def clock(page):
    return float(page.inner_text(".face.big .face-value"))


def pixels(page, where):
    return page.evaluate("(where) => document.querySelector(where).toDataURL()", where)


def pictures(page):
    """Spikes and muscles; the body as the numbers beside it."""
    return pixels(page, "canvas.raster"), pixels(page, ".lane-stage canvas"), activations(page)


def activations(page):
    return page.locator(".panel[data-panel=body] .muscle-list").inner_text()


def test_it_plays_at_once_and_stands_still_at_its_end(played):
    assert clock(played) == TO_S
    before = pictures(played)
    played.wait_for_timeout(500)
    assert pictures(played) == before
    assert played.locator(".panel[data-panel=brain] .panel-chip").inner_text() == "Paused"


def test_each_panel_shows_another_moment_where_the_bar_is_put(played, screen):
    end = pictures(played)
    drag_to(screen, 0.3)
    assert clock(played) == pytest.approx(0.3 * TO_S, abs=STEP_S)
    assert all_differ(end, pictures(played))
    drag_to(screen, 1.0)
    until(played, TO_S)
    screen.until(lambda: activations(played) == end[2], "the muscles are as they were at the end")


def test_space_and_the_arrows_work_on_the_bar(played, screen):
    drag_to(screen, 0.2)
    at = clock(played)
    played.locator(".scrub").focus()
    for _ in range(3):
        played.keyboard.press("ArrowRight")
    until(played, at + 3 * STEP_S)
    played.keyboard.press("ArrowLeft")
    until(played, at + 2 * STEP_S)
    settled(screen)
    played.get_by_role("radio", name="0.25 ×").click()
    played.locator(".scrub").focus()
    played.keyboard.press("Space")
    played.wait_for_selector(".playbar [aria-label=Pause]")
    before = pictures(played)
    screen.until(lambda: all_differ(before, pictures(played)), "each panel plays")
    screen.until(lambda: clock(played) > at + 2 * STEP_S, "the clock goes on")
    played.keyboard.press("Space")
    played.wait_for_selector(".playbar [aria-label=Play]")
    assert clock(played) < TO_S


def test_functions_can_be_read_and_nothing_can_be_ordered(played):
    names = played.locator(".function-name").all_inner_texts()
    assert names == ["drive", "base", "motor_drive"]
    assert played.locator(".panel[data-panel=scripts] textarea").first.get_attribute("readonly") is not None
    assert all(switch.is_disabled() for switch in played.get_by_role("switch").all())
    assert played.get_by_role("button", name="Stop").count() == 0


def test_its_files_are_one_click_away(played):
    played.get_by_role("link", name="Files").click()
    played.wait_for_selector(".recording-files")
    assert "recording.mcap" in played.inner_text(".recording-files")
    played.get_by_role("link", name="Play", exact=True).click()
    played.wait_for_selector(".playbar")


def test_what_cannot_be_played_says_why(screen, route):
    url, path = route
    page = screen.open(url, path.replace("r1", "r2"))
    page.wait_for_selector("text=There is no such recording")
