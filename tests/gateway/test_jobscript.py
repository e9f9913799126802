"""The script of a job and what stands around it: values in, text out, and that bash understands it."""

import ast
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from reafference import keys, stand
from reafference.errors import BadExperiment
from services.gateway.jobs import host as job_host
from services.gateway.jobs.container_runtime import RUNTIMES
from services.gateway.jobs.folder import prepare_folder, read_token
from services.gateway.jobs.request import Request, Tunnel
from services.gateway.jobs.script import render
from services.gateway.jobs.status import EXIT_STATUSES, JobStatus, parse_status, read_status
from services.gateway.jobs.steps import JobStep, parse_seen, parse_steps, read_steps
from services.gateway.people import People

ROOT = Path(__file__).parents[2]
TUNNEL = Tunnel(to="reaf@site.example.org", listen=23301, key="/keys/tunnel", known_hosts="/keys/known_hosts")


def request(**other):
    """A job of two brain nodes with one rank each."""
    plain = {"id": "j4", "folder": "/shared/jobs/j4", "nodes": 2, "ranks_per_node": 1, "threads_per_rank": 4}
    return Request(**(plain | {"time_s": 5400, "python": "/opt/reaf/bin/python"} | other))


def options(script):
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")]


def arrays(script, **variables):
    """What the script's own arrays hold once it knows `variables`, by asking bash."""
    function = script[script.index("command_lines() {") :]
    function = function[: function.index("\n}\n") + 3]
    known = {
        "folder": "/f",
        "private": "/tmp/p",
        "spool": "/var/spool",
        "environment": "ALL",
        "mpi": "pmix",
    } | variables
    show = "".join(f'printf "%s\\n" "${{{name}[@]}}" --; ' for name in ("services", "trial", "ranks"))
    done = subprocess.run(
        ["bash", "-uc", f"{function}\ncommand_lines\n{show}"],
        env={**os.environ, **known},
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    words = done.stdout.splitlines()
    found = {}
    for name in ("services", "trial", "ranks"):
        end = words.index("--")
        found[name], words = words[:end], words[end + 1 :]
    return found


# --- what sbatch reads ----------------------------------------------------------------------------------


def test_the_job_has_one_node_more_than_the_brain():
    found = options(render(request(ranks_per_node=2, nodes=8)))
    assert {"--nodes=9", "--ntasks-per-node=2", "--cpus-per-task=4", "--job-name=reaf-j4"} <= set(found)


def test_time_and_memory_are_told_in_the_schedulers_units():
    found = options(render(request(time_s=90_061, memory_gb_per_node=4.0)))
    assert "--time=1-01:01:01" in found
    assert "--mem=3815M" in found


def test_what_nobody_asked_for_is_not_there():
    found = " ".join(options(render(request())))
    assert not any(f"--{name}" in found for name in ("mem", "partition", "account", "exclusive"))


def test_the_script_is_told_before_the_time_limit_and_keeps_the_job_when_a_node_is_lost():
    found = options(render(request(stop_s=300)))
    assert {"--signal=B:USR1@300", "--no-requeue", "--no-kill"} <= set(found)


def test_the_sites_own_lines_come_in():
    script = render(request(setup=("module load python/3.11",), options=("--constraint=mc",), account="proj12"))
    assert "--constraint=mc" in options(script)
    assert "--account=proj12" in options(script)
    assert script.index("\nmodule load python/3.11\n") < script.index("command_lines()")


def test_options_stand_before_the_first_command():
    lines = render(request(setup=("module load x",))).splitlines()
    last = max(n for n, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert all(line.startswith("#") for line in lines[: last + 1])


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("reach", ["tunnel", "direct"])
@pytest.mark.parametrize("folder", ["/shared/jobs/j4", ""])
def test_bash_understands_every_script(runtime, reach, folder):
    script = render(request(runtime=runtime, image="/apps/reaf.sif", reach=reach, tunnel=TUNNEL, folder=folder))
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("runtime", ["none", "charliecloud"])
def test_shellcheck_finds_nothing(runtime, tmp_path):
    script = tmp_path / "job.sh"
    script.write_text(render(request(runtime=runtime, image="/apps/reaf", reach="tunnel", tunnel=TUNNEL)))
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", ["services/gateway/jobs/tunnel.sh", "deploy/hpc/transfer-image"])
def test_shellcheck_finds_nothing_in_what_stands_beside_it(script):
    done = subprocess.run(["shellcheck", ROOT / script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_hosts_python_may_be_old():
    ast.parse((ROOT / "services/gateway/jobs/host.py").read_text(), feature_version=(3, 6))


def test_the_script_learns_where_the_gateway_listens():
    assert job_host.announced('{"url": "http://10.1.2.3:4711/", "token": null}') == "10.1.2.3 4711"
    assert job_host.address("localhost") == "127.0.0.1"


def test_the_same_request_gives_the_same_script():
    assert render(request()) == render(request())


# --- command lines --------------------------------------------------------------------------------------


def test_ranks_are_started_on_the_nodes_after_the_first_and_pinned():
    ranks = arrays(render(request(ranks_per_node=2)))["ranks"]
    assert ranks[0] == "srun"
    assert {"--relative=1", "--nodes=2", "--ntasks=4", "--ntasks-per-node=2", "--cpus-per-task=4"} <= set(ranks)
    assert {"--mpi=pmix", "--overlap", "--cpu-bind=cores", "--export=ALL"} <= set(ranks)
    assert ranks[-1] == "/opt/reaf/bin/python"


def test_as_many_ranks_as_sockets_get_a_socket_each():
    assert "--ntasks-per-socket=1" in arrays(render(request(ranks_per_node=2, sockets_per_node=2)))["ranks"]
    assert "--ntasks-per-socket=1" not in arrays(render(request(ranks_per_node=4, sockets_per_node=2)))["ranks"]
    assert "--cpu-bind=none" in arrays(render(request(ranks_per_node=2, sockets_per_node=2, pin=False)))["ranks"]


def test_without_pmix_mpiexec_names_the_brains_nodes():
    script = render(request(ranks_per_node=2, sockets_per_node=2))
    ranks = arrays(script, mpi="mpiexec", brain_hosts="n2:2,n3:2")["ranks"]
    assert ranks[:5] == ["mpiexec", "-n", "4", "--host", "n2:2,n3:2"]
    assert ranks[ranks.index("--map-by") + 1] == "ppr:1:socket:PE=4"


def test_node_1_and_the_brain_may_have_different_images():
    found = arrays(render(request(runtime="apptainer", image="/a/all.sif", brain_image="/a/brain.sif")))
    assert found["services"][-3:] == ["/a/all.sif", "start", "python"]
    assert found["ranks"][-2:] == found["trial"][-2:] == ["/a/brain.sif", "python"]


def test_where_mount_places_must_be_foreseen_the_parent_of_all_jobs_is_mounted():
    ranks = arrays(render(request(runtime="charliecloud", image="/a/all")), folder="/shared/jobs/j4")["ranks"]
    assert "--bind=/shared/jobs:/shared/jobs" in ranks
    assert "--bind=/shared/jobs/j4:/shared/jobs/j4" not in ranks


def test_an_image_does_not_follow_the_sites_python():
    script = render(request(runtime="apptainer", image="/a/all.sif"))
    assert "unset PYTHONPATH" in script
    assert "unset PYTHONPATH" not in render(request())


def test_the_trial_asks_each_node_of_the_brain_once():
    trial = arrays(render(request(ranks_per_node=2)))["trial"]
    assert {"--relative=1", "--ntasks=2", "--ntasks-per-node=1"} <= set(trial)
    assert not any(word.startswith("--mpi") for word in trial)


COMMANDS = {
    "none": "python -m x",
    "apptainer": "apptainer exec --bind=/f:/f --bind=/tmp/p:/tmp/p /a/image python -m x",
    "charliecloud": "ch-run --set-env=/a/image/ch/environment --bind=/f:/f --bind=/tmp/p:/tmp/p /a/image "
    "-- python -m x",
    "sarus": "sarus run --mount=type=bind,source=/f,destination=/f --mount=type=bind,source=/tmp/p,destination=/tmp/p "
    "/a/image python -m x",
}


@pytest.mark.parametrize("name", RUNTIMES)
def test_each_runtime_has_its_way_to_write_a_command(name):
    words = RUNTIMES[name].command("/a/image", ["python", "-m", "x"], ("/f", "/tmp/p"))
    assert " ".join(words) == COMMANDS[name]


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"id": "j4; rm -rf /"}, "the job's id"),
        ({"nodes": 0}, "nodes is 0"),
        ({"ranks_per_node": 0}, "ranks_per_node is 0"),
        ({"time_s": 5}, "time_s is 5"),
        ({"stop_s": 9999}, "stop_s"),
        ({"memory_gb_per_node": float("nan")}, "memory_gb_per_node"),
        ({"partition": "a b"}, "partition"),
        ({"account": "x\n#SBATCH --uid=0"}, "account"),
        ({"title": "two\nlines"}, "title"),
        ({"folder": "jobs/j4"}, "folder"),
        ({"folder": "/jobs/$(reboot)"}, "folder"),
        ({"python": "python"}, "python"),
        ({"options": ("--constraint=a b",)}, "options"),
        ({"options": ("--nodes=3",)}, "set by the request itself"),
        ({"setup": ("one\ntwo",)}, "setup"),
        ({"binds": ("/a:/b",)}, "binds"),
        ({"runtime": "docker"}, "runtime is 'docker'"),
        ({"runtime": "apptainer"}, "needs an image"),
        ({"runtime": "apptainer", "image": "--fakeroot"}, "no image"),
        ({"runtime": "apptainer", "image": "$(reboot)"}, "no image"),
        ({"reach": "tunnel"}, "nothing says where it leads"),
        ({"host_python": "python3; reboot"}, "host_python"),
    ],
)
def test_what_cannot_stand_in_a_script_is_refused_in_a_sentence(wrong, words):
    with pytest.raises(BadExperiment, match=words.replace("(", r"\(")):
        request(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"to": "-oProxyCommand=reboot"}, {"to": "a b"}, {"listen": 0}, {"port": 70_000}, {"patience_s": 0}]
)
def test_a_tunnel_that_cannot_be_is_refused(wrong):
    with pytest.raises(BadExperiment, match=r"tunnel\."):
        Tunnel(**({"to": "a@b", "listen": 1, "key": "k", "known_hosts": "h"} | wrong))


def test_a_title_cannot_leave_its_comment():
    script = render(request(title="$(reboot) 'x' `y`"))
    assert "# Reafference, job j4 ($(reboot) 'x' `y`)\n" in script


# --- the folder -----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "jobs" / "j4"
    prepare_folder(request(folder=str(made), ranks_per_node=2), made)
    return made


def test_the_folder_has_all_that_a_job_needs(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        *("door", "home", "host.py", "job.sh", "keys", "stand.py", "token", "tunnel.sh")
    ]
    assert (folder / "stand.py").read_text() == Path(stand.__file__).read_text()


def test_nobody_else_can_read_it(folder):
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_token_opens_the_jobs_gateway(folder):
    person = People(folder / "home" / "tokens.json").find(read_token(folder))
    assert person is not None
    assert person.role == "admin"


def test_every_rank_has_a_key(folder):
    ring = keys.KeyRing(folder / "keys", "brain.3")
    assert ring.pair()
    assert ring.public("engine")


def test_a_folder_is_made_once(folder):
    with pytest.raises(BadExperiment, match="exists already"):
        prepare_folder(request(), folder)


def test_a_tunnels_keys_come_along(tmp_path):
    for name in ("key", "known_hosts"):
        (tmp_path / name).write_text(name)
    tunnel = Tunnel(to="a@b", listen=1, key=str(tmp_path / "key"), known_hosts=str(tmp_path / "known_hosts"))
    prepare_folder(request(reach="tunnel", tunnel=tunnel), tmp_path / "j4")
    assert (tmp_path / "j4" / "tunnel" / "key").read_text() == "key"


def test_without_a_tunnels_key_nothing_is_left_behind(tmp_path):
    with pytest.raises(BadExperiment, match="cannot be filled: No such file"):
        prepare_folder(request(reach="tunnel", tunnel=TUNNEL), tmp_path / "j4")
    assert not (tmp_path / "j4").exists()


# --- what a job says ------------------------------------------------------------------------------------


def test_a_job_that_has_said_nothing_is_unknown(tmp_path):
    assert read_status(tmp_path) == JobStatus()


def test_a_status_is_read(tmp_path):
    said = {"state": "serving", "text": 'it "serves"', "at": 12.5, "port": 4711, "exit_status": None, "tunnel": "open"}
    (tmp_path / "status.json").write_text(json.dumps(said))
    found = read_status(tmp_path)
    assert found == JobStatus(state="serving", text='it "serves"', at=12.5, port=4711, tunnel="open")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"state": "flying"}', b"\xff\xfe", b"[" * 60_000])
def test_nonsense_is_unknown(text):
    assert parse_status(text) == JobStatus()


def test_a_value_of_another_type_counts_as_missing():
    found = parse_status(json.dumps({"state": "ended", "port": "x", "exit_status": True, "at": None}))
    assert found == JobStatus(state="ended")


def test_every_exit_status_of_the_script_has_its_words():
    script = render(request())
    for status in EXIT_STATUSES:
        assert f"finish {status} " in script


# --- what steps used ------------------------------------------------------------------------------------

SACCT = """\
12|reaf-j4|83||00:41.210|0
12.batch|batch|83|241664K|00:30.010|5120
12.extern|extern|83|0|00:00.001|0
12.0|trial|2|40000K|00:01.000|0
12.1|brain|60|1.5G|1-02:03:04|0
12.2|brain|3||00:00:10|
"""


def test_steps_are_read_from_the_accounting():
    assert parse_steps(SACCT) == [
        JobStep(name="batch", elapsed_s=83.0, peak_rss_mb=247.5, cpu_s=30.01, energy_J=5120.0),
        JobStep(name="brain.1", elapsed_s=60.0, peak_rss_mb=1610.6, cpu_s=93784.0),
        JobStep(name="brain.2", elapsed_s=3.0, cpu_s=10.0),
    ]


def test_without_accounting_the_last_look_counts(tmp_path):
    (tmp_path / "steps.live").write_text(
        "60|12.batch|1000K|00:02.000|1|0\n60|12.1|2000K|00:05.000|2|0\n120|12.1|3000K|00:10.000|2|0\nnonsense\n"
    )
    assert read_steps(tmp_path) == [
        JobStep(name="batch", elapsed_s=0.0, peak_rss_mb=1.0, cpu_s=2.0),
        JobStep(name="step.1", elapsed_s=60.0, peak_rss_mb=3.1, cpu_s=20.0),
    ]
    assert parse_seen("") == []


def test_what_was_seen_of_the_script_itself_completes_the_accounting(tmp_path):
    (tmp_path / "steps.txt").write_text("12.batch|batch|83||00:00:00|\n12.1|brain|60|1.5G|00:09:00|0\n")
    (tmp_path / "steps.live").write_text("80|12.batch|1000K|00:02.000|1|0\n80|12.1|9000K|00:02.000|1|0\n")
    assert read_steps(tmp_path) == [
        JobStep(name="batch", elapsed_s=83.0, peak_rss_mb=1.0, cpu_s=2.0),
        JobStep(name="brain.1", elapsed_s=60.0, peak_rss_mb=1610.6, cpu_s=540.0),
    ]


def test_a_job_that_noted_nothing_has_no_steps(tmp_path):
    assert read_steps(tmp_path) == []
