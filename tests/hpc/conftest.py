import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import jobs as jobs_of
import minicluster


@pytest.fixture(scope="session")
def cluster():
    """The cluster that minicluster.py runs the tests in, or one of our own."""
    if "REAF_MINICLUSTER" in os.environ:
        yield minicluster.running(os.environ)
        return
    full = all(shutil.which(name) for name in ("slurmdbd", "mariadbd", "slurmrestd"))
    try:
        with minicluster.cluster(accounting=full, rest=full) as made:
            os.environ.update(made.environment)
            yield made
    except minicluster.CannotStart as error:
        # Whoever runs these tests by name wants to know that nothing was tested.
        pytest.fail(f"no cluster can be had on this machine: {error}")


@pytest.fixture
def jobs(cluster):
    with jobs_of.jobs(cluster) as made:
        yield made
