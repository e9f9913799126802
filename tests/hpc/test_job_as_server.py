"""A job is a server of its site: submitted, launched on, steered, left; a real Slurm and a real ssh tunnel."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from job_site import HOST, PORTS, site
from jobs import processes_of, summary, wait
from ssh_server import SshServer
from websockets.exceptions import ConnectionClosed

from tests.gateway.watching import Listener

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
LONG = 1_000_000


@pytest.fixture(scope="module")
def place():
    """A folder that all nodes see."""
    folder = Path(f"/var/tmp/reaf-site-{os.getpid()}")
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def opened(cluster, place, tmp_path_factory):
    with (
        SshServer(tmp_path_factory.mktemp("ssh"), HOST, list(PORTS)) as server,
        site(tmp_path_factory.mktemp("site") / "home", place, cluster, server) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def job(opened):
    """A job of two nodes and one, which serves."""
    return opened.serves(opened.submit(nodes=2, title="Two nodes"))


@pytest.fixture(scope="module")
def mouse(opened):
    """An experiment with little cortex, of its own file."""
    experiment = opened.session.clone("mouse_reach").id
    text = opened.session.read_file(experiment, "experiment.toml").decode()
    small = re.sub(r"area_mm2 = [0-9.]+", "area_mm2 = 0.02", text)
    assert small != text
    opened.session.write_file(experiment, "experiment.toml", small)
    return experiment


def digests(opened, experiment, status):
    recording = opened.home / "experiments" / experiment / "recordings" / str(status.recording)
    return summary(recording)["digests"]


def came_home(opened, experiment, status):
    wait(lambda: status.recording in opened.recordings(experiment), 60.0, lambda: opened.http.get("/simulations").text)


def ssh_of(opened):
    """The ssh processes of the jobs of a site, on whatever node."""
    return [pid for pid, line in processes_of(opened.jobs).items() if line.startswith("ssh ")]


def test_a_run_on_a_job_is_the_run_on_this_machine_and_its_recording_comes_home(opened, job, mouse):
    found = []
    for server, ranks in (("local", 2), (job, None)):
        with opened.session.launch(mouse, server=server, ranks=ranks, steps=10) as simulation:
            simulation.start()
            status = simulation.wait(timeout_s=120)
        assert (status.state, status.outcome, status.server) == ("stopped", "finished", server)
        came_home(opened, mouse, status)
        found.append(digests(opened, mouse, status))
    assert found[0] == found[1]


def test_a_run_goes_on_while_the_tunnel_is_cut(opened, job, mouse):
    with opened.session.launch(mouse, server=job, steps=LONG) as simulation:
        simulation.start()
        with Listener(opened.url, simulation.id, opened.token).subscribe("body/joints") as heard:
            heard.until(lambda: heard.of("body/joints"))
            step = heard.simulation["step"]
            (ssh,) = ssh_of(opened)
            os.kill(ssh, signal.SIGKILL)
            with pytest.raises(ConnectionClosed) as closed:
                heard.listen(60)
            assert closed.value.rcvd.code == 1013
        wait(lambda: opened.ready(job), 60.0, lambda: opened.log(job))
        with Listener(opened.url, simulation.id, opened.token).subscribe("body/joints") as heard:
            heard.until(lambda: heard.of("body/joints") and heard.simulation)
        status = simulation.status
        assert status.state == "started"
        assert status.step > step


def test_a_job_that_is_aborted_stops_its_run_in_order_and_its_recording_comes_home(opened, mouse):
    server = opened.serves(opened.submit())
    simulation = opened.session.launch(mouse, server=server, steps=LONG)
    simulation.start()
    simulation.wait(0.1, timeout_s=60)
    assert opened.http.delete(f"/jobs/{server}").status_code == 202
    opened.until(server, "aborted")
    came_home(opened, mouse, simulation.status)
    wait(lambda: simulation.status.state == "stopped", 30.0, lambda: simulation.status)
    assert opened.recordings(mouse)[simulation.status.recording]["outcome"] == "stopped"
    assert server not in [one.id for one in opened.session.servers()]


def test_the_experiment_that_a_job_was_asked_to_run_runs_as_soon_as_it_serves(opened, mouse):
    job = opened.submit(experiment=mouse)
    opened.until(job, "serving")
    wait(lambda: _of(opened, job), 60.0, lambda: opened.job(job))
    (simulation,) = _of(opened, job)
    assert simulation["experiment"] == mouse
    wait(lambda: _of(opened, job)[0]["state"] == "started", 120.0, lambda: _of(opened, job))
    opened.http.delete(f"/jobs/{job}")
    opened.until(job, "aborted")


def _of(opened, job):
    return [one for one in opened.http.get("/simulations").json() if one["id"].startswith(f"{job}-")]
