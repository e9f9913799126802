"""A brain on 1 and 2 ranks is asked, added to, changed and replaced: the same comes of it, to the last bit."""

from pathlib import Path

import numpy as np
import pytest

from tests import mpiexec

pytestmark = mpiexec.ranks_wanted()
PROGRAM = Path(__file__).with_name("additions_job.py")


def run(ranks, out, how="edited"):
    job = mpiexec.run(ranks, PROGRAM, out, 2 // ranks, how, limit_s=120)
    assert job.returncode == 0, job.stdout
    with np.load(out) as file:
        return dict(file)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("additions")
    return {ranks: run(ranks, folder / f"{ranks}.npz") for ranks in (1, 2)}


def test_two_ranks_give_what_one_gives(results):
    one, two = results[1], results[2]
    assert (one["processes"], two["processes"]) == (1, 2)
    assert (one["memory"], two["memory"]) == (1, 2)
    assert set(one) == set(two)
    for name in set(one) - {"processes", "memory"}:
        np.testing.assert_array_equal(two[name], one[name], err_msg=name)


@pytest.mark.parametrize("ranks", [1, 2])
def test_sinks_that_are_added_to_a_busy_brain_change_no_spike_of_it(results, tmp_path, ranks):
    alone, found = run(ranks, tmp_path / "alone.npz", "alone"), results[ranks]
    assert len(alone["spikes.sender"]) > 500
    for name in ("spikes.sender", "spikes.time_ns"):
        np.testing.assert_array_equal(found[name][: len(alone[name])], alone[name], err_msg=name)


def test_added_sinks_read_the_brain(results):
    first, second = (results[2][f"sinks.{name}"].reshape(-1, 7) for name in ("first", "second"))
    # Six steps after the second was added both have seen the same spikes, but for those of the beginning.
    np.testing.assert_allclose(first[12], second[9], rtol=0.05)
    assert second[9][5] > 10
    assert results[2]["sinks.fourth"].max() > 0


def test_what_was_set_works(results):
    found = results[2]
    assert len(found["sinks.rate"]) == 2 * 36
    assert found["sinks.level"][-8:].min() > 0
    relays = np.isin(found["spikes.sender"], np.arange(*found["recorded"][0] + [0, 1]))
    assert relays.sum() > 50


def test_places_that_nest_knows_on_its_own_rank_come_together(results):
    found = results[2]
    assert len(found["ids.cells"]) + len(found["ids.relays"]) == 20
    first = found["recorded"][0][0]
    np.testing.assert_allclose(found["positions.relays"][:, 0], 0.1 * (found["ids.relays"] - first), atol=1e-6)
