"""Images for the runtimes of clusters, made from those of the container engine here, and kept for the next time."""

import fcntl
import functools
import shutil
import subprocess
from pathlib import Path

from jobs import FOLDER as JOBS_FOLDER
from jobs import ROOT

KEPT = Path("/var/tmp/reaf-test-images")
VERSION = "0.1.0"
MAKE_S = 3600


def image(name: str, runtime: str) -> str:
    """What a job writes for the image `reafference-NAME`; it is made if it is not here."""
    source = f"reafference-{name}:{VERSION}"
    KEPT.mkdir(exist_ok=True)
    with (KEPT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make(name)
        folder = KEPT / runtime / _id(source).removeprefix("sha256:")[:16]
        found = folder / (f"reafference-{name}-{VERSION}" + (".sif" if runtime == "apptainer" else ""))
        if not found.exists():
            _call("deploy/hpc/transfer-image", runtime, source, str(folder), str(JOBS_FOLDER))
        return str(found)


def engine_answers() -> bool:
    """Whether there is a container engine to take images from."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, timeout=30).returncode == 0


@functools.cache
def _make(name: str) -> None:
    """Of the code as it is now; one that lies there may be of another day."""
    _call("deploy/make-images", name)


def _id(source: str) -> str:
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", source]
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip()


def _call(script: str, *arguments: str) -> None:
    done = subprocess.run([str(ROOT / script), *arguments], capture_output=True, text=True, timeout=MAKE_S)
    assert done.returncode == 0, done.stderr[-2000:]
