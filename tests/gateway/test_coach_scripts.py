"""Scripts as published clients send them."""

import pytest

from services.gateway.coach import scripts as coach_scripts
from services.gateway.coach.files import is_uuid, sortable, uuid_of
from services.gateway.problems import Problem

PUBLISHED = """\
import hbp_nrp_cle.tf_framework as nrp

def half(x):
    return x / 2

@nrp.MapVariable("seen", initial_value=0)
@nrp.Robot2Neuron()
def look(t, seen):
    seen.value = half(t)
"""


def test_text_that_is_no_utf_8_is_taken_for_latin_1():
    assert coach_scripts.text_of("Größe".encode()) == "Größe"
    assert coach_scripts.text_of("Größe".encode("latin-1")) == "Größe"


@pytest.mark.parametrize("script", ["", "# only\n# comments\n", "\n\n   \n", "#"])
def test_comments_and_empty_lines_say_nothing(script):
    assert coach_scripts.says_nothing(script)


@pytest.mark.parametrize("script", ["x = 1", "# more\npass\n", '"""text"""', "def f(:", "'''", "  x"])
def test_everything_else_says_something(script):
    assert not coach_scripts.says_nothing(script)


def test_a_function_has_the_name_of_its_definition():
    assert coach_scripts.name_of("def push(t):\n    return 1\n") == "push"
    assert coach_scripts.name_of(PUBLISHED) == "look"


@pytest.mark.parametrize(
    "source", ["", "x = 1", "# nothing", "class A:\n    def f(self): pass", "def f(:", "\0", "def f():\nx"]
)
def test_a_text_without_a_function_is_refused(source):
    with pytest.raises(Problem) as refused:
        coach_scripts.name_of(source)
    assert refused.value.status == 422


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "a b", "x" * 81, "ä", "a\n"])
def test_a_state_machine_needs_a_name_that_can_be_that_of_a_file(name):
    with pytest.raises(Problem):
        coach_scripts.path_of(name)


def test_run_folders_sort_by_time():
    names = ["2026-01-01T10-00-00", "2026-01-01T10-00-00-2", "2026-01-01T10-00-00-10", "2026-01-01T10-00-01"]
    assert sorted(map(sortable, reversed(names))) == [sortable(name) for name in names]


def test_the_key_of_a_file_follows_from_experiment_and_path():
    assert uuid_of("a", "b/c.csv") == uuid_of("a", "b/c.csv")
    assert len({uuid_of(*pair) for pair in (("a", "b"), ("b", "a"), ("a", "c"))}) == 3
    assert is_uuid(uuid_of("a", "b"))
    assert not is_uuid("transfer.py")
