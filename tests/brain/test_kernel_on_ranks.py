"""A kernel over 1 and 2 ranks that has had a network before: what comes next is the same, to the last bit."""

from pathlib import Path

import numpy as np
import pytest

from tests import mpiexec

pytestmark = mpiexec.ranks_wanted()
JOB = Path(__file__).with_name("kernel_job.py")


@pytest.fixture(scope="module")
def spikes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    found = {}
    for ranks in (1, 2):
        out = folder / f"{ranks}.npz"
        job = mpiexec.run(ranks, JOB, out, 2 // ranks, limit_s=120)
        assert job.returncode == 0, job.stdout
        with np.load(out) as file:
            found[ranks] = dict(file)
    return found


def test_a_small_network_after_a_large_one_fires_alike_on_any_number_of_ranks(spikes):
    assert len(spikes[1]["senders"]) > 1000
    for name in ("senders", "times"):
        np.testing.assert_array_equal(spikes[2][name], spikes[1][name], err_msg=name)
