"""Jobs of a site on a real Slurm, by its commands and by slurmrestd: from the server's door to the nodes and back."""

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from jobs import CROWDED, PYTHON, ROOT, SMALL, processes_of, wait

from reafference import client

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
SERVE_S = 60.0
END_S = 60.0


class Site:
    """A server with a cluster; `session` is its client."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.session = client.local(home, places=1)

    def restart(self) -> None:
        self.session.close()
        self.session = client.local(self.home, places=1)

    def submit(self, **wanted):
        return self.session.jobs.submit(**({"nodes": 1, "time_s": 600} | wanted))

    def until(self, id, *states, seconds=SERVE_S):
        """The job as soon as it is in one of these states."""

        def there():
            return self.session.jobs.get_one(id).state in states

        wait(there, seconds, lambda: f"{self.session.jobs.get_one(id)}\n{self.session.jobs.log(id)}")
        return self.session.jobs.get_one(id)

    def reaf(self, *words, check=True):
        environment = os.environ | {"REAF_SERVER": self.session.url, "REAF_TOKEN": self.session.token}
        command = [PYTHON, "-m", "reafference.cli", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=check)

    def close(self) -> None:
        """End the jobs and the server."""
        for job in self.session.jobs.list():
            if not job.over:
                self.session.jobs.cancel(job.id)
                with contextlib.suppress(client.ServerError):
                    self.session.jobs.cancel(job.id)
        for job in self.session.jobs.list():
            self.until(job.id, "ended", "failed", "aborted")
        self.session.close()


def settings(cluster, folder, by, tmp_path):
    lines = [
        "[cluster]",
        'title = "Mini"',
        f'scheduler = "{by}"',
        f'folder = "{folder}"',
        f'python = "{PYTHON}"',
        f"setup = {list(CROWDED)}",
        "pin = false",
        "poll_s = 0.5",
        "stop_s = 20",
    ]
    if by == "slurmrestd":
        token = tmp_path / "slurm.jwt"
        told = cluster.ask("scontrol", "token", "username=root", "lifespan=3600")
        token.write_text(told)
        token.chmod(0o600)
        url = cluster.environment["SLURMRESTD_URL"]
        lines += ["[cluster.rest]", f'url = "{url}"', 'user = "root"', f'token_file = "{token}"']
    return "\n".join(lines) + "\n"


@pytest.fixture(params=["slurm", "slurmrestd"])
def site(request, cluster, tmp_path):
    if request.param == "slurmrestd" and "SLURMRESTD_URL" not in cluster.environment:
        pytest.fail("slurmrestd cannot be had on this machine, so the way through it was not tested")
    # On what all nodes share, and short: sockets have short names.
    folder = Path(f"/var/tmp/reaf-site-{os.getpid()}")
    folder.mkdir(mode=0o700)
    home = tmp_path / "home"
    home.mkdir()
    (home / "cluster.toml").write_text(settings(cluster, folder, request.param, tmp_path))
    made = Site(home, folder)
    try:
        yield made
    finally:
        try:
            made.close()
        finally:
            shutil.rmtree(folder)


def test_a_job_serves_and_is_aborted_in_order(site, cluster):
    told = site.session.jobs.cluster()
    assert told.connected, told
    assert [one["name"] for one in told.partitions if one["default"]], told
    job = site.submit(nodes=2, title="two for the brain")
    job = site.until(job.id, "serving")
    assert len(job.node_names) == 3
    assert job.ready_after_s is not None
    assert job.server == job.id
    wait(lambda: any(one.id == job.id for one in site.session.servers()), 10.0)
    ours = [node["name"] for node in site.session._door.get("cluster", "nodes") if job.id in node["jobs"]]
    assert ours == list(job.node_names)
    assert cluster.ask("squeue", "-h", "-o", "%D", f"--jobs={job.scheduler_id}").strip() == "3"

    site.session.jobs.cancel(job.id)
    job = site.until(job.id, "aborted", seconds=END_S)
    assert job.exit_status == 0
    assert "serving" in site.session.jobs.log(job.id)
    wait(lambda: not processes_of(Path(job.folder)), 10.0, lambda: processes_of(Path(job.folder)))
    site.session.jobs.forget(job.id)
    assert not Path(job.folder).exists()
    assert site.session.jobs.list() == ()


def test_two_jobs_serve_at_once_and_a_third_one_waits_and_can_be_cancelled(site):
    first, second = site.submit(), site.submit()
    third = site.submit(nodes=2)
    assert {site.until(one.id, "serving").state for one in (first, second)} == {"serving"}
    assert {one.id for one in site.session.servers()} >= {first.id, second.id}
    wait(lambda: {"Resources", "Priority"} & {site.session.jobs.get_one(third.id).reason}, 10.0)
    third = site.session.jobs.get_one(third.id)
    assert (third.state, third.server) == ("waiting", None)
    begun = time.monotonic()
    site.session.jobs.cancel(third.id)
    third = site.until(third.id, "aborted", seconds=20.0)
    assert time.monotonic() - begun < 15.0
    assert third.exit_status is None


def test_a_server_that_starts_again_finds_its_jobs(site):
    job = site.until(site.submit().id, "serving")
    site.restart()
    found = site.session.jobs.get_one(job.id)
    assert (found.scheduler_id, found.owner, found.submitted_at) == (job.scheduler_id, job.owner, job.submitted_at)
    assert site.until(job.id, "serving").server == job.id
    assert site.submit(nodes=1).id != job.id


def test_an_experiment_is_launched_as_soon_as_its_job_serves(site):
    experiment = site.session.clone("mouse_reach")
    text = site.session.read_file(experiment, "experiment.toml").decode()
    area = SMALL["brain.parameters.area_mm2"]
    site.session.write_file(experiment, "experiment.toml", text.replace("area_mm2 = 0.1", f"area_mm2 = {area}"))
    job = site.submit(experiment=experiment.id)

    def runs():
        found = [one for one in site.session.simulations() if one.server == job.id]
        return bool(found) and found[0].state == "started" and found[0].step > 2

    wait(runs, 120.0, lambda: f"{site.session.jobs.get_one(job.id)} {site.session.simulations()}")
    assert next(one for one in site.session.simulations() if one.server == job.id).id.startswith(f"{job.id}-")


def test_what_the_cluster_cannot_give_is_refused_in_a_sentence(site):
    with pytest.raises(client.Invalid, match="nodes: 40 is more than a job may have here"):
        site.submit(nodes=40)
    with pytest.raises(client.Invalid, match="partition: there is no 'debgu' \\(did you mean 'debug'"):
        site.submit(partition="debgu")
    with pytest.raises(client.Invalid, match="runtime"):
        site.submit(runtime="apptainer")
    assert site.session.jobs.list() == ()
    assert list(site.folder.iterdir()) == []


def test_jobs_are_submitted_watched_and_cancelled_from_a_terminal(site):
    told = site.reaf("submit", "--nodes", "1", "--time", "0:10", "--title", "by hand", "--wait", "1m")
    id = told.stdout.strip()
    assert "serving" in told.stderr
    listed = site.reaf("jobs").stdout
    assert "by hand" in listed
    assert id in listed
    assert "scheduler" not in site.reaf("jobs", id).stderr
    assert "serving" in site.reaf("jobs", id, "--log").stdout
    site.reaf("cancel", id)
    site.until(id, "aborted", seconds=END_S)
    again = site.reaf("cancel", id, check=False)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    wrong = site.reaf("submit", "--nodes", "99", "--time", "0:10", check=False)
    assert wrong.returncode == 2
    assert "nodes: 99 is more" in wrong.stderr


def test_a_job_through_unicore_has_its_nodes_from_slurm(cluster, tmp_path, monkeypatch):
    """The site of UNICORE is a stand-in; batch system, nodes and job are real."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "gateway"))
    from unicore_stand_in import UnicoreStandIn

    folder, home = Path(f"/var/tmp/reaf-unicore-{os.getpid()}"), tmp_path / "home"
    for made in (folder, home):
        made.mkdir(mode=0o700)
    try:
        with UnicoreStandIn(folder, batch="slurm") as stand_in:
            login = tmp_path / "login"
            login.write_text(stand_in.token)
            login.chmod(0o600)
            more = ["[cluster.unicore]", f'url = "{stand_in.url}"', f'token_file = "{login}"']
            text = settings(cluster, folder, "unicore", tmp_path) + "\n".join(more) + "\n"
            (home / "cluster.toml").write_text(text)
            site = Site(home, folder)
            try:
                job = site.until(site.submit(nodes=2).id, "serving")
                number = stand_in.jobs[job.scheduler_id].number
                assert cluster.ask("squeue", "-h", "-o", "%D %T", f"--jobs={number}").split() == ["3", "RUNNING"]
                wait(lambda: any(one.id == job.id and one.cores for one in site.session.servers()), 10.0)
                site.session.jobs.cancel(job.id)
                assert site.until(job.id, "aborted", seconds=END_S).exit_status == 0
                wait(lambda: not processes_of(folder / job.scheduler_id), 10.0)
            finally:
                site.close()
    finally:
        shutil.rmtree(folder)


def test_the_repository_lies_where_all_nodes_see_it():
    assert Path(PYTHON).exists(), f"{ROOT} has no environment: make venv"
