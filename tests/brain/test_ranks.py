"""What the ranks of a job do together: they meet, hear of each other's failures, and bring home what they have."""

import json
from pathlib import Path

import pytest

from tests import mpiexec

pytestmark = mpiexec.ranks_wanted()
JOB = Path(__file__).with_name("ranks_job.py")
RANKS = pytest.mark.parametrize("ranks", [2, 4])


def lines(job):
    assert job.returncode == 0, job.stdout
    return [json.loads(line) for line in job.stdout.splitlines() if line.startswith("{")]


@RANKS
def test_the_failure_of_one_rank_is_everybodys_and_they_go_on_together(ranks):
    said = lines(mpiexec.run(ranks, JOB, "one"))
    errors = [line for line in said if "code" in line]
    assert len(errors) == ranks
    for error in errors:
        assert error["code"] == "bad_experiment"
        assert error["text"] == f"rank {ranks - 1}: no good: {ranks - 1}"
        assert (error["key"], error["known"]) == ("brain.x", True)
    told = [line["told"] for line in said if "told" in line]
    assert told == [[[rank, 7, 0] for rank in range(ranks)]] * ranks


@RANKS
def test_a_failure_of_all_is_said_once(ranks):
    errors = [line for line in lines(mpiexec.run(ranks, JOB, "all")) if "code" in line]
    assert {error["text"] for error in errors} == {f"no good: same (on all {ranks} ranks)"}


@RANKS
def test_values_are_added_and_rows_are_joined_on_rank_0(ranks):
    said = {line["rank"]: line for line in lines(mpiexec.run(ranks, JOB, "home"))}
    assert said[0]["sums"] == {"a": [rank + 0.1 for rank in range(ranks)], "b": [[1e300], [0.0]]}
    assert said[0]["columns"] == [
        [rank for rank in range(ranks) for _ in range(rank)],
        [n for rank in range(ranks) for n in range(rank)],
    ]
    assert all(said[rank]["sums"] == {} and said[rank]["columns"] == [] for rank in range(1, ranks))


@pytest.mark.parametrize("ranks", [1, 2])
def test_ranks_bring_home_what_they_have_be_it_values_rows_both_or_nothing(ranks):
    said = [line for line in lines(mpiexec.run(ranks, JOB, "nothing")) if line["rank"] == 0]
    every = [list(range(ranks))]
    assert [line["columns"] for line in said] == [[], every, [], every]
    assert [line["sums"] for line in said] == [0, 0, 1.5 * ranks, 1.5 * ranks]


@RANKS
def test_totals_and_maps_reach_every_rank(ranks):
    said = lines(mpiexec.run(ranks, JOB, "sums"))
    assert said == [{"total": ranks * (ranks + 1) // 2, "each": list(range(ranks))}] * ranks


@RANKS
def test_commands_arrive_as_they_were_given(ranks):
    said = lines(mpiexec.run(ranks, JOB, "commands"))
    advance = {"op": "ADVANCE", "step": 3, "t_ns": 2**62, "dt_ns": 20_000_000, "payload": "some bytes"}
    assert said.count(advance) == ranks - 1
    assert sum(line["op"] == "CLOSE" for line in said) == ranks - 1


@RANKS
def test_a_rank_that_nobody_comes_to_meet_ends_the_job_with_its_last_words(ranks):
    job = mpiexec.run(ranks, JOB, "lonely", limit_s=30)
    assert job.returncode == 5, job.stdout
    words = [json.loads(line) for line in job.stdout.splitlines() if line.startswith('{"last_words"')]
    assert words == [{"last_words": {"code": "simulator_failed", "text": "rank 1: ValueError: nobody comes"}}]
