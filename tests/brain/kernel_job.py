"""A small brain over several ranks after a large one: python -m mpi4py kernel_job.py OUT.npz THREADS

Each rank builds both with our kernel, the small one with a question in the middle, and runs it. Rank 0 writes its
spikes, in order.
"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
from mpi4py import MPI

from services.brain.kernel import KernelSetup, enter_context, leave_context, nest


def build(threads, neurons):
    KernelSetup(resolution_ns=100_000, seed=7, threads=threads).apply()
    cells = nest.Create("iaf_psc_alpha", neurons, {"I_e": nest.random.uniform(400.0, 600.0)})
    recorder = nest.Create("spike_recorder", params={"time_in_steps": True})
    nest.Connect(cells, recorder)
    half = neurons // 2
    for sources, weight in ((cells[:half], 200.0), (cells[half:], -200.0)):
        nest.Connect(sources, cells, {"rule": "fixed_indegree", "indegree": 1}, {"weight": weight, "delay": 1.0})
        nest.GetConnections(cells[:1])
    return recorder


def run(milliseconds):
    enter_context(wired=True)
    nest.Run(milliseconds)
    leave_context()


def main(out, threads):
    build(threads, 20_000)
    run(2.0)
    recorder = build(threads, 60)
    run(400.0)
    columns = [np.asarray(recorder.get("events", key)) for key in ("senders", "times")]
    parts = [MPI.COMM_WORLD.gather(column) for column in columns]
    if MPI.COMM_WORLD.rank == 0:
        senders, times = (np.concatenate(part) for part in parts)
        order = np.lexsort((senders, times))
        np.savez(out, senders=senders[order], times=times[order])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
