import pytest

from reafference.errors import BadExperiment
from services.body.bullet_body import BulletBody


@pytest.mark.parametrize(
    ("settings", "key", "words"),
    [
        ({}, "body.model", "missing"),
        ({"model": "mouse_forelim"}, "body.model", "did you mean 'mouse_forelimb'?"),
        ({"model": "mouse_forelimb", "substep": 1}, "body.substep", "did you mean 'substep_ms'?"),
        ({"model": "mouse_forelimb", "substep_ms": 3}, "body.substep_ms", "a part of the step of 20 ms"),
        ({"model": "mouse_forelimb", "substep_ms": 0}, "body.substep_ms", "a part of the step of 20 ms"),
        ({"model": "mouse_forelimb", "substep_ms": -1}, "body.substep_ms", "a part of the step of 20 ms"),
        ({"model": "mouse_forelimb", "substep_ms": "1"}, "body.substep_ms", "a number"),
        ({"model": "mouse_forelimb", "parameters": 1}, "body.parameters", "a table"),
        (
            {"model": "mouse_forelimb", "parameters": {"variant": "bas"}},
            "body.parameters.variant",
            "did you mean 'base'?",
        ),
        (
            {"model": "mouse_forelimb", "parameters": {"stop": True}},
            "body.parameters.stop",
            "did you mean 'stops'?",
        ),
        (
            {"model": "mouse_forelimb", "parameters": {"initial_activation": 2}},
            "body.parameters.initial_activation",
            "from 0 to 1",
        ),
        (
            {"model": "mouse_forelimb", "parameters": {"stop_stiffness": 1e8}},
            "body.parameters.stop_stiffness",
            "at most",
        ),
        (
            {"model": "mouse_forelimb", "substep_ms": 20, "parameters": {"stops": False}},
            "body.substep_ms",
            "at most",
        ),
        (
            {"model": "husky_room", "parameters": {"start_position_m": [0, 0]}},
            "body.parameters.start_position_m",
            "a list of 3",
        ),
        ({"model": "husky_room", "parameters": {"variant": "base"}}, "body.parameters.variant", "the key"),
    ],
)
def test_what_does_not_fit_is_named_with_file_and_key(settings, key, words, make_plan):
    body = BulletBody()
    with pytest.raises(BadExperiment) as caught:
        body.prepare(make_plan(**settings))
    assert caught.value.detail == {"file": "experiment.toml", "key": key}
    assert caught.value.text.startswith(f"{key}: expected ")
    assert words in caught.value.text


@pytest.mark.parametrize("substep_ms", [0.1, 0.5, 1, 2.0])
def test_a_substep_that_divides_the_step_is_taken(substep_ms, make_plan):
    body = BulletBody()
    ports = body.prepare(make_plan(model="mouse_forelimb", substep_ms=substep_ms, step_ms=20))
    body.close()
    assert ports.facts["substep_ms"] == substep_ms
