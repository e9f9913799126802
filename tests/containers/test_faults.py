"""Containers that fail in a run: what is said, what goes on, and that the next launch works."""

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deployment import SERVICES, SMALL, Deployment, deployed, docker, image, local_digest, until

from reafference.client import Session, Simulation

pytestmark = [pytest.mark.containers, pytest.mark.campaign, pytest.mark.timeout(600)]

OVER = ("stopped", "failed", "halted")


@pytest.fixture
def session(site: Deployment) -> Iterator[Session]:
    with site.session() as made:
        yield made
        for found in made.simulations():
            if found.state not in OVER:
                made.simulation(found.id).stop()


@contextmanager
def going_on(session: Session, limit_s: float = 60.0) -> Iterator[Simulation]:
    """A run that is on its way, in real time at most."""
    sim = session.launch(session.clone("mouse_reach"), set=SMALL, limit=limit_s, pace=1.0, start=True)
    until(lambda: sim.status.step > 10, "ten steps are made")
    yield sim


def failed(sim: Simulation, patience_s: float = 60.0) -> str:
    """The sentence with which a run failed."""
    status = until(lambda: over(sim), "the run has failed", patience_s)
    assert status.state in ("failed", "halted"), status
    assert status.text
    return str(status.text)


def over(sim: Simulation):
    status = sim.status
    return status if status.state in OVER else None


def runs_again(session: Session) -> None:
    """A new launch works."""
    with session.launch(session.clone("mouse_reach"), set=SMALL) as sim:
        sim.run(for_s=0.2)
        assert sim.status.step == 10


def standing(site: Deployment, *but: str) -> dict[str, str]:
    """Since when each container stands."""
    return {service: site.started_at(service) for service in SERVICES if service not in but}


def test_a_brain_that_is_killed_is_named_and_the_next_launch_needs_no_restart(site, session) -> None:
    before = standing(site)
    with going_on(session) as sim:
        site.kill_process("brain", "services.brain")
        text = failed(sim)
        assert "brain" in text
        assert "SIGKILL" in text
    runs_again(session)
    assert standing(site) == before


def test_a_brains_container_that_crashes_is_named_and_comes_back(site, session) -> None:
    before = standing(site, "brain")
    with going_on(session) as sim:
        site.kill_container("brain")
        assert "brain" in failed(sim)
    site.await_healthy("brain")
    runs_again(session)
    assert standing(site, "brain") == before


def test_a_brains_container_that_is_killed_by_hand_stays_away_until_it_is_called(site, session) -> None:
    before = standing(site, "brain")
    with going_on(session) as sim:
        docker("kill", site.container("brain"))
        assert "brain" in failed(sim)
    with pytest.raises(Exception, match="brain") as refused:
        runs_again(session)
    assert "does not answer" in str(refused.value)
    site.up("brain")
    runs_again(session)
    assert standing(site, "brain") == before


def test_a_body_that_is_cut_off_the_network_simulates_on(site, session, tmp_path: Path) -> None:
    sim = session.launch(session.clone("mouse_reach"), set=SMALL, limit=4.0, pace=1.0, start=True)
    until(lambda: sim.status.step > 10, "ten steps are made")
    docker("network", "disconnect", site.network(), site.container("body"))
    try:
        assert site.inspected("body")["NetworkSettings"]["Networks"] == {}
        status = until(lambda: over(sim), "the run has ended")
    finally:
        docker("network", "connect", "--alias", "body", site.network(), site.container("body"))
    assert status.outcome == "finished", status
    assert status.step == 200
    assert digest(session, sim) == local_digest(tmp_path, 200)


def test_a_body_that_hangs_is_named(site, session) -> None:
    before = standing(site)
    with going_on(session) as sim:
        docker("pause", site.container("body"))
        try:
            began = time.monotonic()
            text = failed(sim)
            assert "body" in text
            assert time.monotonic() - began < 45
        finally:
            docker("unpause", site.container("body"))
    site.await_healthy("body")
    runs_again(session)
    assert standing(site) == before


def test_an_engine_that_is_killed_ends_the_run_in_a_sentence(site, session) -> None:
    with going_on(session) as sim:
        site.kill_process("engine", "services.engine")
        assert "engine" in failed(sim)
    runs_again(session)


def test_an_engines_container_that_crashes_ends_the_run_in_a_sentence(site, session) -> None:
    before = standing(site, "engine")
    with going_on(session) as sim:
        site.kill_container("engine")
        assert "engine" in failed(sim)
    site.await_healthy("engine")
    until(lambda: nothing_runs(site), "brain, body and recorder of the lost run have left")
    runs_again(session)
    assert standing(site, "engine") == before


def nothing_runs(site: Deployment) -> bool:
    for service in ("brain", "body", "recorder", "engine"):
        told = site.inside(service, "python", "-m", "reafference.stand", f"/run/reafference/{service}.stand", "--ask")
        if json.loads(told)["running"]:
            return False
    return True


def test_a_recorder_that_is_killed_is_named_and_what_was_recorded_can_be_mended(site, session) -> None:
    with going_on(session) as sim:
        experiment = sim.status.experiment
        recording = sim.status.recording
        site.kill_process("recorder", "services.recorder")
        assert "recorder" in failed(sim)
    folder = f"/data/recordings/{experiment}/{recording}"
    site.inside("recorder", "python", "-m", "services.recorder", "mend", folder)
    said = site.inside("recorder", "python", "-m", "services.recorder", "verify", folder, check=False)
    whole = re.search(r"(\d+) complete steps", said)
    assert whole, said
    assert int(whole[1]) >= 10
    runs_again(session)


@pytest.mark.parametrize("how", ["crash", "restart"])
def test_a_run_goes_on_while_the_gateway_is_restarted(site, session, how: str, tmp_path: Path) -> None:
    before = standing(site, "gateway")
    sim = session.launch(session.clone("mouse_reach"), set=SMALL, limit=12.0, pace=1.0, start=True)
    until(lambda: sim.status.step > 10, "ten steps are made")
    at = sim.status
    if how == "crash":
        site.kill_container("gateway")
    else:
        site.compose("restart", "--timeout", "20", "gateway")
    until(site.answers, "the page answers")
    now = until(lambda: state_of(site, at.id), "the run is known again", 20)
    assert now["run"] == at.run
    assert now["recording"] == at.recording
    assert now["owner"] == at.owner
    assert now["facts"]["neurons"] == at.facts["neurons"]
    until(lambda: site.state(at.id)["step"] > now["step"], "steps go on")
    # Orders reach it as before.
    site.ask("PUT", f"simulations/{at.id}/state", {"state": "paused"})
    until(lambda: site.state(at.id)["state"] == "paused", "the run is paused")
    site.ask("PUT", f"simulations/{at.id}/state", {"state": "started"})
    status = until(lambda: site.state(at.id) if site.state(at.id)["state"] in OVER else None, "the run has ended", 200)
    assert status["outcome"] == "finished"
    assert status["step"] == 600
    with site.session() as anew:
        assert digest(anew, anew.simulation(at.id)) == local_digest(tmp_path, 600)
    assert standing(site, "gateway") == before


def state_of(site: Deployment, simulation: str):
    found = [one for one in site.ask("GET", "simulations") if one["id"] == simulation]
    return found[0] if found else None


def digest(session: Session, sim: Simulation) -> str:
    """Of a run that has ended."""
    status = sim.status
    recordings = session.recordings(status.experiment)
    until(lambda: recordings[status.recording].outcome, "the recording is complete")
    return str(json.loads(recordings.read(status.recording, "summary.json"))["digest"])


def test_a_run_that_is_under_way_when_all_is_taken_down_leaves_a_whole_recording(site, session) -> None:
    with going_on(session) as sim:
        status = sim.status
        site.compose("down", "--timeout", "40")
        site.up()
    folder = f"/data/recordings/{status.experiment}/{status.recording}"
    site.inside("recorder", "python", "-m", "services.recorder", "verify", folder)
    summary = json.loads(site.inside("recorder", "cat", f"{folder}/summary.json"))
    assert summary["steps"] > 10
    runs_again(session)


def test_a_version_that_is_not_there_is_named(engine: None, tmp_path: Path) -> None:
    made = Deployment(tmp_path, {"REAF_VERSION": "9.9.9"})
    try:
        with pytest.raises(AssertionError, match=r"9\.9\.9"):
            made.compose("up", "-d", "--no-build", "--pull", "never")
        assert docker("ps", "-q", "--filter", f"label=com.docker.compose.project={made.name}") == ""
    finally:
        made.clean_up()


def test_a_brain_of_another_protocol_is_refused_in_a_sentence(site, session, tmp_path: Path) -> None:
    """As it is where only some of the images were made anew."""
    other = "reafference-brain:other-protocol"
    (tmp_path / "Dockerfile").write_text(
        f"FROM {image('brain')}\nUSER root\n"
        "RUN sed -i 's/^PROTOCOL = (.*/PROTOCOL = (99, 0)/' /opt/reafference/reafference/frames.py"
        " && grep -q '^PROTOCOL = (99, 0)' /opt/reafference/reafference/frames.py"
        " && find /opt/reafference/reafference -name 'frames.*.pyc' -delete\nUSER reaf\n"
    )
    docker("build", "-q", "-t", other, str(tmp_path))
    override = tmp_path / "override.yml"
    override.write_text(f"services:\n  brain:\n    image: {other}\n")
    plain = dict(site.environment)
    try:
        site.environment["COMPOSE_FILE"] = f"docker-compose.yml:{override}"
        site.up("brain")
        with pytest.raises(Exception, match="protocol") as refused:
            runs_again(session)
        assert "99.0" in str(refused.value)
    finally:
        site.environment = plain
        site.up("brain")
        docker("image", "rm", "--force", other)
    runs_again(session)


def test_a_full_volume_ends_the_run_in_a_sentence(engine: None, tmp_path: Path) -> None:
    override = tmp_path / "override.yml"
    options = '{type: tmpfs, device: tmpfs, o: "size=2m,uid=1000,gid=1000,mode=0700"}'
    override.write_text(f"volumes:\n  recordings:\n    driver: local\n    driver_opts: {options}\n")
    with deployed(tmp_path, COMPOSE_FILE=f"docker-compose.yml:{override}") as made, made.session() as session:
        sim = session.launch(session.clone("mouse_reach"), set=SMALL, limit=60.0, start=True)
        text = failed(sim, 240)
        assert "disk" in text or "space" in text
        until(lambda: nothing_runs(made), "all services of the run have left")
        for found in session.recordings(sim.status.experiment):
            session.recordings(sim.status.experiment).delete(found)
        runs_again(session)


def test_a_stand_answers_while_the_brain_works(site, session) -> None:
    """The health of a container is that of its stand, not of what it has to do."""
    with going_on(session) as sim:
        for _ in range(3):
            site.await_healthy("brain")
        site.kill_process("brain", "services.brain", signal.SIGSTOP)
        assert site.health("brain") == "healthy"
        assert "brain" in failed(sim)
    until(lambda: nothing_runs(site), "a brain that hangs has been ended")
    runs_again(session)
