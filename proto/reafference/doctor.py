"""`reaf doctor`: what this machine has, and what to do about what it has not."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .process import usable_cores

_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` is empty if all is well; `needed` if nothing runs without it."""

    name: str
    found: str
    remedy: str = ""
    needed: bool = False


def report(console: Console) -> int:
    """Print all findings; 0 if everything needed is there, else 1."""
    findings = list(_findings())
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for finding in findings:
        mark = "[green]ok[/]" if not finding.remedy else "[red]missing[/]" if finding.needed else "[yellow]note[/]"
        table.add_row(mark, f"[bold]{finding.name}[/]", finding.found)
    console.print(table)
    remedies = [f for f in findings if f.remedy]
    if remedies:
        console.print()
    for finding in remedies:
        console.print(f"[bold]{finding.name}[/]: {finding.remedy}", soft_wrap=True)
    return 1 if any(f.needed for f in remedies) else 0


def _findings() -> Iterator[Finding]:
    yield _python()
    cores = usable_cores()
    yield Finding(
        "cores",
        str(cores),
        "" if cores > 1 else "with one core brain and body take turns: expect steps as long as both together",
    )
    yield _memory()
    yield _disk()
    yield _simulator("brain", "NEST", _nest_words)
    yield _simulator("body", "PyBullet", lambda about: f"{about['pybullet']}, numba {about['numba']}")
    for package in ("mcap", "h5py", "matplotlib", "fastapi", "uvicorn", "websockets", "pyzmq", "msgpack"):
        yield _package(package)
    yield _mpi()
    yield _docker()


def _python() -> Finding:
    found = platform.python_version()
    fits = sys.version_info[:2] == (3, 11)
    remedy = "" if fits else "PyBullet has wheels up to Python 3.11 only: make PYTHON=python3.11 venv"
    return Finding("Python", found, remedy)


def _memory() -> Finding:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    total = pages * size / 1e9
    small = total < 4
    return Finding("memory", f"{total:.1f} GB", "mouse_reach needs about 1.5 GB in all" if small else "")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    remedy = "recordings go to runs/ here: make room, or use --out" if free < 1 else ""
    return Finding("disk here", f"{free:.1f} GB free", remedy)


def _simulator(service: str, name: str, words: Any) -> Finding:
    """Ask the service itself: no simulator is imported into this process."""
    try:
        answer = subprocess.run(
            [sys.executable, "-m", f"services.{service}", "--about"],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        # A simulator may print a line of its own; the answer is the one in JSON.
        line = next(line for line in answer.stdout.splitlines() if line.startswith("{"))
        return Finding(name, words(json.loads(line)))
    except (subprocess.SubprocessError, StopIteration, ValueError, LookupError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        return Finding(
            name,
            "cannot be used",
            f"{said[-1] if said else 'no reason given'}; make venv installs it",
            needed=True,
        )


def _nest_words(about: dict[str, Any]) -> str:
    mpi = "with MPI" if about["have_mpi"] else "without MPI (one process, several threads; make nest-mpi changes that)"
    threads = "with threads" if about["have_threads"] else "without threads"
    module = "with our extension module" if about["extension_module"] else "without our extension module"
    return f"{about['version']}, {mpi}, {threads}, {module}"


def _package(name: str) -> Finding:
    try:
        return Finding(name, version(name))
    except PackageNotFoundError:
        return Finding(name, "not installed", "make venv installs it", needed=True)


def _mpi() -> Finding:
    found = shutil.which("mpiexec")
    remedy = (
        "" if found else "only brains over several processes need it (Debian: apt install openmpi-bin; make nest-mpi)"
    )
    return Finding("mpiexec", found or "not found", remedy)


def _docker() -> Finding:
    found = shutil.which("docker")
    remedy = "" if found else "only the containers need it (Debian: apt install docker.io)"
    return Finding("docker", found or "not found", remedy)
