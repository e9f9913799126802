"""Datapacks as arrays of bytes, and back."""

import math

import numpy as np
import pytest

from reafference import datapacks
from reafference.datapacks import Datapack, Message
from reafference.errors import BadExperiment

VALUES = [None, True, 3, 2**70, -0.5, math.inf, "ä", [], {"a": [1, {"b": None}]}]


@pytest.mark.parametrize("value", VALUES)
def test_plain_values_come_back_as_they_went(value):
    assert datapacks.decode(datapacks.encode(value, "x"), datapacks.JSON) == value
    assert datapacks.from_map(Datapack("x", value).to_map()) == Datapack("x", value)


def test_a_message_keeps_its_type_and_bytes():
    message = Message("Dump.String", b"\x00\xff")
    port = datapacks.output("x", message)
    assert (port.name, port.unit, port.shape) == ("datapacks.x", "protobuf", (-1,))
    assert datapacks.decode(port.resting(), port.unit) == message
    assert datapacks.from_map(Datapack("x", message).to_map()) == Datapack("x", message)


def test_arrays_become_lists():
    value = {"of": np.arange(3), "one": np.float32(0.5)}
    assert datapacks.decode(datapacks.encode(value, "x"), "json") == {"of": [0, 1, 2], "one": 0.5}


def test_a_parcel_has_its_iteration():
    packs = [Datapack("a", 1), Datapack("b", Message("Dump.String", b"x"))]
    assert datapacks.decode_given(datapacks.encode_given(7, packs)) == (7, packs)
    assert datapacks.decode_given(datapacks.given_port().resting()) == (-1, [])


@pytest.mark.parametrize(
    "wrong", [{}, {"name": "x"}, {"name": "x", "json": "{"}, {"name": "x", "type": "T", "data": "?"}]
)
def test_what_is_no_datapack_is_refused(wrong):
    with pytest.raises(BadExperiment, match="a datapack is a map of name and json"):
        datapacks.from_map(wrong)


def test_an_edit_takes_a_list_and_nothing_else():
    assert datapacks.from_maps({"packs": [Datapack("x", 1).to_map()]}) == [Datapack("x", 1)]
    for wrong in ({}, {"packs": 5}, {"packs": [], "more": 1}):
        with pytest.raises(BadExperiment, match="takes `packs`"):
            datapacks.from_maps(wrong)
