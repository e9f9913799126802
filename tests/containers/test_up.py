"""`docker compose up` as a newcomer has it: five services stand, a run goes through, and all of it goes away."""

import json
from pathlib import Path

import httpx
import pytest
from deployment import SERVICES, SMALL, Deployment, docker, local_digest, until

pytestmark = pytest.mark.containers

STEPS = 50


def test_five_services_stand_as_bare_as_they_can(site: Deployment) -> None:
    for service in SERVICES:
        host = site.inspected(service)["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]), service
        assert not host["Privileged"], service
        assert host["Memory"] > 0, service
        assert host["PidsLimit"] > 0, service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", service
        assert not any("docker.sock" in bind for bind in host["Binds"] or []), service
        assert site.inside(service, "id", "-u").strip() == "1000"
        assert "Read-only" in site.inside(service, "sh", "-c", "touch /opt/x 2>&1 || true"), service


def test_only_the_gateway_can_be_reached_and_only_from_here(site: Deployment) -> None:
    for service in SERVICES:
        ports = site.inspected(service)["NetworkSettings"]["Ports"] or {}
        bound = [place for places in ports.values() if places for place in places]
        assert all(place["HostIp"] == "127.0.0.1" for place in bound), service
        assert bool(bound) == (service == "gateway"), service
        networks = list(site.inspected(service)["NetworkSettings"]["Networks"])
        assert networks == [f"{site.name}_{'outside' if service == 'gateway' else 'inside'}"]
    assert json.loads(docker("network", "inspect", site.network()))[0]["Internal"]


def test_users_code_cannot_change_experiments_or_see_tokens(site: Deployment) -> None:
    for service in ("brain", "body", "engine", "recorder"):
        assert "Read-only" in site.inside(service, "sh", "-c", "touch /data/experiments/x 2>&1 || true"), service
        assert site.inside(service, "sh", "-c", "ls /data/tokens.json /run/secrets 2>/dev/null || true") == "", service
    assert site.inside("brain", "sh", "-c", "ls /data/recordings").split() == []
    assert site.inside("gateway", "stat", "-c", "%a %u", "/run/reafference").split() == ["700", "1000"]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_the_page_opens_under_both_names_and_under_no_other(site: Deployment, name: str) -> None:
    answer = httpx.get(f"http://{name}:{site.port}/", timeout=10)
    assert answer.status_code == 200
    assert "<title>" in answer.text
    elsewhere = httpx.get(site.url, headers={"Host": f"evil.example:{site.port}"}, timeout=10)
    assert elsewhere.status_code == 403


def test_the_token_of_the_secret_is_the_administrators(site: Deployment) -> None:
    assert site.ask("GET", "me")["role"] == "admin"
    assert httpx.get(f"{site.url}/api/me", headers={"Authorization": "Bearer wrong"}, timeout=10).status_code == 401
    assert site.token not in site.logs()


def test_without_a_secret_the_first_start_prints_a_token(engine: None, tmp_path: Path) -> None:
    made = Deployment(tmp_path, {"REAF_TOKEN_FILE": "./deploy/secrets/none"})
    try:
        made.up()
        log = docker("logs", made.container("gateway")).splitlines()
        told = next(json.loads(line) for line in log if '"token"' in line)
        assert told["url"] == f"http://localhost:{made.port}/"
        assert made.ask("GET", "me", token=told["token"])["role"] == "admin"
        assert "mouse_reach" in [found["id"] for found in made.ask("GET", "templates", token=told["token"])]
        made.down()
    finally:
        made.clean_up()


def test_a_run_through_the_client_is_the_one_without_containers(site: Deployment, tmp_path: Path) -> None:
    with site.session() as session:
        experiment = session.clone("mouse_reach")
        with session.launch(experiment, set=SMALL) as sim:
            sim.run(for_s=1.0)
        recording = until(lambda: finished(session, experiment), "the recording is complete")
        summary = json.loads(session.recordings(experiment.id).read(recording.id, "summary.json"))
    assert summary["outcome"] == "finished"
    assert summary["steps"] == STEPS
    assert summary["digest"] == local_digest(tmp_path, STEPS)
    assert summary["run_folder"] == f"/data/recordings/{experiment.id}/{recording.id}"
    # On the volume itself, by the tool that compares the recording with the digests of the run.
    site.inside("recorder", "python", "-m", "services.recorder", "verify", summary["run_folder"])


def test_a_brain_of_two_processes_gives_what_one_with_two_threads_gives(site: Deployment, tmp_path: Path) -> None:
    with site.session() as session:
        experiment = session.clone("mouse_reach")
        with session.launch(experiment, set=SMALL, ranks=2, threads=1) as sim:
            sim.run(for_s=0.2)
            assert sim.status.facts["processes"] == 2
            sim.run(for_s=0.8)
        recording = until(lambda: finished(session, experiment), "the recording is complete")
        summary = json.loads(session.recordings(experiment.id).read(recording.id, "summary.json"))
    assert summary["digest"] == local_digest(tmp_path, STEPS, "--threads", "2")


def finished(session, experiment):
    """The newest recording, once it is whole."""
    found = session.recordings(experiment.id).list()
    return found[0] if found and found[0].outcome == "finished" else None


def test_what_is_stored_outlives_the_containers_and_goes_with_the_volumes(site: Deployment) -> None:
    before = site.ask("GET", "experiments")
    assert before
    recordings = site.ask("GET", f"experiments/{before[0]['id']}/recordings")
    site.compose("down", "--timeout", "20")
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={site.name}") == ""
    site.up()
    assert site.ask("GET", "experiments") == before
    assert site.ask("GET", f"experiments/{before[0]['id']}/recordings") == recordings
    site.down()
