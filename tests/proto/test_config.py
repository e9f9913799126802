"""reafference.config: where things are, from the environment."""

from pathlib import Path

import pytest

from reafference import logs
from reafference.config import LEVELS, Addresses, ServiceConfig
from reafference.errors import BadExperiment

WIRES = {"REAF_WIRES": "/run/reaf"}
NAMES = ("STEP", "BUS_IN", "BUS_OUT", "TAP", "PULSE_BEAT", "PULSE_ECHO")


def test_one_folder_holds_all_wires():
    found = Addresses.load(WIRES)
    assert found == Addresses.in_folder(Path("/run/reaf"))
    assert (found.step, found.bus_in) == ("ipc:///run/reaf/step", "ipc:///run/reaf/bus-in")


def test_a_variable_of_its_own_moves_one_wire():
    found = Addresses.load(WIRES | {"REAF_TAP": "tcp://127.0.0.1:5555"})
    assert found.tap == "tcp://127.0.0.1:5555"
    assert found.step == "ipc:///run/reaf/step"


@pytest.mark.parametrize("left_out", NAMES)
def test_a_wire_that_is_nowhere_is_named_with_its_variable(left_out):
    environ = {f"REAF_{name}": f"ipc:///x/{name}" for name in NAMES if name != left_out}
    with pytest.raises(BadExperiment, match=f"set REAF_{left_out}, or REAF_WIRES"):
        Addresses.load(environ)
    assert Addresses.load(environ | {f"REAF_{left_out}": "ipc:///y"})


def test_everything_else_has_a_default():
    config = ServiceConfig.load("brain", WIRES)
    assert config == ServiceConfig(name="brain", addresses=Addresses.load(WIRES))
    assert (config.patience_s, config.join_s, config.parent_pid, config.insecure) == (10.0, 60.0, 0, False)


def test_everything_can_be_set():
    config = ServiceConfig.load(
        "brain",
        WIRES
        | {
            "REAF_NAME": "brain-2",
            "REAF_PATIENCE_S": "2.5",
            "REAF_JOIN_S": "1e3",
            "REAF_PARENT_PID": "4321",
            "REAF_INSECURE": "yes",
            "REAF_LOG_LEVEL": "debug",
        },
    )
    assert (config.name, config.patience_s, config.join_s) == ("brain-2", 2.5, 1000.0)
    assert (config.parent_pid, config.insecure, config.log_level) == (4321, True, "debug")


@pytest.mark.parametrize("variable", ["REAF_PATIENCE_S", "REAF_JOIN_S", "REAF_PARENT_PID"])
@pytest.mark.parametrize("text", ["soon", "1,5", "nan", "inf"])
def test_a_number_that_is_none_is_named_with_its_variable(variable, text):
    with pytest.raises(BadExperiment, match=f"{variable} is '{text}', but must be a number"):
        ServiceConfig.load("brain", WIRES | {variable: text})


@pytest.mark.parametrize("name", ["", "a b", "hirn/1", "größe"])
def test_a_name_that_cannot_stand_on_the_wire_is_refused(name):
    with pytest.raises(BadExperiment, match="REAF_NAME is"):
        ServiceConfig.load("brain", WIRES | {"REAF_NAME": name})


def test_an_unknown_log_level_is_refused_with_those_there_are():
    with pytest.raises(BadExperiment, match="REAF_LOG_LEVEL is 'loud', but must be debug or info or warning or error"):
        ServiceConfig.load("brain", WIRES | {"REAF_LOG_LEVEL": "loud"})


@pytest.mark.parametrize("level", LEVELS)
def test_the_logs_know_every_level(level):
    logs.configure("brain", level)


@pytest.mark.parametrize("text", ["", "0", "no", "false"])
def test_leaving_the_machine_must_be_said_clearly(text):
    assert not ServiceConfig.load("brain", WIRES | {"REAF_INSECURE": text}).insecure
