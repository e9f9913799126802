from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reafference.plain import Misfit
from services.brain.selection import Population, Selection, ranges, resolve, resolve_one

POPULATIONS = {
    "M1_L1_ENGC": Population("M1_L1_ENGC", np.arange(1, 51), full_size=500),
    "M1_L1_SBC": Population("M1_L1_SBC", np.arange(51, 151), full_size=1200),
    "S1_L4_Pyr": Population("S1_L4_Pyr", np.arange(200, 210)),
    "odd": Population("odd", np.array([9001, 700, 300])),
}


def ids(text: str) -> list[int]:
    [selection] = resolve([text], POPULATIONS)
    return selection.ids.tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("S1_L4_Pyr", list(range(200, 210))),
        ("S1_L4_Pyr[3]", [203]),
        ("S1_L4_Pyr[-1]", [209]),
        ("S1_L4_Pyr[0:4]", [200, 201, 202, 203]),
        ("S1_L4_Pyr[:4:2]", [200, 202]),
        ("S1_L4_Pyr[-2:]", [208, 209]),
        ("S1_L4_Pyr[ 1 : 3 ]", [201, 202]),
        ("S1_L4_Pyr[0:10:9]", [200, 209]),
        ("M1_L1_SBC[5] + S1_L4_Pyr[0:2]", [56, 200, 201]),
        ("odd[0]", [9001]),
        ("odd[1:]", [700, 300]),
    ],
)
def test_an_expression_means_these_neurons(text: str, expected: list[int]) -> None:
    assert ids(text) == expected


def test_a_wildcard_gives_one_selection_per_match_in_build_order() -> None:
    found = resolve(["M1_*", "S1_L4_Pyr[0]"], POPULATIONS)
    assert [s.label for s in found] == ["M1_L1_ENGC", "M1_L1_SBC", "S1_L4_Pyr[0]"]


def test_a_wildcard_may_carry_an_index() -> None:
    found = resolve(["M1_L1_???[0:2]"], POPULATIONS)
    assert [(s.label, s.ids.tolist()) for s in found] == [("M1_L1_SBC[0:2]", [51, 52])]


def test_further_names_are_known_but_not_matched_by_wildcards() -> None:
    extra = {"control": Selection("control", np.array([3, 4]), None)}
    assert resolve(["control[1]"], POPULATIONS, extra)[0].ids.tolist() == [4]
    assert "control" not in [s.label for s in resolve(["*"], POPULATIONS, extra)]


def test_each_gives_one_selection_per_neuron_under_its_index() -> None:
    found = resolve(["each S1_L4_Pyr[2:8:3]", "S1_L4_Pyr", "each odd"], POPULATIONS)
    assert [(s.label, s.ids.tolist()) for s in found] == [
        ("S1_L4_Pyr[2]", [202]),
        ("S1_L4_Pyr[5]", [205]),
        ("S1_L4_Pyr", list(range(200, 210))),
        ("odd[0]", [9001]),
        ("odd[1]", [700]),
        ("odd[2]", [300]),
    ]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("each odd[-1]", ["odd[2]"]),
        ("each odd[-2:] + S1_L4_Pyr[0]", ["odd[1]", "odd[2]", "S1_L4_Pyr[0]"]),
        ("each M1_*[0:2]", ["M1_L1_ENGC[0]", "M1_L1_ENGC[1]", "M1_L1_SBC[0]", "M1_L1_SBC[1]"]),
        ("each   odd[1]", ["odd[1]"]),
    ],
)
def test_each_goes_with_every_expression(text: str, labels: list[str]) -> None:
    assert [s.label for s in resolve([text], POPULATIONS)] == labels


def test_each_keeps_the_scale_and_knows_further_names() -> None:
    assert {s.scale for s in resolve(["each M1_L1_ENGC"], POPULATIONS)} == {10.0}
    extra = {"control": Selection("control", np.array([3, 4]), None)}
    assert [s.label for s in resolve(["each control"], POPULATIONS, extra)] == ["control[0]", "control[1]"]


def test_a_population_may_be_called_each() -> None:
    [found] = resolve(["each"], {"each": Population("each", np.array([4, 5]))})
    assert found.ids.tolist() == [4, 5]


@pytest.mark.parametrize(
    ("entries", "key", "words"),
    [
        (["M1_L1_ENGC", "M1_L1_EGC"], "[1]", "did you mean 'M1_L1_ENGC'?"),
        (["nothing_like_it"], "[0]", "there are M1_L1_ENGC, M1_L1_SBC"),
        (["S1_L4_Pyr[10]"], "[0]", "within the 10 neurons"),
        (["S1_L4_Pyr[-11]"], "[0]", "within the 10 neurons"),
        (["S1_L4_Pyr[0:11]"], "[0]", "within the 10 neurons"),
        (["S1_L4_Pyr[4:2]"], "[0]", "at least one neuron"),
        (["S1_L4_Pyr[0:4:0]"], "[0]", "a range"),
        (["S1_L4_Pyr[a]"], "[0]", "NAME[0:400]"),
        (["S1_L4_Pyr["], "[0]", "NAME[0:400]"),
        ([""], "[0]", "NAME[0:400]"),
        (["CB_*"], "[0]", "matches a population"),
        (["M1_* + S1_L4_Pyr"], "[0]", "wildcard"),
        (["S1_L4_Pyr + S1_L4_Pyr[2]"], "[0]", "id 202 twice"),
        (["odd", "o*"], "[1]", "'odd' a second time"),
        (["odd[1]", "each odd"], "[1]", "'odd[1]' a second time"),
        (["each odd + odd[0]"], "[0]", "id 9001 twice"),
        (["each odd[0:4]"], "[0]", "within the 3 neurons"),
        (["each "], "[0]", "NAME[0:400]"),
        (["each one odd"], "[0]", "NAME[0:400]"),
    ],
)
def test_what_cannot_be_meant_is_refused(entries: list[str], key: str, words: str) -> None:
    with pytest.raises(Misfit) as error:
        resolve(entries, POPULATIONS)
    assert error.value.key == key
    assert words in str(error.value)


def test_the_scale_is_the_mean_over_the_neurons() -> None:
    assert resolve_one("M1_L1_ENGC[0:7]", POPULATIONS, {}).scale == 10.0
    both = resolve_one("M1_L1_ENGC + M1_L1_SBC", POPULATIONS, {})
    assert both.scale == pytest.approx((500 + 1200) / 150)
    assert resolve_one("M1_L1_ENGC + odd", POPULATIONS, {}).scale is None


@given(st.sets(st.integers(1, 60)))
def test_ranges_name_exactly_the_ids(chosen: set[int]) -> None:
    spans = ranges(np.array(sorted(chosen, reverse=True), np.int64))
    assert [n for a, b in spans for n in range(a, b + 1)] == sorted(chosen)
    assert all(b + 1 < c for (_, b), (c, _) in pairwise(spans))
