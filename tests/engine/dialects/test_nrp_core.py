"""Functions of NRP-core, called as the engine calls them."""

import json
import textwrap
from types import SimpleNamespace

import pytest

from reafference import datapacks
from reafference.errors import BadExperiment, PortMismatch, ScriptError
from reafference.frames import Ports
from services.engine import experiment
from services.engine.dialects import Observing, load
from services.engine.nrp_core.packs import JsonData
from services.engine.transfer import Transfer

HEAD = """\
from nrp_core import *
from nrp_core.data.nrp_json import *

"""
COPY = """\
@EngineDataPack(keyword="one", id=DataPackIdentifier("one", "fast"))
@TransceiverFunction("slow")
def copy(one):
    print(f"copying {one.data}")
    two = JsonDataPack("two", "slow")
    two.data["n"] = one.data["n"]
    return [two]
"""
PORTS = {
    "fast": Ports(inputs=(datapacks.given_port(),), outputs=(datapacks.output("one", {"n": 0}),)),
    "slow": Ports(inputs=(datapacks.given_port(),), outputs=(datapacks.output("two", None),)),
}


@pytest.fixture
def house(tmp_path):
    """Makes the functions in these files."""
    for name in ("fast.py", "slow.py"):
        (tmp_path / name).write_text("")

    def make(ports=PORTS, inactive=(), **files):
        engines = [
            {"EngineType": "python_json", "EngineName": name, "PythonFileName": f"{name}.py", "EngineTimestep": step_s}
            for name, step_s in (("fast", 0.01), ("slow", 0.02))
        ]
        functions = [{"Name": name, "FileName": f"{name}.py", "IsActive": name not in inactive} for name in files]
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(HEAD + textwrap.dedent(text))
        path = tmp_path / "simulation_config.json"
        path.write_text(json.dumps({"EngineConfigs": engines, "DataPackProcessingFunctions": functions}))
        written = load(experiment.load(path))
        transfer = Transfer(written, ports, {})
        made.append(transfer)
        return SimpleNamespace(written=written, transfer=transfer)

    made = []
    yield make
    for transfer in made:
        transfer.close()


def sent(house, engine="slow"):
    iteration, packs = datapacks.decode_given(house.transfer.inputs[engine]["given"])
    return iteration, {
        pack.name: pack.value.to_plain() if isinstance(pack.value, JsonData) else pack.value for pack in packs
    }


def evaluate(house, step, n=None):
    if n is not None:
        house.transfer.take("fast", "datapacks.one", datapacks.encode({"n": n}, "one"))
    return house.transfer.evaluate(step * 10_000_000, step)


def test_a_function_runs_with_the_steps_of_its_engine(house):
    made = house(copy=COPY)
    assert made.transfer.want("fast") == ("datapacks.one",)
    assert evaluate(made, 0) == []
    assert sent(made) == (0, {"two": {"n": 0}})
    evaluate(made, 1, 1)
    assert sent(made) == (0, {"two": {"n": 0}})  # the slow engine is in the middle of its step
    evaluate(made, 2, 2)
    assert sent(made) == (2, {"two": {"n": 2}})
    assert made.transfer.said(all_of_it=True)[0].text == "copying {'n': 0}"


def test_what_somebody_outside_gives_waits_for_the_engine_and_yields_to_functions(house):
    made = house(copy=COPY)
    evaluate(made, 0)
    made.transfer.give({"slow": [datapacks.Datapack("two", "from outside").to_map()]}, 0)
    assert sent(made) == (0, {"two": {"n": 0}})
    made.transfer.switch("copy", False)
    evaluate(made, 1)
    made.transfer.give({"slow": [datapacks.Datapack("two", "later").to_map()]}, 1)
    assert sent(made) == (1, {"two": "later"})
    with pytest.raises(BadExperiment, match="'slow' has not registered the datapack 'three'; it has two"):
        made.transfer.give({"slow": [datapacks.Datapack("three", 1).to_map()]}, 1)
    with pytest.raises(BadExperiment, match="there are fast, slow"):
        made.transfer.give({"slow": [], "fats": [datapacks.Datapack("one", 1).to_map()]}, 1)


PREPARE = """\
@EngineDataPack(keyword="one", id=DataPackIdentifier("one", "fast"))
@PreprocessingFunction("fast")
def prepare(one):
    prepared = JsonDataPack("prepared", "fast")
    prepared.data.append(one.data["n"] + 1)
    return [prepared]
"""
USE = """\
@PreprocessedDataPack(keyword="prepared", id=DataPackIdentifier("prepared", "fast"))
@TransceiverFunction("slow")
def use(prepared):
    assert prepared.isUpdated() and not prepared.isEmpty()
    two = JsonDataPack("two", "slow")
    two.data = prepared.data
    return [two]
"""
STATUS = """\
@PreprocessedDataPack(keyword="sent", id=DataPackIdentifier("two", "slow"))
@EngineDataPack(keyword="two", id=DataPackIdentifier("two", "slow"))
@SimulationTime(keyword="t")
@SimulationIteration(keyword="i")
@StatusFunction()
def status(sent, two, t, i):
    seen = JsonRawData()
    seen.data["sent"] = sent.data
    seen.data["two"] = [two.isEmpty(), two.isUpdated()]
    seen.data["at"] = [t, i, getSimulationTime(), getSimulationIteration()]
    return i == 1, [seen]
"""


def test_functions_run_in_the_order_of_their_kinds(house):
    made = house(status=STATUS, use=USE, prepare=PREPARE)
    assert [function.name for function in made.transfer.functions] == ["prepare", "use", "status"]
    assert evaluate(made, 0) == []
    assert sent(made) == (0, {"two": [1]})
    assert isinstance(made.written, Observing)
    (seen,) = made.written.observed(0, 1)
    assert json.loads(seen["packs"][0]["json"]) == {"sent": [1], "two": [True, True], "at": [0, 0, 0, 0]}
    assert not made.written.done
    made.transfer.pause_when_done = True
    evaluate(made, 1)
    assert made.transfer.shall_pause
    assert [one["iteration"] for one in made.written.observed(1, 5)] == [1]
    assert json.loads(made.written.observed(1, 2)[0]["packs"][0]["json"])["two"] == [True, False]
    assert [pack["json"] for pack in made.written.first()] == ['{"n": 0}', "null"]


def test_a_live_edit_keeps_the_name_of_the_file(house):
    made = house(copy=COPY)
    assert made.transfer.replace("copy", HEAD + COPY.replace('one.data["n"]', "7")) == []
    evaluate(made, 0)
    assert sent(made) == (0, {"two": {"n": 7}})
    (flawed,) = made.transfer.replace("copy", HEAD + "def f(:\n")
    assert (flawed.function, flawed.type, flawed.line) == ("copy", "compile", 4)
    assert made.transfer.described()[0]["name"] == "copy"


def test_an_inactive_function_is_kept_and_not_called(house):
    made = house(copy=COPY, inactive=("copy",))
    evaluate(made, 0)
    assert sent(made) == (-1, {})
    assert made.transfer.switched_off() == ["copy"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f():\n    return []\n", "expected one function with @TransceiverFunction"),
        (COPY + COPY.replace("copy", "again"), "found 2"),
        ("1 / 0\n", r"bad\.py, line 4: ZeroDivisionError"),
        ("def f(:\n", r"bad\.py, line 4: "),
        ("import nrp_core.event_loop\n", "computational graphs and the event loop are not offered"),
        ("from nrp_core.nothing import x\n", r"there is no module 'nrp_core\.nothing' here"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused_with_its_line(house, text, reason):
    with pytest.raises(ScriptError, match=reason):
        house(bad=text)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('"one", "fast"', '"eleven", "fast"'), "'fast' has not registered the datapack 'eleven'; it has one"),
        (('"one", "fast"', '"one", "quick"'), "the engine 'quick', and there is none: there are fast, slow"),
        (('Function("slow")', 'Function("snail")'), "the engine 'snail', and there is none"),
    ],
)
def test_what_a_function_asks_for_must_be_there(house, change, reason):
    with pytest.raises(PortMismatch, match=reason):
        house(copy=COPY.replace(*change))


def test_there_is_one_status_function_at_most(house):
    with pytest.raises(BadExperiment, match="there are 2 status functions, status and again"):
        house(status=STATUS, again=STATUS)


@pytest.mark.parametrize("result", ["None", "[5]", "two"])
def test_a_wrong_result_is_told_with_the_line_of_its_function(house, result):
    made = house(copy=COPY.replace("[two]", result))
    (message,) = evaluate(made, 0)
    assert (message.function, message.severity) == ("copy", "error")
    assert "a list of datapacks" in message.text


def test_data_becomes_what_it_is_first_used_as():
    made = JsonData()
    assert not made
    assert len(made) == 0
    made["a"] = 1
    made["b"] = [1, 2]
    assert (list(made.keys()), "a" in made, made["b"][1], made == {"a": 1, "b": [1, 2]}) == (["a", "b"], True, 2, True)
    listed = JsonData()
    listed.append(3)
    assert (list(listed), listed.to_plain()) == ([3], [3])
    with pytest.raises(KeyError):
        JsonData()["x"]
    with pytest.raises(AttributeError):
        made.never_heard_of()
