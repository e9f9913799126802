"""Devices switched off and on, by order and by a port."""

from typing import Any

import numpy as np
import pytest

from reafference.errors import BadExperiment, PortMismatch
from services.brain.switches import Switch

RELAYS = """
    import nest
    def build():
        relays = nest.Create("parrot_neuron", 4)
        clock = nest.Create("spike_generator", params={"spike_times": [float(t) for t in range(1, 400)]})
        ticking = nest.Create("parrot_neuron", 2)
        nest.Connect(clock, ticking, syn_spec={"delay": 1.0})
        return {"relay": relays, "ticking": ticking}
"""
SPIKES = {"spikes": {"kind": "spike_recorder", "sources": ["relay"]}}
DRIVE = {"kind": "poisson", "targets": ["relay[0:2]", "relay[2:4]"], "rate_hz": 2000.0}


def fired(bench: Any, first: int, last: int) -> list[int]:
    """Spikes in each of the last steps of either half of the relays."""
    ids = bench.ids("relay")
    counts = []
    for out in bench.outputs[-1:]:
        sender = out["spikes.sender"]
        counts = [int(np.isin(sender, half).sum()) for half in (ids[:2], ids[2:])]
    return counts[first:last]


def test_a_device_is_on_unless_an_order_or_its_port_says_otherwise() -> None:
    switch = Switch("drive", ("a", "b"), switchable=True)
    assert switch.on.tolist() == [True, True]
    switch.write({"drive_on": np.array([1, 0], np.uint8)})
    assert switch.on.tolist() == [True, False]
    switch.order(False)
    assert switch.on.tolist() == [False, False]
    switch.write({"drive_on": np.array([1, 1], np.uint8)})
    assert switch.on.tolist() == [False, False]
    switch.order(True)
    assert switch.on.tolist() == [True, True]
    with pytest.raises(PortMismatch, match=r"brain\.drive_on takes 2 values"):
        switch.write({"drive_on": np.ones(3, np.uint8)})


def test_only_a_switchable_group_has_a_port() -> None:
    assert Switch("drive", ("a",), switchable=False).ports() == []
    [port] = Switch("drive", ("a", "b"), switchable=True).ports()
    assert (port.name, port.shape, port.labels, port.low, port.high) == ("drive_on", (2,), ("a", "b"), 0.0, 1.0)
    assert port.resting().tolist() == [1, 1]


def test_a_source_that_is_off_sends_nothing_and_remembers_what_it_was_given(bench: Any) -> None:
    bench.prepare({"sources": {"drive": DRIVE}, "sinks": SPIKES}, script=RELAYS)
    devices = bench.brain._running.devices
    bench.run(2)
    assert all(n > 20 for n in fired(bench, 0, 2))
    devices.switch("drive", False)
    bench.run(1)  # what was under way arrives
    bench.run(1, drive=[2000.0, 0.0])
    assert fired(bench, 0, 2) == [0, 0]
    devices.switch("drive", True)
    bench.run(2, drive=[2000.0, 0.0])
    assert fired(bench, 0, 1)[0] > 20
    assert fired(bench, 1, 2) == [0]


def test_a_transfer_function_switches_each_device_of_a_switchable_group(bench: Any) -> None:
    bench.prepare({"sources": {"drive": {**DRIVE, "switchable": True}}, "sinks": SPIKES}, script=RELAYS)
    assert [port.name for port in bench.ports.inputs] == ["drive", "drive_on"]
    bench.run(2, drive_on=[1, 0])
    assert fired(bench, 0, 1)[0] > 20
    assert fired(bench, 1, 2) == [0]
    bench.run(2, drive_on=[0, 1])
    assert fired(bench, 0, 1) == [0]
    assert fired(bench, 1, 2)[0] > 20


QUIET = {
    "dc": {"amplitude_pA": 5000.0},
    "ac": {"offset_pA": 5000.0},
    "noise_current": {"mean_pA": 5000.0},
    "fixed_frequency": {"rate_hz": 400.0, "weight": 20_000.0},
    "spike_injector": {"weight": 200_000.0, "times": 3},
    "poisson": {"rate_hz": 4000.0, "weight": 20_000.0},
}
CELL = """
    import nest
    def build():
        return {"cell": nest.Create("iaf_psc_alpha", 2)}
"""


@pytest.mark.parametrize("kind", QUIET)
def test_every_kind_of_source_can_be_switched(kind: str, bench: Any) -> None:
    settings = {
        "sources": {"drive": {"kind": kind, "targets": ["cell"], **QUIET[kind]}},
        "sinks": {"spikes": {"kind": "spike_recorder", "sources": ["cell"]}},
    }
    bench.prepare(settings, script=CELL)
    devices = bench.brain._running.devices
    inputs = {"drive": [[0.01, 0.05, 0.13]]} if kind == "spike_injector" else {}
    numbers = []
    for on in (True, False, True):
        devices.switch("drive", on)
        # The first of two steps lets pass what was under way.
        bench.run(2, **inputs)
        numbers.append(len(bench.outputs[-1]["spikes.sender"]) + (on and len(bench.outputs[-2]["spikes.sender"])))
    assert numbers[0] > 0
    assert numbers[1] == 0
    assert numbers[2] > 0 or kind == "spike_injector"


def test_a_sink_that_is_off_reads_its_resting_value(bench: Any) -> None:
    sinks = {
        "rate": {"kind": "population_rate", "sources": ["each ticking"], "switchable": True},
        "level": {"kind": "leaky_integrator_alpha", "sources": ["ticking"], "E_L_mV": -3.0},
    }
    bench.prepare({"sinks": sinks}, script=RELAYS)
    devices = bench.brain._running.devices
    bench.run(5, rate_on=[1, 0])
    assert bench.sink("rate")[-1, 0] > 500.0
    assert bench.sink("rate")[-1, 1] == 0.0
    assert bench.sink("level")[-1, 0] > -3.0
    devices.switch("level", False)
    bench.run(1)
    assert bench.sink("level")[-1].tolist() == [-3.0]
    assert (bench.sink("rate")[-1] > 500.0).all()


def test_a_recorder_that_is_off_records_nothing(bench: Any) -> None:
    sinks = {
        "raster": {"kind": "spike_recorder", "sources": ["each ticking"], "spiked": True, "switchable": True},
        "both": {"kind": "spike_recorder", "sources": ["ticking[0]"]},
    }
    bench.prepare({"sinks": sinks}, script=RELAYS)
    devices = bench.brain._running.devices
    first, second = bench.ids("ticking").tolist()
    bench.run(2)
    assert set(bench.outputs[-1]["spikes.sender"]) == {first, second}
    bench.run(1, raster_on=[1, 0])
    assert set(bench.outputs[-1]["spikes.sender"]) == {first}
    assert bench.outputs[-1]["spiked.raster"].tolist() == [1, 0]
    devices.switch("raster", False)
    bench.run(1)
    # The other recorder listens to the first one still.
    assert set(bench.outputs[-1]["spikes.sender"]) == {first}
    assert bench.outputs[-1]["spiked.raster"].tolist() == [0, 0]
    devices.switch("both", False)
    bench.run(1)
    assert len(bench.outputs[-1]["spikes.sender"]) == len(bench.outputs[-1]["spikes.time_ns"]) == 0
    devices.switch("raster", True)
    bench.run(1)
    assert bench.outputs[-1]["spiked.raster"].tolist() == [1, 1]


def test_a_name_that_no_group_or_more_than_one_has_is_refused(bench: Any) -> None:
    sinks = {"drive": {"kind": "population_rate", "sources": ["relay"]}, **SPIKES}
    bench.prepare({"sources": {"drive": DRIVE}, "sinks": sinks}, script=RELAYS)
    devices = bench.brain._running.devices
    with pytest.raises(BadExperiment, match=r"did you mean 'spikes'"):
        devices.switch("spike", False)
    with pytest.raises(BadExperiment, match=r"sources\.drive, sinks\.drive"):
        devices.switch("drive", False)
    devices.switch("sources.drive", False)
    bench.run(2)
    assert fired(bench, 0, 2) == [0, 0]


def test_two_groups_with_an_input_of_one_name_are_refused(bench: Any) -> None:
    sources = {"drive": {**DRIVE, "switchable": True}, "drive_on": DRIVE}
    with pytest.raises(BadExperiment, match="two devices take an input called 'drive_on'"):
        bench.prepare({"sources": sources}, script=RELAYS)
