from typing import Any

import numpy as np
import pytest

from reafference.errors import SimulatorFailed
from services.brain.kernel import KernelSetup, nest
from services.brain.voltages import Voltages

pytestmark = pytest.mark.usefixtures("way")


def driven(model: str, n: int, threads: int = 1) -> Any:
    """Nodes of the model, each with another voltage, after 20 ms."""
    KernelSetup(resolution_ns=100_000, seed=9, threads=threads).apply()
    nodes = nest.Create(model, n, {"V_th": 1e9})
    noise = nest.Create("poisson_generator", params={"rate": 2000.0})
    nest.Connect(noise, nodes, syn_spec={"weight": 10.0})
    nest.Simulate(20.0)
    return nodes


@pytest.mark.parametrize(
    "model", ["iaf_psc_alpha", "iaf_psc_exp", "iaf_psc_delta", "iaf_cond_alpha", "iaf_cond_exp", "iaf_psc_alpha_ps"]
)
def test_voltages_are_those_of_nest_to_the_last_bit(model: str) -> None:
    nodes = driven(model, 20)
    voltages = Voltages(nodes).read()
    assert (voltages.shape, voltages.dtype) == ((20,), np.float64)
    assert voltages.tolist() == list(nodes.get("V_m"))
    assert len(set(voltages.tolist())) > 10


def test_voltages_come_in_the_order_of_the_nodes_from_all_threads() -> None:
    nodes = driven("iaf_psc_exp", 20, threads=3)
    some = nodes[3:18:7]
    assert Voltages(some).read().tolist() == list(some.get("V_m"))


def test_a_single_node_and_none_have_voltages_too() -> None:
    nodes = driven("iaf_psc_alpha", 3)
    assert Voltages(nodes[1]).read().tolist() == [nodes[1].get("V_m")]
    assert Voltages(None).read().shape == (0,)


def test_each_reading_is_new() -> None:
    nodes = driven("iaf_psc_alpha", 3)
    voltages = Voltages(nodes)
    before = voltages.read()
    nest.Simulate(5.0)
    assert not np.array_equal(voltages.read(), before)


def test_nodes_of_a_kernel_that_was_reset_are_not_read() -> None:
    voltages = Voltages(driven("iaf_psc_alpha", 3))
    nest.ResetKernel()
    with pytest.raises((SimulatorFailed, nest.NESTError)):
        voltages.read()


def test_models_the_module_does_not_know_are_read_by_nest(way: str) -> None:
    assert Voltages(driven("iaf_psc_alpha", 2)).native == (way == "module")
    assert not Voltages(driven("iaf_psc_alpha_ps", 2)).native
