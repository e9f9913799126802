"""The same regions on one process and on several: equal to the last spike, if there are as many threads in all."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reafference.frames import Array
from tests import mpiexec

pytestmark = mpiexec.ranks_wanted()
JOB = Path(__file__).with_name("ranks_job.py")
TWO_REGIONS = {"regions": ["M1", "BG"], "area_mm2": 0.02, "transient_ms": 40.0}


@dataclass
class Ran:
    """A job that has ended: what its ranks hold together, spikes sorted by time, then sender."""

    neurons: set[int]
    taken_over: set[int]
    virtual_processes: set[int]
    synapses: list[int]
    spikes: Array


def job(folder: Path, ranks: int, *arguments: Any) -> None:
    folder.mkdir()
    done = mpiexec.run(ranks, JOB, folder, *map(json.dumps, arguments))
    assert done.returncode == 0, done.stdout


def run(folder: Path, ranks: int, threads: int) -> Ran:
    job(folder, ranks, threads, TWO_REGIONS)
    held = [np.load(folder / f"{rank}.npz") for rank in range(ranks)]
    sender, time = (np.concatenate([h[name] for h in held]) for name in ("sender", "time"))
    order = np.lexsort((sender, time))
    return Ran(
        neurons={int(h["neurons"]) for h in held},
        taken_over={int(h["taken_over"]) for h in held},
        virtual_processes={int(h["virtual_processes"]) for h in held},
        synapses=[int(h["synapses"]) for h in held],
        spikes=np.stack([time[order], sender[order]]),
    )


def test_two_ranks_build_the_network_of_one_and_fire_its_spikes(tmp_path: Path) -> None:
    one = run(tmp_path / "one", 1, 2)
    two = run(tmp_path / "two", 2, 1)
    assert one.virtual_processes == two.virtual_processes == {2}
    assert one.neurons == two.neurons
    assert one.taken_over == two.taken_over == {40}
    # What NEST counts on a rank is what the rank holds.
    assert min(two.synapses) > 0
    assert sum(two.synapses) == sum(one.synapses)
    assert one.spikes.shape[1] > 500
    np.testing.assert_array_equal(one.spikes, two.spikes)


def test_one_rank_without_room_makes_all_refuse(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    job(folder, 2, 1, TWO_REGIONS, [8_000_000_000, 6_000_000])
    told = [(folder / f"{rank}.refused").read_text() for rank in range(2)]
    assert told[0] == told[1]
    # Both ranks are on this machine and share its room: the lesser half of 6 MB, twice.
    assert "6 MB are free" in told[0]
