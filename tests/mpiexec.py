"""Runs a small program on several ranks, under a hard limit; nothing of it is left behind."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

LIMIT_S = 240.0


@functools.cache
def _lacking() -> str:
    """What a brain on several ranks lacks here, or nothing."""
    if shutil.which("mpiexec") is None:
        return "mpiexec"
    about = subprocess.run(
        [sys.executable, "-m", "services.brain", "--about"], capture_output=True, text=True, timeout=60, check=True
    )
    line = next(line for line in about.stdout.splitlines() if line.startswith("{"))
    return "" if json.loads(line)["have_mpi"] else "NEST with MPI"


def ranks_wanted() -> pytest.MarkDecorator:
    """For tests that need several ranks: left out on a machine that cannot have them, but never in CI."""
    lacking = "" if os.environ.get("CI") else _lacking()
    return pytest.mark.skipif(bool(lacking), reason=f"{lacking} is missing here: make nest-mpi installs it")


def run(
    ranks: int,
    program: Path,
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    limit_s: float = LIMIT_S,
) -> subprocess.CompletedProcess[str]:
    """`program` under mpiexec, with all that it said in stdout. Raises TimeoutExpired at the limit."""
    command = ["mpiexec", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1", "-n", str(ranks)]
    if os.geteuid() == 0:
        command.append("--allow-run-as-root")
    command += [sys.executable, "-m", "mpi4py", str(program), *map(str, arguments)]
    job = subprocess.Popen(
        command,
        env={**os.environ, "OMP_WAIT_POLICY": "passive", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = job.communicate(timeout=limit_s)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()
    return subprocess.CompletedProcess(command, job.returncode, said, "")
