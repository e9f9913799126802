"""What images are made of stays what pyproject.toml, requirements.lock and the services say."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILES = sorted(
    [*ROOT.glob("services/*/Dockerfile"), *ROOT.glob("deploy/*/Dockerfile"), *ROOT.glob("deploy/images/*.Dockerfile")]
)


def test_the_lock_of_each_image_is_a_part_of_the_lock_of_all():
    found = subprocess.run(
        [sys.executable, ROOT / "deploy" / "make-image-locks", "--check"], capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 0, found.stderr


def test_a_lock_that_is_out_of_date_is_named(tmp_path):
    (tmp_path / "deploy" / "images").mkdir(parents=True)
    for name in ("pyproject.toml", "requirements.lock", "deploy/make-image-locks"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, tmp_path / "deploy" / "make-image-locks"]
    subprocess.run(command, check=True, timeout=60)
    lock = tmp_path / "requirements.lock"
    lock.write_text(lock.read_text().replace("\nnumba==", "\nnumba==9"))
    found = subprocess.run([*command, "--check"], capture_output=True, text=True, timeout=60)
    assert found.returncode == 1
    assert "deploy/images/body.lock" in found.stderr
    assert "brain" not in found.stderr


@pytest.mark.parametrize("service", ["brain", "body", "engine", "recorder", "gateway"])
def test_each_service_has_a_dockerfile(service):
    assert ROOT / "services" / service / "Dockerfile" in DOCKERFILES
    assert f"image: ${{REAF_REGISTRY:-}}reafference-{service}:${{REAF_VERSION:-{VERSION}}}" in COMPOSE


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_dockerfile_builds_anywhere(path):
    """From a base that is an argument, by any builder, for a user who is not root."""
    text = path.read_text()
    assert re.search(r"^ARG BASE=(python:3\.11-slim-bookworm|debian:bookworm-slim)$", text, re.MULTILINE)
    assert not re.search(r"^# *syntax|--mount=|<<", text, re.MULTILINE)
    assert f"ARG VERSION={VERSION}" in text
    assert re.search(r"^USER reaf$", text, re.MULTILINE)
    assert "org.opencontainers.image.version" in text


def test_compose_has_the_version_of_the_project_everywhere():
    assert set(re.findall(r"REAF_VERSION:-([^}]*)}", COMPOSE)) == {VERSION}


def test_what_can_be_set_for_compose_stands_in_the_example():
    example = (ROOT / ".env.example").read_text()
    known = set(re.findall(r"^#([A-Z_]+)=", example, re.MULTILINE))
    files = [COMPOSE, (ROOT / "deploy" / "compose.slurm.yml").read_text()]
    used = {name for text in files for name in re.findall(r"\$\{([A-Z_]+):-", text)}
    assert used <= known, used - known
    assert known <= used, known - used


def test_compose_says_nothing_that_1_29_rejects():
    assert not re.search(r"^(name|configs|version):", COMPOSE, re.MULTILINE)
