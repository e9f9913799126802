"""The jobs of a site with a scheduler that is moved by hand: nothing is lost, whatever it does."""

import asyncio
import contextlib
import threading

import pytest

from services.gateway.cluster import Cluster
from services.gateway.jobs.cluster_job import Order
from services.gateway.jobs.settings import ClusterSettings, Limits
from services.gateway.people import Person
from services.gateway.problems import Problem
from services.gateway.schedulers.scheduler import Seen

from .hand_scheduler import Hand, say, serve

pytestmark = pytest.mark.anyio
ANNA = Person("anna", "owner")
ORDER = Order(nodes=1, time_s=600, runtime="")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def hand():
    return Hand()


@pytest.fixture
def settings(tmp_path):
    limits = Limits(jobs=2)
    python = str(tmp_path / "python")
    return ClusterSettings(
        scheduler="slurm", folder=str(tmp_path / "shared"), python=python, poll_s=0.2, stop_s=1, limits=limits
    )


@contextlib.asynccontextmanager
async def opened(tmp_path, settings, hand, **hooks):
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    cluster = Cluster(home, settings, hand)
    for name, hook in hooks.items():
        setattr(cluster, name, hook)
    cluster.open()
    try:
        yield cluster
    finally:
        await cluster.close()


async def until(holds, what=lambda: ""):
    async with asyncio.timeout(10.0):
        while not holds():
            await asyncio.sleep(0.01)


def state(cluster, id="j1"):
    return cluster.job(id).state


async def test_a_job_is_watched_from_its_submission_to_its_end(tmp_path, settings, hand):
    async with opened(tmp_path, settings, hand) as cluster:
        changes = []
        cluster.listen(lambda: changes.append(1))
        job = await cluster.submit(ORDER, ANNA)
        assert (job.id, job.state, job.scheduler_id, job.reason) == ("j1", "waiting", "100", "Resources")
        folder = hand.jobs["100"]
        assert folder.stat().st_mode & 0o077 == 0
        hand.run("100")
        await until(lambda: state(cluster) == "starting")
        assert cluster.serving() == []
        serve(folder)
        await until(lambda: state(cluster) == "serving")
        (place,) = cluster.serving()
        assert (place.id, place.url, place.folder) == ("j1", "https://127.0.0.1:40000", folder)
        assert place.token == (folder / "token").read_text().strip()
        say(folder, state="ended", text="its time limit comes", exit_status=20)
        hand.seen["100"] = Seen(phase="ended", word="FAILED")
        await until(lambda: state(cluster) == "ended")
        job = cluster.job("j1")
        assert (job.exit_status, job.ready_after_s, job.reason) == (20, 2.5, "time limit")
        assert cluster.serving() == []
        assert changes
        asked = hand.asked
        await asyncio.sleep(0.5)
        assert hand.asked == asked, "a scheduler is not asked about nothing"
        await cluster.forget(job)
        assert cluster.jobs() == []
        assert not folder.exists()


async def test_a_running_job_is_asked_to_end_and_then_ended(tmp_path, settings, hand):
    async with opened(tmp_path, settings, hand) as cluster:
        await cluster.submit(ORDER, ANNA)
        hand.run("100")
        serve(hand.jobs["100"])
        await until(lambda: state(cluster) == "serving")
        job = await cluster.abort(cluster.job("j1"))
        assert (job.state, hand.cancelled) == ("ending", [])
        assert (hand.jobs["100"] / "end").exists()
        # It does not end by itself within stop_s.
        await until(lambda: state(cluster) == "aborted")
        assert hand.cancelled == ["100"]
        with pytest.raises(Problem, match="has ended already"):
            await cluster.abort(cluster.job("j1"))


async def test_a_waiting_job_is_ended_at_once(tmp_path, settings, hand):
    async with opened(tmp_path, settings, hand) as cluster:
        await cluster.submit(ORDER, ANNA)
        await cluster.abort(cluster.job("j1"))
        await until(lambda: state(cluster) == "aborted")
        assert hand.cancelled == ["100"]


async def test_a_silent_scheduler_loses_no_job(tmp_path, settings, hand):
    async with opened(tmp_path, settings, hand) as cluster:
        await cluster.submit(ORDER, ANNA)
        hand.run("100")
        serve(hand.jobs["100"])
        await until(lambda: state(cluster) == "serving")
        hand.trouble = "squeue has not answered within 30 s"
        await until(lambda: cluster.problem)
        await until(lambda: cluster.job("j1").trouble)
        assert "the scheduler has not answered for" in cluster.job("j1").trouble
        assert state(cluster) == "serving"
        assert len(cluster.serving()) == 1
        # What is asked for meanwhile is done later.
        await cluster.abort(await cluster.abort(cluster.job("j1")))
        hand.trouble = None
        await until(lambda: state(cluster) == "aborted")
        assert (cluster.problem, hand.cancelled) == ("", ["100"])


async def test_a_job_whose_submission_was_not_answered_is_looked_for(tmp_path, settings, hand):
    hand.lost_answer = "after"
    async with opened(tmp_path, settings, hand) as cluster:
        job = await cluster.submit(ORDER, ANNA)
        await until(lambda: cluster.job(job.id).scheduler_id == "100")
        hand.lost_answer = "before"
        lost = await cluster.submit(ORDER, ANNA)
        await until(lambda: state(cluster, lost.id) == "failed")
        assert cluster.job(lost.id).text == "the scheduler did not take it: submit it again"


async def test_a_refused_job_leaves_nothing_behind(tmp_path, settings, hand):
    hand.refusal = "sbatch: Invalid account"
    async with opened(tmp_path, settings, hand) as cluster:
        with pytest.raises(Problem) as told:
            await cluster.submit(ORDER, ANNA)
        assert (told.value.status, "Invalid account" in told.value.detail) == (422, True)
        assert cluster.jobs() == []
        assert list((tmp_path / "shared").iterdir()) == []


async def test_a_server_that_starts_again_goes_on(tmp_path, settings, hand):
    async with opened(tmp_path, settings, hand) as cluster:
        await cluster.submit(ORDER, ANNA)
        hand.run("100")
        serve(hand.jobs["100"])
        await until(lambda: state(cluster) == "serving")
        before = cluster.job("j1")
    async with opened(tmp_path, settings, hand) as cluster:
        assert cluster.job("j1") == before
        assert len(cluster.serving()) == 1
        assert (await cluster.submit(ORDER, ANNA)).id == "j2"
        with pytest.raises(Problem, match="2 jobs already"):
            await cluster.submit(ORDER, ANNA)


async def test_the_experiment_of_a_job_is_launched_once_when_it_serves(tmp_path, settings, hand):
    launched = []

    async def launch(job, experiment, owner):
        launched.append((job, experiment, owner))
        raise Problem(409, "busy", "the only place is taken")

    order = Order(nodes=1, time_s=600, runtime="", experiment="mouse")
    async with opened(tmp_path, settings, hand, on_serving=launch) as cluster:
        await cluster.submit(order, ANNA)
        assert launched == []
        hand.run("100")
        serve(hand.jobs["100"])
        await until(lambda: cluster.job("j1").note)
        assert cluster.job("j1").note == "mouse could not be launched on it: the only place is taken"
    async with opened(tmp_path, settings, hand, on_serving=launch):
        await until(lambda: hand.asked > 3)
    assert launched == [("j1", "mouse", "anna")]


async def test_the_tail_of_a_log_is_bounded(tmp_path, settings, hand):
    async with opened(tmp_path, settings, hand) as cluster:
        job = await cluster.submit(ORDER, ANNA)
        assert await cluster.log(job, 5) == ""
        (hand.jobs["100"] / "log").write_text("".join(f"line {n}\n" for n in range(100_000)))
        assert await cluster.log(job, 2) == "line 99998\nline 99999\n"
        whole = await cluster.log(job, 10_000)
        assert len(whole) < 300_000


async def test_without_a_cluster_there_are_no_jobs(tmp_path):
    cluster = Cluster()
    cluster.open()
    assert (cluster.jobs(), cluster.serving(), cluster.connected) == ([], [], False)
    with pytest.raises(Problem, match="connected to no cluster"):
        await cluster.submit(ORDER, ANNA)
    await cluster.close()


async def test_who_asks_for_facts_of_a_silent_cluster_does_not_wait_long(tmp_path, settings, hand, monkeypatch):
    monkeypatch.setattr("services.gateway.jobs.facts._PATIENCE_S", 0.1)
    hand.offer_blocks = threading.Event()
    async with opened(tmp_path, settings, hand) as cluster:
        assert await asyncio.wait_for(cluster.offer(), 5.0) is None
        hand.offer_blocks.set()
        await until(lambda: cluster._facts._offer.value)
        assert (await cluster.offer()).partitions[0].name == "debug"
