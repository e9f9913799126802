"""What transfer functions may read of a recorder: who fired in the step, and when."""

from typing import Any

import numpy as np

from reafference.frames import Step

RELAYS = """
    import nest
    def build():
        relays = nest.Create("parrot_neuron", 5)
        for relay, times in zip(relays, ([1.0, 5.0], [5.0], [], [25.0], [5.0])):
            pulse = nest.Create("spike_generator", params={"spike_times": times})
            nest.Connect(pulse, relay, syn_spec={"delay": 1.0})
        return {"relay": relays}
"""


def recorder(**options: Any) -> dict[str, Any]:
    return {"sinks": {"raster": {"kind": "spike_recorder", "sources": ["relay[2:]", "relay[:2]"], **options}}}


def test_a_recorder_adds_no_ports_unless_asked(bench: Any) -> None:
    ports = bench.prepare(recorder(), script=RELAYS)
    assert [p.name for p in ports.outputs if p.stream != "timing"] == ["spikes.sender", "spikes.time_ns"]


def test_spiked_says_who_fired_in_the_last_step_only(bench: Any) -> None:
    bench.prepare(recorder(spiked=True), script=RELAYS)
    port = bench.port("spiked.raster")
    assert (port.shape, port.dtype, port.labels) == ((5,), "|u1", ())
    outputs = bench.run(3)
    read = [out["spiked.raster"] for out in outputs]
    assert all(values.dtype == np.uint8 for values in read)
    # Neurons in the order of the entries: 2, 3, 4, 0, 1.
    assert [values.tolist() for values in read] == [[0, 0, 1, 1, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]]


def test_entries_of_one_neuron_have_names(bench: Any) -> None:
    settings = {"sinks": {"raster": {"kind": "spike_recorder", "sources": ["each relay[1:3]"], "spiked": True}}}
    bench.prepare(settings, script=RELAYS)
    assert bench.port("spiked.raster").labels == ("relay[1]", "relay[2]")


def test_times_are_rows_of_neuron_and_time_of_the_last_step_in_order(bench: Any) -> None:
    bench.prepare(recorder(times=True), script=RELAYS)
    assert bench.port("times.raster").shape == (-1, 2)
    assert bench.port("times.raster").resting().shape == (0, 2)
    outputs = bench.run(3)
    first = bench.ids("relay")[0]
    expected = [[first, 2.0], [first, 6.0], [first + 1, 6.0], [first + 4, 6.0]]
    assert outputs[0]["times.raster"].tolist() == expected
    assert outputs[1]["times.raster"].tolist() == [[first + 3, 26.0]]
    assert outputs[2]["times.raster"].shape == (0, 2)


def test_neurons_may_be_numbered_by_their_place_in_the_recorder(bench: Any) -> None:
    bench.prepare(recorder(times=True, global_ids=False), script=RELAYS)
    outputs = bench.run(2)
    assert outputs[0]["times.raster"].tolist() == [[3, 2.0], [3, 6.0], [4, 6.0], [2, 6.0]]
    assert outputs[1]["times.raster"].tolist() == [[1, 26.0]]


def test_a_recorder_derives_from_its_own_neurons_only(bench: Any) -> None:
    sinks = {
        "left": {"kind": "spike_recorder", "sources": ["relay[0]"], "spiked": True, "times": True},
        "right": {"kind": "spike_recorder", "sources": ["relay[1]"], "spiked": True},
    }
    bench.prepare({"sinks": sinks}, script=RELAYS)
    [out] = bench.run(1)
    assert (out["spiked.left"].tolist(), out["spiked.right"].tolist()) == ([1], [1])
    assert out["times.left"][:, 1].tolist() == [2.0, 6.0]
    assert len(out["spikes.sender"]) == 3


def test_who_waits_for_spiked_gets_it_in_the_step(bench: Any) -> None:
    bench.prepare(recorder(spiked=True), script=RELAYS)
    answer = bench.brain.advance(Step(number=0, t_ns=0, dt_ns=20_000_000, inputs={}, want=("spiked.raster",)))
    assert answer["spiked.raster"].tolist() == [0, 0, 1, 1, 1]
    assert bench.brain.afterwards() == {}
    answer = bench.brain.advance(Step(number=1, t_ns=20_000_000, dt_ns=20_000_000, inputs={}, want=()))
    assert "spiked.raster" not in answer
    assert bench.brain.afterwards()["spiked.raster"].tolist() == [0, 1, 0, 0, 0]
