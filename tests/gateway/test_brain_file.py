"""A brain that was changed is written into its experiment, and nothing else in the file changes."""

import tomllib
from pathlib import Path

import pytest

from services.gateway.brain_file import with_populations, with_script
from services.gateway.problems import Problem

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "experiments").glob("*/experiment.toml"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.parent.name)
def test_a_script_takes_the_place_of_the_model_in_a_shipped_file(file):
    text = file.read_text(encoding="utf-8")
    made = with_script(text, "brain.py")
    before, after = tomllib.loads(text), tomllib.loads(made)
    assert after["brain"].pop("script") == "brain.py"
    assert before["brain"].pop("model")
    assert before == after
    different = [a for a, b in zip(text.splitlines(), made.splitlines(), strict=True) if a != b]
    assert len(different) == 1
    assert different[0].startswith("model")
    assert with_script(made, "brain.py") == made


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.parent.name)
def test_populations_get_a_table_of_their_own(file):
    text = file.read_text(encoding="utf-8")
    wanted = {"deep": "M1_L5A_CC + M1_L6_*", "one": 7, "some": [1, 2, 3], "odd name": 'a "b"'}
    made = with_populations(text, wanted)
    assert made.startswith(text)
    assert tomllib.loads(made)["brain"]["populations"] == wanted
    fewer = with_populations(made, {"one": 8})
    assert tomllib.loads(fewer)["brain"]["populations"] == {"one": 8}
    assert fewer.startswith(text)
    none = with_populations(fewer, {})
    assert tomllib.loads(none)["brain"] == tomllib.loads(text)["brain"] | {"populations": {}}


def test_a_table_in_the_middle_is_replaced_in_place():
    text = '[brain]\nmodel = "m"\n\n[brain.populations]\na = "x"   # old\n\n[body]\nmodel = "b"\n'
    made = with_populations(text, {"b": "y"})
    assert made == '[brain]\nmodel = "m"\n\n[brain.populations]\nb = "y"\n\n[body]\nmodel = "b"\n'


def test_a_file_written_in_another_way_is_left_to_its_author():
    for text in ('brain = { model = "m" }\n', '[brain]\nmodel = "m"\npopulations = { a = "x" }\n'):
        with pytest.raises(Problem) as caught:
            with_populations(with_script(text, "brain.py"), {"b": "y"})
        assert caught.value.status == 409
        assert "by hand" in caught.value.detail


def test_nothing_changes_where_nothing_is_to_be_changed():
    text = '[brain]\nscript = "brain.py" # mine\n'
    assert with_script(text, "brain.py") == text
    assert with_populations(text, {}) == text
