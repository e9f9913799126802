import os
import shutil
import subprocess
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


@pytest.fixture(scope="session")
def local_digests(tmp_path_factory):
    """Digests of jobs.small_mouse by two ranks on this machine."""
    out = tmp_path_factory.mktemp("local") / "out"
    mouse = jobs_of.ROOT / "experiments" / "mouse_reach"
    command = [jobs_of.PYTHON, "-m", "reafference.cli", "run", mouse, "--out", out, "--steps", "10", "--ranks", "2"]
    command += [f"--set={key}={value}" for key, value in jobs_of.SMALL.items()]
    subprocess.run([*map(str, command), "--no-overview"], check=True, capture_output=True, timeout=120)
    return jobs_of.summary(out)["digests"]
