"""The pages before the workbench, as a person uses them: the door, experiments, files."""

import re

import pytest
from playwright.sync_api import expect

from services.gateway.pages import Web
from tests.gateway.doors import SMALL, Door, zip_of


@pytest.fixture
def door(tmp_path):
    with Door(tmp_path / "home", web=Web(fresh=True)) as door:
        yield door


@pytest.fixture
def enter(door, screen):
    """Opens a page as somebody who has shown a token in this tab."""

    def as_person(name, route="/"):
        screen.page.add_init_script(f"sessionStorage.setItem('reaf.token', {door.secrets[name]!r})")
        return screen.open(door.url + "/", route, theme="light")

    return as_person


def uploaded(door, files=SMALL):
    answer = door.otto.post("experiments/upload?name=limb", content=zip_of(files))
    assert answer.status_code == 201
    return answer.json()["id"]


def test_a_wrong_token_is_refused_and_the_right_one_leads_to_where_one_wanted_to_go(door, screen):
    page = screen.open(door.url + "/", "/cluster", theme="light")
    page.fill("#token", "not a token")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not know this token")
    page.fill("#token", door.secrets["otto"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Cluster")).to_be_visible()
    assert page.url.endswith("#/cluster")
    assert door.secrets["otto"] not in page.url
    assert page.evaluate("Object.values(localStorage)").count(door.secrets["otto"]) == 0


def test_a_template_is_cloned_and_the_launch_dialog_opened_with_the_keyboard_alone(door, enter, screen):
    page = enter("otto")
    page.wait_for_selector(".template")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Clone":
            break
    page.keyboard.press("Enter")
    expect(page.locator("tr[data-id]")).to_have_count(1)
    expect(page.locator("tr[data-id] [data-control=launch]")).to_be_focused()
    assert door.otto.get("experiments").json()[0]["template"] == "mouse_reach"
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Launch mouse_reach")
    expect(page.get_by_label("parameters.drive_hz")).to_have_value("5000.0")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert screen.errors == screen.outside == []


def test_a_zip_that_leads_out_of_its_folder_is_refused_in_a_sentence_on_the_page(door, enter):
    page = enter("otto")
    page.wait_for_selector(".template")
    before = door.tree()
    evil = {"name": "evil.zip", "mimeType": "application/zip", "buffer": zip_of({"../x.py": "1"})}
    page.set_input_files("input[type=file]", [evil])
    expect(page.locator(".column > .problem")).to_contain_text("../x.py")
    assert door.tree() == before


def test_search_leaves_what_fits_and_says_when_nothing_does(door, enter):
    uploaded(door)
    page = enter("otto")
    page.wait_for_selector("tr[data-id]")
    page.locator("body").press("/")
    page.keyboard.type("follow red")
    expect(page.locator(".template")).to_have_count(1)
    expect(page.locator("tr[data-id]")).to_have_count(0)
    expect(page.get_by_text("Nothing matches “follow red”")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("tr[data-id]")).to_have_count(1)


def test_a_viewer_may_look_but_finds_no_button_that_changes_something(door, enter):
    name = uploaded(door)
    page = enter("vera")
    expect(page.get_by_role("button", name="Clone", exact=True).first).to_be_disabled()
    expect(page.get_by_role("button", name="Launch…")).to_be_disabled()
    expect(page.get_by_role("button", name="Upload zip…")).to_be_hidden()
    page.goto(f"{door.url}/#/x/{name}")
    expect(page.locator(".code-area")).to_have_attribute("readonly", "")
    expect(page.get_by_role("button", name="Save")).to_be_hidden()


def test_deleting_says_what_is_lost_and_waits_for_a_yes(door, enter):
    name = uploaded(door)
    page = enter("otto")
    page.locator("[data-control=more]").click()
    page.get_by_role("menuitem", name="Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text("lost for good")
    assert door.otto.get(f"experiments/{name}").status_code == 200
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("tr[data-id]")).to_have_count(0)
    assert door.otto.get(f"experiments/{name}").status_code == 404


def test_a_file_that_somebody_else_has_saved_meanwhile_is_not_overwritten_unasked(door, enter):
    path = f"experiments/{uploaded(door)}/files/transfer.py"
    page = enter("otto", f"/x/{path.split('/')[1]}")
    page.get_by_role("button", name="transfer.py").click()
    expect(page.locator(".code-area")).to_have_value(re.compile("def push"))
    page.locator(".code-area").fill(SMALL["transfer.py"] + "# mine\n")
    door.ada.put(path, content=SMALL["transfer.py"] + "# theirs\n")
    page.keyboard.press("Control+s")
    expect(page.get_by_role("dialog")).to_contain_text("changed by somebody else")
    assert door.otto.get(path).text.endswith("# theirs\n")
    page.get_by_role("button", name="Overwrite with mine").click()
    expect(page.locator(".scripts-note")).to_have_text("Saved")
    assert door.otto.get(path).text.endswith("# mine\n")


def test_a_check_marks_the_line_that_is_wrong(door, enter):
    broken = SMALL | {"transfer.py": SMALL["transfer.py"].replace("return 0.5", "return (0.5")}
    page = enter("otto", f"/x/{uploaded(door, broken)}")
    page.get_by_role("button", name="Check").click()
    expect(page.locator(".checked")).to_contain_text("transfer.py, line 7", timeout=30000)
    page.locator(".found").click()
    expect(page.locator(".code-row.bad")).to_contain_text("return (0.5")
    expect(page.locator(".code-message")).to_contain_text("SyntaxError, line 7.")
