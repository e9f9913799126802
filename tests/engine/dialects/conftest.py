"""The one NEST kernel of the process: every test finds it empty and leaves it empty."""

import os

# Before NEST loads OpenMP: on a machine short of cores, threads that spin while they wait cost minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest

from services.brain.kernel import leave_context, nest
from tests.engine.dialects.stand import Stand


@pytest.fixture(autouse=True)
def _empty_kernel():
    yield
    leave_context()
    nest.ResetKernel()


@pytest.fixture
def stand(tmp_path):
    """Makes stands; the newest one is closed in the end."""
    made = []

    def make(files, more="", **options):
        if isinstance(files, str):
            files = {"function.py": files}
        while made:
            made.pop().close()
        made.append(Stand(tmp_path, files, more, **options))
        return made[0]

    yield make
    while made:
        made.pop().close()
