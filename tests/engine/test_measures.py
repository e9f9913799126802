"""services.engine.measures: single numbers taken from a run."""

import numpy as np
import pytest

from reafference.errors import PortMismatch
from services.engine.experiment import Measure
from services.engine.measures import Measures
from tests.engine.toys import PORTS

STEP_NS = 20_000_000


def taken(*values, **measures):
    """The results of measures over `body.tip.position.y` with these values at the end of each step."""
    made = Measures({name: Measure(**spec) for name, spec in measures.items()}, PORTS)
    for step, value in enumerate(values):
        made.take(
            {"body": {"tip.position": np.array([9.0, value, 9.0]), "clock.ticks": np.array(step)}},
            (step + 1) * STEP_NS,
        )
    return made.results()


Y = "body.tip.position.y"


def test_a_value_is_taken_at_its_time():
    assert taken(1.0, 2.0, 3.0, a={"reads": Y, "at_s": 0.04}, b={"reads": Y, "at_s": 0.06}) == {"a": 2.0, "b": 3.0}


def test_a_run_that_ended_earlier_has_none():
    assert taken(1.0, a={"reads": Y, "at_s": 0.5}) == {"a": None}
    assert taken(a={"reads": Y}) == {"a": None}


@pytest.mark.parametrize(("over", "result"), [("last", 2.0), ("mean", 3.0), ("min", 1.0), ("max", 6.0), ("range", 5.0)])
def test_the_values_of_all_steps_are_reduced(over, result):
    assert taken(1.0, 6.0, 2.0, a={"reads": Y, "over": over}) == {"a": result}


def test_a_scale_multiplies():
    assert taken(0.5, a={"reads": Y, "scale": 1000.0}, b={"reads": Y, "scale": -1.0}) == {"a": 500.0, "b": -0.5}


def test_a_scalar_port_can_be_measured():
    assert taken(1.0, 2.0, a={"reads": "body.clock.ticks"}) == {"a": 1.0}


def test_a_time_that_is_no_round_float_is_met():
    """0.1 + 0.2 is not 0.3, but the end of step 15 is."""
    values = [float(n) for n in range(1, 16)]
    assert taken(*values, a={"reads": Y, "at_s": 0.1 + 0.2}) == {"a": 15.0}


def test_what_is_measured_must_ride_in_the_answers():
    made = Measures({"a": Measure(reads=Y), "b": Measure(reads="brain.M1_L1")}, PORTS)
    assert (made.want("body"), made.want("brain"), made.want("x")) == ({"tip.position"}, {"readout.voltage"}, set())


@pytest.mark.parametrize(
    ("reads", "words"),
    [
        ("body.tip.position", r"measure 'a' reads body\.tip\.position, which has shape \(3,\): name one element of it"),
        ("body.tip.position.q", r"measure 'a' reads 'body\.tip\.position\.q', but the body has no such port"),
        ("brain.spikes.sender", r"has shape \(-1,\)"),
    ],
)
def test_what_is_no_number_cannot_be_measured(reads, words):
    with pytest.raises(PortMismatch, match=words):
        Measures({"a": Measure(reads=reads)}, PORTS)
