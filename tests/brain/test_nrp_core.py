"""A brain script of NRP-core on real NEST: read and set by the status of what it registers."""

import pytest

from reafference import datapacks
from reafference.datapacks import Datapack, Message
from reafference.errors import BadExperiment, ScriptError, SimulatorFailed
from reafference.frames import Plan
from reafference.testing import LocalPeer
from services.brain.nrp_core.simulator import NestScriptSimulator

SCRIPT = """\
import nest
from nrp_core.engines.nest_json import *
from nrp_core.engines.nest_json import brain_devices as bd

nest.ResetKernel()
noise = CreateDataPack("noise", "poisson_generator", 2)
cells = nest.Create("iaf_psc_alpha", 3)
RegisterDataPack("cells", cells)
bd.SpikeRecorder(nest, "spikes", cells)
bd.LeakyIntegratorAlpha(nest, "voltage", cells)
bd.DCSource(nest, "current", cells[0])
nest.Connect(noise, cells, syn_spec={"weight": 500.0})
bd.PoissonSpikeGenerator(nest, "weak", cells[0])
bd.LeakyIntegratorExp(nest, "each", cells, n=3, conn_spec="one_to_one")
"""
WANT = ("datapacks.cells", "datapacks.spikes", "datapacks.noise", "datapacks.current")


@pytest.fixture
def peer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])

    def begin(text=SCRIPT, seed=5):
        plan = Plan(
            run="r",
            name="nest",
            seed=seed,
            dt_ns=20_000_000,
            folder=str(tmp_path),
            settings={"script": "brain.py"},
            files={"brain.py": text},
        )
        return LocalPeer(NestScriptSimulator(), plan)

    return begin


def given(iteration, **values):
    return {"given": datapacks.encode_given(iteration, [Datapack(name, value) for name, value in values.items()])}


def value(outputs, name):
    return datapacks.decode(outputs[f"datapacks.{name}"], "json")


def test_each_datapack_is_the_status_of_its_nodes(peer):
    nest = peer()
    assert [port.name.partition(".")[2] for port in nest.ports.outputs] == [
        "noise", "cells", "spikes", "voltage", "current", "weak", "each",
    ]  # fmt: skip
    outputs = nest.step(want=WANT)
    assert [one["model"] for one in value(outputs, "cells")] == ["iaf_psc_alpha"] * 3
    assert value(outputs, "spikes")[0]["n_events"] == 0
    assert set(outputs) == set(WANT)


def test_what_is_set_acts_in_the_very_next_step(peer):
    nest = peer()
    nest.step()
    outputs = nest.step(given(1, noise={"rate": 5000.0}, current=[{"amplitude": 10.0}]), want=WANT)
    assert [one["rate"] for one in value(outputs, "noise")] == [5000.0, 5000.0]
    assert value(outputs, "current")[0]["amplitude"] == 10.0
    assert value(outputs, "spikes")[0]["n_events"] > 0


def test_the_same_seed_gives_the_same_spikes_again_after_a_reset(peer):
    def events(nest):
        nest.step(given(0, noise={"rate": 2000.0}))
        return value(nest.step(want=WANT), "spikes")[0]["events"]

    nest = peer()
    first = events(nest)
    nest.prepare()
    assert events(nest) == first
    assert events(peer(seed=6)) != first


def test_populations_of_a_script_are_datapacks_too(peer):
    nest = peer('import nest\ncells = nest.Create("iaf_psc_alpha", 4)\npopulations = {"a": cells[:2], "b": [4]}\n')
    assert [port.name for port in nest.ports.outputs] == ["datapacks.a", "datapacks.b"]
    assert len(value(nest.step(want=("datapacks.a",)), "a")) == 2


def test_a_client_sets_them_between_steps(peer):
    nest = peer()
    nest._simulator.edit("set_datapacks", {"packs": [Datapack("cells", {"I_e": 900.0}).to_map()]}, None)
    assert value(nest.step(want=WANT), "spikes")[0]["n_events"] > 0
    for packs in ([Datapack("none", {}).to_map()], [Datapack("cells", {"no_such": 1.0}).to_map()]):
        with pytest.raises(BadExperiment, match="NEST does not take the datapack"):
            nest._simulator.edit("set_datapacks", {"packs": packs}, None)


def test_errors_name_the_line_or_the_datapack(peer):
    with pytest.raises(ScriptError, match=r"brain\.py, line 2: .*no_such_model"):
        peer('import nest\nnest.Create("no_such_model")\n')
    with pytest.raises(BadExperiment, match="it registers no datapack"):
        peer("import nest\n")
    nest = peer()
    with pytest.raises(SimulatorFailed, match="no datapack 'other'; it has noise, cells, spikes"):
        nest.step(given(0, other={}))
    with pytest.raises(SimulatorFailed, match="must be a map of parameters"):
        nest.step({"given": datapacks.encode_given(1, [Datapack("cells", Message("Dump.String", b""))])})
