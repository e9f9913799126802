"""Transfer functions are written into their file, and nothing else in it changes."""

import ast
from pathlib import Path

import pytest

from services.gateway.problems import Problem
from services.gateway.transfer_file import declared, places_in, saved, written

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "experiments").glob("*/transfer.py"))

TEXT = '''\
"""Notes — with a dash, and signs: µ."""

from reafference import transfer

GAIN = 0.5  # a constant


@transfer(reads="brain.readout.A", writes="body.Foot2", priority=2)  # first
def first(voltage_mV):
    """Half of it."""
    return GAIN * voltage_mV


def helper():
    return 1


@transfer(
    writes=["body.Foot1", "body.Foot2"],
)
def second(step, params):
    return helper() if step else None   # odd   spaces


# The end.
'''


def functions(text):
    """What the engine would tell of the functions of a file."""
    found = []
    for place in places_in(text):
        call = ast.parse(place.source).body[0].decorator_list[0]
        given = {one.arg: ast.literal_eval(one.value) for one in call.keywords if one.arg in ("active", "priority")}
        found.append({"name": place.name, "source": place.source, "active": True, "priority": 0} | given)
    return found


def changed(text, name, **values):
    return [one | values if one["name"] == name else one for one in functions(text)]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.parent.name)
def test_a_shipped_file_is_saved_without_a_difference(file):
    text = file.read_text(encoding="utf-8")
    assert len(functions(text)) >= 3
    assert written(text, functions(text)) == text
    assert written(text, list(reversed(functions(text)))) == text


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.parent.name)
def test_another_source_takes_its_place_in_a_shipped_file(file):
    text = file.read_text(encoding="utf-8")
    one = functions(text)[1]
    source = one["source"] + "\n    # and more"
    assert written(text, changed(text, one["name"], source=source)) == text.replace(one["source"], source)


def test_everything_beside_the_function_stays():
    source = '@transfer(reads="brain.readout.A", writes="body.Foot2", priority=2)\ndef first(v):\n    return v'
    text = written(TEXT, changed(TEXT, "first", source=source))
    before, after = TEXT.split("@transfer(reads", 1)[0], TEXT.split("* voltage_mV", 1)[1]
    assert text == before + source + after


def test_a_function_that_is_gone_is_taken_out():
    text = written(TEXT, [one for one in functions(TEXT) if one["name"] != "first"])
    assert "first" not in text
    assert "def helper" in text
    assert "# The end." in text
    assert "\n\n\ndef helper" in text


def test_a_new_function_stands_at_the_end():
    source = '@transfer(writes="body.Foot1")\ndef third(t):\n    return t % 1'
    text = written(TEXT, [*functions(TEXT), {"name": "third", "source": source, "active": False, "priority": 0}])
    assert text.startswith(TEXT.rstrip("\n"))
    assert text.endswith(
        '# The end.\n\n\n@transfer(writes="body.Foot1", active=False)\ndef third(t):\n    return t % 1\n'
    )


def test_priority_and_activity_are_written_into_the_decorator():
    text = written(TEXT, changed(TEXT, "first", priority=-3, active=False))
    assert text == TEXT.replace("priority=2)", "priority=-3, active=False)")
    text = written(TEXT, changed(TEXT, "second", active=False))
    assert text == TEXT.replace('"body.Foot2"],\n)', '"body.Foot2"], active=False,\n)')
    assert [one["active"] for one in functions(text)] == [True, False]


def test_what_is_written_already_is_not_written_twice():
    source = '@transfer(writes="a", active=True)\ndef f():\n    pass'
    assert declared(source, {"active": True, "priority": 0}) == source
    off = declared(source, {"active": False})
    assert off == source.replace("True", "False")
    assert declared(off, {"active": True}) == source
    assert declared("@transfer()\ndef f():\n    pass", {"priority": 4}) == "@transfer(priority=4)\ndef f():\n    pass"


def test_a_file_with_other_line_ends_keeps_them():
    text = TEXT.replace("\n", "\r\n")
    assert written(text, functions(text)) == text
    made = written(text, changed(text, "first", source='@transfer(writes="body.Foot2")\ndef first():\n    return 1'))
    assert made.count("\n") == made.count("\r\n")


def test_a_broken_function_is_not_saved():
    with pytest.raises(Problem) as caught:
        written(TEXT, changed(TEXT, "second", source='@transfer(writes="x")\ndef second(:\n    pass'))
    assert (caught.value.status, caught.value.extra["line"]) == (422, 2)
    assert "second" in caught.value.detail


def test_a_file_that_somebody_has_broken_is_not_written():
    with pytest.raises(Problem) as caught:
        written("def (", functions(TEXT), "transfer.py")
    assert caught.value.status == 422
    assert "transfer.py, line 1" in caught.value.detail


def test_which_functions_are_saved_is_seen_in_the_file(tmp_path):
    (tmp_path / "experiment.toml").write_text('[transfer]\nfile = "mine.py"\n')
    (tmp_path / "mine.py").write_text(TEXT, encoding="utf-8")
    assert saved(tmp_path, functions(TEXT)) == {"first", "second"}
    assert saved(tmp_path, changed(TEXT, "first", priority=7)) == {"second"}
    assert saved(tmp_path, changed(TEXT, "first", source="@transfer()\ndef first(:")) == {"second"}
    (tmp_path / "mine.py").write_text("def (")
    assert saved(tmp_path, functions(TEXT)) == set()
