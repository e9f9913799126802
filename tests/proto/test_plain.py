"""reafference.plain: dataclasses as plain maps and back."""

import enum
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reafference import plain
from reafference.plain import Misfit


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Leaf:
    size: int
    weight_g: float = 1.5
    colour: Colour = Colour.RED
    kind: Literal["oak", "beech"] = "oak"

    def __post_init__(self) -> None:
        if self.size < 0:
            raise Misfit("size", "0 or more", str(self.size))


@dataclass(frozen=True, kw_only=True)
class Tree:
    name: str
    crown: Leaf
    leaves: tuple[Leaf, ...] = ()
    spot: tuple[float, float] = (0.0, 0.0)
    nick: str | None = None
    alive: bool = True
    rings: Mapping[str, int] = field(default_factory=dict)
    by_name: Mapping[str, Leaf] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes = b""


ints = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
names = st.text(max_size=8)
leaves = st.builds(
    Leaf,
    size=st.integers(0, 2**63 - 1),
    weight_g=floats,
    colour=st.sampled_from(Colour),
    kind=st.sampled_from(["oak", "beech"]),
)
anything = st.recursive(
    st.none() | st.booleans() | ints | floats | names | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
trees = st.builds(
    Tree,
    name=names,
    crown=leaves,
    leaves=st.lists(leaves, max_size=3).map(tuple),
    spot=st.tuples(floats, floats),
    nick=st.none() | names,
    alive=st.booleans(),
    rings=st.dictionaries(names, ints, max_size=3),
    by_name=st.dictionaries(names, leaves, max_size=2),
    notes=st.dictionaries(names, anything, max_size=3),
    raw=st.binary(max_size=8),
)


@given(trees)
def test_what_is_dumped_loads_again_as_the_same(tree):
    assert plain.load(Tree, plain.dump(tree)) == tree


@given(trees)
def test_a_dump_is_made_of_maps_lists_and_scalars(tree):
    def check(value):
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)
        else:
            assert value is None or type(value) in (bool, int, float, str, bytes)

    check(plain.dump(tree))


@pytest.mark.parametrize("dtype", ["|b1", "|i1", "|u1", "<i4", "<i8", "<f4", "<f8"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (0, 3)])
def test_arrays_come_back_with_dtype_shape_and_values(dtype, shape):
    array = np.arange(int(np.prod(shape)), dtype=np.float64).astype(dtype).reshape(shape)
    back = plain.load(np.ndarray, plain.dump(array))
    assert back.dtype.str == dtype
    assert back.shape == shape
    assert np.array_equal(back, array)


def test_numpy_scalars_are_dumped_as_plain_numbers():
    assert plain.dump({"a": np.float64(0.5), "b": np.int32(3), "c": np.bool_(True)}) == {"a": 0.5, "b": 3, "c": True}


LEAF = {"size": 1}
TREE = {"name": "elm", "crown": LEAF}

MISFITS = [
    # what is wrong, the key, what was expected, what was found, the hint
    ({"crown": LEAF}, "name", "a text", "nothing: the key is missing", ""),
    ({"name": "elm"}, "crown", "a table", "nothing: the key is missing", ""),
    (TREE | {"nmae": 1}, "nmae", "one of the keys", "the key 'nmae'", " (did you mean 'name'?)"),
    (TREE | {"zzz": 1}, "zzz", "one of the keys", "the key 'zzz'", ""),
    (TREE | {"name": 3}, "name", "a text", "3", ""),
    (TREE | {"crown": 3}, "crown", "a table", "3", ""),
    (TREE | {"crown": {"size": "big"}}, "crown.size", "a whole number", "the text 'big'", ""),
    (TREE | {"crown": {"size": 1.0}}, "crown.size", "a whole number", "1.0", ""),
    (TREE | {"crown": {"size": True}}, "crown.size", "a whole number", "True", ""),
    (TREE | {"crown": {"size": -1}}, "crown.size", "0 or more", "-1", ""),
    (TREE | {"crown": LEAF | {"weight_g": "x"}}, "crown.weight_g", "a number", "the text 'x'", ""),
    (TREE | {"crown": LEAF | {"weight_g": False}}, "crown.weight_g", "a number", "False", ""),
    (
        TREE | {"crown": LEAF | {"kind": "ok"}},
        "crown.kind",
        "'oak' or 'beech'",
        "the text 'ok'",
        " (did you mean 'oak'?)",
    ),
    (
        TREE | {"crown": LEAF | {"colour": "read"}},
        "crown.colour",
        "'red' or 'blue'",
        "the text 'read'",
        " (did you mean 'red'?)",
    ),
    (TREE | {"leaves": 3}, "leaves", "a list", "3", ""),
    (TREE | {"leaves": [LEAF, {"size": None}]}, "leaves[1].size", "a whole number", "nothing", ""),
    (TREE | {"spot": [1.0]}, "spot", "a list of 2", "a list of 1", ""),
    (TREE | {"spot": [1.0, "b"]}, "spot[1]", "a number", "the text 'b'", ""),
    (TREE | {"nick": 4}, "nick", "a text", "4", ""),
    (TREE | {"alive": 1}, "alive", "true or false", "1", ""),
    (TREE | {"rings": [1]}, "rings", "a table", "a list of 1", ""),
    (TREE | {"rings": {"a": "b"}}, "rings.a", "a whole number", "the text 'b'", ""),
    (TREE | {"rings": {b"a": 1}}, "rings", "texts as the keys of a table", "1 bytes", ""),
    (TREE | {"by_name": {"a": {}}}, "by_name.a.size", "a whole number", "nothing: the key is missing", ""),
    (TREE | {"notes": {"a": [1, {"b": 2**64}]}}, "notes.a[1].b", "a whole number of at most 64 bits", str(2**64), ""),
    (TREE | {"notes": {"a": object}}, "notes.a", "a number, a text, a list or a table", "<class 'object'>", ""),
    (TREE | {"raw": "text"}, "raw", "bytes", "the text 'text'", ""),
    (["a list"], "", "a table", "a list of 1", ""),
]


@pytest.mark.parametrize(("data", "key", "expected", "found", "hint"), MISFITS)
def test_a_misfit_says_where_what_and_what_instead(data, key, expected, found, hint):
    with pytest.raises(Misfit) as caught:
        plain.load(Tree, data)
    misfit = caught.value
    assert (misfit.key, misfit.found, misfit.hint) == (key, found, hint)
    assert misfit.expected.startswith(expected)
    assert str(misfit) == f"{key + ': ' if key else ''}expected {misfit.expected}, found {found}{hint}"


def test_a_date_of_toml_is_refused_because_the_wire_has_none():
    data = tomllib.loads('name = "elm"\ncrown = { size = 1 }\nnotes = { planted = 1879-03-14 }')
    with pytest.raises(Misfit, match=r"notes\.planted: expected a number"):
        plain.load(Tree, data)


def test_unknown_keys_are_ignored_where_that_is_wanted():
    tree = plain.load(Tree, TREE | {"from_a_newer_minor": 1, "crown": LEAF | {"gloss": 2}}, strict=False)
    assert tree == Tree(name="elm", crown=Leaf(size=1))


def test_a_whole_number_is_a_number():
    leaf = plain.load(Leaf, {"size": 1, "weight_g": 2})
    assert leaf.weight_g == 2.0
    assert isinstance(leaf.weight_g, float)


def test_a_union_reports_the_misfit_that_lies_deepest():
    @dataclass
    class Holder:
        value: int | Leaf

    with pytest.raises(Misfit, match=r"value\.size: expected a whole number, found the text 'x'"):
        plain.load(Holder, {"value": {"size": "x"}})
    with pytest.raises(Misfit, match=r"value: expected a whole number or a table, found the text 'x'"):
        plain.load(Holder, {"value": "x"})


@pytest.mark.parametrize(
    "data",
    [
        "no list",
        ["<f8", [2], bytes(15)],
        ["<f8", [3], bytes(16)],
        ["O", [1], bytes(8)],
        ["S1", [8], bytes(8)],
        ["M8[s]", [1], bytes(8)],
        ["i4,(", [1], bytes(4)],
        ["<f8", [-2], bytes(16)],
        ["<f8", [0, 2**62, 2**62], b""],
        ["<f8", "2", bytes(16)],
    ],
)
def test_bytes_that_are_no_array_are_a_misfit(data):
    with pytest.raises(Misfit, match="an array of numbers as"):
        plain.load(np.ndarray, data)


def test_the_nearest_name_is_found_whatever_its_case():
    assert plain.nearest("delay_Ms", ["delay_ms", "weight"]) == " (did you mean 'delay_ms'?)"
    assert plain.nearest("XY", ["xy", "weight"]) == " (did you mean 'xy'?)"
    assert plain.nearest("banana", ["delay_ms", "weight"]) == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        ({}, "a table"),
        ((1, 2), "a list of 2"),
        ("x" * 100, f"the text {'x' * 60!r}"),
        (b"abc", "3 bytes"),
        (0.5, "0.5"),
    ],
)
def test_what_was_found_is_described_in_a_few_words(value, words):
    assert plain.describe(value) == words


def test_arrays_come_back_from_whatever_was_dumped_around_them():
    tree = {"a": np.array([1.0, np.inf]), "b": [{"c": np.zeros((0, 2), np.int8)}, "x"], "d": ["<f8", [2], b"short"]}
    back = plain.with_arrays(plain.dump(tree))
    assert list(back["a"]) == [1.0, np.inf]
    assert (back["b"][0]["c"].shape, back["b"][0]["c"].dtype, back["b"][1]) == ((0, 2), np.int8, "x")
    assert back["d"] == ["<f8", [2], b"short"]
    assert not back["a"].flags.writeable
