"""Numbers that JSON does not know, through JSON and through every other format that carries a parameter."""

import json
import math
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reafference import jsontext
from reafference.codec import decode, encode
from reafference.frames import Plan, Prepare

THRESHOLDS = {"V_th": math.inf, "low": [-math.inf, 0.1, {"deep": math.inf}], "name": "cell", "on": True, "none": None}


def strict(text: str) -> Any:
    """As a browser reads it: bare words that JSON does not know are refused."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


def test_an_infinite_number_is_a_text_that_says_so() -> None:
    assert strict(jsontext.dumps(THRESHOLDS)) == {
        "V_th": "Infinity",
        "low": ["-Infinity", 0.1, {"deep": "Infinity"}],
        "name": "cell",
        "on": True,
        "none": None,
    }
    assert jsontext.dumps([math.nan]) == '["NaN"]'


def test_an_infinite_number_comes_back() -> None:
    assert jsontext.loads(jsontext.dumps(THRESHOLDS)) == THRESHOLDS
    assert math.isnan(jsontext.loads(jsontext.dumps({"x": math.nan}))["x"])


def test_python_spells_it_alike() -> None:
    assert float(strict(jsontext.dumps(-math.inf))) == -math.inf


def test_a_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        jsontext.loads("{")


words = st.text().filter(lambda text: text not in ("Infinity", "-Infinity", "NaN"))
sayable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(sayable)
def test_everything_else_is_as_json_has_it(value: Any) -> None:
    assert jsontext.loads(jsontext.dumps(value)) == strict(jsontext.dumps(value)) == value


def test_an_infinite_threshold_survives_toml_and_the_wire() -> None:
    settings = tomllib.loads("[parameters]\nV_th = inf\nrest = -inf\n[sinks.out]\nV_th_mV = +inf\n")
    plan = Plan(run="r1", name="brain", seed=1, dt_ns=1, folder="/", settings=settings)
    prepared = decode(encode(Prepare(plan=plan), run="r1", src="engine").parts()).frame
    assert isinstance(prepared, Prepare)
    assert prepared.plan.settings["parameters"] == {"V_th": math.inf, "rest": -math.inf}
    assert prepared.plan.settings["sinks"]["out"]["V_th_mV"] == math.inf
    assert jsontext.loads(jsontext.dumps(prepared.plan.settings)) == settings
