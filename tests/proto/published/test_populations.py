import pytest

from reafference.errors import BadExperiment
from reafference.published import description, selection


@pytest.mark.parametrize(
    ("described", "meant"),
    [
        (3, "circuit[3]"),
        ([1, 4, 5], "circuit[1] + circuit[4] + circuit[5]"),
        ({"from": 0, "to": 5, "step": 1}, "circuit[0:5]"),
        ({"from": 2, "to": 8, "step": 3}, "circuit[2:8:3]"),
    ],
)
def test_a_description_and_its_selection_are_the_same_thing(described, meant):
    assert selection(described) == meant
    assert description(meant) == described


def test_one_in_a_list_comes_back_as_one():
    assert selection([7]) == "circuit[7]"
    assert description("circuit[7]") == 7


def test_ends_that_are_left_out_are_filled_in():
    assert selection({"to": 4}) == "circuit[0:4]"
    assert selection({}) == "circuit"
    assert description("circuit", size=8) == {"from": 0, "to": 8, "step": 1}
    assert description("circuit[2:]", size=8) == {"from": 2, "to": 8, "step": 1}
    assert description("circuit") is None


def test_another_population_may_be_the_root():
    assert selection({"from": 1, "to": 3}, root="neurons") == "neurons[1:3]"
    assert description("neurons[1:3]", root="neurons") == {"from": 1, "to": 3, "step": 1}


@pytest.mark.parametrize(
    "meant", ["others[0:3]", "circuit + others", "circuit[-1]", "circuit[0:2] + circuit[4]", "each circuit"]
)
def test_selections_without_a_description_have_none(meant):
    assert description(meant, size=8) is None


def test_a_selection_of_ours_is_left_as_it_is():
    assert selection("A + B[3]") == "A + B[3]"


@pytest.mark.parametrize("wrong", [True, -1, [], ["a"], [1, -2], {"from": "x"}, {"step": 0, "to": 3}, None, 1.5])
def test_nonsense_is_refused(wrong):
    with pytest.raises(BadExperiment):
        selection(wrong)
