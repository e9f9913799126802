from typing import Any

import numpy as np
import pytest

from services.brain.kernel import nest
from services.brain.network import Network, NotPopulations, collection, populations_of


def read(nodes: Any) -> list[int]:
    return populations_of(Network(populations={"a": nodes}))["a"].ids.tolist()


def test_nodes_can_be_given_in_many_ways() -> None:
    cells = nest.Create("parrot_neuron", 10)
    assert read(cells) == list(range(1, 11))
    assert read(cells[2:9:3]) == [3, 6, 9]
    assert read(cells[4]) == [5]
    assert read(7) == [7]
    assert read([9, 2, 4]) == [9, 2, 4]
    assert read((1, 2)) == [1, 2]
    assert read(np.array([3, 8])) == [3, 8]
    assert read(range(2, 5)) == [2, 3, 4]
    assert read(slice_of_two := cells[:2] + cells[5:6]) == [1, 2, 6]
    assert len(slice_of_two) == 3


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([], "is empty"),
        ([1, 1], "names a node twice"),
        ([0], "has the node id 0"),
        ([11], "has the node id 11"),
        ("all", "give a NodeCollection"),
        ([1.5], "give a NodeCollection"),
        (True, "give a NodeCollection"),
        (None, "give a NodeCollection"),
        ([[1], [2]], "give a NodeCollection"),
        ({"a": 1}, "give a NodeCollection"),
    ],
)
def test_nonsense_is_refused_by_name(nodes: Any, words: str) -> None:
    nest.Create("parrot_neuron", 10)
    with pytest.raises(NotPopulations) as error:
        read(nodes)
    assert "population 'a'" in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize("name", ["", "a b", "3a", "a+b", "a[0]", 7])
def test_a_name_that_no_expression_could_hold_is_refused(name: Any) -> None:
    nest.Create("parrot_neuron", 10)
    with pytest.raises(NotPopulations, match="cannot name a population"):
        populations_of(Network(populations={name: 1}))


def test_full_sizes_belong_to_populations() -> None:
    nest.Create("parrot_neuron", 10)
    found = populations_of(Network(populations={"a": [1, 2]}, full_sizes={"a": 20}))
    assert found["a"].full_size == 20
    with pytest.raises(NotPopulations, match="full_sizes names 'b'"):
        populations_of(Network(populations={"a": [1, 2]}, full_sizes={"b": 20}))


def test_a_collection_is_in_ascending_order() -> None:
    nest.Create("parrot_neuron", 10)
    assert collection(np.array([7, 2, 5])).tolist() == [2, 5, 7]
