from typing import Any

import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.brain.kernel import nest

NET = """
    import nest
    def build(n=100):
        noise = nest.Create("poisson_generator", params={"rate": 100.0})
        relays = nest.Create("parrot_neuron", n)
        nest.Connect(noise, relays, syn_spec={"delay": 1.0})
        return {"left": relays[: n // 2], "right": relays[n // 2 :], "noise": noise}
"""


def recorder(*sources: str, **options: Any) -> dict[str, Any]:
    return {"kind": "spike_recorder", "sources": list(sources), **options}


def test_a_neuron_recorded_twice_appears_once(bench: Any) -> None:
    sinks = {"all": recorder("left", "right"), "some": recorder("left[0:10]")}
    bench.prepare({"sinks": sinks}, script=NET)
    bench.run(10)
    sender, _ = bench.spikes()
    assert len(sender) > 1000
    one = nest.GetConnections(target=nest.GetNodes({"model": "spike_recorder"}))
    assert len(one) == 100
    assert set(sender) == set(range(2, 102))


def test_spikes_come_ordered_by_time_then_sender(bench: Any) -> None:
    bench.prepare({"sinks": {"all": recorder("left", "right")}}, script=NET, threads=2)
    for out in bench.run(10):
        keys = list(zip(out["spikes.time_ns"].tolist(), out["spikes.sender"].tolist(), strict=True))
        assert keys == sorted(keys)
    assert [(p.name, p.shape, np.dtype(p.dtype)) for p in bench.ports.outputs if p.stream == "spikes"] == [
        ("spikes.sender", (-1,), np.int64),
        ("spikes.time_ns", (-1,), np.int64),
    ]
    assert {out["spikes.sender"].dtype for out in bench.outputs} == {np.dtype(np.int64)}
    assert {out["spikes.time_ns"].dtype for out in bench.outputs} == {np.dtype(np.int64)}


def test_a_step_without_spikes_gives_empty_arrays(bench: Any) -> None:
    bench.prepare({"sinks": {"all": recorder("left")}}, script=NET, dt_ms=1.0)
    [out] = bench.run(1)
    assert (out["spikes.sender"].shape, out["spikes.sender"].dtype) == ((0,), np.int64)
    assert (out["spikes.time_ns"].shape, out["spikes.time_ns"].dtype) == ((0,), np.int64)


def sampled(bench: Any, seed: int = 5, **others: Any) -> dict[str, list[int]]:
    sinks = {"raster": recorder("left", "right[0:5]", sample=8), **others}
    facts = bench.prepare({"sinks": sinks}, script=NET, seed=seed).facts
    spans = facts["recorders"]["raster"]
    return {label: [n for a, b in s for n in range(a, b + 1)] for label, s in spans.items()}


def test_a_sample_is_sorted_and_drawn_with_the_seed(bench: Any) -> None:
    first = sampled(bench)
    left = first["left"]
    assert len(left) == 8
    assert left == sorted(set(left))
    assert set(left) <= set(range(2, 52))
    assert first["right[0:5]"] == list(range(52, 57))
    assert sampled(bench) == first
    assert sampled(bench, seed=6)["left"] != left


def test_another_recorder_does_not_change_a_sample(bench: Any) -> None:
    assert sampled(bench, other=recorder("left", "right", sample=3)) == sampled(bench)


def test_only_the_sample_is_recorded(bench: Any) -> None:
    chosen = {n for ids in sampled(bench).values() for n in ids}
    bench.run(20)
    assert set(bench.spikes()[0]) == chosen


def test_without_a_recorder_there_is_no_stream_of_spikes(bench: Any) -> None:
    ports = bench.prepare({"sinks": {"rate": {"kind": "population_rate", "sources": ["left"]}}}, script=NET)
    assert "spikes" not in {p.stream for p in ports.outputs}
    assert "spikes.sender" not in bench.run(1)[0]


def test_recording_what_does_not_fire_is_refused(bench: Any) -> None:
    script = """
        import nest
        def build():
            return {"meter": nest.Create("voltmeter")}
    """
    with pytest.raises(BadExperiment, match="NEST refuses to record") as error:
        bench.prepare({"sinks": {"raster": recorder("meter")}}, script=script)
    assert error.value.detail["key"] == "brain.sinks"
