from typing import Any

import numpy as np
import pytest

from reafference.errors import BadExperiment, OutOfOrder, ScriptError, SimulatorFailed
from reafference.frames import Step
from services.brain import nest_module
from services.brain.kernel import nest
from services.brain.nest_brain import NestBrain

DT_NS = 20_000_000

# A recurrent network that fires irregularly by itself; shortest delay 1 ms.
NOISY = """
    import nest
    def build(n=80, delay_ms=1.0):
        noise = nest.Create("poisson_generator", params={"rate": 9000.0})
        cells = nest.Create("iaf_cond_alpha", n, {"V_m": nest.random.uniform(-70.0, -55.0)})
        nest.Connect(noise, cells, syn_spec={"weight": 1.6, "delay": delay_ms})
        inhibition = {"weight": nest.random.uniform(-3.0, -0.5), "delay": delay_ms}
        nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": 8}, inhibition)
        return {"cells": cells, "few": cells[:4]}
"""
DEVICES: dict[str, Any] = {
    "sources": {"drive": {"kind": "poisson", "targets": ["few", "cells[4:]"], "weight": 0.5}},
    "sinks": {
        "readout": {"kind": "leaky_integrator_alpha", "sources": ["few", "cells"]},
        "rate": {"kind": "population_rate", "sources": ["cells"]},
        "raster": {"kind": "spike_recorder", "sources": ["cells"]},
    },
}


def digest(bench: Any, steps: int = 15) -> list[tuple[str, bytes]]:
    """Everything a run gives that must not differ between two equal runs."""
    bench.run(steps // 2)
    bench.run(steps - steps // 2, drive=[2000.0, 50.0])
    kept = [p.name for p in bench.ports.outputs if p.digest]
    return [(name, out[name].tobytes()) for out in bench.outputs for name in kept]


def test_the_ports_are_those_of_the_devices(bench: Any) -> None:
    ports = bench.prepare(DEVICES, script=NOISY)
    assert [p.name for p in ports.inputs] == ["drive"]
    assert sorted(p.name for p in ports.outputs) == [
        "sinks.rate",
        "sinks.readout",
        "spikes.sender",
        "spikes.time_ns",
        "timing.readout",
        "timing.run",
        "timing.write",
    ]
    assert {p.stream: p.digest for p in ports.outputs} == {"sinks": True, "spikes": True, "timing": False}
    [out] = bench.run(1)
    for port in ports.outputs:
        assert out[port.name].dtype == np.dtype(port.dtype)
        assert out[port.name].ndim == len(port.shape)
        assert all(n in (-1, m) for n, m in zip(port.shape, out[port.name].shape, strict=True))


def test_what_somebody_waits_for_is_read_at_once_and_the_rest_afterwards(bench: Any) -> None:
    bench.prepare(DEVICES, script=NOISY)
    rates = {"drive": np.zeros(2)}
    everything = {port.name for port in bench.ports.outputs if port.stream != "timing"}
    wanted: tuple[str, ...]
    for number, wanted in enumerate([("sinks.rate",), ("sinks.readout", "spikes.sender"), tuple(everything), ()]):
        step = Step(number=number, t_ns=number * DT_NS, dt_ns=DT_NS, inputs=rates, want=wanted)
        at_once = {name for name in bench.brain.advance(step) if not name.startswith("timing.")}
        assert at_once >= set(wanted)
        assert set(bench.brain.deferred) == everything - at_once
        assert set(bench.brain.afterwards()) == everything - at_once
        assert bench.brain.afterwards() == {}


def test_a_sink_reads_the_same_at_once_or_afterwards(bench: Any) -> None:
    read = []
    for wanted in ("sinks.readout",), ():
        bench.prepare(DEVICES, script=NOISY)
        for number in range(5):
            inputs = {"drive": np.array([3000.0, 0.0])}
            step = Step(number=number, t_ns=number * DT_NS, dt_ns=DT_NS, inputs=inputs, want=wanted)
            read.append({**bench.brain.advance(step), **bench.brain.afterwards()}["sinks.readout"])
    assert np.array_equal(read[:5], read[5:])
    assert (read[4] > 0).all()


def test_timing_covers_the_step(bench: Any) -> None:
    bench.prepare(DEVICES, script=NOISY)
    [out] = bench.run(1)
    assert all(int(out[f"timing.{part}"]) > 0 for part in ("write", "run", "readout"))


def test_the_facts_tell_what_was_built(bench: Any) -> None:
    facts = bench.prepare(DEVICES, script=NOISY, threads=2).facts
    assert facts["neurons"] == 80
    assert facts["relays"] == 0
    assert facts["synapses"] == 80 * 8
    # Noise and drive to each cell, two integrators of 84 cells in all, a rate of 80, a recorder of 80.
    assert facts["connections"] == 80 * 8 + 80 + 80 + 84 + 80 + 80
    assert facts["populations"]["cells"] == {"size": 80, "ranges": [[2, 81]]}
    assert facts["populations"]["few"] == {"size": 4, "ranges": [[2, 5]]}
    assert facts["recorders"] == {"raster": {"cells": [[2, 81]]}}
    assert facts["nest"] == nest.__version__
    assert (facts["threads"], facts["virtual_processes"], facts["processes"]) == (2, 2, 1)
    assert (facts["min_delay_ms"], facts["max_delay_ms"], facts["resolution_ms"]) == (1.0, 1.0, 0.1)
    assert facts["build_s"] > 0
    assert facts["memory_bytes"] > 10_000_000
    assert facts["warnings"] == []


def test_the_threads_of_the_plan_win(bench: Any) -> None:
    assert bench.prepare({**DEVICES, "threads": 1}, script=NOISY, threads=2).facts["threads"] == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_seed_gives_the_same_run_to_the_last_bit(threads: int, bench: Any) -> None:
    bench.prepare(DEVICES, script=NOISY, seed=1, threads=threads)
    first = digest(bench)
    # Prepared again in the same process, after a run, on the same brain.
    bench.prepare(DEVICES, script=NOISY, seed=1, threads=threads)
    assert digest(bench) == first
    bench.prepare(DEVICES, script=NOISY, seed=2, threads=threads)
    assert digest(bench) != first


def test_emptying_the_recorder_changes_nothing(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv(nest_module.VARIABLE, "off")

    def run(emptying_ns: int) -> tuple[list[tuple[str, bytes]], int]:
        bench.prepare(DEVICES, script=NOISY)
        harvest = bench.brain._running.harvest
        empty = harvest._leave_and_enter
        harvest.emptying_ns = emptying_ns

        def leave_and_enter() -> int:
            empty()
            return emptying_ns

        harvest._leave_and_enter = leave_and_enter
        return digest(bench, 30), harvest.emptied

    always, times = run(1)
    never, none = run(10**18)
    assert times >= 14
    assert none == 0
    assert always == never


def test_a_long_run_empties_its_recorder_by_itself(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv(nest_module.VARIABLE, "off")
    script = """
        import nest
        def build():
            noise = nest.Create("poisson_generator", params={"rate": 1000.0})
            relays = nest.Create("parrot_neuron", 100)
            nest.Connect(noise, relays)
            return {"relays": relays}
    """
    sinks = {"raster": {"kind": "spike_recorder", "sources": ["relays"]}}
    bench.prepare({"sinks": sinks}, script=script)
    bench.run(200)
    assert bench.brain._running.harvest.emptied > 0
    # 100 relays x 1 kHz x 3.999 s (the first spike is there after 1 ms), five standard deviations.
    assert abs(len(bench.spikes()[0]) - 399_900) < 5 * np.sqrt(400_000)


def test_the_length_of_a_step_does_not_matter(bench: Any) -> None:
    sinks = {"raster": {"kind": "spike_recorder", "sources": ["cells"]}}

    def run(dt_ms: float, steps: int) -> list[list[float]]:
        bench.prepare({"sinks": sinks}, script=NOISY, dt_ms=dt_ms)
        bench.run(steps)
        return [part.tolist() for part in bench.spikes()]

    assert run(1.0, 100) == run(20.0, 5) == run(50.0, 2)


def test_a_step_that_does_not_follow_the_last_one_is_refused(bench: Any) -> None:
    def step(number: int, t_ms: float, dt_ms: float) -> Step:
        inputs = {"drive": np.zeros(2)}
        return Step(number=number, t_ns=round(t_ms * 1e6), dt_ns=round(dt_ms * 1e6), inputs=inputs)

    with pytest.raises(OutOfOrder, match="before prepare"):
        NestBrain().advance(step(0, 0, 20))
    bench.prepare(DEVICES, script=NOISY)
    bench.brain.advance(step(0, 0, 20))
    for wrong in (step(0, 0, 20), step(2, 40, 20), step(1, 20, 10)):
        with pytest.raises(OutOfOrder, match="the brain stands at 20000000 ns"):
            bench.brain.advance(wrong)
    bench.brain.advance(step(1, 20, 20))


def test_close_leaves_nothing_and_may_come_twice(bench: Any) -> None:
    bench.prepare(DEVICES, script=NOISY)
    bench.run(1)
    bench.brain.close()
    bench.brain.close()
    assert nest.network_size == 0
    assert not nest.kernel_status["prepared"]


def test_a_brain_can_be_prepared_after_one_that_failed(bench: Any) -> None:
    with pytest.raises(ScriptError):
        bench.prepare({}, script="import nest\nnest.Create('parrot_neuron')\n1 / 0\n")
    assert nest.network_size == 0
    bench.prepare(DEVICES, script=NOISY)
    assert len(bench.run(2)) == 2


def test_a_network_nest_cannot_integrate_fails_the_step(bench: Any) -> None:
    script = """
        import nest
        def build():
            return {"cell": nest.Create("aeif_cond_alpha", 1, {"I_e": -1e7})}
    """
    bench.prepare({}, script=script)
    with pytest.raises(SimulatorFailed, match=r"step 0: .*numerical instability"):
        bench.run(1)
    bench.prepare(DEVICES, script=NOISY)
    assert len(bench.run(2)) == 2


def test_a_step_that_is_no_multiple_of_the_shortest_delay_is_refused_with_a_remedy(bench: Any) -> None:
    settings = {**DEVICES, "parameters": {"delay_ms": 1.5}}
    with pytest.raises(BadExperiment, match=r"set min_delay_ms = 1 and max_delay_ms") as error:
        bench.prepare(settings, script=NOISY)
    assert error.value.detail == {"file": "experiment.toml", "key": "brain.min_delay_ms"}
    cured = {**settings, "min_delay_ms": 1.0, "max_delay_ms": 1.5}
    facts = bench.prepare(cured, script=NOISY).facts
    assert (facts["min_delay_ms"], facts["max_delay_ms"]) == (1.0, 1.5)
    assert len(bench.run(2)) == 2


@pytest.mark.parametrize(("delay_ms", "dt_ms", "remedy"), [(1.5, 20.0, "1"), (0.7, 1.0, "0.5"), (3.0, 20.0, "2.5")])
def test_the_remedy_is_the_longest_delay_that_fits(delay_ms: float, dt_ms: float, remedy: str, bench: Any) -> None:
    with pytest.raises(BadExperiment, match=rf"set min_delay_ms = {remedy} and"):
        bench.prepare({"parameters": {"delay_ms": delay_ms}}, script=NOISY, dt_ms=dt_ms)


def test_a_step_off_the_time_grid_is_refused(bench: Any) -> None:
    with pytest.raises(BadExperiment, match="no multiple") as error:
        bench.prepare(DEVICES, script=NOISY, dt_ms=20.05)
    assert error.value.detail["key"] == "brain.resolution_ms"


@pytest.mark.parametrize(
    ("settings", "key", "words"),
    [
        ({"sinks": {"a": {"kind": "spike_recorder", "sources": ["cels"]}}}, "brain.sinks.a.sources[0]", "'cells'"),
        ({"sinks": {"a": {"kind": "spike_recorder", "sources": []}}}, "brain.sinks.a.sources", "at least one"),
        (
            {"sources": {"a": {"kind": "poisson", "targets": ["cells[200]"]}}},
            "brain.sources.a.targets[0]",
            "within the 80",
        ),
        ({"populations": {"control": "cels[0]"}}, "brain.populations.control", "'cells'"),
        ({"populations": {"cells": "few"}}, "brain.populations.cells", "of this name already"),
        ({"populations": {"control": [1, 999]}}, "brain.populations.control", "the node id 999"),
        ({"modl": 3}, "brain.modl", "did you mean 'model'?"),
        ({"model": "cbct"}, "brain.model", "found both"),
    ],
)
def test_a_mistake_in_the_table_is_named(settings: Any, key: str, words: str, bench: Any) -> None:
    with pytest.raises(BadExperiment) as error:
        bench.prepare(settings, script=NOISY)
    assert error.value.detail == {"file": "experiment.toml", "key": key}
    assert words in error.value.text
    assert nest.network_size == 0


def test_further_populations_can_be_selected(bench: Any) -> None:
    settings = {
        "populations": {"control": "cells[0:3] + cells[70]", "two": [2, 3], "first": "control[0]", "one": 9},
        "sinks": {"a": {"kind": "spike_recorder", "sources": ["control", "two[1]", "first", "one"]}},
    }
    facts = bench.prepare(settings, script=NOISY).facts
    assert facts["recorders"]["a"] == {
        "control": [[2, 4], [72, 72]],
        "two[1]": [[3, 3]],
        "first": [[2, 2]],
        "one": [[9, 9]],
    }


def test_an_unknown_model_is_refused_with_the_known_ones(bench: Any) -> None:
    with pytest.raises(BadExperiment, match="did you mean 'cbct'") as error:
        bench.prepare({"model": "cbtc"})
    assert error.value.detail["key"] == "brain.model"
    with pytest.raises(BadExperiment, match="there are balanced, braitenberg, cbct"):
        bench.prepare({"model": "zzz"})


def test_a_script_that_is_not_there_is_refused(bench: Any) -> None:
    with pytest.raises(BadExperiment, match=r"'net\.py' is not in the experiment's folder"):
        bench.prepare({"script": "net.py"})


def test_an_error_in_the_script_names_file_and_line(bench: Any) -> None:
    with pytest.raises(ScriptError) as error:
        bench.prepare({}, script="import nest\ndef build():\n    return nest.Create('nothing_of_the_kind')\n")
    assert (error.value.detail["file"], error.value.detail["line"]) == ("brain.py", 3)


def test_progress_is_reported_while_building(bench: Any) -> None:
    seen: list[tuple[str, int, int, str]] = []

    def report(task: str, done: int = 0, total: int = 0, detail: str = "") -> None:
        seen.append((task, done, total, detail))

    bench.brain.prepare(bench.plan({"model": "braitenberg"}), report)
    assert seen[0] == ("create cells", 8, 8, "8 neurons, 8 synapses")
    assert [task for task, *_ in seen] == ["create cells", "connect devices", "prepare the simulation"]
