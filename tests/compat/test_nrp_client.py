"""Every call of the published NRP-core client, unmodified, against real simulations."""

import json
import os
import signal
import time

import pytest

from tests.compat import nrp_core as nrp


@pytest.fixture
def two(tmp_path):
    return nrp.written(tmp_path / "two", nrp.TWO)


@pytest.fixture
def limb(tmp_path):
    return nrp.written(tmp_path / "limb", nrp.LIMB)


def test_every_call_works_on_an_experiment_of_ours(limb):
    found = nrp.run(
        """
        core = client()
        tell(first=core.current_state(), initialized=core.initialize(), then=core.current_state())
        tell(early=failure(core.initialize))
        core.set_json_datapack("excitation", "body", {"Foot2": 0.75})
        tell(five=core.run_loop(5), stopped=core.current_state())
        core.set_json_datapack("excitation", "body", {"Toe": 1.0})
        tell(wrong=failure(core.run_loop, 1), kept=core.current_state())
        tell(rest=core.run_until_timeout(), beyond=core.run_loop(2))
        answers = []
        running = core.run_loop(int(1e7), True, answers)
        time.sleep(0.3)
        tell(running=running.is_alive(), busy=failure(core.run_loop, 1))
        core.stop()
        running.join(60)
        tell(ended=not running.is_alive(), asynchronous=core.unpack_thread_results(answers[0]))
        core.stop()
        tell(again=core.reset(), reset=core.current_state())
        answers = []
        core.run_until_timeout(True, answers).join(60)
        tell(until=[answers[0].doneFlag, answers[0].timeoutFlag], last=core.current_state())
        core.shutdown()
        tell(end=core.current_state())
        """,
        limb,
    )
    assert (found["first"], found["initialized"], found["then"]) == ("Created", [], "Initialized")
    assert "ConnectionError" in found["early"]
    assert "must be Created" in found["early"]
    assert (found["five"], found["stopped"]) == ([False, []], "Stopped")
    assert "body.excitation.Toe" in found["wrong"]
    assert found["kept"] == "Stopped"
    assert (found["rest"], found["beyond"]) == ([False, True, []], [False, []])
    assert found["running"]
    assert "run_loop is still going on" in found["busy"]
    assert (found["ended"], found["asynchronous"]) == (True, [False, []])
    assert (found["again"], found["reset"]) == ([], "Initialized")
    assert (found["until"], found["last"], found["end"]) == ([False, True], "Stopped", "Created")
    assert nrp.none_left(limb)
    first, second = (json.loads((folder / "summary.json").read_text()) for folder in sorted((limb / "runs").iterdir()))
    assert first["measures"]["strongest"] > 0.3
    assert second["measures"]["strongest"] < 0.1
    assert first["steps"] > 22
    assert second["steps"] == 20


def test_datapacks_go_round_between_client_engines_and_functions(two):
    found = nrp.run(
        """
        core = client()
        core.set_json_datapack("orders", "counter", {"by": 100})
        tell(first=core.initialize())
        tell(one=core.run_loop(1), two=core.run_loop(1), more=core.run_loop(3))
        core.set_json_datapack("orders", "counter", {"first": 7})
        core.set_json_datapack("nobody", "nowhere", {})
        tell(reset=core.reset(), again=core.run_loop(2), buffers=len(core._json_datapack_out_buffer))
        core.set_json_datapack("heard", "listener", {"count": -5})
        tell(middle=core.run_loop(1))
        core.set_json_datapack("undeclared", "counter", {})
        tell(wrong=failure(core.run_loop, 1), state=core.current_state(), goes_on=core.run_loop(1)[0])
        core.shutdown()
        """,
        two,
    )

    def seen(answer):
        assert answer[0] is True
        return [(one["count"], one["heard"], one["at"]) for one in answer[1]]

    assert found["first"] == [{"count": 0, "time": 0, "name": "counter"}, []]
    # What is seen in an iteration is what there was before its step.
    assert seen(found["one"]) == [(0, [], [0, 0])]
    assert seen(found["two"]) == [(100, [], [1, 10_000_000])]
    assert seen(found["more"]) == [
        (200, [0], [2, 20_000_000]),
        (300, [0], [3, 30_000_000]),
        (400, [0, 200], [4, 40_000_000]),
    ]
    assert [one["new"] for one in found["more"][1]] == [[True, True], [True, False], [True, True]]
    assert found["reset"] == [{"count": 7, "time": 0, "name": "counter"}, []]
    assert seen(found["again"]) == [(7, [], [0, 0]), (8, [], [1, 10_000_000])]
    assert found["buffers"] == 0
    # A function gives the listener the same datapack, and that one counts.
    assert seen(found["middle"]) == [(9, [7], [2, 20_000_000])]
    assert "'undeclared'" in found["wrong"]
    assert (found["state"], found["goes_on"]) == ("Stopped", True)
    assert "nowhere" in nrp.log_of(two)
    assert "passing on 200\n" in nrp.log_of(two)
    assert nrp.none_left(two)
    logs = sorted((two / "runs").iterdir())[-1] / "logs"
    assert "the counter begins" in (logs / "counter.log").read_text()


DONE = """\
from nrp_core import *
from nrp_core.data.nrp_json import JsonRawData
from nrp_core.data.nrp_protobuf import DumpStringRawData, EngineTestTestPayloadRawData


@SimulationIteration(keyword="i")
@StatusFunction()
def status(i):
    plain, text, payload = JsonRawData(), DumpStringRawData(), EngineTestTestPayloadRawData()
    plain.data["i"] = i
    text.data.string_stream = f"iteration {i}"
    payload.data.integer = i
    return i % 4 == 3, [plain, text, payload]
"""


def test_the_trajectory_is_handed_out_when_the_status_function_is_done(tmp_path):
    engines = [nrp.engine("counter", "counter.py", 0.25)]
    files = {"counter.py": nrp.COUNTER, "done.py": DONE}
    files["simulation_config.json"] = nrp.config(engines, status="done.py", timeout_s=2.5)
    folder = nrp.written(tmp_path / "done", files)
    found = nrp.run(
        """
        def plain(trajectory):
            names = {"Dump.String": "string_stream", "EngineTest.TestPayload": "integer"}
            return [
                one["i"] if isinstance(one, dict) else getattr(one, names[one.DESCRIPTOR.full_name])
                for one in trajectory
            ]

        core = client()
        tell(first=core.initialize(), nothing=core.run_loop(2), still=core.run_loop(1))
        done, trajectory = core.run_loop(1)
        tell(done=done, whole=plain(trajectory), after=core.run_loop(1))
        for name in ("until", "late", "over"):
            done, timeout, trajectory = core.run_until_timeout()
            tell(**{name: [done, timeout, plain(trajectory)]})
        core.shutdown()
        """,
        folder,
    )
    both = {i: [i, f"iteration {i}", i] for i in range(12)}
    assert (found["first"], found["nothing"], found["still"]) == ([], [False, []], [False, []])
    assert (found["done"], found["whole"]) == (True, [*both[0], *both[1], *both[2], *both[3]])
    assert found["after"] == [False, []]
    assert found["until"] == [True, False, [*both[4], *both[5], *both[6], *both[7]]]
    assert found["late"] == [False, True, [*both[8], *both[9]]]
    assert found["over"] == [False, True, []]


GRPC = """\
from nrp_core.engines.python_grpc import GrpcEngineScript
from nrp_protobuf import nrpgenericproto_pb2, wrappers_pb2


class Script(GrpcEngineScript):
    def initialize(self):
        self._registerDataPack("gain", wrappers_pb2.FloatValue)
        self._registerDataPack("signal", nrpgenericproto_pb2.ArrayFloat)

    def runLoop(self, timestep_ns):
        signal = nrpgenericproto_pb2.ArrayFloat()
        signal.array.extend([self._getDataPack("gain").value, self._time_ns / 1e9])
        self._setDataPack("signal", signal)
"""
TWICE = """\
from nrp_core import *
from nrp_core.data.nrp_protobuf import NrpGenericProtoArrayFloatDataPack


@EngineDataPack(keyword="signal", id=DataPackIdentifier("signal", "source"))
@PreprocessingFunction("source")
def twice(signal):
    doubled = NrpGenericProtoArrayFloatDataPack("doubled", "source")
    doubled.data.array.extend([2 * value for value in signal.data.array])
    return [doubled]
"""
BOTH = """\
from nrp_core import *


@EngineDataPacks(keyword="own", datapackNames=["signal", "gain"], engineName="source")
@PreprocessedDataPack(keyword="doubled", id=DataPackIdentifier("doubled", "source"))
@StatusFunction()
def status(own, doubled):
    return True, [own["signal"], own["gain"], doubled]
"""


def test_messages_of_protobuf_go_the_same_ways(tmp_path):
    engines = [nrp.engine("source", "source.py", 0.5, "python_grpc")]
    files = {"source.py": GRPC, "twice.py": TWICE, "both.py": BOTH}
    files["simulation_config.json"] = nrp.config(engines, ["twice.py"], "both.py")
    folder = nrp.written(tmp_path / "messages", files)
    found = nrp.run(
        """
        def plain(one):
            return list(one.array) if hasattr(one, "array") else one.value

        core = client()
        tell(first=[plain(one) for one in core.initialize()])
        core.set_proto_datapack("gain", "source", wrappers_pb2.FloatValue(value=1.5))
        core.run_loop(1)
        tell(seen=[plain(one) for one in core.run_loop(1)[1]])
        core.set_proto_datapack("gain", "source", dump_pb2.String(string_stream="no"))
        tell(wrong=failure(core.run_loop, 1), state=core.current_state())
        core.shutdown()
        """,
        folder,
    )
    assert found["first"] == [0.0, []]
    assert found["seen"] == [[1.5, 0.5], 1.5, [3.0, 1.0]]
    assert "Wrappers.FloatValue" in found["wrong"]
    assert found["state"] == "Failed"


BRAIN = """\
import nest
from nrp_core.engines.nest_json import CreateDataPack, RegisterDataPack
from nrp_core.engines.nest_json import brain_devices as devices

nest.set_verbosity("M_WARNING")
nest.ResetKernel()
current = CreateDataPack("current", "dc_generator")
neurons = nest.Create("iaf_psc_alpha", 2)
RegisterDataPack("neurons", neurons)
devices.SpikeRecorder(nest, "spikes", neurons)
nest.Connect(current, neurons)
"""
DRIVE = """\
from nrp_core import *
from nrp_core.data.nrp_json import *


@SimulationIteration(keyword="i")
@EngineDataPack(keyword="neurons", id=DataPackIdentifier("neurons", "nest"))
@TransceiverFunction("nest")
def drive(neurons, i):
    current = JsonDataPack("current", "nest")
    current.data["amplitude"] = 500.0 if i in (1, 2) else 0.0
    return [current]
"""
WATCH = """\
from nrp_core import *
from nrp_core.data.nrp_json import JsonRawData


@EngineDataPack(keyword="spikes", id=DataPackIdentifier("spikes", "nest"))
@EngineDataPack(keyword="neurons", id=DataPackIdentifier("neurons", "nest"))
@StatusFunction()
def status(spikes, neurons):
    seen = JsonRawData()
    seen.data["n"] = spikes.data[0]["n_events"]
    seen.data["v"] = [one["V_m"] for one in neurons.data]
    return True, [seen]
"""


def test_a_brain_script_of_nest_is_read_and_set_by_its_datapacks(tmp_path):
    engines = [nrp.engine("nest", "brain.py", 0.02, "nest_json")]
    files = {"brain.py": BRAIN, "drive.py": DRIVE, "watch.py": WATCH}
    files["simulation_config.json"] = nrp.config(engines, ["drive.py"], "watch.py")
    folder = nrp.written(tmp_path / "nest", files)
    found = nrp.run(
        """
        core = client()
        tell(first=[len(one) for one in core.initialize()], run=core.run_loop(5)[1])
        core.reset()
        core.set_json_datapack("neurons", "nest", {"I_e": 600.0})
        tell(again=core.run_loop(5)[1])
        core.shutdown()
        """,
        folder,
    )
    assert found["first"] == [2, 1]
    counts = [one["n"] for one in found["run"]]
    # The current flows in the second and third step; what it does is seen one iteration later.
    assert counts[:2] == [0, 0]
    assert counts[2] > 0
    assert counts[3] > counts[2]
    assert counts[4] == counts[3]
    assert found["run"][0]["v"] == found["run"][1]["v"]
    assert found["again"][1]["n"] > 0


BREAKING = """\
from nrp_core.engines.python_json import EngineScript


class Script(EngineScript):
    def initialize(self):
        self._registerDataPack("count")
        self._setDataPack("count", {"count": 0})

    def runLoop(self, timestep_ns):
        if self._time_ns > 20_000_000:
            raise RuntimeError("the spring is broken")
        self._setDataPack("count", {"count": 1})
"""
FAULTY = """\
from nrp_core import *


@EngineDataPack(keyword="count", id=DataPackIdentifier("count", "counter"))
@TransceiverFunction("counter")
def faulty(count):
    return count.data["nothing"]
"""


def broken(tmp_path, name, **files):
    return nrp.written(tmp_path / name, {**nrp.TWO, **files})


STUBBORN = """\
import os
import time

from nrp_core.engines.python_json import EngineScript


class Script(EngineScript):
    def initialize(self):
        self._registerDataPack("order")

    def runLoop(self, timestep_ns):
        order = self._getDataPack("order")
        if order == "end":
            os._exit(3)
        if order == "sleep":
            time.sleep(1000)

    def reset(self):
        raise RuntimeError("once is enough")
"""


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("core.reset()", "stubborn.py, line 19: RuntimeError: once is enough"),
        ('order("end")', "its process ended with status 3"),
        ('order("sleep")', "the stubborn did not reach step 0 within 2 s"),
    ],
)
def test_an_engine_that_ends_hangs_or_cannot_be_reset_is_told(tmp_path, call, reason):
    timeout_s = 2 if "sleep" in call else 60
    engines = [{**nrp.engine("stubborn", "stubborn.py", 0.01), "EngineCommandTimeout": timeout_s}]
    files = {"stubborn.py": STUBBORN, "simulation_config.json": nrp.config(engines)}
    folder = nrp.written(tmp_path / "stubborn", files)
    found = nrp.run(
        f"""
        def order(text):
            core.set_json_datapack("order", "stubborn", text)
            core.run_loop(3)

        core = client()
        core.initialize()
        tell(why=failure(lambda: {call}), state=core.current_state())
        core.shutdown()
        """,
        folder,
    )
    assert reason in found["why"]
    assert found["state"] == "Failed"
    assert nrp.none_left(folder)


def test_what_fails_raises_with_the_reason_and_then_only_the_shutdown_is_left(tmp_path):
    folder = broken(tmp_path, "breaks", **{"counter.py": BREAKING})
    found = nrp.run(
        """
        core = client()
        core.initialize()
        tell(run=failure(core.run_loop, 10), state=core.current_state())
        tell(calls=[failure(core.run_loop, 1), failure(core.reset), failure(core.initialize), failure(core.stop)])
        core.shutdown()
        tell(end=core.current_state(), closed=failure(core.run_loop, 1))
        """,
        folder,
    )
    assert "counter.py, line 11" in found["run"]
    assert "the spring is broken" in found["run"]
    assert found["state"] == "Failed"
    assert all("in the state Failed" in call for call in found["calls"])
    assert found["end"] == "Created"
    assert "ConnectionError" in found["closed"]
    assert nrp.none_left(folder)


ENGINE = nrp.TWO["simulation_config.json"]["EngineConfigs"][0]
CANNOT_BEGIN = {
    "no JSON": ({"simulation_config.json": "{"}, "this is not JSON"),
    "no engine of this kind": (
        {"simulation_config.json": nrp.config([{**ENGINE, "EngineType": "gazebo_grpc"}])},
        "EngineConfigs[0].EngineType: expected one of python_json",
    ),
    "no such datapack": (
        {"pass_on.py": nrp.PASS_ON.replace('"count", "counter"', '"sum", "counter"')},
        "has not registered the datapack 'sum'; it has orders, count",
    ),
    "a script that is no Python": ({"counter.py": "class Script(:\n"}, "counter.py, line 1"),
    "a function that fails": ({"pass_on.py": FAULTY}, "pass_on.py, line 7"),
}


def test_what_cannot_begin_is_told_by_initialize(tmp_path):
    folders = {case: broken(tmp_path, case.replace(" ", "_"), **files) for case, (files, _) in CANNOT_BEGIN.items()}
    script = "core = client()\ntell(why=failure(core.initialize))\ncore.shutdown()\n"
    # A few side by side, for each takes a while to begin.
    cases = list(folders)
    for some in (cases[at : at + 3] for at in range(0, len(cases), 3)):
        begun = {case: nrp.begun(script, folders[case], nrp.free_address()) for case in some}
        for case, process in begun.items():
            why = nrp.ended(process).found["why"]
            assert CANNOT_BEGIN[case][1] in why, case
            assert "Request failed with error" in why, case
            assert nrp.none_left(folders[case])


def test_requests_before_the_time_are_refused_and_a_deleted_client_leaves_nothing(two):
    found = nrp.run(
        """
        core = client(log_output="")
        tell(run=failure(core.run_loop, 5), reset=failure(core.reset), stop=failure(core.stop))
        tell(shutdown=failure(core.shutdown), state=core.current_state())
        os.waitpid(core._launcher.child_pid, 0)
        # Its deletion shuts down whatever listens at its address by then.
        del core
        gc.collect()
        core = client(args="-o SimulationTimeout=0.03 --cloglevel=error")
        core.initialize()
        tell(until=core.run_until_timeout()[2][-1]["at"])
        del core
        gc.collect()
        """,
        two,
    )
    for call in ("run", "reset", "stop", "shutdown"):
        assert "ConnectionError: Can't process request" in found[call]
    assert found["state"] == "Created"
    # Done at once, by the status function.
    assert found["until"] == [0, 0]
    assert nrp.none_left(two)


def test_a_server_ends_with_its_client_and_when_it_is_told_to(two):
    address = nrp.free_address()
    client = nrp.begun(
        """
        core = client()
        core.initialize()
        print("running", flush=True)
        core.run_loop(0)
        """,
        two,
        address,
    )
    try:
        assert client.stdout.readline() == "running\n"
        taken = nrp.program(two, "-m", "server", "--server_address", address)
        assert taken.returncode == 2
        assert "another program listens there" in taken.stderr
        assert len(nrp.processes_of(two)) == 6  # the server, the launcher, the engine, the recorder, two scripts
    finally:
        client.kill()
        client.wait()
    assert nrp.none_left(two)


def test_the_program_alone_runs_to_the_end_and_can_be_ended(two, limb):
    nrp.written(two, {"no_status.json": nrp.config(nrp.ENGINES, ["pass_on.py"], timeout_s=0.2)})
    ended = nrp.program(limb)
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(next((limb / "runs").glob("*/summary.json")).read_text())
    assert summary["steps"] == 20
    digests = set()
    for _ in range(2):
        ended = nrp.program(two, "-c", "no_status.json")
        assert ended.returncode == 0, ended.stderr
        digests.add(json.loads(max((two / "runs").glob("*/summary.json")).read_text())["digest"])
    assert len(digests) == 1
    assert digests != {""}
    broken = nrp.program(two, "-o", "EngineConfigs.counter.EngineTimestep=0.015")
    assert broken.returncode == 1
    assert "listener.step_ms" in broken.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--server_address", "garbage_address"], "write it as HOST:PORT"),
        (["--server_address", "192.0.2.1:50051"], "this protocol has no token"),
        (["-c", "wrong_file"], "there is no such file"),
        (["--nonsense"], "--nonsense"),
        (["-o", "SimulationTimeout"], "write it as Key=Value"),
    ],
)
def test_a_command_line_that_cannot_be_is_refused_in_a_sentence(two, arguments, reason):
    ended = nrp.program(two, "-m", "server", *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("NRPCoreSim: ")
    assert reason in ended.stderr


def test_a_signal_ends_a_run_and_all_that_belongs_to_it(two):
    address = nrp.free_address()
    client = nrp.begun(
        """
        core = client()
        core.initialize()
        print(core._launcher.child_pid, flush=True)
        tell(run=failure(core.run_loop, 0))
        """,
        two,
        address,
    )
    server = int(client.stdout.readline())
    time.sleep(0.5)
    os.kill(server, signal.SIGTERM)
    printed, logged = client.communicate(timeout=nrp.PATIENCE_S)
    assert "Error" in json.loads(printed.removeprefix("FOUND "))["run"], logged
    assert nrp.none_left(two)
