"""What the launcher of containers takes from a request, and what it tells a container engine to create."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reafference.errors import BadExperiment
from services.engine import container_template, container_wish, docker_engine
from services.engine.container_template import Place
from services.engine.container_wish import MODULE, chosen, start_wish

IMAGE = {"Config": {"Env": ["PATH=/opt/venv/bin", "REAF_TEMPLATES=/opt/experiments"], "User": "reaf"}}
PLACE = Place(set_id="set-0123abcd", service="brain", folder="/run/reafference/set-0123abcd", project="reaf")


def request(**fields: Any) -> dict[str, Any]:
    return {"do": "start", "module": MODULE, "arguments": ["/data/x", "--out", "/rec/x"], **fields}


def standing(**host: Any) -> dict[str, Any]:
    return {
        "Config": {"Env": ["PATH=/opt/venv/bin", "REAF_TEMPLATES=/opt/experiments", "TZ=UTC"], "User": "reaf"},
        "HostConfig": {
            "Memory": 2 << 30,
            "NanoCpus": 2_000_000_000,
            "PidsLimit": 512,
            "NetworkMode": "reaf_inside",
            "Binds": ["reaf_run:/run/reafference:rw", "reaf_experiments:/data:rw"],
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            **host,
        },
        "Mounts": [{"Type": "volume", "Source": "/var/lib/docker/volumes/reaf_run/_data"}],
    }


def made(**host: Any) -> dict[str, Any]:
    return container_template.container(standing(**host), IMAGE, "sha256:1", PLACE, {})


def test_a_request_without_an_image_means_the_launchers_own_version() -> None:
    assert start_wish(request()).tag == ""
    assert chosen("", "0.1.0", ["0.0.9", "0.1.0"]) == "0.1.0"


def test_an_unknown_version_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadExperiment, match=r"no images of version '7.0': there are 0.0.9, 0.1.0"):
        chosen("7.0", "0.1.0", ["0.1.0", "0.0.9"])
    with pytest.raises(BadExperiment, match="make images"):
        chosen("", "0.1.0", [])


@pytest.mark.parametrize(
    "image",
    [
        "0.1.0/../../evil",
        "registry.example:5000/evil",
        "evil:latest",
        "0.1.0@sha256:" + "0" * 64,
        "-rm",
        ".hidden",
        "a b",
        "0.1.0\n",
        "0.1.0\x00",
        "x" * 129,
        "é",
        7,
        ["0.1.0"],
        {"Privileged": True},
        True,
    ],
)
def test_what_is_no_tag_is_refused(image: object) -> None:
    with pytest.raises(BadExperiment, match="image is"):
        start_wish(request(image=image))


@given(st.text(min_size=1, max_size=140))
def test_a_tag_can_name_no_other_image(text: str) -> None:
    try:
        tag = start_wish(request(image=text)).tag
    except BadExperiment:
        return
    assert tag == text
    assert not set(text) & set("/:@ \n\x00")
    assert text.isascii()


@pytest.mark.parametrize("module", ["services.engine.launch", "os", "services.brain", "", None, ["x"]])
def test_a_set_runs_the_launcher_of_a_run_and_nothing_else(module: object) -> None:
    with pytest.raises(BadExperiment, match=r"runs services\.engine\.launch_bare only"):
        start_wish(request(module=module))


@pytest.mark.parametrize(
    "fields",
    [
        {"arguments": "--out"},
        {"arguments": [1]},
        {"arguments": ["a\x00b"]},
        {"arguments": ["x"] * 1001},
        {"arguments": ["x" * 70_000]},
        {"environment": ["A=B"]},
        {"environment": {"A B": "c"}},
        {"environment": {"A=B": "c"}},
        {"environment": {"A": 1}},
        {"environment": {"A": "\x00"}},
        {"environment": {f"A{n}": "" for n in range(101)}},
        {"about": [1]},
        {"about": {"a": "x" * 17_000}},
    ],
)
def test_what_cannot_be_passed_on_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadExperiment):
        start_wish(request(**fields))


def test_only_what_is_known_reaches_the_stand_of_the_set() -> None:
    asked = request(
        environment={"REAF_LOG_LEVEL": "debug", "REAF_STANDS": "/run/reafference", "REAF_PARENT_PID": "1"},
        keep=True,
        about={"id": "s1"},
        log="/data/evil",
        ranks=4096,
        mpi_arguments=["--evil"],
        privileged=True,
    )
    passed = start_wish(asked).request(PLACE.folder).as_map()
    assert passed["environment"] == {"REAF_LOG_LEVEL": "debug", "REAF_STANDS": PLACE.folder}
    assert (passed["keep"], passed["about"]) == (True, {"id": "s1"})
    assert (passed["log"], passed["ranks"], passed["mpi_arguments"]) == (None, 1, ())
    assert "privileged" not in passed


def test_a_container_of_a_set_has_the_limits_and_volumes_of_the_one_that_stands() -> None:
    host = made()["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (2 << 30, 2_000_000_000, 512)
    assert host["NetworkMode"] == "reaf_inside"
    assert host["Binds"] == ["reaf_run:/run/reafference:rw", "reaf_experiments:/data:rw"]


def test_what_hardens_a_container_does_not_depend_on_the_one_that_stands() -> None:
    weak = made(
        Privileged=True,
        ReadonlyRootfs=False,
        CapAdd=["SYS_ADMIN"],
        CapDrop=[],
        SecurityOpt=["no-new-privileges:false", "label:type:reaf_t"],
        Devices=[{"PathOnHost": "/dev/mem"}],
        PidMode="host",
        PortBindings={"80/tcp": [{"HostPort": "80"}]},
        Runtime="odd",
    )["HostConfig"]
    assert weak["SecurityOpt"] == ["no-new-privileges:true", "label:type:reaf_t"]
    assert (weak["Privileged"], weak["ReadonlyRootfs"], weak["PidMode"]) == (False, True, "")
    assert (weak["CapAdd"], weak["CapDrop"], weak["Devices"]) == ([], ["ALL"], [])
    assert weak["PortBindings"] == {}
    assert weak["RestartPolicy"]["Name"] == "no"
    assert "Runtime" not in weak


def test_the_variables_of_the_compose_file_stay_and_those_of_the_image_come_with_the_image() -> None:
    assert made()["Env"] == ["TZ=UTC", "REAF_STANDS=/run/reafference/set-0123abcd"]


def test_its_stand_is_in_the_folder_of_the_set() -> None:
    command = made()["Cmd"]
    assert command[-3:] == ["/run/reafference/set-0123abcd/brain.stand", "--service", "brain"]
    assert PLACE.name == "reaf-set-0123abcd-brain"


@pytest.mark.parametrize(
    "mount",
    [
        {"Binds": ["/var/run/docker.sock:/tmp/innocent.sock"]},
        {"Binds": ["/run:/host-run:ro"]},
        {"Binds": ["/:/host"]},
        {"Mounts": [{"Type": "bind", "Source": "/run/containerd/containerd.sock", "Target": "/c"}]},
    ],
)
def test_nothing_is_made_of_a_container_that_sees_the_engine(mount: dict[str, Any]) -> None:
    with pytest.raises(BadExperiment, match="rule the container engine"):
        made(**mount)


def test_labels_are_short_lines_whatever_was_written_into_them() -> None:
    about = {"id": "s1", "owner": "eve\n\x1b[31m" + "x" * 500}
    labels = container_template.labels_of(about, keep=True)
    assert labels["reafference.simulation"] == "s1"
    assert labels["reafference.owner"].startswith("eve[31mxx")
    assert len(labels["reafference.owner"]) == 80
    assert labels["reafference.keep"] == "1"


def test_labels_of_nonsense_are_empty() -> None:
    about = json.loads('{"id": {"a": 1}, "owner": null}')
    assert container_template.labels_of(about, keep=False)["reafference.simulation"] == ""


def test_a_sentence_shows_little_of_what_was_sent() -> None:
    with pytest.raises(BadExperiment) as caught:
        start_wish(request(image="x" * 100_000))
    assert len(caught.value.text) < 200
    assert container_wish.label("x" * 1000) == "x" * 80


def launcher(tmp_path: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.engine.container_launcher", str(tmp_path / "launcher.stand"), *options]
    known = {**os.environ, "REAF_STANDS": str(tmp_path), **environment}
    return subprocess.run(command, env=known, capture_output=True, text=True, timeout=60, check=False)


def test_without_a_container_engine_it_says_so_and_ends(tmp_path: Path) -> None:
    ended = launcher(tmp_path, "--project", "p", DOCKER_HOST=f"unix://{tmp_path}/no.sock")
    assert ended.returncode == 5
    assert ended.stderr.startswith("reaf: the container engine does not answer: ")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "launcher.stand").exists()


def test_an_engine_that_may_not_be_used_is_said_with_what_to_set() -> None:
    assert "REAF_DOCKER_GROUP" in docker_engine._silent(
        "('Connection aborted.', PermissionError(13, 'Permission denied'))"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--most", "0"], "--most must be"),
        (["--leave", "0"], "--ready and --leave"),
        (["--images", "Evil Registry/"], "--images is"),
        (["--images", ""], "--images is"),
    ],
)
def test_settings_that_cannot_be_are_said(tmp_path: Path, options: list[str], sentence: str) -> None:
    ended = launcher(tmp_path, "--project", "p", *options)
    assert ended.returncode == 2
    assert sentence in ended.stderr
