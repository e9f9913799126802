"""A script of NRP-core as a simulator."""

import textwrap

import numpy as np
import pytest

from reafference import datapacks
from reafference.datapacks import Datapack, Message
from reafference.errors import BadExperiment, ScriptError, SimulatorFailed
from reafference.frames import Plan
from reafference.testing import LocalPeer
from services.engine.nrp_core import messages
from services.engine.nrp_core.simulator import ScriptSimulator

SCRIPT = """\
import numpy as np
from beside import GAIN
from nrp_core.engines.python_json import EngineScript


class Script(EngineScript):
    def initialize(self):
        self._registerDataPack("in")
        self._registerDataPack("out")
        self._setDataPack("out", {"config": self._config["Extra"], "name": self._name, "t": self._time_ns})

    def runLoop(self, timestep_ns):
        given = self._getDataPack("in")
        if given == "break":
            raise ValueError("no more")
        self._setDataPack("out", {"given": given, "t": self._time_ns, "dt": timestep_ns, "of": np.arange(2) * GAIN})

    def reset(self):
        self._setDataPack("out", {"reset": self._getDataPack("in"), "t": self._time_ns})

    def shutdown(self):
        open("shut", "w").close()
"""


@pytest.fixture
def peer(tmp_path, monkeypatch):
    """A simulator in a house of its own: what it changes of this process is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    (tmp_path / "beside.py").write_text("GAIN = 10\n")
    peers = []

    def begin(text=SCRIPT):
        settings = {"script": "own.py", "config": {"Extra": 5}}
        wanted = Plan(
            run="r",
            name="own",
            seed=1,
            dt_ns=20_000_000,
            folder=str(tmp_path),
            settings=settings,
            files={"own.py": textwrap.dedent(text)},
        )
        peers.append(LocalPeer(ScriptSimulator(), wanted))
        return peers[-1]

    yield begin
    for one in peers:
        one.close()


def out(outputs):
    return datapacks.decode(outputs["datapacks.out"], "json")


def given(iteration, value, name="in"):
    return {"given": datapacks.encode_given(iteration, [Datapack(name, value)])}


def rest(peer):
    port = next(port for port in peer.ports.outputs if port.name == "datapacks.out")
    return datapacks.decode(port.resting(), port.unit)


def test_what_a_script_registers_are_ports_that_begin_with_its_values(peer):
    own = peer()
    assert [port.name for port in own.ports.outputs] == ["datapacks.in", "datapacks.out"]
    assert [port.name for port in own.ports.inputs] == ["given"]
    assert rest(own) == {"config": 5, "name": "own", "t": 0}


def test_its_time_is_the_end_of_the_step_and_arrays_become_lists(peer):
    own = peer()
    assert out(own.step()) == {"given": None, "t": 20_000_000, "dt": 20_000_000, "of": [0, 10]}
    assert out(own.step())["t"] == 40_000_000


def test_what_is_held_is_given_once(peer):
    own = peer()
    assert out(own.step(given(0, {"a": 1})))["given"] == {"a": 1}
    own._simulator.edit("set_datapacks", {"packs": [Datapack("in", 2).to_map()]}, None)
    assert out(own.step())["given"] == 2  # the parcel of iteration 0 is still there, and not taken again
    assert out(own.step(given(2, 3)))["given"] == 3


def test_another_run_is_the_scripts_reset(peer):
    own = peer()
    own.step(given(0, "kept"))
    own.prepare()
    assert rest(own) == {"reset": "kept", "t": 0}
    assert out(own.step(given(0, "again")))["given"] == "again"


def test_errors_name_the_line_of_the_script(peer, tmp_path):
    own = peer()
    with pytest.raises(SimulatorFailed, match=r"own\.py, line 15: ValueError: no more \(step 0\)"):
        own.step(given(0, "break"))
    with pytest.raises(SimulatorFailed, match="'other' is not registered in the engine 'own'; it has in, out"):
        own.step(given(1, 1, "other"))
    with pytest.raises(ScriptError, match=r"own\.py, line 2: ZeroDivisionError"):
        peer("x = 0\n1 / x\n")
    with pytest.raises(ScriptError, match=r"own\.py, line 1: SyntaxError"):
        peer("class Script(:\n")
    with pytest.raises(ScriptError, match="it must define"):
        peer("class Script:\n    pass\n")
    with pytest.raises(ScriptError, match="the engine py_sim is not offered"):
        peer("from nrp_core.engines.py_sim import PySimEngineScript\n")


def test_an_edit_that_is_refused_changes_nothing(peer):
    own = peer()
    packs = [Datapack("in", 1).to_map(), Datapack("other", 2).to_map()]
    for what, arguments in (("set_datapacks", {"packs": packs}), ("set_datapacks", {}), ("lesion", {})):
        with pytest.raises(BadExperiment):
            own._simulator.edit(what, arguments, None)
    assert out(own.step())["given"] is None


def test_a_script_shuts_down_at_the_end(peer, tmp_path):
    peer().close()
    assert (tmp_path / "shut").exists()


GRPC = """\
from nrp_core.engines.python_grpc import GrpcEngineScript
from nrp_protobuf import dump_pb2


class Script(GrpcEngineScript):
    def initialize(self):
        self._registerDataPack("in", dump_pb2.String)
        self._registerDataPack("out", dump_pb2.String)

    def runLoop(self, timestep_ns):
        self._setDataPack("out", dump_pb2.String(string_stream=self._getDataPack("in").string_stream * 2))
"""


def test_messages_keep_their_type(peer):
    text = messages.classes()["Dump.String"]
    own = peer(GRPC)
    assert {port.unit for port in own.ports.outputs} == {"protobuf"}
    outputs = own.step(given(0, messages.packed(text(string_stream="ab"))))
    found = datapacks.decode(outputs["datapacks.out"], "protobuf")
    assert found == Message("Dump.String", text(string_stream="abab").SerializeToString())
    with pytest.raises(SimulatorFailed, match=r"takes messages Dump\.String, and JSON has come"):
        own.step(given(1, {}))


def test_a_datapack_without_a_form_in_json_is_refused_by_name():
    with pytest.raises(BadExperiment, match="the datapack 'x' cannot be written as JSON"):
        datapacks.encode({1, 2}, "x")
    assert datapacks.decode(datapacks.encode(np.float64(0.5), "x"), "json") == 0.5
