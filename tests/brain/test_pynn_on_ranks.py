"""A brain in PyNN over 1 and 2 ranks: with as many virtual processes its spikes are the same, to the last bit."""

from pathlib import Path

import numpy as np
import pytest

from tests import mpiexec

pytestmark = mpiexec.ranks_wanted()
JOB = Path(__file__).with_name("pynn_job.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pynn")
    results = {}
    for ranks in (1, 2):
        out = folder / f"{ranks}.npz"
        job = mpiexec.run(ranks, JOB, folder, out, 2 // ranks, limit_s=200)
        assert job.returncode == 0, job.stdout
        with np.load(out) as file:
            results[ranks] = dict(file)
    return results


def test_every_rank_knows_the_whole_of_each_population(found):
    for ranks in (1, 2):
        assert (found[ranks]["circuit"], found[ranks]["cells"], found[ranks]["everything"]) == (8, 60, 68)


def test_spikes_do_not_depend_on_the_number_of_ranks(found):
    assert len(found[1]["senders"]) > 500
    assert set(found[1]["senders"]) & set(range(1, 20)), "none of the conductance-based cells has fired"
    for name in ("senders", "times", "offsets"):
        np.testing.assert_array_equal(found[2][name], found[1][name], err_msg=name)
