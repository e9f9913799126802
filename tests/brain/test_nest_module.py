"""The compiled module. What it hands out is compared with NEST's own calls in test_harvest and test_voltages too."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reafference.errors import SimulatorFailed
from services.brain import nest_module
from services.brain.harvest import StreamHarvest
from services.brain.kernel import KernelSetup, nest
from services.brain.memory import held_bytes
from tests import mpiexec

ROOT = Path(__file__).parents[2]
MAKE = ROOT / "deploy" / "make-nest-module"
JOB = Path(__file__).with_name("spikes_job.py")
H_NS = 100_000


def empty_kernel(threads: int = 1) -> None:
    KernelSetup(resolution_ns=H_NS, seed=2, threads=threads).apply()


def beating(n: int = 10) -> tuple[Any, Any]:
    """Neurons that fire on their own, recorded into the stream and, the same, into memory."""
    cells = nest.Create("iaf_psc_alpha", n, {"I_e": 500.0})
    cells.V_m = np.linspace(-70.0, -56.0, n)
    stream = nest.Create("spike_recorder", params={"record_to": nest_module.BACKEND})
    nest.Connect(cells, stream, syn_spec={"synapse_model": nest_module.SYNAPSE})
    memory = nest.Create("spike_recorder", params={"time_in_steps": True})
    nest.Connect(cells, memory)
    return stream, memory


def taken() -> list[tuple[int, int]]:
    sender, time_ns = nest_module.take(H_NS)
    return list(zip(time_ns.tolist(), sender.tolist(), strict=True))


def held_in(memory: Any) -> list[tuple[int, int]]:
    events = memory.get("events")
    return sorted(zip((events["times"].astype(int) * H_NS).tolist(), events["senders"].tolist(), strict=True))


def test_the_module_is_in_every_kernel_that_is_set_up() -> None:
    for _ in range(3):
        empty_kernel()
        assert nest_module.installed()
        assert nest_module.SYNAPSE in nest.synapse_models
        nest.ResetKernel()
        assert not nest_module.installed()


@pytest.mark.parametrize("threads", [1, 3])
def test_spikes_wait_until_they_are_taken_and_leave_once(threads: int) -> None:
    empty_kernel(threads)
    _, memory = beating()
    nest.Prepare()
    nest.Run(50.0)
    nest.Run(50.0)
    nest.Cleanup()
    nest.Prepare()
    nest.Run(50.0)
    first = taken()
    assert len(first) > 50
    assert first == held_in(memory)
    assert taken() == []
    nest.Run(50.0)
    assert first + taken() == held_in(memory)


def test_a_script_may_change_the_threads_afterwards() -> None:
    empty_kernel()
    for threads in (3, 2):
        nest.local_num_threads = threads
        _, memory = beating()
        nest.Simulate(100.0)
        assert taken() == held_in(memory)
        empty_kernel()


def test_spikes_of_several_recorders_are_one_stream() -> None:
    empty_kernel()
    _, first = beating(3)
    _, second = beating(3)
    nest.Simulate(100.0)
    assert taken() == sorted(held_in(first) + held_in(second))


def test_spikes_from_beyond_the_border_are_noticed() -> None:
    empty_kernel()
    beating()
    spikes = StreamHarvest(H_NS)
    nest.Simulate(100.0)
    with pytest.raises(SimulatorFailed, match="would not be complete"):
        spikes.take(500 * H_NS)


def test_a_reset_kernel_holds_no_spikes_of_the_last() -> None:
    empty_kernel()
    beating()
    nest.Simulate(100.0)
    empty_kernel()
    assert taken() == []
    nest.ResetKernel()
    with pytest.raises(SimulatorFailed, match="reset behind our back"):
        nest_module.take(H_NS)


def test_only_spikes_are_taken() -> None:
    empty_kernel()
    with pytest.raises(nest.NESTError, match="takes spikes"):
        nest.Create("multimeter", params={"record_to": nest_module.BACKEND})


def test_a_tap_leads_to_recorders_only_and_is_a_connection_like_any_other() -> None:
    empty_kernel()
    stream, _ = beating(4)
    cells = nest.GetNodes({"model": "iaf_psc_alpha"})
    taps = nest.GetConnections(target=stream)
    assert sorted(taps.get("source")) == cells.tolist()
    assert set(taps.get("synapse_model")) == {nest_module.SYNAPSE}
    with pytest.raises(nest.NESTError, match="leads to a recorder only"):
        nest.Connect(cells, cells, syn_spec={"synapse_model": nest_module.SYNAPSE})
    with pytest.raises(nest.NESTError):
        nest.Connect(nest.Create("voltmeter"), stream, syn_spec={"synapse_model": nest_module.SYNAPSE})


def test_a_tap_takes_little_memory() -> None:
    empty_kernel()
    cells = nest.Create("iaf_psc_alpha", 20_000)
    stream = nest.Create("spike_recorder", params={"record_to": nest_module.BACKEND})
    before = held_bytes()
    nest.Connect(cells, stream, syn_spec={"synapse_model": nest_module.SYNAPSE})
    # NEST's own synapses take 32 KB a cell: 640 MB.
    assert held_bytes() - before < 20e6


def test_what_a_model_does_not_have_is_not_read() -> None:
    empty_kernel()
    cells = nest.Create("iaf_psc_alpha", 3)
    parrot = nest.Create("parrot_neuron")
    for recordable, nodes, there in (
        ("V_m", cells.tolist(), True),
        ("g_ex", cells.tolist(), False),
        ("V_m", parrot.tolist(), False),
        ("V_m", [1, 99], False),
        ("V_m", [0], False),
        ("V_m", [], True),
    ):
        assert (nest_module.Reader(recordable, np.array(nodes, int)).read() is not None) == there


def test_it_can_be_switched_off(monkeypatch: Any) -> None:
    monkeypatch.setenv(nest_module.VARIABLE, "off")
    empty_kernel()
    assert nest_module.SYNAPSE not in nest.synapse_models
    with pytest.raises(SimulatorFailed, match="make-nest-module"):
        nest_module.take(H_NS)


def test_it_may_lie_in_another_folder(tmp_path: Path, monkeypatch: Any) -> None:
    made = nest_module.compiled()
    assert made is not None
    monkeypatch.setenv(nest_module.VARIABLE, str(tmp_path))
    assert nest_module.compiled() is None
    shutil.copy(made, tmp_path)
    assert nest_module.compiled() == tmp_path / made.name
    empty_kernel()
    assert nest_module.installed()


NOISY = """
    import nest
    def build():
        noise = nest.Create("poisson_generator", params={"rate": 8000.0})
        cells = nest.Create("iaf_psc_exp", 50)
        nest.Connect(noise, cells, syn_spec={"weight": 60.0})
        nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": 5}, {"weight": -40.0, "delay": 1.0})
        return {"cells": cells}
"""
SINKS = {
    "raster": {"kind": "spike_recorder", "sources": ["cells"]},
    "rate": {"kind": "population_rate", "sources": ["cells[0:10]", "cells[10:50]"]},
    "voltage": {"kind": "leaky_integrator_alpha", "sources": ["cells", "cells[3]"]},
}


def test_a_brain_gives_the_same_bytes_with_the_module_and_without(bench: Any, monkeypatch: Any) -> None:
    def run(value: str) -> tuple[bool, list[dict[str, bytes]]]:
        monkeypatch.setenv(nest_module.VARIABLE, value)
        facts = bench.prepare({"sinks": SINKS}, script=NOISY, threads=2).facts
        steps = bench.run(10)
        kept = [{name: out[name].tobytes() for name in out if not name.startswith("timing.")} for out in steps]
        assert len(bench.spikes()[0]) > 100
        return facts["nest_module"], kept

    native, with_module = run("")
    plain, without = run("off")
    assert (native, plain) == (True, False)
    assert with_module == without


def test_a_file_that_is_no_module_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv(nest_module.VARIABLE, str(tmp_path))
    nest_module.target().write_text("compiled on another machine")
    with pytest.raises(SimulatorFailed, match="compile it on this machine"):
        empty_kernel()
    monkeypatch.undo()


# --- the script that compiles it ------------------------------------------------------------------------------


def make(**environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **environment}
    return subprocess.run([str(MAKE), sys.executable], env=environment, capture_output=True, text=True, timeout=240)


def test_nothing_is_compiled_twice() -> None:
    done = make()
    assert done.returncode == 0
    assert "is there" in done.stderr


def test_it_is_compiled_into_the_folder_that_is_named(tmp_path: Path) -> None:
    stale = tmp_path / "reafference_nest-0123.so"
    stale.touch()
    done = make(**{nest_module.VARIABLE: str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == [nest_module.target({}).name]


def test_a_missing_compiler_is_named(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname", "grep", "env"):
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    done = make(**{nest_module.VARIABLE: str(tmp_path), "PATH": str(tools)})
    assert done.returncode == 2
    assert "apt install g++" in done.stderr


def test_missing_headers_are_named(tmp_path: Path) -> None:
    # A compiler that finds no header outside NEST's own.
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    done = make(**{nest_module.VARIABLE: str(tmp_path), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"})
    assert done.returncode == 2
    assert "libboost-dev" in done.stderr
    assert "libltdl-dev" in done.stderr


# --- on several ranks ---------------------------------------------------------------------------------------------


def job(folder: Path, ranks: int, threads: int, way: str) -> dict[str, Any]:
    """What all ranks hold together: spikes by step, time and sender; voltages of all sinks, shape (steps, n)."""
    folder.mkdir()
    done = mpiexec.run(ranks, JOB, folder, threads, environment={nest_module.VARIABLE: way})
    assert done.returncode == 0, done.stdout
    held = [np.load(folder / f"{rank}.npz") for rank in range(ranks)]
    spikes = np.concatenate([h["spikes"] for h in held], axis=1)
    sinks = np.concatenate([h["at"] for h in held])
    return {
        "virtual_processes": {int(h["virtual_processes"]) for h in held},
        "ways": {str(h["way"]) for h in held},
        "spikes": spikes[:, np.lexsort(spikes[::-1])],
        "voltages": np.concatenate([h["voltages"] for h in held], axis=1)[:, np.argsort(sinks)],
        "spikes_of_each": [h["spikes"].shape[1] for h in held],
    }


@mpiexec.ranks_wanted()
def test_two_ranks_hand_out_the_spikes_and_voltages_of_one_with_two_threads(tmp_path: Path) -> None:
    plain = job(tmp_path / "plain", 1, 2, "off")
    assert plain["ways"] == {"MemoryHarvest"}
    assert plain["spikes"].shape[1] > 1000
    for ranks, threads in ((1, 2), (2, 1)):
        ran = job(tmp_path / str(ranks), ranks, threads, "")
        assert ran["ways"] == {"StreamHarvest"}
        assert ran["virtual_processes"] == {2}
        assert min(ran["spikes_of_each"]) > 100
        np.testing.assert_array_equal(ran["spikes"], plain["spikes"])
        np.testing.assert_array_equal(ran["voltages"], plain["voltages"])
