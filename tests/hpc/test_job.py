"""A job on a real Slurm: the gateway on node 1, the brain's ranks on the nodes after it."""

import os
import signal
import time

import pytest
from jobs import processes_of, recording_of, run_through, services_of, small_mouse, summary, wait

from services.gateway.jobs.steps import read_steps

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
LONG = 1_000_000


# --- it runs --------------------------------------------------------------------------------------------


def test_a_run_over_three_nodes_has_the_digests_of_one_on_a_laptop(jobs, local_digests):
    submitted = time.monotonic()
    job = jobs.submit()
    with job.connect() as session:
        simulation = small_mouse(session)
        simulation.step()
        first_step_after_s = time.monotonic() - submitted
        simulation.start()
        status = simulation.wait(timeout_s=90)
        assert (status.state, status.outcome) == ("stopped", "finished")
        assert status.id.startswith(f"{job.request.id}-")
        found = summary(recording_of(job, status))
    assert found["digests"] == local_digests
    print(f"\nserving after {job.status.ready_after_s} s, first step {first_step_after_s:.1f} s after sbatch")
    assert first_step_after_s < 60.0


def test_services_are_on_node_1_and_each_rank_keeps_to_a_socket_of_its_own(jobs):
    job = jobs.submit(ranks_per_node=2, sockets_per_node=2, pin=True)
    with job.connect() as session:
        simulation = small_mouse(session, steps=LONG)
        simulation.start()
        simulation.wait(0.1, timeout_s=60)
        found = services_of(job)
        simulation.stop()
    assert int(job.fact("NumNodes")) == 3
    assert {name: {one.node for one in ones} for name, ones in found.items()} == {
        **{name: {"n1"} for name in ("gateway", "engine", "body", "recorder")},
        "brain": {"n2", "n3"},
    }
    ranks = sorted(found["brain"], key=lambda rank: rank.rank)
    assert [rank.node for rank in ranks] == ["n2", "n2", "n3", "n3"]
    assert {(rank.node, *rank.cpus) for rank in ranks} == {("n2", "0"), ("n2", "1"), ("n3", "0"), ("n3", "1")}


def test_threads_have_cores_of_their_own(jobs):
    job = jobs.submit(threads_per_rank=2, pin=True)
    with job.connect() as session:
        simulation = small_mouse(session, steps=LONG)
        assert simulation.status.facts["threads"] == 2
        simulation.step()
        ranks = services_of(job)["brain"]
        assert [{"0", "1"} <= rank.cpus for rank in ranks] == [True, True], ranks
        simulation.stop()


def test_without_pmix_ranks_come_by_mpiexec(jobs, local_digests):
    job = jobs.submit(mpi="mpiexec")
    with job.connect() as session:
        status = run_through(session)
        assert status.outcome == "finished"
        assert summary(recording_of(job, status))["digests"] == local_digests


def test_one_rank_is_a_job_of_its_own_node(jobs):
    job = jobs.submit(nodes=1)
    with job.connect() as session:
        simulation = small_mouse(session, steps=LONG)
        assert {rank.node for rank in services_of(job)["brain"]} == {"n2"}
        simulation.stop()


def test_two_jobs_run_at_once_on_nodes_of_their_own(jobs):
    two = [jobs.submit(nodes=1, exclusive=True), jobs.submit(nodes=1, exclusive=True)]
    sessions = [job.connect() for job in two]
    simulations = [small_mouse(session) for session in sessions]
    for simulation in simulations:
        simulation.start()
    assert [simulation.wait(timeout_s=90).outcome for simulation in simulations] == ["finished", "finished"]
    assert [simulation.id for simulation in simulations] == ["j1-s1", "j2-s1"]
    assert len({job.fact("NodeList") for job in two}) == 2
    for session in sessions:
        session.close()


# --- again, and after a failure -------------------------------------------------------------------------


def test_a_job_runs_one_experiment_after_the_other(jobs, local_digests):
    job = jobs.submit()
    with job.connect() as session:
        for _ in range(3):
            status = run_through(session)
            assert summary(recording_of(job, status))["digests"] == local_digests


def test_a_brain_that_dies_is_named_and_the_next_one_starts(jobs):
    job = jobs.submit()
    with job.connect() as session:
        simulation = small_mouse(session, steps=LONG)
        simulation.start()
        simulation.wait(0.1, timeout_s=60)
        victim = next(rank for rank in services_of(job)["brain"] if rank.node == "n3")
        os.kill(victim.pid, signal.SIGKILL)
        struck = time.monotonic()
        wait(lambda: simulation.status.ended, 20.0, lambda: simulation.status)
        assert time.monotonic() - struck < 15.0
        assert simulation.status.state == "halted"
        # srun says so, or the pulse that has stopped: whichever is heard first.
        assert f"rank {victim.rank} " in simulation.status.text
        assert run_through(session).outcome == "finished"


# --- the end --------------------------------------------------------------------------------------------


@pytest.fixture
def running(jobs):
    """A job in which something runs that does not end by itself."""
    job = jobs.submit()
    with job.connect() as session:
        simulation = small_mouse(session, steps=LONG)
        simulation.start()
        return job, simulation.wait(0.1, timeout_s=60)


def must_have_ended(job, simulation, exit_status, *, seconds=60.0):
    """In order: the recording is complete, nothing is left on any node, and keys are gone."""
    status = job.ended(seconds)
    assert (status.state, status.exit_status) == ("ended", exit_status), job.log
    assert job.fact("ExitCode") == f"{exit_status}:0"
    found = summary(recording_of(job, simulation))
    assert found["outcome"] == "stopped"
    assert processes_of(job.folder) == {}
    assert not (job.folder / "keys").exists()


def test_a_job_that_is_asked_to_end_completes_its_recordings(running):
    job, simulation = running
    job.ask_to_end()
    must_have_ended(job, simulation, 0)


def test_a_signal_asks_as_well(running):
    job, simulation = running
    job.cluster.ask("scancel", "--batch", "--signal=USR2", job.id)
    must_have_ended(job, simulation, 0)


def test_the_scheduler_tells_that_time_is_short(jobs):
    job = jobs.submit(time_s=120, stop_s=70)
    with job.connect() as session:
        simulation = small_mouse(session, steps=LONG)
        simulation.start()
        status = simulation.wait(0.1, timeout_s=60)
    must_have_ended(job, status, 20, seconds=150.0)
    assert job.state == "FAILED"  # of an exit status other than 0, not TIMEOUT


def test_a_job_looks_at_the_clock_itself(jobs):
    """Where no scheduler sends signals before the end."""
    job = jobs.submit(time_s=600, stop_s=590)
    job.until("serving")
    status = job.ended(60.0)
    assert status.exit_status == 20


def test_an_abort_without_asking_leaves_nothing_behind(running):
    job, _ = running
    job.cluster.ask("scancel", job.id)
    job.ended(60.0)
    wait(lambda: processes_of(job.folder) == {}, 10.0, lambda: processes_of(job.folder))


def test_a_job_whose_node_is_lost_says_which(running, cluster):
    job, simulation = running
    cluster.cut(3)
    try:
        struck = time.monotonic()
        with job.connect() as session:
            lost = session.simulation(simulation.id)
            wait(lambda: lost.status.ended, 20.0, lambda: lost.status)
            print(
                f"\nthe run was halted {time.monotonic() - struck:.1f} s after the cable was pulled: {lost.status.text}"
            )
            assert "brain" in lost.status.text
        status = job.ended(120.0)
        print(f"the job ended {time.monotonic() - struck:.1f} s after it: {status.text}")
        assert status.exit_status == 21
        assert "n3" in status.text
    finally:
        cluster.heal(3)
        wait(lambda: len(cluster.ask("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split()) == cluster.nodes, 120.0)
    wait(lambda: processes_of(job.folder) == {}, 30.0, lambda: processes_of(job.folder))


def test_a_gateway_that_dies_ends_its_job(jobs):
    job = jobs.submit()
    job.until("serving")
    os.kill(services_of(job)["gateway"][0].pid, signal.SIGKILL)
    status = job.ended(60.0)
    assert status.exit_status == 24
    wait(lambda: processes_of(job.folder) == {}, 10.0, lambda: processes_of(job.folder))


def test_a_python_that_is_not_there_is_told(jobs):
    status = jobs.submit(python="/opt/nowhere/bin/python").ended(60.0)
    assert status.exit_status == 22
    assert "cannot be started" in status.text


def test_a_site_that_cannot_be_reached_ends_the_job(jobs, tmp_path):
    from services.gateway.jobs.request import Tunnel

    for name in ("key", "known_hosts"):
        (tmp_path / name).write_text("")
    tunnel = Tunnel(
        to="nobody@10.97.3.1",
        listen=23999,
        port=9,
        key=str(tmp_path / "key"),
        known_hosts=str(tmp_path / "known_hosts"),
        patience_s=5,
    )
    status = jobs.submit(reach="tunnel", tunnel=tunnel).ended(60.0)
    assert status.exit_status == 23
    assert "no tunnel to nobody@10.97.3.1" in status.text


def test_what_the_steps_used_is_noted(running):
    job, _ = running
    job.ask_to_end()
    job.ended(60.0)
    steps = {step.name.split(".")[0]: step for step in read_steps(job.folder)}
    assert {"batch"} < set(steps), (job.folder / "steps.live").read_text()
    print("\n", *steps.values(), sep="\n")
    assert max(step.peak_rss_mb or 0 for step in steps.values()) > 50.0
