"""One rank of a small brain that records: python -m mpi4py spikes_job.py FOLDER THREADS

Writes the spikes of each step and the voltages that live here at its end, and which way they came.
"""

import sys
from pathlib import Path

import numpy as np

from services.brain.harvest import harvest
from services.brain.kernel import KernelSetup, nest
from services.brain.recorders import RecorderGroup, create_recorder
from services.brain.voltages import Voltages

H_NS = 100_000
STEPS, STEP_MS = 10, 20.0


def main(folder: Path, threads: int) -> None:
    KernelSetup(resolution_ns=H_NS, seed=4, threads=threads).apply()
    noise = nest.Create("poisson_generator", params={"rate": 40_000.0})
    # Half of them fire between the time steps too.
    cells = nest.Create("iaf_psc_exp", 20) + nest.Create("iaf_psc_alpha_ps", 20)
    nest.Connect(noise, cells, syn_spec={"weight": 20.0, "delay": 0.1})
    nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": 5}, {"weight": -40.0, "delay": 0.1})
    sinks = nest.Create("iaf_psc_alpha", 7, {"V_th": np.inf})
    nest.Connect(cells, sinks, syn_spec={"weight": 10.0, "delay": 0.1})
    recorder = create_recorder([RecorderGroup("all", {"cells": np.array(cells.tolist())})], delay_ms=0.1)
    nest.Prepare()
    spikes = harvest(recorder, H_NS)
    at = np.flatnonzero(np.atleast_1d(sinks.local))
    voltages = Voltages(sinks[at.tolist()] if len(at) else None)
    taken, read = [], []
    for step in range(1, STEPS + 1):
        nest.Run(STEP_MS)
        sender, time_ns = spikes.take(round(step * STEP_MS * 1e6))
        taken.append(np.stack([np.full(len(sender), step), time_ns, sender]))
        read.append(voltages.read())
        if step == STEPS // 2:
            spikes.empty()
    nest.Cleanup()
    np.savez(
        folder / f"{nest.Rank()}.npz",
        spikes=np.concatenate(taken, axis=1),
        at=at,
        voltages=np.array(read),
        way=type(spikes).__name__,
        virtual_processes=nest.total_num_virtual_procs,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
