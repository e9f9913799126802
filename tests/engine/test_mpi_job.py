"""The command line of mpiexec, and what the log of a job says about its end."""

import json
import sys

import pytest

from services.engine import mpi_job
from services.engine.experiment import Mpi

MPIEXEC_KILLED = """\
--------------------------------------------------------------------------
Primary job  terminated normally, but 1 process returned
a non-zero exit code. Per user-direction, the job has been aborted.
--------------------------------------------------------------------------
mpiexec noticed that process rank 1 with PID 0 on node here exited on signal 9 (Killed).
"""
MPIEXEC_ENDED = """\
mpiexec detected that one or more processes exited with non-zero status, thus causing
the job to be terminated. The first process to do so was:

  Process name: [[23841,1],3]
  Exit code:    7
"""


def command(mpi=None, *, ranks=2, threads=1, cores=2):
    return mpi_job.command(
        "some.module", ranks=ranks, threads=threads, cores=cores, mpi=mpi or Mpi(), environment=["REAF_WIRES"]
    )


def test_ranks_that_fit_are_pinned_to_cores_of_their_own():
    made = command(ranks=2, threads=3, cores=6)
    assert made == ["mpiexec", "-n", "2", "--map-by", "slot:PE=3", sys.executable, "-m", "mpi4py", "-m", "some.module"]


def test_ranks_that_do_not_fit_share_the_cores():
    assert command(ranks=3)[3:6] == ["--oversubscribe", "--bind-to", "none"]


def test_on_several_hosts_the_environment_goes_along():
    assert command(Mpi(hostfile="hosts"), ranks=3)[3:9] == [
        *("--hostfile", "hosts"),
        *("-x", "REAF_WIRES"),
        *("--map-by", "slot:PE=1"),
    ]


def test_arguments_of_the_users_own_about_places_stand_alone():
    made = command(Mpi(arguments=("--bind-to", "socket")))
    assert "--map-by" not in made
    assert made[3:5] == ["--bind-to", "socket"]


def test_a_crowded_machine_makes_whoever_waits_give_way(tmp_path, monkeypatch):
    monkeypatch.delenv("OMPI_MCA_mpi_yield_when_idle", raising=False)
    assert mpi_job.environment(tmp_path, crowded=True)["OMPI_MCA_mpi_yield_when_idle"] == "1"
    assert "OMPI_MCA_mpi_yield_when_idle" not in mpi_job.environment(tmp_path, crowded=False)


def test_what_the_user_has_set_is_theirs(tmp_path, monkeypatch):
    monkeypatch.setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "cma")
    assert "OMPI_MCA_btl_vader_single_copy_mechanism" not in mpi_job.environment(tmp_path, crowded=False)


def test_a_killed_rank_is_named():
    assert mpi_job.how_it_ended(MPIEXEC_KILLED) == ("its rank 1 (on here) was killed by SIGKILL", "")


def test_a_rank_that_ended_by_itself_is_named():
    assert mpi_job.how_it_ended(MPIEXEC_ENDED) == ("its rank 3 ended with status 7", "")


@pytest.mark.parametrize(
    ("said", "how"),
    [
        ("srun: error: n3: task 1: Killed", "its rank 1 (on n3) was killed by SIGKILL"),
        ("srun: error: n3: tasks 2-3: Segmentation fault (core dumped)", "its rank 2 (on n3) was killed by SIGSEGV"),
        ("srun: error: n2: task 0: Exited with exit code 5", "its rank 0 (on n2) ended with status 5"),
        ("srun: error: Node failure on n3\nsrun: error: n2: task 0: Killed", "the node n3 was lost"),
    ],
)
def test_what_srun_saw_is_understood(said, how):
    assert mpi_job.how_it_ended(f"chatter\n{said}\nsrun: Force Terminated StepId=1.0") == (how, "")


def test_last_words_come_before_what_mpiexec_saw():
    words = json.dumps({"last_words": {"code": "script_error", "text": "rank 1: brain.py, line 3"}})
    assert mpi_job.how_it_ended(f"chatter\n[1,1]<stderr>: {words}\n{MPIEXEC_KILLED}") == (
        "rank 1: brain.py, line 3",
        "script_error",
    )


def test_a_log_that_says_nothing_gives_nothing():
    assert mpi_job.how_it_ended('{"last_words": 3}\n{"last_words"\nnothing else') == ("", "")
