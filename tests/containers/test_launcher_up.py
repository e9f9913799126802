"""Simulations in sets of containers, on the platform as compose starts it: real runs of mouse_reach, real failures."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browsing import chromium, visitor
from browsing import launch as open_browser
from deployment import SMALL, Deployment, deployed, docker, local_digest, missing, until
from playwright.sync_api import expect, sync_playwright
from sets_bench import why_not

pytestmark = [pytest.mark.containers, pytest.mark.campaign]

STEPS = 50
SOCKET = Path("/var/run/docker.sock")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The five services and the launcher."""
    if lacking := missing() or why_not():
        pytest.fail(f"the containers cannot be tested: {lacking}", pytrace=False)
    settings = {
        "COMPOSE_PROFILES": "launcher",
        "REAF_DOCKER_GROUP": str(SOCKET.stat().st_gid),
        "REAF_BRAIN_MEMORY": "2g",
        "REAF_VERSION": os.environ.get("REAF_VERSION", ""),
    }
    with deployed(tmp_path_factory.mktemp("secrets"), **settings) as made:
        until(lambda: made.health("launcher") == "healthy", "the launcher is healthy")
        try:
            yield made
        finally:
            made.compose("stop", "--timeout", "60", "launcher", check=False)
            for container in containers(made).values():
                docker("rm", "--force", "--volumes", container, check=False)


@pytest.fixture(scope="module")
def experiment(site: Deployment) -> str:
    return str(site.ask("POST", "experiments", {"source": "mouse_reach"})["id"])


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the run without containers."""
    return local_digest(tmp_path_factory.mktemp("local"), STEPS)


def launch(site: Deployment, experiment: str, server: str = "containers", **wish: Any) -> str:
    body = {"experiment": experiment, "server": server, "set": SMALL, "steps": STEPS, "start": True, **wish}
    return str(site.ask("POST", "simulations", body)["id"])


def state(site: Deployment, sid: str, *wanted: str) -> dict[str, Any]:
    """The simulation, once it is in one of these states."""

    def met() -> dict[str, Any] | None:
        now = site.state(sid)
        assert now["state"] in wanted or now["state"] not in ("stopped", "halted", "failed"), now
        return now if now["state"] in wanted else None

    return dict(until(met, f"{sid} is {' or '.join(wanted)}"))


def underway(site: Deployment, sid: str, step: int = 5) -> dict[str, Any]:
    """The simulation, once it has made some steps."""

    def met() -> dict[str, Any] | None:
        now = site.state(sid)
        assert now["state"] not in ("stopped", "halted", "failed"), now
        return now if now["step"] >= step else None

    return dict(until(met, f"{sid} has made {step} steps"))


def recorded(site: Deployment, experiment: str, now: dict[str, Any]) -> dict[str, Any]:
    """The summary in the recording of a simulation."""
    place = f"{site.url}/api/experiments/{experiment}/recordings/{now['recording']}/files/summary.json"
    answer = httpx.get(place, headers={"Authorization": f"Bearer {site.token}"}, timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(json.loads(answer.text))


def containers(site: Deployment, **labels: str) -> dict[str, str]:
    """Those of sets, by service."""
    wanted = {"reafference.project": site.name, **labels}
    filters = [word for key, value in wanted.items() for word in ("--filter", f"label={key}={value}")]
    lines = docker("ps", "-a", "--format", '{{.ID}} {{.Label "reafference.service"}}', *filters).splitlines()
    return {line.split()[1]: line.split()[0] for line in lines}


def of(site: Deployment, sid: str) -> dict[str, str]:
    return containers(site, **{"reafference.simulation": sid})


def kill(container: str) -> None:
    """As a crash: from outside, which Docker takes for no order of ours."""
    pid = int(json.loads(docker("inspect", container))[0]["State"]["Pid"])
    os.kill(pid, signal.SIGKILL)


def nothing_left(site: Deployment) -> None:
    until(lambda: not containers(site), "the containers of all sets are gone")


def test_the_page_is_told_of_the_versions_one_can_choose(site: Deployment) -> None:
    [server] = [one for one in site.ask("GET", "servers") if one["id"] == "containers"]
    assert (server["kind"], server["ready"], server["places"], server["busy"]) == ("containers", True, 2, 0)
    assert server["images"] == site.ask("GET", "images")
    assert server["images"][0] == site.inspected("engine")["Config"]["Image"].rpartition(":")[2]


def test_only_the_launcher_sees_the_container_engine(site: Deployment) -> None:
    for service in ("brain", "body", "recorder", "engine", "gateway"):
        assert "docker.sock" not in json.dumps(site.inspected(service)["Mounts"]), service
    host = site.inspected("launcher")["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    # Its door is in a folder that only the gateway has besides: elsewhere the link leads nowhere.
    look = ("sh", "-c", "test -S /run/reafference/launcher.stand && echo seen || echo nothing")
    assert site.inside("gateway", *look).strip() == "seen"
    assert site.inside("brain", *look).strip() == "nothing"
    assert site.inside("engine", *look).strip() == "nothing"


def test_two_sets_and_the_standing_one_give_the_run_without_containers(
    site: Deployment, experiment: str, digest: str
) -> None:
    runs = [launch(site, experiment), launch(site, experiment), launch(site, experiment, server="local")]
    assert until(lambda: len(of(site, runs[0])) == 4 and len(of(site, runs[1])) == 4, "two sets of four stand")
    with pytest.raises(AssertionError, match="all 2 sets of containers are taken"):
        launch(site, experiment)
    ended = [state(site, sid, "stopped") for sid in runs]
    assert [now["server"] for now in ended] == ["containers", "containers", "local"]
    assert [recorded(site, experiment, now)["digest"] for now in ended] == [digest] * 3
    assert len({now["recording"] for now in ended}) == 3
    nothing_left(site)


def test_the_client_launches_a_version_that_it_has_chosen(site: Deployment, experiment: str, digest: str) -> None:
    with site.session() as session:
        [server] = [one for one in session.servers() if one.id == "containers"]
        tag = server.images[0]
        with session.launch(experiment, server=server.id, image=tag, set=SMALL, steps=STEPS) as sim:
            brain = json.loads(docker("inspect", of(site, sim.id)["brain"]))[0]
            assert brain["Config"]["Labels"]["reafference.owner"] == "admin"
            assert brain["Image"] == json.loads(docker("image", "inspect", f"reafference-brain:{tag}"))[0]["Id"]
            sim.start()
            now = state(site, sim.id, "stopped")
    assert recorded(site, experiment, now)["digest"] == digest


def test_the_page_launches_a_version_that_is_chosen_there(site: Deployment, experiment: str) -> None:
    assert chromium() is not None, "the page cannot be tested: there is no Chromium (Debian: apt install chromium)"
    tag = site.ask("GET", "images")[-1]
    with sync_playwright() as playwright, open_browser(playwright) as browser, visitor(browser, site) as person:  # type: ignore[arg-type]
        person.go("#/")
        row = person.page.locator("tr", has_text=experiment).first
        row.get_by_role("button", name=re.compile("Launch")).click()
        person.page.get_by_label("Where").select_option("containers")
        person.page.get_by_label("Image version").select_option(tag)
        person.page.get_by_label("brain.parameters.area_mm2").fill("0.02")
        person.picture("launch_in_containers_light_1440")
        person.page.keyboard.press("Enter")
        person.page.wait_for_url("**/#/run/*")
        expect(person.page.locator('.state-chip[data-state="paused"]')).to_be_visible(timeout=90_000)
        sid = str(person.page.url.rsplit("/", 1)[-1])
        now = site.state(sid)
        assert (now["server"], now["launched"]["image"]) == ("containers", tag)
        assert len(of(site, sid)) == 4
        assert person.errors == []
        site.ask("PUT", f"simulations/{sid}/state", {"state": "stopped"})
    nothing_left(site)


@pytest.mark.parametrize(
    ("image", "status", "sentence"),
    [
        ("7.7", 422, "no images of version '7.7': there are"),
        ("../evil:latest", 422, "no images of version"),
        ("x" * 129, 422, "image"),
    ],
)
def test_a_version_that_is_not_there_is_refused(
    site: Deployment, experiment: str, image: str, status: int, sentence: str
) -> None:
    body = {"experiment": experiment, "server": "containers", "image": image}
    head = {"Authorization": f"Bearer {site.token}"}
    answer = httpx.post(f"{site.url}/api/simulations", json=body, headers=head, timeout=30)
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]
    assert containers(site) == {}


def test_a_brain_that_dies_ends_its_own_run_and_no_other(site: Deployment, experiment: str, digest: str) -> None:
    lost, other = launch(site, experiment, steps=5000), launch(site, experiment, server="local")
    underway(site, lost)
    kill(of(site, lost)["brain"])
    now = state(site, lost, "failed", "halted")
    assert "brain" in now["text"]
    warning = "the container of the brain is gone: it was killed by signal 9"
    until(lambda: any(warning in text for text in site.state(lost)["warnings"]), "the reason is told")
    assert recorded(site, experiment, state(site, other, "stopped"))["digest"] == digest
    nothing_left(site)
    again = state(site, launch(site, experiment), "stopped")
    assert recorded(site, experiment, again)["digest"] == digest


def test_an_engine_that_dies_is_told_with_its_reason(site: Deployment, experiment: str) -> None:
    sid = launch(site, experiment, steps=5000)
    underway(site, sid)
    kill(of(site, sid)["engine"])
    now = state(site, sid, "failed", "halted")
    assert "the container of the engine is gone: it was killed by signal 9" in json.dumps(now), now
    nothing_left(site)


def test_the_gateway_can_be_started_anew_during_a_run(site: Deployment, experiment: str, digest: str) -> None:
    sid = launch(site, experiment, pace=0.2)
    underway(site, sid)
    site.compose("restart", "--timeout", "20", "gateway")
    until(site.answers, "the page answers")
    now = state(site, sid, "started", "stopped")
    assert now["server"] == "containers"
    assert recorded(site, experiment, state(site, sid, "stopped"))["digest"] == digest
    nothing_left(site)


def test_a_launcher_that_crashes_finds_the_run_and_so_does_the_gateway(
    site: Deployment, experiment: str, digest: str
) -> None:
    sid = launch(site, experiment, pace=0.1)
    underway(site, sid)
    before = of(site, sid)
    site.kill_container("launcher")
    until(lambda: site.ask("GET", "images"), "the launcher answers")
    assert of(site, sid) == before
    now = state(site, sid, "started", "stopped")
    assert now["problem"] is None
    assert recorded(site, experiment, state(site, sid, "stopped"))["digest"] == digest
    nothing_left(site)


def test_all_goes_down_with_its_sets(site: Deployment, experiment: str) -> None:
    sid = launch(site, experiment, steps=5000)
    underway(site, sid)
    site.compose("down", "--timeout", "60")
    nothing_left(site)
    label = f"label=com.docker.compose.project={site.name}"
    assert docker("network", "ls", "-q", "--filter", label) == ""
    site.up()
    [kept] = [
        one
        for one in site.ask("GET", f"experiments/{experiment}/recordings")
        if one["steps"] >= 5 and one["outcome"] == "stopped"
    ][:1]
    site.inside(
        "recorder", "python", "-m", "services.recorder", "verify", f"/data/recordings/{experiment}/{kept['id']}"
    )
