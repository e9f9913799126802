"""Sets of containers come, run what they shall, and go: a real container engine, with a toy in place of the run."""

import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import docker
import pytest
from sets_bench import MODULE, SERVICES, VERSION, Bench, bench, until, why_not

from reafference.errors import PeerLost

pytestmark = pytest.mark.containers


@pytest.fixture(scope="module")
def standing() -> Iterator[Bench]:
    # Who asks for these tests wants them run: what they lack is a failure, not a reason to skip.
    if lacking := why_not():
        pytest.fail(f"sets of containers cannot be tested: {lacking}", pytrace=False)
    with bench() as made:
        yield made


@pytest.fixture
def project(standing: Bench) -> Iterator[Bench]:
    """A project with its launcher; every test finds it without sets, and leaves it so."""
    standing.start_launcher()
    try:
        yield standing
    finally:
        standing.stop_launcher()
        standing.remove_sets()


def of_set(project: Bench) -> str:
    """The number of the only set."""
    found = project.ask(do="list")["processes"]
    assert len(found) == 1
    return str(found[0]["about"]["set"])


def kill(project: Bench, container: str) -> None:
    """As a crash: from outside, not through the container engine."""
    os.kill(project.api.inspect_container(container)["State"]["Pid"], signal.SIGKILL)


def test_a_run_ends_with_its_status_and_leaves_nothing(project: Bench) -> None:
    run = project.launch("say", "hello", "end", "3")
    assert run.saying("said")["text"] == "hello"
    assert run.end()["status"] == 3
    # Its set is gone before the end is told: who waits for a place finds it free.
    assert project.containers() == {}
    assert project.folders() == []


def test_a_set_is_as_closed_as_it_shall_be(project: Bench) -> None:
    run = project.launch("show", "wait", id="s7", owner="ann")
    seen = run.saying("shown")
    assert seen["uid"] != 0
    assert int(seen["capabilities"], 16) == 0
    assert seen["no_new_privileges"] == "1"
    assert not seen["writable"]
    assert not seen["engine_socket"]
    assert not seen["launcher"], "code in a set must not reach the launcher"
    assert sorted(name for name in seen["beside"] if name.endswith(".stand")) == sorted(f"{s}.stand" for s in SERVICES)
    for service in SERVICES:
        inspected = project.inspected(of_set(project), service)
        host = inspected["HostConfig"]
        assert (host["Memory"], host["PidsLimit"]) == (192 << 20, 64)
        assert host["NetworkMode"] == f"{project.name}_inside"
        assert host["ReadonlyRootfs"]
        assert inspected["Config"]["Labels"]["reafference.owner"] == "ann"
        assert inspected["Config"]["Labels"]["reafference.simulation"] == "s7"
    run.at.close()
    project.await_nothing_left()


def test_the_version_that_is_asked_for_runs(project: Bench) -> None:
    assert project.launch("show").saying("shown")["variable"] == "1.0"
    assert project.launch("show", image="2.0").saying("shown")["variable"] == "2.0"


def test_the_versions_there_are_can_be_asked_for(project: Bench) -> None:
    assert project.ask(do="images") == {
        "event": "images",
        "images": ["1.0", "2.0"],
        "own": "1.0",
        "most": 2,
        "running": 0,
    }
    # One of the four is not enough.
    project.make_images("half", ["engine"])
    assert project.ask(do="images")["images"] == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"image": "7.0"}, "no images of version '7.0': there are 1.0, 2.0"),
        ({"image": "1.0@sha256:0"}, "must be a version such as"),
        ({"image": "../evil:1.0"}, "must be a version such as"),
        ({"image": {"Privileged": True}}, "must be a version such as"),
        ({"module": "os"}, f"runs {MODULE} only"),
        ({"module": "services.engine.container_run"}, f"runs {MODULE} only"),
        ({"arguments": ["x" * 90_000]}, "arguments must be"),
        ({"arguments": ["x" * 50_000] * 3}, "longer than 100000 bytes"),
        ({"environment": {"DOCKER_HOST=x": "y"}}, "environment"),
        ({"about": "x"}, "about must be an object"),
    ],
)
def test_what_must_not_be_asked_for_is_refused_in_a_sentence(
    project: Bench, wish: Mapping[str, Any], sentence: str
) -> None:
    said = project.ask(**{"do": "start", "module": MODULE, "arguments": ["wait"], **wish})
    assert said["event"] == "refused"
    assert sentence in said["text"]
    assert project.containers() == {}
    assert project.answers()


def test_nothing_of_a_request_changes_what_the_launcher_itself_does(project: Bench) -> None:
    asked = {
        "environment": {"DOCKER_HOST": "tcp://127.0.0.1:1", "PYTHONPATH": "/data", "REAF_TOY": "asked"},
        "log": "/run/launcher/evil",
        "ranks": 4000,
        "HostConfig": {"Privileged": True},
        "project": "other",
        "set_id": "../../evil",
    }
    request = {"do": "start", "module": MODULE, "arguments": ["show", "wait"], "output": "lines", "keep": True, **asked}
    said = project.ask(**request)
    assert said["event"] == "started"
    run = project.attach(said["id"])
    # It reached the run, and only the run.
    assert run.saying("shown")["variable"] == "asked"
    assert not project.inspected(of_set(project), "engine")["HostConfig"]["Privileged"]
    assert not (project.private / "evil").exists()


def test_two_sets_stand_apart_and_a_third_one_is_refused(project: Bench) -> None:
    runs = [project.launch("show", "wait") for _ in range(2)]
    stands = {run.saying("shown")["stands"] for run in runs}
    assert len(stands) == 2
    with pytest.raises(PeerLost, match="all 2 sets of containers are taken"):
        project.launch("wait")
    runs[0].at.signal(signal.SIGTERM)
    assert runs[0].end()["status"] == 0
    assert project.launch("end", "4").end()["status"] == 4
    assert runs[1].at.ended is None


def test_who_goes_takes_the_set_along(project: Bench) -> None:
    run = project.launch("say", "here", "wait")
    run.saying("said")
    run.at.close()
    project.await_nothing_left()


def test_who_goes_while_it_is_made_leaves_nothing_either(project: Bench) -> None:
    run = project.launch("wait")
    until("the first container", project.containers)
    run.at.close()
    project.await_nothing_left()


def test_a_run_that_is_kept_goes_on_and_can_be_heard_again(project: Bench) -> None:
    first = project.launch("say", "hello", "wait", keep=True, id="s1")
    first.saying("said")
    first.at.close()
    [listed] = project.ask(do="list")["processes"]
    assert listed["about"]["id"] == "s1"
    assert listed["about"]["image"] == "1.0"
    assert listed["module"] == MODULE
    second = project.attach(listed["id"])
    assert second.saying("said")["text"] == "hello"
    second.at.signal(signal.SIGTERM)
    second.saying("stopped")
    assert second.end()["status"] == 0
    project.await_nothing_left()


def test_a_run_that_will_not_end_is_ended(standing: Bench) -> None:
    standing.start_launcher(leave_s=4)
    try:
        run = standing.launch("say", "here", "stubborn")
        run.saying("said")
        run.at.signal(signal.SIGTERM)
        assert "did not end when it was asked to" in run.saying("failed")["text"]
        assert run.end()["status"] != 0
        assert standing.containers() == {}
    finally:
        standing.stop_launcher()
        standing.remove_sets()


def test_killed_at_once_it_leaves_nothing(project: Bench) -> None:
    run = project.launch("say", "here", "wait")
    run.saying("said")
    run.at.signal(signal.SIGKILL)
    assert run.end()["status"] == -signal.SIGKILL
    project.await_nothing_left()
    assert project.launch("end", "0").end()["status"] == 0


def test_a_lost_engine_is_told_with_its_reason(project: Bench) -> None:
    run = project.launch("say", "here", "wait")
    run.saying("said")
    kill(project, f"{project.name}-{of_set(project)}-engine")
    failed = run.saying("failed")
    assert failed["code"] == "peer_lost"
    assert "the container of the engine is gone: it was killed by signal 9" in failed["text"]
    assert run.end()["status"] == 5
    project.await_nothing_left()


def test_a_lost_brain_is_told_while_the_run_sees_to_its_end(project: Bench) -> None:
    run = project.launch("say", "here", "wait")
    run.saying("said")
    kill(project, f"{project.name}-{of_set(project)}-brain")
    assert "the container of the brain is gone: it was killed by signal 9" in run.saying("warning")["text"]
    assert run.at.ended is None
    run.at.signal(signal.SIGTERM)
    assert run.end()["status"] == 0
    project.await_nothing_left()


def test_images_that_cannot_start_are_named_with_their_last_words(project: Bench) -> None:
    project.make_images("broken", entry='["sh", "-c", "echo no brain today >&2; exit 9"]')
    run = project.launch("wait", image="broken")
    text = run.saying("failed")["text"]
    assert "cannot start: it ended with status 9 (no brain today)" in text
    assert run.end()["status"] == 5
    assert project.containers() == {}


def test_without_a_standing_container_to_make_it_of_the_missing_one_is_named(project: Bench) -> None:
    name = f"{project.name}-body-1"
    project.api.remove_container(name)
    try:
        run = project.launch("wait")
        assert f"the project {project.name} has no container of the body" in run.saying("failed")["text"]
        assert run.end()["status"] == 2
        assert project.containers() == {}
    finally:
        project.stand("body")


def test_where_its_folder_cannot_be_made_nothing_is_left(project: Bench) -> None:
    project.run.chmod(0o500)
    try:
        run = project.launch("wait")
        assert "cannot be made: Permission denied" in run.saying("failed")["text"]
        assert run.end()["status"] == 5
        assert project.containers() == {}
    finally:
        project.run.chmod(0o700)


def test_a_launcher_that_was_killed_finds_its_sets_again(project: Bench) -> None:
    kept = project.launch("say", "kept", "wait", keep=True, id="s1")
    lost = project.launch("say", "lost", "wait", id="s2")
    for run in (kept, lost):
        run.saying("said")
    number = kept_set(project)
    # A set that had only begun, and a folder of one that is gone.
    (project.run / "set-00000000").mkdir()
    kill(project, f"{project.name}-launcher-1")
    until("the launcher is gone", lambda: not project.answers())
    assert len(project.containers()) >= len(SERVICES)
    project.stop_launcher()
    project.start_launcher()
    until("only the kept one stands", lambda: len(project.containers()) == len(SERVICES))
    assert set(project.containers(number)) == set(project.containers())
    until("its folder alone", lambda: project.folders() == [number])
    [listed] = project.ask(do="list")["processes"]
    assert listed["about"]["id"] == "s1"
    again = project.attach(listed["id"])
    assert again.saying("said")["text"] == "kept"
    again.at.signal(signal.SIGTERM)
    again.saying("stopped")
    assert again.end()["status"] == 0
    project.await_nothing_left()


def kept_set(project: Bench) -> str:
    [found] = [one for one in project.ask(do="list")["processes"] if one["about"]["id"] == "s1"]
    return str(found["about"]["set"])


def test_a_launcher_that_is_told_to_end_ends_its_sets(project: Bench) -> None:
    run = project.launch("say", "here", "wait", keep=True)
    run.saying("said")
    project.api.stop(f"{project.name}-launcher-1", timeout=30)
    run.saying("stopped")
    assert run.end()["status"] == 0
    assert project.containers() == {}
    assert not (project.run / "launcher.stand").is_symlink()


def test_only_the_launcher_sees_the_engine_and_it_has_no_code_of_services(project: Bench) -> None:
    api = docker.from_env().api
    config = {
        "Image": f"reafference-launcher:{VERSION}",
        "Entrypoint": ["sh", "-c"],
        "Cmd": ["cd /opt/reafference && ls services services/engine && ! ls services/brain && id -u"],
    }
    made = api.create_container_from_config(config, f"{project.name}-look")["Id"]
    try:
        api.start(made)
        assert api.wait(made, timeout=30)["StatusCode"] == 0
        said = api.logs(made, stderr=False).decode().split()
    finally:
        api.remove_container(made, force=True)
    assert "container_launcher.py" in said
    assert not {"loop.py", "transfer.py", "functions.py", "launch.py"} & set(said)
    assert said[-1] != "0"
