"""What is in the images, and what is not."""

import json

import pytest
from deployment import SERVICES, docker, image

from reafference import __version__

pytestmark = pytest.mark.containers

STANDING = ("brain", "body", "recorder", "engine")
FOREIGN = {
    "brain": ("pybullet", "numba", "fastapi", "mcap", "docker"),
    "body": ("nest", "fastapi", "mcap", "docker"),
    "recorder": ("nest", "pybullet", "fastapi", "docker"),
    "engine": ("nest", "pybullet", "fastapi", "mcap", "docker"),
    "gateway": ("nest", "pybullet", "numba", "mcap", "docker"),
}
_MOST_MB = {"brain": 600, "body": 550, "recorder": 480, "engine": 520, "gateway": 350}


def inspected(service: str) -> dict[str, object]:
    return dict(json.loads(docker("image", "inspect", image(service)))[0])


def within(service: str, *command: str) -> str:
    """What a command says in a container that is as bare as those of the compose file."""
    bare = ("--rm", "--read-only", "--network", "none", "--cap-drop", "ALL", "--tmpfs", "/tmp")
    return docker("run", *bare, image(service), *command)


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_says_what_it_is_and_runs_as_nobody_special(engine: None, service: str) -> None:
    config = inspected(service)["Config"]
    assert isinstance(config, dict)
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Labels"]["org.opencontainers.image.revision"]
    assert config["User"] == "reaf"
    assert config["Healthcheck"]["Test"]
    assert within(service, "id", "-u").strip() == "1000"
    assert within(service, "python", "-c", "import reafference; print(reafference.__version__)").strip() == __version__


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_its_own_service_and_no_other(engine: None, service: str) -> None:
    code = (
        "import importlib.util as u, json, sys; "
        "print(json.dumps([name for name in sys.argv[1:] if u.find_spec(name) is not None]))"
    )
    others = [f"services.{name}.__main__" for name in SERVICES if name != service]
    found = json.loads(within(service, "python", "-c", code, f"services.{service}.__main__", *FOREIGN[service]))
    assert found == [f"services.{service}.__main__"]
    for other in others:
        package = other.removesuffix(".__main__").replace(".", "/")
        assert within(service, "sh", "-c", f"ls /opt/reafference/{package}/__main__.py 2>/dev/null || true") == ""


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_small(engine: None, service: str) -> None:
    size = inspected(service)["Size"]
    assert isinstance(size, int)
    assert size / 1e6 < _MOST_MB[service]


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_to_install_or_compile_with_is_left_in_an_image(engine: None, service: str) -> None:
    code = "import shutil; print([name for name in ('g++', 'gcc', 'cmake', 'strip', 'git') if shutil.which(name)])"
    assert within(service, "python", "-c", code).strip() == "[]"


def test_the_brain_has_mpi_and_the_extension_module(engine: None) -> None:
    said = within("brain", "python", "-m", "services.brain", "--about")
    about = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    assert about["have_mpi"]
    assert about["have_threads"]
    assert about["extension_module"]


def test_the_body_finds_its_kernels_compiled(engine: None) -> None:
    code = "from services.body import kernels; print(kernels.advance_fibers.stats.cache_hits and 1)"
    assert within("body", "python", "-c", code).strip() == "1"
