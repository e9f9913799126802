import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
from numba.core.runtime import _nrt_python, rtsys

import reafference
import services.body
from services.body import kernels
from services.body.muscles import Muscles


def working_muscles(muscles_by_name):
    muscles = Muscles(list(muscles_by_name.values()))
    muscles.settle([m.tendon_slack_length_m + m.optimal_fiber_length_m for m in muscles.muscles], 0.2)
    return muscles


def allocations(call, times):
    """How many blocks numba's runtime hands out per call."""
    _nrt_python.memsys_enable_stats()
    try:
        call()
        before = rtsys.get_allocation_stats()
        for _ in range(times):
            call()
        after = rtsys.get_allocation_stats()
    finally:
        _nrt_python.memsys_disable_stats()
    assert after.alloc - before.alloc == after.free - before.free
    return (after.alloc - before.alloc) / times


def test_kernels_allocate_nothing(muscles_by_name):
    muscles = working_muscles(muscles_by_name)
    excitation = np.full(8, 0.5)
    activation = (muscles.parameters, excitation, 1e-3, muscles.activation)
    fibers = (
        muscles.parameters,
        muscles.curves,
        muscles.activation,
        muscles.activation,
        muscles.path,
        muscles.path,
        1e-3,
        muscles.fiber_length,
        muscles.fiber_speed,
        muscles.force,
    )
    # One block per array that is handed over, for its wrapper; a kernel with an array of its own would have more.
    assert allocations(lambda: kernels.advance_activation(*activation), 100) == 3
    assert allocations(lambda: kernels.advance_fibers(*fibers), 100) == 9


def test_many_substeps_leave_memory_as_it_was(muscles_by_name):
    muscles = working_muscles(muscles_by_name)
    path, excitation = muscles.path.copy(), np.full(8, 0.7)
    muscles.advance(path, excitation, 1e-3)
    tracemalloc.start()
    try:
        muscles.advance(path, excitation, 1e-3)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(2000):
            muscles.advance(path, excitation, 1e-3)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 500
    assert peak - before < 2000


def test_kernels_work_where_nothing_can_be_written(tmp_path: Path):
    package = tmp_path / "services" / "body"
    shutil.copytree(
        Path(services.body.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "models")
    )
    (tmp_path / "services" / "__init__.py").touch()
    # A file where numba wants a folder stops it everywhere, whoever runs the test.
    (package / "__pycache__").write_text("in the way")
    program = (
        "from services.body import kernels, muscles;"
        "m = muscles.Muscles([muscles.MuscleParameters(name='m', max_isometric_force=2.0,"
        "optimal_fiber_length_m=0.01, tendon_slack_length_m=0.01)]);"
        "m.settle(0.0205, 1.0); print(kernels.__file__); print(m.force[0])"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA")}
    for key in ("HOME", "XDG_CACHE_HOME"):
        environment[key] = str(package / "__pycache__")
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(Path(reafference.__file__).parent.parent)])
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, force = done.stdout.split()
    assert Path(where).is_relative_to(tmp_path)
    assert float(force) > 1.0
    assert not list(tmp_path.rglob("*.nbi"))


def test_arithmetic_is_strict():
    for name in ("advance_limb", "advance_fibers", "place_links"):
        assert not getattr(kernels, name).targetoptions.get("fastmath", False)
