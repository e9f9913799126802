"""reafference.config: where things are, from the environment."""

from pathlib import Path

import pytest

from reafference import logs
from reafference.config import LEVELS, Addresses, ServiceConfig, pick_doors
from reafference.errors import BadExperiment, NoKeys

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


def test_six_ports_in_a_row_are_the_wires_of_another_machine():
    found = Addresses.load({"REAF_WIRES": "tcp://10.0.0.1:5600"})
    assert [getattr(found, name.lower()) for name in NAMES] == [f"tcp://10.0.0.1:{5600 + n}" for n in range(6)]
    assert Addresses.at("tcp://[fe80::1]:7").tap == "tcp://[fe80::1]:10"


@pytest.mark.parametrize(
    "text",
    ["tcp://", "tcp://:5600", "tcp://x", "tcp://x:0", "tcp://x:65531", "tcp://x:70000", "tcp://x:y", "tcp://x:1/z"],
)
def test_an_address_of_wires_that_is_none_is_named(text):
    with pytest.raises(BadExperiment, match=r"REAF_WIRES is .*tcp://HOST:PORT"):
        Addresses.load({"REAF_WIRES": text})


def test_doors_and_keys_come_from_the_environment(tmp_path):
    config = ServiceConfig.load("engine", WIRES | {"REAF_DOORS": "tcp://127.0.0.1:5600", "REAF_KEYS": str(tmp_path)})
    assert config.doors == Addresses.at("tcp://127.0.0.1:5600")
    tmp_path.chmod(0o700)
    assert config.ring().name == "engine"
    assert config.ring("brain.1").name == "brain.1"
    tmp_path.chmod(0o750)
    with pytest.raises(NoKeys, match="open to others"):
        config.ring()
    assert ServiceConfig.load("engine", WIRES | {"REAF_DOORS": "", "REAF_KEYS": ""}).ring() is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tcp://0.0.0.0:5600", "every address"),
        ("tcp://[::]:5600", "every address"),
        ("tcp://127.0.0.1", "needs the port too"),
        ("tcp://no-such-host.invalid:5600", "is not known here"),
        ("ipc:///x", "must be tcp://HOST:PORT"),
    ],
)
def test_doors_that_nobody_could_find_are_refused(text, why):
    with pytest.raises(BadExperiment, match=why):
        ServiceConfig.load("engine", WIRES | {"REAF_DOORS": text})


def test_six_free_ports_are_picked():
    picked = pick_doors("tcp://localhost")
    host, port = picked.removeprefix("tcp://").split(":")
    assert host == "127.0.0.1"
    assert Addresses.at(picked).pulse_echo == f"tcp://127.0.0.1:{int(port) + 5}"
    assert pick_doors("tcp://127.0.0.1:5600") == "tcp://127.0.0.1:5600"
    with pytest.raises(BadExperiment, match="cannot be used on this machine"):
        pick_doors("tcp://192.0.2.1")
