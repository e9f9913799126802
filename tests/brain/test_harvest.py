from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reafference.errors import SimulatorFailed
from reafference.frames import Array
from services.brain import nest_module
from services.brain.harvest import Harvest, MemoryHarvest, StreamHarvest, harvest
from services.brain.kernel import KernelSetup, nest
from services.brain.recorders import RecorderGroup, create_recorder

H_NS = 100_000
MANY = 10**15


@pytest.fixture
def _by_nest(monkeypatch: Any) -> None:
    monkeypatch.setenv(nest_module.VARIABLE, "off")


both_ways = pytest.mark.usefixtures("way")
by_nest = pytest.mark.usefixtures("_by_nest")


def record(cells: Any) -> Any:
    """The recorder of an experiment."""
    return create_recorder([RecorderGroup("all", {"cells": np.array(cells.tolist())})], delay_ms=0.1)


def noisy_net(threads: int = 1) -> tuple[Any, Any]:
    """A recurrent network that fires irregularly, its recorder, and another one that is never emptied."""
    KernelSetup(resolution_ns=H_NS, seed=4, threads=threads).apply()
    noise = nest.Create("poisson_generator", params={"rate": 40_000.0})
    cells = nest.Create("iaf_psc_exp", 20)
    nest.Connect(noise, cells, syn_spec={"weight": 20.0, "delay": 0.1})
    nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": 5}, {"weight": -40.0, "delay": 0.1})
    harvested, witness = record(cells), nest.Create("spike_recorder", params={"time_in_steps": True})
    nest.Connect(cells, witness, syn_spec={"delay": 0.1})
    nest.Prepare()
    return harvested, witness


def pairs(sender: Array, time_ns: Array) -> list[tuple[int, int]]:
    return list(zip(time_ns.tolist(), sender.tolist(), strict=True))


def all_of(witness: Any) -> list[tuple[int, int]]:
    """Everything a recorder holds, by time, then sender."""
    events = witness.get("events")
    return sorted(pairs(events["senders"].astype(int), events["times"].astype(int) * H_NS))


def take(spikes: Harvest, steps: Sequence[int], empty_at: Sequence[bool]) -> list[list[tuple[int, int]]]:
    taken, t_ns = [], 0
    for n, empty in zip(steps, empty_at, strict=True):
        nest.Run(n * 0.1)
        t_ns += n * H_NS
        taken.append(pairs(*spikes.take(t_ns)))
        if empty:
            spikes.empty()
    return taken


@both_ways
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 120), st.booleans()), min_size=1, max_size=25))
def test_every_spike_leaves_exactly_once(steps: list[tuple[int, bool]]) -> None:
    leaves_exactly_once([n for n, _ in steps], [e for _, e in steps], threads=1)


@both_ways
def test_every_spike_leaves_exactly_once_from_several_threads() -> None:
    leaves_exactly_once([1, 2, 50, 117, 3, 80, 80], [False, True, False, False, True, False, False], threads=3)


def leaves_exactly_once(lengths: list[int], empty_at: list[bool], threads: int) -> None:
    recorder, witness = noisy_net(threads)
    taken = take(harvest(recorder, H_NS), lengths, empty_at)
    # The witness starts with the run, and leaving the context does not empty it.
    assert sorted(spike for step in taken for spike in step) == all_of(witness)
    borders = np.cumsum([0, *lengths]) * H_NS
    for begin, end, spikes in zip(borders, borders[1:], taken, strict=False):
        assert spikes == sorted(spikes)
        assert all(begin < time_ns <= end for time_ns, _ in spikes)


@both_ways
def test_there_are_spikes_to_lose() -> None:
    recorder, _ = noisy_net()
    taken = take(harvest(recorder, H_NS), [200] * 20, [False] * 20)
    assert all(len(spikes) > 5 for spikes in taken)


@both_ways
def test_a_spike_on_the_border_belongs_to_the_step_that_ends_there() -> None:
    KernelSetup(resolution_ns=H_NS, seed=1, threads=1).apply()
    pulses = nest.Create("spike_generator", params={"spike_times": [1.0, 2.0, 2.1, 4.0]})
    relay = nest.Create("parrot_neuron")
    nest.Connect(pulses, relay, syn_spec={"delay": 1.0})
    recorder = create_recorder([RecorderGroup("all", {"relay": np.array(relay.tolist())})], delay_ms=1.0)
    nest.Prepare()
    taken = take(harvest(recorder, H_NS), [20, 10, 10, 10], [False, True, False, False])
    times_ms = [[time_ns / 1e6 for time_ns, _ in spikes] for spikes in taken]
    assert times_ms == [[2.0], [3.0], [3.1], [5.0]]


@both_ways
def test_leaving_and_entering_the_context_changes_no_spike() -> None:
    def run(empty: bool) -> list[list[tuple[int, int]]]:
        recorder, _ = noisy_net()
        return take(harvest(recorder, H_NS), [200] * 30, [empty] * 30)

    assert run(True) == run(False)


@both_ways
def test_precise_spike_times_are_kept() -> None:
    KernelSetup(resolution_ns=H_NS, seed=1, threads=1).apply()
    cell = nest.Create("iaf_psc_alpha_ps", params={"I_e": 600.0})
    recorder, witness = record(cell), nest.Create("spike_recorder")
    nest.Connect(cell, witness, syn_spec={"delay": 0.1})
    nest.Prepare()
    taken = take(harvest(recorder, H_NS), [100] * 10, [False] * 10)
    times_ms = [time_ns / 1e6 for spikes in taken for time_ns, _ in spikes]
    np.testing.assert_allclose(times_ms, witness.get("events")["times"], atol=1e-6)
    assert any(round(t / 0.1, 3) % 1 for t in times_ms)


def test_the_module_is_used_where_it_is_compiled(way: str) -> None:
    recorder, _ = noisy_net()
    assert type(harvest(recorder, H_NS)) is {"nest": MemoryHarvest, "module": StreamHarvest}[way]


@both_ways
def test_the_last_spikes_of_a_run_do_not_come_in_the_next() -> None:
    for _ in range(2):
        recorder, witness = noisy_net()
        spikes = harvest(recorder, H_NS)
        [first] = take(spikes, [200], [False])
        assert first == all_of(witness)
        nest.Run(20.0)  # and nobody takes these
        nest.Cleanup()


@by_nest
def test_emptying_is_due_when_copying_old_spikes_has_cost_as_much() -> None:
    recorder, _ = noisy_net()
    spikes = MemoryHarvest(recorder, H_NS)
    assert spikes.emptying_ns > 0
    spikes.emptying_ns = MANY
    take(spikes, [200] * 10, [False] * 10)
    assert not spikes.due
    spikes.emptying_ns = 1
    assert spikes.due
    spikes.empty()
    assert not spikes.due
    assert len(recorder.get("events")["times"]) == 0
    # The first reading after it copies nothing twice.
    spikes.emptying_ns = 1
    take(spikes, [200], [False])


@by_nest
def test_a_recorder_someone_else_emptied_is_noticed() -> None:
    recorder, _ = noisy_net()
    spikes = MemoryHarvest(recorder, H_NS)
    take(spikes, [200], [False])
    nest.Cleanup()
    recorder.set({"n_events": 0})
    nest.Prepare()
    nest.Run(20.0)
    with pytest.raises(SimulatorFailed, match="had been taken"):
        spikes.take(400 * H_NS)


@by_nest
def test_spikes_from_before_the_last_border_are_noticed() -> None:
    recorder, _ = noisy_net()
    spikes = harvest(recorder, H_NS)
    nest.Run(20.0)
    spikes.take(100 * H_NS)
    with pytest.raises(SimulatorFailed, match="would not be complete"):
        spikes.take(200 * H_NS)
