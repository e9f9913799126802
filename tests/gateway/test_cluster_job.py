"""How a job stands, from what its scheduler knows of it and what it says itself; and its settings."""

from dataclasses import replace

import pytest

from reafference.errors import BadExperiment
from services.gateway.jobs import certificate
from services.gateway.jobs import jobs_file as cluster_jobs_file
from services.gateway.jobs import order as cluster_order
from services.gateway.jobs import settings as cluster_settings
from services.gateway.jobs.cluster_job import FORGOTTEN, Job, Order, judged
from services.gateway.jobs.places import Places, free_port
from services.gateway.jobs.settings import ClusterSettings, Limits, TunnelSettings
from services.gateway.jobs.status import JobStatus
from services.gateway.jobs.steps import JobStep
from services.gateway.problems import Problem
from services.gateway.schedulers.scheduler import Node, Offer, Partition, Seen

JOB = Job(id="j1", order=Order(nodes=2), owner="anna", folder="/shared/j1", scheduler_id="17", submitted_at=100.0)
SILENT = JobStatus()
WAITING = Seen(phase="waiting", word="PENDING", reason="Resources")
RUNNING = Seen(phase="running", word="RUNNING", nodes=("n1", "n2", "n3"), started_at=110.0)
SERVES = JobStatus(state="serving", text="it serves", url="http://10.0.0.1:41000/", address="10.0.0.1", port=41000)


def gone(word, exit_status=None, reason=""):
    return Seen(phase="ended", word=word, exit_status=exit_status, reason=reason, ended_at=200.0)


def said(exit_status, text="it said so"):
    return JobStatus(state="ended", text=text, exit_status=exit_status)


def test_a_job_waits_starts_and_serves():
    waiting = judged(JOB, WAITING, SILENT, 105.0)
    assert (waiting.state, waiting.reason, waiting.text) == (
        "waiting",
        "Resources",
        "it waits for nodes to become free",
    )
    assert waiting.waited_s(105.0) == 5.0
    starting = judged(waiting, RUNNING, SILENT, 111.0)
    assert (starting.state, starting.node_names) == ("starting", ("n1", "n2", "n3"))
    assert (starting.waited_s(115.0), starting.elapsed_s(115.0)) == (10.0, 5.0)
    serving = judged(starting, RUNNING, SERVES, 112.0)
    assert (serving.state, serving.port) == ("serving", 41000)
    assert judged(serving, RUNNING, JobStatus(state="ending", text="stops"), 113.0).state == "ending"


def test_a_job_with_a_tunnel_serves_when_that_is_open():
    job = replace(JOB, listen=23300)
    assert judged(job, RUNNING, replace(SERVES, tunnel="opening"), 1.0).state == "starting"
    assert judged(job, RUNNING, replace(SERVES, tunnel="open"), 1.0).state == "serving"
    # Once it was open, those who watch it say that it is interrupted.
    assert judged(job, RUNNING, replace(SERVES, tunnel="broken"), 1.0).state == "serving"


@pytest.mark.parametrize(
    ("seen", "status", "state", "words"),
    [
        (gone("COMPLETED", 0), said(0), "ended", "it said so"),
        (gone("FAILED", 20), said(20), "ended", "time limit came: runs were stopped"),
        (gone("FAILED", 21), said(21), "failed", "one of its nodes was lost"),
        (gone("FAILED", 22), said(22), "failed", "could not be started: it said so (exit status 22"),
        (gone("FAILED", 13), SILENT, "failed", "its script failed (exit status 13"),
        (gone("TIMEOUT"), SILENT, "failed", "recordings may lack their end"),
        (gone("NODE_FAIL"), SERVES, "failed", "one of its nodes was lost"),
        (gone("OUT_OF_MEMORY"), SERVES, "failed", "more memory"),
        (gone("CANCELLED"), SERVES, "aborted", "the scheduler ended it (CANCELLED)"),
        (gone("FAILED"), SILENT, "failed", "did not say why"),
    ],
)
def test_the_end_of_a_job_has_a_reason_in_words(seen, status, state, words):
    job = judged(JOB, seen, status, 201.0)
    assert (job.state, job.ended_at) == (state, 200.0)
    assert words in job.text


def test_what_was_aborted_is_told_so():
    asked = replace(JOB, aborted=True)
    assert judged(asked, RUNNING, SERVES, 1.0).state == "ending"
    assert judged(asked, WAITING, SILENT, 1.0).state == "ending"
    clean = judged(asked, gone("COMPLETED", 0), said(0), 1.0)
    assert (clean.state, clean.exit_status, "in order" in clean.text) == ("aborted", 0, True)
    assert judged(asked, gone("CANCELLED"), SILENT, 1.0).state == "aborted"


def test_a_job_that_the_scheduler_forgot_is_not_lost_at_once():
    job = JOB
    for _ in range(FORGOTTEN - 1):
        job = judged(job, None, SERVES, 1.0)
        assert job.state == "waiting"
    # It came back, and the count begins anew.
    assert judged(job, RUNNING, SERVES, 1.0).missed == 0
    lost = judged(job, None, SERVES, 1.0)
    assert (lost.state, "does not know it any more" in lost.text) == ("failed", True)
    assert judged(JOB, None, said(0), 1.0).state == "ended"
    never = replace(JOB, scheduler_id="", missed=FORGOTTEN)
    assert judged(never, None, SILENT, 1.0).text == "the scheduler did not take it: submit it again"


def test_jobs_are_kept_as_they_are(tmp_path):
    ended = judged(JOB, gone("FAILED", 22), said(22), 201.0)
    ended = replace(ended, steps=(JobStep(name="batch", elapsed_s=3.0, peak_rss_mb=5.0),))
    assert cluster_jobs_file.read(tmp_path) == (0, [])
    cluster_jobs_file.write(tmp_path, 7, [replace(JOB, trouble="for the moment"), ended])
    assert cluster_jobs_file.read(tmp_path) == (7, [JOB, ended])
    assert (tmp_path / "jobs.json").stat().st_mode & 0o077 == 0
    (tmp_path / "jobs.json").write_text("{")
    with pytest.raises(BadExperiment, match=r"jobs\.json cannot be understood"):
        cluster_jobs_file.read(tmp_path)


# --- orders ---------------------------------------------------------------------------------------------

SITE = ClusterSettings(scheduler="slurm", folder="/shared", python="/shared/venv/bin/python", limits=Limits(nodes=8))
DEBUG = Offer(partitions=(Partition(name="debug", nodes=4, time_limit_s=3600, default=True), Partition(name="long")))
NODES = tuple(Node(name=f"n{n}", state="idle", cores=4, sockets=2, memory_gb=8.0) for n in range(4))


def check(**wanted):
    order = cluster_order.completed(Order(**({"runtime": ""} | wanted)), SITE)
    cluster_order.check(order, SITE, cluster_order.bounds(SITE, NODES), DEBUG)
    return order


def test_a_plain_order_is_completed_and_taken():
    order = check(nodes=3)
    assert order.runtime == "none"
    request = cluster_order.request_of(order, SITE, "j1", "/shared/j1", 0)
    assert (request.ranks, request.python, request.stop_s) == (3, "/shared/venv/bin/python", 120)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"nodes": 4}, "nodes: 4 is more than a job may have here, which is 3"),
        ({"ranks_per_node": 2, "threads_per_rank": 3}, "2 ranks of 3 threads need 6 cores of a node, which has 4"),
        ({"memory_gb_per_node": 9.0}, "memory_gb_per_node: 9 is more"),
        ({"time_s": 3601}, "more than the 3600 s of the partition debug"),
        ({"time_s": 90_000}, "time_s: 90000 is more"),
        ({"partition": "lnog"}, "did you mean 'long'"),
        ({"partition": "x;reboot"}, "is no such name"),
        ({"account": "$(reboot)"}, "is no such name"),
        ({"runtime": "sarus"}, "'sarus' is not offered here, but none"),
        ({"image": "/shared/brain.sif"}, "takes no image"),
    ],
)
def test_what_cannot_be_given_is_refused_with_its_key(wanted, words):
    with pytest.raises(Problem) as told:
        check(**wanted)
    assert words in str(told.value.detail)
    assert told.value.extra["key"] in str(told.value.detail)


def test_a_limit_of_a_partition_counts_where_that_is_asked_for():
    assert check(partition="long", time_s=7200).time_s == 7200


# --- where they are -------------------------------------------------------------------------------------


def test_a_serving_job_is_reached_at_its_node_or_through_its_tunnel(tmp_path):
    (tmp_path / "token").write_text("secret\n")
    certificate.make(tmp_path / "door", "j1")
    job = replace(judged(JOB, RUNNING, SERVES, 1.0), folder=str(tmp_path), place="/shared/j1")
    place = Places().of(job, shared=True)
    assert (place.url, place.token, place.folder) == ("https://10.0.0.1:41000", "secret", tmp_path)
    assert place.certificate == (tmp_path / "door" / certificate.CERTIFICATE).read_text()
    assert Places().of(replace(job, listen=23300), shared=False).url == "https://127.0.0.1:23300"
    for said_address in ("", "evil/@x", "a b"):
        assert Places().of(replace(job, address=said_address), shared=True) is None
    (tmp_path / "door" / certificate.CERTIFICATE).unlink()
    assert Places().of(job, shared=True) is None  # it would be spoken to without knowing who it is
    assert Places().of(replace(job, folder=str(tmp_path / "none")), shared=True) is None


def test_tunnels_get_ports_of_their_own(tmp_path):
    (tmp_path / "key").write_text("x")
    tunnel = TunnelSettings(
        to="me@host", key=str(tmp_path / "key"), known_hosts=str(tmp_path / "key"), ports="28831-28832"
    )
    settings = replace(SITE, reach="tunnel", tunnel=tunnel)
    first = free_port(settings, [])
    assert free_port(settings, [replace(JOB, listen=first)]) != first
    with pytest.raises(Problem, match="all ports of tunnels"):
        free_port(settings, [replace(JOB, listen=port) for port in (28831, 28832)])


# --- settings -------------------------------------------------------------------------------------------

WHOLE = """
[cluster]
scheduler = "slurm"
folder = "/shared/reafference"
python = "/shared/venv/bin/python"
setup = ["module load openmpi"]
[cluster.limits]
nodes = 8
"""


def test_settings_are_read_from_the_home_or_from_the_file_given(tmp_path):
    assert cluster_settings.load(tmp_path) is None
    (tmp_path / "cluster.toml").write_text(WHOLE)
    found = cluster_settings.load(tmp_path)
    assert (found.limits.nodes, found.setup, found.offered_runtimes) == (8, ("module load openmpi",), ("none",))
    with pytest.raises(BadExperiment, match=r"--cluster .*other\.toml: there is no such file"):
        cluster_settings.load(tmp_path, tmp_path / "other.toml")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("folder =", "foldr ="), "cluster.foldr: expected one of the keys"),
        (('"/shared/reafference"', '"jobs"'), "cluster.folder: expected an absolute path"),
        (('"slurm"', '"slrum"'), "did you mean 'slurm'"),
        (('"slurm"', '"slurmrestd"'), "cluster.rest: expected a table, because scheduler is 'slurmrestd'"),
        (('python = "/shared/venv/bin/python"', ""), "cluster.python: expected the path of the Python"),
        (("python = ", 'runtime = "apptainer"\npython = '), "cluster.image: expected the image"),
        (("nodes = 8", "nodes = 0"), "cluster.limits.nodes: expected a number of 1 or more"),
        (("nodes = 8", 'nodes = "8"'), "cluster.limits.nodes: expected a whole number"),
        (("[cluster.limits]", 'reach = "tunnel"\n[cluster.limits]'), "cluster.tunnel: expected a table"),
        (("[cluster]", "[slurm]\n[cluster]"), "belongs into the table [cluster], not 'slurm'"),
    ],
)
def test_mistakes_in_the_settings_are_told_with_file_and_key(tmp_path, change, words):
    (tmp_path / "cluster.toml").write_text(WHOLE.replace(*change))
    with pytest.raises(BadExperiment) as told:
        cluster_settings.load(tmp_path)
    assert words in told.value.text
    assert str(tmp_path / "cluster.toml") in told.value.text


def test_a_secret_is_private_and_one_line(tmp_path):
    path = tmp_path / "token"
    path.write_text("SLURM_JWT=abc.def.ghi\n")
    path.chmod(0o600)
    assert cluster_settings.secret(str(path), "rest.token_file") == "abc.def.ghi"
    path.chmod(0o644)
    with pytest.raises(BadExperiment, match="can be read by others"):
        cluster_settings.secret(str(path), "rest.token_file")
    path.chmod(0o600)
    path.write_text("two lines\nof text\n")
    with pytest.raises(BadExperiment, match="does not hold a token in one line"):
        cluster_settings.secret(str(path), "rest.token_file")
