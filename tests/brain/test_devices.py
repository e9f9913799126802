import numpy as np
import pytest

from reafference.errors import BadExperiment, OutOfOrder
from services.brain.devices import Devices
from services.brain.kernel import KernelSetup, nest
from services.brain.selection import Population
from services.brain.settings import BrainSettings

SINK = {"kind": "population_rate", "sources": ["relays"]}
SOURCE = {"kind": "poisson", "targets": ["relays"]}
RASTER = {"kind": "spike_recorder", "sources": ["relays"]}


def settings(**devices: object) -> BrainSettings:
    return BrainSettings.load({"model": "cbct", **devices})


@pytest.fixture
def populations() -> dict[str, Population]:
    KernelSetup(resolution_ns=100_000, seed=1, threads=1).apply()
    nest.Create("parrot_neuron", 5)
    return {"relays": Population("relays", np.arange(1, 6))}


def test_nothing_is_created_when_a_selection_is_wrong(populations: dict[str, Population]) -> None:
    wrong = settings(sources={"drive": SOURCE}, sinks={"rate": SINK, "raster": {**RASTER, "sources": ["relay"]}})
    with pytest.raises(BadExperiment, match=r"brain\.sinks\.raster\.sources\[0\]"):
        Devices.create(wrong, populations, seed=1, delay_ms=1.0)
    assert nest.network_size == 5


@pytest.mark.parametrize("devices", [{"sources": {"a": SOURCE}}, {"sinks": {"a": SINK}}, {"sinks": {"a": RASTER}}])
def test_devices_are_refused_in_a_running_brain(devices: dict[str, object], populations: dict[str, Population]) -> None:
    nest.Prepare()
    with pytest.raises(OutOfOrder, match="before the first step"):
        Devices.create(settings(**devices), populations, seed=1, delay_ms=1.0)
    assert nest.network_size == 5


def test_a_brain_without_devices_has_no_ports(populations: dict[str, Population]) -> None:
    devices = Devices.create(settings(), populations, seed=1, delay_ms=1.0)
    assert devices.input_ports() == devices.output_ports() == ()
    assert devices.read(()) == {}
    assert devices.recorder is None
    devices.write({}, 0, 1_000_000)
    assert devices.derive({}) == {}


def test_a_network_has_as_many_devices_as_entries_and_one_recorder(populations: dict[str, Population]) -> None:
    wanted = settings(
        sources={"drive": {**SOURCE, "targets": ["relays[0]", "relays[1:]"]}, "other": SOURCE},
        sinks={"rate": {**SINK, "sources": ["relays", "relays[2]"]}, "one": RASTER, "two": RASTER},
    )
    Devices.create(wanted, populations, seed=1, delay_ms=1.0)
    models = [nest.NodeCollection([n]).get("model") for n in range(6, nest.network_size + 1)]
    assert models == ["inhomogeneous_poisson_generator"] * 3 + ["iaf_psc_exp"] * 2 + ["spike_recorder"]
