"""simulation_config.json becomes an experiment, or is refused with the key that is wrong."""

import json

import pytest

from reafference.errors import BadExperiment
from services.engine import experiment

ENGINES = [
    {"EngineType": "python_json", "EngineName": "fast", "PythonFileName": "fast.py", "EngineTimestep": 0.01},
    {"EngineType": "python_grpc", "EngineName": "slow", "PythonFileName": "slow.py", "EngineTimestep": 0.03},
]
DOCUMENT = {
    "SimulationName": "Two of them!",
    "SimulationTimeout": 0.025,
    "EngineConfigs": ENGINES,
    "DataPackProcessingFunctions": [
        {"Name": "first", "FileName": "first.py"},
        {"Name": "off", "FileName": "off.py", "IsActive": False},
    ],
    "StatusFunction": {"Name": "status", "FileName": "status.py"},
}


@pytest.fixture
def loaded(tmp_path):
    for name in ("fast.py", "slow.py", "first.py", "off.py", "status.py"):
        (tmp_path / name).write_text(f"# {name}\n")

    def load(document=DOCUMENT, overrides=()):
        path = tmp_path / "simulation_config.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return experiment.load(path, overrides)

    return load


def test_engines_become_simulators_with_steps_of_their_own(loaded):
    found = loaded()
    assert list(found.participants) == ["fast", "slow"]
    assert (found.dt_ns, found.every("fast"), found.every("slow")) == (10_000_000, 1, 3)
    assert found.participants["slow"]["config"]["EngineTimestep"] == 0.03
    assert found.general.name == "Two-of-them-"
    assert found.general.steps == 3  # the step in which the time is over is still made
    assert found.general.on_error == "halt"
    assert set(found.files) == {"simulation_config.json", "fast.py", "slow.py", "first.py", "off.py", "status.py"}


def test_functions_are_files_of_the_dialect(loaded):
    table = loaded().document.transfer
    assert (table.dialect, table.files, table.inactive) == (
        "nrp_core",
        ("first.py", "off.py", "status.py"),
        ("off.py",),
    )


def test_a_value_can_be_put_over_the_file_and_over_what_becomes_of_it(loaded):
    overrides = [
        ("published.SimulationTimeout", 1),
        ("published.EngineConfigs.slow.EngineTimestep", 0.05),
        ("published.EngineConfigs.0.PythonFileName", "slow.py"),
        ("seed", 7),
    ]
    found = loaded(overrides=overrides)
    assert (found.general.steps, found.every("slow"), found.general.seed) == (100, 5, 7)
    assert found.participants["fast"]["script"] == "slow.py"


def test_no_timeout_is_no_limit(loaded):
    assert loaded({**DOCUMENT, "SimulationTimeout": 0}).general.steps > 2**39


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"EngineConfigs": []}, "EngineConfigs"),
        ({"EngineConfigs": [{**ENGINES[0], "EngineType": "gazebo_grpc"}]}, "EngineConfigs[0].EngineType"),
        ({"EngineConfigs": [ENGINES[0], {**ENGINES[1], "EngineName": "fast"}]}, "EngineConfigs[1].EngineName"),
        ({"EngineConfigs": [{**ENGINES[0], "EngineName": "brain"}]}, "simulators.brain"),
        ({"EngineConfigs": [ENGINES[0], {**ENGINES[1], "EngineTimestep": 0.015}]}, "slow.step_ms"),
        ({"EngineConfigs": [{**ENGINES[0], "EngineTimestep": -1}]}, "EngineConfigs[0].EngineTimestep"),
        ({"EngineConfigs": [{**ENGINES[0], "PythonFileName": "none.py"}]}, "simulators.fast.script"),
        ({"EngineConfigs": [{"EngineType": "python_json"}]}, "EngineConfigs[0].EngineName"),
        ({"SimulationLoop": "EventLoop"}, "SimulationLoop"),
        ({"DataPackProcessor": "cg"}, "DataPackProcessor"),
        ({"ComputationalGraph": ["a.py"]}, "ComputationalGraph"),
        ({"StatusFunction": {"Name": "status"}}, "StatusFunction.FileName"),
        ({"TransceiverFunctions": []}, "TransceiverFunctions"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(loaded, change, key):
    with pytest.raises(BadExperiment) as refused:
        loaded({**DOCUMENT, **change})
    assert refused.value.detail["key"] == key
    assert key in refused.value.text


def test_what_is_no_json_is_refused_with_its_line(loaded):
    with pytest.raises(BadExperiment, match="this is not JSON") as refused:
        loaded('{"SimulationName": "x",\n oops}')
    assert refused.value.detail["line"] == 2


def test_an_override_of_what_is_not_there_is_refused(loaded):
    with pytest.raises(BadExperiment, match="there is no 'third'"):
        loaded(overrides=[("published.EngineConfigs.third.EngineTimestep", 1)])
