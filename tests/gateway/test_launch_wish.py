"""What somebody asks for at a launch becomes the launcher's command line."""

import tomllib
from pathlib import Path

import pytest

from services.gateway.launch_wish import LaunchWish, arguments
from services.gateway.problems import Problem

RECORDING = Path("/recordings/one")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "experiment.toml").write_text("[experiment]\nstep_ms = 10.0\n")
    return tmp_path


def given(folder, **wish):
    made = arguments(LaunchWish(experiment="x", **wish), folder, RECORDING)
    assert made[:3] == [str(folder), "--out", str(RECORDING)]
    return made[3:]


def test_a_simulation_waits_for_its_start_unless_told_otherwise(folder):
    assert given(folder) == ["--hold"]
    assert given(folder, start=True) == []


def test_every_wish_is_passed_on(folder):
    assert given(folder, ranks=2, threads=3, seed=4, steps=5, record=False, pace=1, start=True) == [
        "--ranks=2",
        "--threads=3",
        "--seed=4",
        "--steps=5",
        "--set=record.enabled=false",
        "--set=experiment.pace=1.0",
    ]


def test_a_limit_in_simulated_time_is_a_number_of_steps(folder):
    assert given(folder, limit={"s": 0.3}, start=True) == ["--set=experiment.steps=30"]
    wider = {"limit": {"s": 0.3}, "set": {"experiment.step_ms": 20.0}, "start": True}
    assert given(folder, **wider) == ["--set=experiment.step_ms=20.0", "--set=experiment.steps=15"]
    with pytest.raises(Problem, match="no multiple"):
        given(folder, limit={"s": 0.3051})


def test_a_limit_in_real_time_ends_no_run_by_its_steps(folder):
    assert given(folder, limit={"kind": "real", "s": 5}, start=True) == [
        "--set=experiment.real_limit_s=5.0",
        f"--set=experiment.steps={2**31 - 1}",
    ]


@pytest.mark.parametrize(
    "value", [1, -2.5, True, "text", 'a "b" \\ µ\n', [1, "x", [True]], {"a b": 1, "c": {"d": [2.0]}}, float("inf")]
)
def test_a_value_survives_the_command_line(folder, value):
    (word,) = given(folder, set={"some.key": value}, start=True)
    key, _, text = word.removeprefix("--set=").partition("=")
    assert (key, tomllib.loads(f"value = {text}")["value"]) == ("some.key", value)


@pytest.mark.parametrize("key", ["", "a=b", "a\nb", "x" * 300])
def test_a_strange_key_is_refused(folder, key):
    with pytest.raises(Problem) as caught:
        given(folder, set={key: 1})
    assert caught.value.status == 422


@pytest.mark.parametrize("value", [None, "a\x00b"])
def test_a_value_without_a_form_in_toml_is_refused(folder, value):
    with pytest.raises(Problem):
        given(folder, set={"a": value})
