import os
import subprocess
import sys

import pytest

from reafference.errors import BadExperiment, OutOfOrder
from services.brain.kernel import (
    Delays,
    KernelSetup,
    leave_context,
    nest,
    refuse_if_prepared,
    shortest_delay_ns,
)

SETUP = KernelSetup(resolution_ns=100_000, seed=77, threads=2, delays=Delays(1.0, 11.0))


def state() -> dict[str, float]:
    names = ("resolution", "rng_seed", "local_num_threads", "min_delay", "max_delay", "network_size")
    return {name: nest.kernel_status[name] for name in names}


AS_SET_UP = {
    "resolution": 0.1,
    "rng_seed": 77,
    "local_num_threads": 2,
    "min_delay": 1.0,
    "max_delay": 11.0,
    "network_size": 0,
}


def test_applying_a_set_up_empties_the_kernel_and_sets_everything() -> None:
    nest.Create("parrot_neuron")
    nest.Prepare()
    SETUP.apply()
    assert state() == AS_SET_UP
    assert shortest_delay_ns() == 1_000_000


def test_a_reset_in_a_foreign_script_keeps_the_set_up() -> None:
    SETUP.apply()
    with SETUP.survives_reset():
        nest.Create("parrot_neuron")
        nest.ResetKernel()
        assert state() == AS_SET_UP
    nest.ResetKernel()
    assert state()["local_num_threads"] == 1


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"resolution": 0.2}, "brain.resolution_ms"),
        ({"local_num_threads": 1}, "brain.threads"),
        ({"rng_seed": 1}, "seed"),
    ],
)
def test_a_script_that_changes_the_kernel_is_refused(change: dict[str, float], key: str) -> None:
    setup = KernelSetup(resolution_ns=100_000, seed=77, threads=2)
    setup.apply()
    nest.set(**change)
    with pytest.raises(BadExperiment, match=r"brain\.py sets") as error:
        setup.verify("brain.py")
    assert error.value.detail["key"] == key


def test_a_script_that_simulates_is_refused() -> None:
    SETUP.apply()
    nest.Create("parrot_neuron")
    nest.Simulate(2.0)
    with pytest.raises(BadExperiment, match="simulates by itself"):
        SETUP.verify("brain.py")


@pytest.mark.parametrize("seed", [0, -1, 2**32])
def test_a_seed_nest_does_not_take_is_refused(seed: int) -> None:
    with pytest.raises(BadExperiment, match="seed"):
        KernelSetup(resolution_ns=100_000, seed=seed, threads=1)


def test_a_resolution_finer_than_a_microsecond_is_refused() -> None:
    with pytest.raises(BadExperiment, match="multiple"):
        KernelSetup(resolution_ns=100_500, seed=1, threads=1)


def test_a_range_of_delays_nest_does_not_take_is_refused() -> None:
    with pytest.raises(BadExperiment, match="NEST refuses"):
        KernelSetup(resolution_ns=100_000, seed=1, threads=1, delays=Delays(3.0, 1.0)).apply()


def test_building_in_a_running_brain_is_refused() -> None:
    refuse_if_prepared("devices")
    nest.Create("parrot_neuron")
    nest.Prepare()
    with pytest.raises(OutOfOrder, match="devices must come before"):
        refuse_if_prepared("devices")
    leave_context()
    leave_context()
    refuse_if_prepared("devices")


def test_nest_is_imported_and_used_without_a_word() -> None:
    code = (
        "from services.brain.kernel import *; KernelSetup(resolution_ns=100_000, seed=1, threads=1).apply();"
        "nest.Connect(nest.Create('poisson_generator'), nest.Create('parrot_neuron', 3)); nest.Simulate(10.0)"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == ""
    assert done.stderr == ""
