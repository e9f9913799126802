"""Every kind of device on a small network, over as many ranks as mpiexec starts; rank 0 writes what came of it.

    mpiexec -n 2 python -m mpi4py devices_on_ranks.py OUT.npz

There are always four virtual processes, so that the number of ranks must not matter.
"""

import os
import sys
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
from mpi4py import MPI

from reafference.frames import Array
from services.brain.devices import Devices
from services.brain.harvest import harvest
from services.brain.kernel import KernelSetup, nest, shortest_delay_ns
from services.brain.network import Network, populations_of
from services.brain.settings import BrainSettings

H_MS, DT_MS, STEPS = 0.1, 5.0, 40
CELLS, RELAYS = 6, 8
TAU_MS, C_PF = 8.0, 100.0
WARM_UP = 2
"""Steps before the inputs get their values."""

SINE = {"drive": 500.0, "offset": 40.0, "frequency": 37.0, "phase": 25.0}
DC_PA = (-70.0, 20.0)
REGULAR_HZ = 80.0
INJECTED_S = (0.0123, 0.0577)
RATE_HZ = 400.0

SETTINGS: dict[str, Any] = {
    "model": "cbct",
    "sources": {
        "noisy": {"kind": "poisson", "targets": ["net"], "weight": 120.0, "rate_hz": 9000.0},
        "drive": {"kind": "poisson", "targets": ["relay[0:2]", "relay[2:4]"]},
        "regular": {"kind": "fixed_frequency", "targets": ["relay[4:6]"]},
        "inject": {"kind": "spike_injector", "targets": ["relay[6]", "relay[7]"], "times": 2},
        "level": {"kind": "dc", "targets": ["each cell[0:2]"], "amplitude_pA": 0.0},
        "sine": {"kind": "ac", "targets": ["cell[2]"], "amplitude_pA": 0.0},
        "gauss": {"kind": "noise_current", "targets": ["cell[3:6]"], "std_pA": 300.0},
        "some": {
            "kind": "poisson",
            "targets": ["net"],
            "weight": 60.0,
            "rate_hz": 1000.0,
            "rule": "pairwise_bernoulli",
            "p": 0.5,
            "delay_ms": [1.0, 3.0],
            "switchable": True,
        },
    },
    "sinks": {
        "alpha": {"kind": "leaky_integrator_alpha", "sources": ["relay[6]", "net", "each net[0:5]"]},
        "exp": {"kind": "leaky_integrator_exp", "sources": ["each relay"], "delay_ms": [1.0, 3.0]},
        "rate": {"kind": "population_rate", "sources": ["relay[6]", "net", "relay[0:4]"]},
        "sum": {"kind": "population_rate", "sources": ["relay[4:6]"], "reduce": "sum", "switchable": True},
        "raster": {"kind": "spike_recorder", "sources": ["relay", "net"], "spiked": True, "times": True},
    },
}


def build() -> Network:
    """Cells that only integrate, relays that pass spikes on, and a net of neurons that fire by themselves."""
    cell = nest.Create("iaf_psc_alpha", CELLS, {"V_th": np.inf, "E_L": 0.0, "V_m": 0.0, "C_m": C_PF, "tau_m": TAU_MS})
    relay = nest.Create("parrot_neuron", RELAYS)
    net = nest.Create("iaf_psc_alpha", 60)
    synapse = {"weight": nest.random.normal(20.0, 60.0), "delay": nest.random.uniform(1.0, 4.0)}
    nest.Connect(net, net, {"rule": "fixed_indegree", "indegree": 12}, synapse)
    return Network(populations={"cell": cell, "relay": relay, "net": net})


def inputs(devices: Devices, step: int) -> dict[str, Array]:
    """Resting values, and from WARM_UP on those of the constants above."""
    values = {port.name: np.array(port.resting()) for port in devices.input_ports()}
    values["some_on"][0] = step % 3 != 0
    if step >= WARM_UP:
        values["drive"][:] = RATE_HZ, 0.0
        values["regular"][:] = REGULAR_HZ
        values["inject"][0] = INJECTED_S
        values["level"][:] = DC_PA
        values |= {"sine" if q == "drive" else f"sine_{q}": np.array([value]) for q, value in SINE.items()}
    values["sum_on"][0] = step != STEPS - 1
    return values


def main(out: str) -> None:
    world = MPI.COMM_WORLD
    KernelSetup(resolution_ns=round(H_MS * 1e6), seed=4711, threads=4 // world.size).apply()
    populations = populations_of(build())
    scope = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": H_MS})
    nest.Connect(scope, nest.NodeCollection(populations["cell"].ids), syn_spec={"delay": 1.0})
    delay_ms = shortest_delay_ns() / 1e6
    devices = Devices.create(BrainSettings.load(SETTINGS), populations, seed=1, delay_ms=delay_ms)
    nest.Prepare()
    harvested = harvest(devices.recorder, round(H_MS * 1e6))
    dt_ns = round(DT_MS * 1e6)
    names = [port.name for port in devices.output_ports() if port.stream == "sinks"]
    steps = []
    for step in range(STEPS):
        devices.write(inputs(devices, step), step * dt_ns, dt_ns)
        nest.Run(DT_MS)
        outputs = {name: world.reduce(values) for name, values in sorted(devices.read(names).items())}
        spikes = world.gather(harvested.take((step + 1) * dt_ns))
        if spikes is not None:
            sender, time_ns = (np.concatenate(columns) for columns in zip(*spikes, strict=True))
            order = np.lexsort((sender, time_ns))
            outputs |= {"spikes.sender": sender[order], "spikes.time_ns": time_ns[order]}
            steps.append(outputs | devices.derive(outputs))
    nest.Cleanup()
    events = scope.get("events")
    voltages = world.gather((events["senders"], events["times"], events["V_m"]))
    if voltages is not None:
        senders, times, values = (np.concatenate(columns) for columns in zip(*voltages, strict=True))
        order = np.lexsort((times, senders))
        ids = {name: population.ids for name, population in populations.items()}
        np.savez(
            out,
            voltage=values[order].reshape(CELLS, -1),
            time_ms=times[order].reshape(CELLS, -1)[0],
            processes=nest.num_processes,
            virtual_processes=nest.total_num_virtual_procs,
            **{f"ids.{name}": values for name, values in ids.items()},
            **{name: np.array([s[name] for s in steps]) for name in names},
            **{
                name: np.concatenate([s[name] for s in steps])
                for name in ("spikes.sender", "spikes.time_ns", "spiked.raster", "times.raster")
            },
        )


if __name__ == "__main__":
    main(sys.argv[1])
