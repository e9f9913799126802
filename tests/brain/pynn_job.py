"""A published PyNN brain over several ranks, built twice: python -m mpi4py pynn_job.py FOLDER OUT.npz THREADS"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from pathlib import Path

import numpy as np
from mpi4py import MPI

from services.brain.kernel import Delays, KernelSetup, enter_context, leave_context, nest
from services.brain.script import Script

TEXT = """
from hbp_nrp_cle.brainsim import simulator as sim

sim.setup(timestep=0.1, min_delay=0.1, max_delay=20.0)
circuit = sim.Population(8, sim.IF_cond_alpha())
circuit[5:6].set(v_thresh=-53.0)
sim.initialize(circuit, v=circuit.get("v_rest"))
plastic = sim.TsodyksMarkramSynapse(U=1.0, tau_rec=1.0, tau_facil=1.0, weight=0.01, delay=0.1)
sim.Projection(circuit[2:3], circuit[7:8], sim.OneToOneConnector(), plastic, receptor_type="excitatory")
sim.Projection(circuit[0:2], circuit[4:6], sim.AllToAllConnector(), plastic, receptor_type="inhibitory")
cells = sim.Population(60, sim.IF_curr_exp())
chance = sim.FixedProbabilityConnector(0.1, rng=sim.NumpyRNG(seed=3))
weights = sim.RandomDistribution("normal", mu=0.05, sigma=0.01, rng=sim.NumpyRNG(seed=4))
sim.Projection(cells, cells, chance, sim.StaticSynapse(weight=weights, delay=1.5), receptor_type="excitatory")
noise = sim.Population(60, sim.SpikeSourcePoisson(rate=1200.0))
sim.Projection(noise, cells, sim.OneToOneConnector(), sim.StaticSynapse(weight=1.0, delay=0.5))
sim.Projection(cells, circuit, sim.AllToAllConnector(), sim.StaticSynapse(weight=0.001, delay=1.0))
everything = circuit + cells
"""


def main(folder, out, threads):
    setup = KernelSetup(resolution_ns=100_000, seed=7, threads=threads, delays=Delays(0.1, 20.0))
    for _ in range(2):
        setup.apply()
        _, populations = Script("brain.py", TEXT, Path(folder)).build({}, setup)
    recorder = nest.Create("spike_recorder", params={"time_in_steps": True})
    nest.Connect(nest.NodeCollection(populations["everything"].ids), recorder)
    enter_context(wired=True)
    nest.Run(200.0)
    leave_context()
    columns = [np.asarray(recorder.get("events", key)) for key in ("senders", "times", "offsets")]
    parts = [MPI.COMM_WORLD.gather(column) for column in columns]
    sizes = {name: len(population.ids) for name, population in populations.items()}
    if MPI.COMM_WORLD.rank == 0:
        senders, times, offsets = (np.concatenate(part) for part in parts)
        order = np.lexsort((senders, offsets, times))
        np.savez(out, senders=senders[order], times=times[order], offsets=offsets[order], **sizes)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
