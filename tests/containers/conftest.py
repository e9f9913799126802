"""What tests with a container engine share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "page"))

from deployment import Deployment, deployed, missing


@pytest.fixture(scope="session")
def engine() -> None:
    """Who asks for these tests wants them run: what they lack is a failure, not a reason to skip."""
    if lacking := missing():
        pytest.fail(f"the containers cannot be tested: {lacking}", pytrace=False)


@pytest.fixture(scope="module")
def site(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """All five services, up and well."""
    with deployed(tmp_path_factory.mktemp("secrets")) as made:
        yield made
