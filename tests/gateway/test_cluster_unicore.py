"""Jobs through UNICORE: a real server, the client `pyunicore`, a stand-in for the site, and a real job's script."""

import argparse
import sys
import time
from pathlib import Path

import pytest

from reafference import cli, client, job_commands
from services.gateway.jobs.settings import Unicore
from services.gateway.schedulers.scheduler import Refused, Silent
from services.gateway.schedulers.unicore import UnicoreSite, queue, told

from . import hpc_commands
from .unicore_stand_in import UnicoreStandIn

SERVE_S = 60.0


@pytest.fixture
def site(tmp_path):
    with UnicoreStandIn(tmp_path / "unicore", path=hpc_commands.write(tmp_path / "programs")) as made:
        (tmp_path / "login").write_text(made.token + "\n")
        (tmp_path / "login").chmod(0o600)
        yield made


@pytest.fixture
def unicore(site, tmp_path):
    return UnicoreSite(Unicore(url=site.url, token_file=str(tmp_path / "login")), limit_s=5.0)


@pytest.fixture
def session(site, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "cluster.toml").write_text(f"""
[cluster]
title = "A site of UNICORE"
scheduler = "unicore"
python = "{sys.executable}"
pin = false
mpi = "mpiexec"
poll_s = 0.3
stop_s = 10
[cluster.unicore]
url = "{site.url}"
token_file = "{tmp_path / "login"}"
""")
    with client.local(home) as made:
        yield made
        for job in made.jobs.list():
            if not job.over:
                made.jobs.cancel(job.id)
                until(made, job.id, "aborted", "ended", "failed")


def until(session, id, *states, seconds=SERVE_S):
    end = time.monotonic() + seconds
    while (job := session.jobs.get_one(id)).state not in states:
        assert time.monotonic() < end, f"{job}\n{session.jobs.log(id)}"
        time.sleep(0.1)
    return job


def script(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "job.sh").write_text(
        "#!/bin/bash\n#SBATCH --job-name=reaf-j1\n#SBATCH --nodes=2\n#SBATCH --signal=B:USR1@60\n" + text
    )
    (folder / "home").mkdir()
    (folder / "home" / "tokens.json").write_text("{}")
    return folder


def ended(unicore, id):
    end = time.monotonic() + 20.0
    while (seen := unicore.look([id])[id]).phase != "ended":
        assert time.monotonic() < end, seen
        time.sleep(0.05)
    return seen


def test_a_job_serves_is_listed_as_a_server_and_is_aborted_in_order(session, site):
    told_of = session.jobs.cluster()
    assert (told_of.scheduler, told_of.partitions[0]["name"], told_of.accounts) == ("unicore", "batch", ("projects",))
    job = session.jobs.submit(nodes=2, time_s=600, title="through UNICORE")
    job = until(session, job.id, "serving")
    assert job.server == job.id
    assert job.scheduler_id in site.jobs
    end = time.monotonic() + 10.0
    while not any(one.id == job.id and one.cores for one in session.servers()):
        assert time.monotonic() < end, session.servers()
        time.sleep(0.1)
    assert "serving" in session.jobs.log(job.id)

    session.jobs.cancel(job.id)
    job = until(session, job.id, "aborted")
    assert job.exit_status == 0
    session.jobs.forget(job.id)
    assert site.jobs == {}


def test_from_a_terminal_a_job_is_submitted_listed_and_cancelled(session, monkeypatch, capsys):
    for name, value in (("REAF_SERVER", session.url), ("REAF_TOKEN", session.token), ("COLUMNS", "200")):
        monkeypatch.setenv(name, value)

    def reaf(*words):
        """Exit status, and what stands on standard output and on standard error."""
        capsys.readouterr()
        return cli.main(words), *capsys.readouterr()

    status, out, _ = reaf("submit", "--nodes", "1", "--time", "10m", "--title", "by hand", "--wait", "1m")
    id = out.strip()
    assert (status, id) == (0, "j1")
    _, listed, _ = reaf("jobs")
    for words in (id, "by hand", "0:10:00", "serving"):
        assert words in listed
    assert "1 ranks of 1 threads" in reaf("jobs", id)[1]
    assert "serving" in reaf("jobs", id, "--log", "--lines", "20")[1]
    assert reaf("cancel", id)[0] == 0
    until(session, id, "aborted")
    for words in (("cancel", id), ("jobs", "j99"), ("jobs", "--log"), ("submit", "--nodes", "99", "--time", "1:00")):
        status, _, told_why = reaf(*words)
        assert (status, told_why.count("\n")) == (2, 1), words
    assert "nodes: 99 is more" in told_why


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1:30", 5400), ("0:10", 600), ("1:00:30", 3630), ("2-00:00", 172_800), ("90m", 5400), ("2h", 7200)],
)
def test_durations_are_written_as_people_do(text, seconds):
    assert job_commands.duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "1:3", "soon", "-1m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no duration"):
        job_commands.duration_s(text)


def test_a_site_that_is_silent_for_a_while_loses_no_job(session, site):
    job = until(session, session.jobs.submit(nodes=1, time_s=600).id, "serving")
    site.silent = True
    end = time.monotonic() + 20.0
    while "the scheduler has not answered for" not in (now := session.jobs.get_one(job.id)).text:
        assert time.monotonic() < end, now
        time.sleep(0.1)
    assert now.state == "serving"
    assert "has not answered" in session.jobs.cluster().problem
    site.silent = False
    end = time.monotonic() + 20.0
    while "the scheduler has not answered for" in session.jobs.get_one(job.id).text:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_folder_is_uploaded_and_the_script_runs_there(unicore, site, tmp_path):
    folder = script(tmp_path / "j1", 'ls -R; echo "{}" >status.json; exit 22\n')
    id = unicore.submit(folder, "job.sh")
    assert unicore.find(folder) == id
    seen = ended(unicore, id)
    assert (seen.word, seen.exit_status) == ("FAILED", 22)
    unicore.fetch(id, folder, ("status.json", "log", "steps.txt"))
    assert (folder / "status.json").read_text() == "{}\n"
    assert "tokens.json" in (folder / "log").read_text()
    assert not (folder / "steps.txt").exists()
    # UNICORE's script stands behind these lines; a signal would end that one.
    head = (site.jobs[id].folder / "job.request").read_text()
    assert head == "#!/bin/bash\n#SBATCH --job-name=reaf-j1\n#SBATCH --nodes=2\n"
    unicore.forget(id)
    assert unicore.look([id]) == {}
    assert unicore.find(folder) is None


def test_a_job_is_aborted_and_files_are_put_into_its_folder(unicore, site, tmp_path):
    id = unicore.submit(script(tmp_path / "j1", "while [ ! -e end ]; do sleep 0.1; done; sleep 60\n"), "job.sh")
    unicore.put(id, tmp_path, "end", b"x")
    assert (site.jobs[id].folder / "end").read_bytes() == b"x"
    unicore.cancel(id)
    assert ended(unicore, id).exit_status is None
    unicore.cancel(id)


def test_a_wrong_login_and_a_dead_site_are_told_apart(unicore, site, tmp_path):
    (tmp_path / "login").write_text("wrong\n")
    with pytest.raises(Refused, match="does not accept the login"):
        unicore.offer()
    (tmp_path / "login").write_text(site.token)
    site.silent = True
    with pytest.raises(Silent, match="503"):
        unicore.look(["x"])
    with pytest.raises(Silent, match="cannot be reached"):
        UnicoreSite(Unicore(url="http://127.0.0.1:1/A/rest/core", token_file=str(tmp_path / "login"))).look(["x"])


def test_properties_of_jobs_and_queues_are_understood():
    assert told({"status": "QUEUED", "submissionTime": "2026-11-22T02:22:42+0100"}).submitted_at == 1795310562.0
    assert told({"status": "STAGINGIN"}).phase == "waiting"
    assert told({"status": "FAILED", "exitCode": "-1", "statusMessage": "no"}).exit_status is None
    partition = queue("batch", {"Nodes": "1-16:1", "Runtime": "60-86400:3600"})
    assert (partition.nodes, partition.time_limit_s) == (16, 86_400)
