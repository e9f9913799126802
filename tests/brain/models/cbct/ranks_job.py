"""One rank of a small brain: builds regions, runs, writes what it holds into a folder.

python -m mpi4py ranks_job.py FOLDER THREADS PARAMETERS(JSON) [FREE_BYTES of each rank(JSON)]
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from reafference.errors import BadExperiment
from services.brain.kernel import KernelSetup, nest
from services.brain.models import cbct, room

RUN_MS = 100.0


def main(folder: Path, threads: int, parameters: dict[str, Any], free: list[int] | None) -> None:
    if free is not None:
        room.free_bytes = lambda: free[nest.Rank()]
    KernelSetup(resolution_ns=100_000, seed=7, threads=threads, delays=cbct.DELAYS).apply()
    mine = folder / str(nest.Rank())
    try:
        network = cbct.build(parameters, seed=7, resolution_ms=0.1, report=lambda *a, **k: None)
    except BadExperiment as error:
        mine.with_suffix(".refused").write_text(error.text)
        return
    recorder = nest.Create("spike_recorder", params={"time_in_steps": True})
    for nodes in network.populations.values():
        nest.Connect(nest.NodeCollection(list(nodes)), recorder, syn_spec={"delay": 1.0})
    nest.Simulate(RUN_MS)
    events = recorder.get("events")
    np.savez(
        mine.with_suffix(".npz"),
        neurons=network.neurons,
        synapses=network.synapses,
        taken_over=sum(network.facts["taken_over"].values()),
        virtual_processes=nest.total_num_virtual_procs,
        sender=events["senders"],
        time=events["times"],
    )


if __name__ == "__main__":
    given = [json.loads(text) for text in sys.argv[2:]]
    main(Path(sys.argv[1]), *given, *[None] * (3 - len(given)))
