"""The command line of NRPCoreSim, its datapacks, and who may speak to it."""

import os
import socket

import pytest
from nrp_protobuf import dump_pb2
from nrp_protobuf import nrp_server_pb2 as messages

from reafference.errors import BadExperiment
from services.gateway.nrp_core import arguments, packs
from services.gateway.nrp_core.overrides import engine_arguments
from services.gateway.nrp_core.packs import Pack
from services.gateway.nrp_core.peers import is_ours


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "simulation_config.json").write_text("{}")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "experiment.toml").write_text("")
    return tmp_path


def test_the_command_line_of_the_published_client_is_understood(folder):
    client = ["-c", "simulation_config.json", "-m", "server", "--server_address", "localhost:50051"]
    more = ["--logoutput=all", "--logfilename=.console_output.log", "--slave", "-d", str(folder)]
    wish = arguments.read([*client, *more])
    assert (wish.mode, wish.address, wish.slave, wish.remote) == ("server", "localhost:50051", True, False)
    assert wish.log_file == folder / ".console_output.log"
    assert engine_arguments(wish)[0] == str(folder / "simulation_config.json")


def test_ours_is_taken_where_there_is_no_other(folder):
    assert arguments.read(["-d", str(folder / "ours")]).config == folder / "ours" / "experiment.toml"
    assert arguments.read(["-d", str(folder), "-c", "ours"]).config == folder / "ours" / "experiment.toml"


def test_overrides_are_meant_for_the_file_as_it_stands(folder):
    published = arguments.read(["-d", str(folder), "-o", "SimulationTimeout=5", "-p", "NRPNestJSONEngine.so"])
    assert "--set=published.SimulationTimeout=5" in engine_arguments(published)
    assert "--set=steps=5" in engine_arguments(arguments.read(["-d", str(folder / "ours"), "-o", "steps=5"]))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["-d", "/no/such"], "there is no such folder"),
        (["-m", "both"], "invalid choice"),
        (["--cloglevel", "loud"], "expected trace, debug, info"),
        (["-m", "server", "--server_address", "localhost:0"], "write it as HOST:PORT"),
        (["-m", "server", "--server_address", "no.such.host.invalid:50051"], "is no host"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder, given, reason):
    with pytest.raises(BadExperiment, match=reason):
        arguments.read(["-d", str(folder), *given])


def test_other_machines_are_served_only_where_that_is_asked_for(folder):
    line = ["-d", str(folder), "-m", "server", "--server_address"]
    with pytest.raises(BadExperiment, match="add --allow-remote"):
        arguments.read([*line, "192.0.2.1:50051"])
    # Published scripts name this one, and mean their own machine.
    assert arguments.read([*line, "0.0.0.0:50051"]).address == "localhost:50051"
    everywhere = arguments.read([*line, "0.0.0.0:50051", "--allow-remote"])
    assert (everywhere.address, everywhere.remote) == ("0.0.0.0:50051", True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_belongs_to_the_user_who_opened_it(host, monkeypatch):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, 0), family=family) as door,
        socket.create_connection(door.getsockname()[:2]) as ours,
    ):
        port = ours.getsockname()[1]
        peer = f"ipv6:%5B::1%5D:{port}" if ":" in host else f"ipv4:127.0.0.1:{port}"
        assert is_ours(peer)
        somebody_else = os.getuid() + 1
        monkeypatch.setattr("os.getuid", lambda: somebody_else)
        assert not is_ours(peer)
    monkeypatch.undo()


@pytest.mark.parametrize("peer", ["ipv4:192.0.2.7:40000", "unix:/tmp/x", "", "ipv4:127.0.0.1:1"])
def test_a_connection_that_is_in_no_table_is_not_ours(peer):
    assert not is_ours(peer)


def sent(name, engine, message):
    whole = messages.DataPacks()
    entry = (whole.jsonDataPacks if isinstance(message, messages.JsonMessage) else whole.protoDataPacks).add()
    entry.dataPackId.dataPackName, entry.dataPackId.engineName = name, engine
    entry.data.Pack(message)
    return whole


def test_datapacks_are_taken_and_given_in_the_clients_form():
    (plain,) = packs.given(sent("a", "e", messages.JsonMessage(data='{"x": 1}')))
    (proto,) = packs.given(sent("b", "e", dump_pb2.String(string_stream="hello")))
    assert (plain.name, plain.engine, plain.text) == ("a", "e", '{"x": 1}')
    assert (proto.kind, proto.data) == ("Dump.String", dump_pb2.String(string_stream="hello").SerializeToString())
    assert packs.packs_of([plain.as_map(), proto.as_map()]) == (
        Pack(name="a", text='{"x": 1}'),
        Pack(name="b", kind="Dump.String", data=proto.data),
    )
    made = packs.trajectory([plain, proto, plain])
    assert [one.dataIndex for one in made.jsonTrajectoryMessages] == [0, 2]
    assert [one.dataIndex for one in made.protoTrajectoryMessages] == [1]
    unpacked = dump_pb2.String()
    assert made.protoTrajectoryMessages[0].data.Unpack(unpacked)
    assert unpacked.string_stream == "hello"


def test_text_that_is_no_json_is_refused():
    with pytest.raises(ValueError, match="Expecting"):
        packs.given(sent("a", "e", messages.JsonMessage(data="{")))


def test_for_an_experiment_of_ours_a_datapack_is_ports_and_values():
    assert Pack(name="drive", engine="brain", text='{"rate": 5, "value": [1]}').as_inputs() == {
        "brain.drive.rate": 5,
        "brain.drive": [1],
    }
    for wrong in (Pack(name="drive", engine="brain", text="5"), Pack(name="d", engine="e", kind="Dump.String")):
        with pytest.raises(ValueError, match="an object of JSON"):
            wrong.as_inputs()
