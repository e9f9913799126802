from typing import Any

import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.brain.kernel import nest

EYE = {
    "left_red": {"kind": "poisson", "targets": ["neurons[0] + neurons[2]"]},
    "right_red": {"kind": "poisson", "targets": ["neurons[1] + neurons[3]"]},
    "not_red": {"kind": "poisson", "targets": ["neurons[4]"]},
}
WHEELS = {
    "wheels": {"kind": "population_rate", "sources": ["actors[0]", "actors[1]"]},
    "raster": {"kind": "spike_recorder", "sources": ["neurons"]},
}


def vehicle(bench: Any) -> Any:
    return bench.prepare({"model": "braitenberg", "sources": EYE, "sinks": WHEELS})


def test_the_vehicle_has_eight_neurons_and_eight_plastic_synapses(bench: Any) -> None:
    facts = vehicle(bench).facts
    assert (facts["neurons"], facts["synapses"]) == (8, 8)
    ranges = {name: p["ranges"] for name, p in facts["populations"].items()}
    assert ranges == {"neurons": [[1, 8]], "sensors": [[1, 5]], "actors": [[7, 8]]}
    synapses = nest.GetConnections(synapse_model="tsodyks_synapse")
    found = sorted(zip(synapses.get("source"), synapses.get("target"), synapses.get("weight"), strict=True))
    assert found == [
        (1, 5, -1.2),
        (1, 6, -1.2),
        (2, 5, -1.2),
        (2, 6, -1.2),
        (3, 8, 0.15),
        (4, 7, 0.15),
        (5, 8, 0.105),
        (6, 8, 0.14),
    ]


def test_without_light_only_the_self_firing_neuron_drives_a_wheel(bench: Any) -> None:
    vehicle(bench)
    bench.run(50)
    assert set(bench.spikes()[0]) == {6, 8}
    left, right = bench.sink("wheels")[-1]
    assert left == 0.0
    assert right > 1.0


def test_red_on_the_right_turns_the_left_wheel(bench: Any) -> None:
    vehicle(bench)
    bench.run(50, right_red=[2000.0])
    left, right = bench.sink("wheels")[10:].mean(axis=0)
    assert left > 10.0
    # The self-firing neuron, which drives the other wheel, is silenced by the red it sees.
    assert right < 1.0
    assert np.isin(bench.spikes()[0], [2, 4, 7]).any()


def test_the_vehicle_takes_no_parameters(bench: Any) -> None:
    with pytest.raises(BadExperiment, match="takes no parameters") as error:
        bench.prepare({"model": "braitenberg", "parameters": {"cells": 9}})
    assert error.value.detail["key"] == "brain.parameters.cells"


def test_a_resolution_its_delays_do_not_fit_is_refused(bench: Any) -> None:
    with pytest.raises(BadExperiment, match="NEST refuses to build braitenberg"):
        bench.prepare({"model": "braitenberg", "resolution_ms": 0.25})
