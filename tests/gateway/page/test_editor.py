"""The editor, and the modules behind it that know no page."""

from pathlib import Path

import pytest

from services.gateway.pages import Web
from tests.gateway.doors import Door

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted(ROOT.glob("experiments/*/transfer.py"))
TABLES = sorted(ROOT.glob("experiments/*/experiment.toml"))
OPEN = """
  const element = document.createElement('div');
  window.told = [];
  const acts = {onapply: () => told.push('apply'), onsave: () => told.push('save')};
  window.editor = m.makeEditor({language: 'python', value: a, ...acts});
  element.style.height = '300px';
  element.append(editor.element);
  document.body.replaceChildren(element);
  editor.focus();
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("editor"), web=Web(fresh=True)) as door:
        yield door.url + "/"


@pytest.fixture
def edit(screen, url):
    """An editor with a text in it, and the keyboard."""

    def opened(text):
        screen.script(url, "edit/editor.js", OPEN, text)
        return screen.page

    return opened


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.parent.name)
def test_colours_never_change_a_script(screen, url, path):
    text = path.read_text()
    assert screen.script(url, "edit/python.js", "return m.pieces(a).map(([t]) => t).join('')", text) == text


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_colours_never_change_an_experiment_file(screen, url, path):
    text = path.read_text()
    assert screen.script(url, "edit/toml.js", "return m.pieces(a).map(([t]) => t).join('')", text) == text


def test_settings_of_an_experiment_file_are_offered_with_their_values_and_notes(screen, url):
    text = (ROOT / "experiments/mouse_reach/experiment.toml").read_text()
    found = screen.script(url, "edit/toml.js", "return m.settings(a, ['parameters', 'brain.parameters'])", text)
    assert [each["key"] for each in found] == [
        "base_steps", "drive_from_step", "drive_hz", "scale", "regions", "area_mm2",
    ]  # fmt: skip
    assert found[0]["note"].startswith("the muscles are set")
    values = screen.script(url, "edit/toml.js", "return a.map(m.valueOf)", [each["value"] for each in found])
    assert values == [5, 25, 5000, "half", ["M1"], 0.1]


@pytest.mark.parametrize(
    ("told", "type_", "text", "column"),
    [
        ({"type": "runtime", "text": "NameError: name 'mv' is not defined", "line_text": "v = gain * mv"},
         "NameError", "name 'mv' is not defined", 12),
        ({"type": "compile", "text": "'(' was never closed", "line_text": "return (v", "column": 8},
         "SyntaxError", "'(' was never closed", 8),
        ({"detail": "brain.py, line 6: ValueError: too large in `f(x)`"}, "ValueError", "too large", None),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_its_kind_its_sentence_and_its_word(screen, url, told, type_, text, column):
    found = screen.script(url, "edit/fault.js", "return m.faultOf(a)", told)
    assert (found["type"], found["text"], found["column"]) == (type_, text, column)


def test_a_difference_names_what_went_and_what_came(screen, url):
    rows = screen.script(url, "edit/difference.js", "return m.difference(a[0], a[1])", ["a\nb\nc", "a\nB\nc\nd"])
    assert rows == [["same", "a"], ["gone", "b"], ["new", "B"], ["same", "c"], ["new", "d"]]


def test_tab_indents_and_escape_then_tab_leaves(edit):
    page = edit("pass")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    assert page.evaluate("editor.value") == "    pass"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("editor.value") == "pass"
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("editor.value") == "pass"
    assert not page.evaluate("document.activeElement === document.querySelector('.code-area')")


def test_a_new_line_keeps_the_indentation_and_undo_takes_it_back(edit):
    page = edit("def f():")
    page.keyboard.press("Control+End")
    page.keyboard.press("Enter")
    page.keyboard.type("return 1")
    assert page.evaluate("editor.value") == "def f():\n    return 1"
    assert page.locator(".code-row").all_inner_texts() == ["def f():", "    return 1"]
    for _ in range(12):
        page.keyboard.press("Control+z")
    assert page.evaluate("editor.value") == "def f():"


def test_control_enter_applies_and_control_s_saves(edit):
    page = edit("pass")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Control+s")
    assert page.evaluate("told") == ["apply", "save"]


def test_a_message_stands_below_its_line_and_a_click_below_it_meets_the_right_line(edit):
    page = edit("\n".join(f"line_{i} = {i}" for i in range(1, 9)))
    page.evaluate("editor.mark({type: 'NameError', line: 3, column: 1, text: \"name 'x' is not defined.\"})")
    rows, message = page.locator(".code-row"), page.locator(".code-message").bounding_box()
    assert rows.nth(2).bounding_box()["y"] + 20 == pytest.approx(message["y"], abs=1)
    below = rows.nth(5).bounding_box()
    assert below["y"] == pytest.approx(message["y"] + message["height"] + 40, abs=1)
    page.mouse.move(below["x"] + 80, below["y"] + 10)
    page.mouse.click(below["x"] + 80, below["y"] + 10)
    assert page.evaluate("editor.caret.line") == 6
    above = rows.nth(1).bounding_box()
    page.mouse.move(above["x"] + 80, above["y"] + 10)
    page.mouse.click(above["x"] + 80, above["y"] + 10)
    assert page.evaluate("editor.caret.line") == 2
