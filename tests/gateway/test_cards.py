"""What is said of an experiment from its files."""

import json
import shutil
from xml.etree import ElementTree

import pytest

from services.gateway import picture
from services.gateway.cards import Card, card_of, kind_of
from services.gateway.toml_lines import line_of, placed
from tests.gateway.doors import ROOT, TOML, TRANSFER

MOUSE = ROOT / "experiments" / "mouse_reach"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "experiment.toml").write_text(TOML)
    (tmp_path / "transfer.py").write_text(TRANSFER)
    return tmp_path


def test_a_card_tells_title_limit_and_functions(folder):
    card = card_of(folder)
    assert (card.title, card.limit, card.functions) == ("A small one", ("simulated", 0.2), 1)
    assert card.cells is None


def test_the_facts_of_a_template_are_those_of_its_brain_and_body():
    kept = json.loads((MOUSE / "facts.json").read_text())
    card = card_of(MOUSE)
    assert kept["brain"]["of"] == kind_of(card.settings, "brain")
    assert (card.cells, card.synapses) == (kept["brain"]["cells"], kept["brain"]["synapses"])
    assert card.muscles == 8
    assert card.camera is False


@pytest.mark.parametrize("name", sorted(path.parent.name for path in ROOT.glob("experiments/*/experiment.toml")))
def test_every_template_has_facts_of_the_brain_and_body_it_has_now(name):
    card = card_of(ROOT / "experiments" / name)
    assert card.tags
    assert card.cells > 0
    assert card.synapses > 0
    assert card.populations > 0
    assert card.camera is not None


def test_another_brain_is_another_number_of_cells_which_nobody_knows(tmp_path):
    clone = tmp_path / "clone"
    shutil.copytree(MOUSE, clone)
    assert card_of(clone, MOUSE).cells == card_of(MOUSE).cells
    toml = (clone / "experiment.toml").read_text()
    assert "area_mm2 = 0.1 " in toml
    (clone / "experiment.toml").write_text(toml.replace("area_mm2 = 0.1 ", "area_mm2 = 0.2 "))
    card = card_of(clone, MOUSE)
    assert (card.cells, card.populations) == (None, None)
    assert card.muscles == 8


@pytest.mark.parametrize(
    "text", ["", "[experiment", "experiment = 3", "[experiment]\nsteps = true\ntags = 3\ntitle = 4\n"]
)
def test_a_file_that_says_little_makes_a_card_that_says_little(folder, text):
    (folder / "experiment.toml").write_text(text)
    card = card_of(folder)
    assert (card.title, card.limit, card.tags) == ("", None, ())


def test_functions_are_counted_as_they_are_declared(folder):
    more = (
        "\n\n@reafference.transfer(reads='x')\ndef two(a): ...\n\n\ndef none(): ...\n\n\n@other\ndef nor_this(): ...\n"
    )
    (folder / "transfer.py").write_text(TRANSFER + more)
    assert card_of(folder).functions == 2
    (folder / "transfer.py").write_text("def f(:")
    assert card_of(folder).functions is None


def test_a_file_that_is_too_large_to_be_looked_into_is_not(folder):
    (folder / "transfer.py").write_text(TRANSFER + "#" * 300_000)
    assert card_of(folder).functions is None


def test_only_files_of_the_experiment_are_looked_into(folder, tmp_path):
    inner = folder / "inner"
    inner.mkdir()
    (inner / "experiment.toml").write_text(TOML.replace('"transfer.py"', '"../transfer.py"'))
    assert card_of(inner).functions is None


def test_a_limit_of_real_time_counts_where_there_is_no_other(folder):
    (folder / "experiment.toml").write_text("[experiment]\nsteps = 0\nreal_limit_s = 30\n")
    assert card_of(folder).limit == ("real", 30.0)


def test_a_key_is_found_in_its_table():
    text = '# steps = 1\n[a]\nsteps = 1\n[b.c]\n"x y" = 2\nsteps = 3\n[[d]]\nsteps = 4\n'
    assert line_of(text, "a.steps") == 3
    assert line_of(text, "b.c.steps") == 6
    assert line_of(text, "b.c.x y") == 5
    assert line_of(text, "b.c.gone") == 4
    assert line_of(text, "d[0].steps") == 8
    assert line_of(text, "e.f") is None


def test_a_problem_with_a_key_gets_the_line(folder):
    told = placed({"file": "experiment.toml", "key": "experiment.steps", "text": "no"}, folder)
    assert (told["line"], told["line_text"]) == (4, "steps = 10")


@pytest.mark.parametrize(
    "card",
    [
        Card(),
        Card(title="<&>", populations=19, functions=3, muscles=8),
        Card(populations=5000, functions=90, camera=True),
    ],
)
def test_a_drawing_is_a_picture_of_the_numbers(card):
    tree = ElementTree.fromstring(picture.draw(card))
    space = "{http://www.w3.org/2000/svg}"
    if card.title:
        assert tree.find(f"{space}title").text == card.title
        assert len(tree.findall(f"{space}circle")) == 27
        assert len(tree.findall(f"{space}path")) == 3
    assert len(picture.draw(card)) < 50_000
