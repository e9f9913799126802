"""Errors of the house as problems of the web."""

import json

import pytest

from reafference import errors
from services.gateway import problems
from services.gateway.problems import Problem


def test_every_error_of_the_house_has_a_status():
    for code, kind in errors._family(errors.ReafferenceError).items():
        problem = problems.of(kind("it did not work"))
        assert (problem.code, problem.detail) == (code, "it did not work")
        assert 400 <= problem.status < 600


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.BadExperiment, 422),
        (errors.ScriptError, 422),
        (errors.OutOfOrder, 409),
        (errors.NotAllowed, 403),
        (errors.PeerLost, 502),
        (errors.PeerLate, 504),
        (errors.DiskFull, 507),
    ],
)
def test_the_status_says_whose_turn_it_is(kind, status):
    assert problems.of(kind("x")).status == status


def test_the_place_in_a_script_is_told_along_and_nothing_else():
    detail = {"file": "a.py", "line": 3, "column": 5, "line_text": "x = = 1", "inner": object()}
    body = problems.of(errors.ScriptError("a.py, line 3: no", detail=detail)).body()
    assert {key: body[key] for key in ("file", "line", "column", "line_text")} == {
        key: detail[key] for key in ("file", "line", "column", "line_text")
    }
    assert "inner" not in body


def test_a_number_that_json_cannot_hold_is_a_text():
    told = json.loads(Problem(422, "invalid", "too much", most=float("inf")).response().body)
    assert (told["most"], told["title"]) == ("Infinity", "Unprocessable Entity")
