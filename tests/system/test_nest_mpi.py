"""`make nest-mpi` says what it lacks before it starts, by the names of Debian's packages."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bare(tmp_path):
    """A PATH with the machine's commands, but without MPI, CMake and compilers."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for place in ("/usr/local/bin", "/usr/bin", "/bin"):
        for command in Path(place).iterdir():
            if not command.name.startswith(("mpi", "cmake", "g++", "x86_64-linux-gnu-g++")):
                link = folder / command.name
                if not link.is_symlink():
                    link.symlink_to(command)
    return folder


def make(bare, wheels, tmp_path):
    environment = {
        **os.environ,
        "PATH": str(bare),
        "REAF_NEST_WHEELS": str(wheels),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    return subprocess.run(
        [ROOT / "deploy" / "make-nest-mpi"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_wheel_without_its_libraries_is_not_installed(bare, tmp_path):
    tag = "cp{}{}".format(*sys.version_info[:2])
    version = next(
        line.split("==")[1].split()[0]
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line.startswith("nest-simulator==")
    )
    (tmp_path / f"nest_simulator-{version}-{tag}-{tag}-linux_{os.uname().machine}.whl").write_bytes(b"no wheel at all")
    done = make(bare, tmp_path, tmp_path)
    assert done.returncode == 2
    assert "needs openmpi-bin to run (Debian: apt install openmpi-bin)" in done.stderr


def test_a_build_names_all_it_lacks_before_it_starts(bare, tmp_path):
    done = make(bare, tmp_path, tmp_path)
    assert done.returncode == 2
    assert "looking further" in done.stderr
    assert "to be built (Debian: apt install openmpi-bin g++ cmake libopenmpi-dev" in done.stderr
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_a_folder_of_wheels_that_is_not_there_is_named(bare, tmp_path):
    done = make(bare, tmp_path / "nowhere", tmp_path)
    assert done.returncode == 2
    assert f"REAF_NEST_WHEELS={tmp_path / 'nowhere'} is no folder" in done.stderr


def test_a_reduced_build_has_every_model_that_is_used():
    """Words of our sources that are names of NEST's models stand in the list of the script."""
    ask = "import json, nest; print(json.dumps([*nest.node_models, *nest.synapse_models]))"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True).stdout
    # A voltmeter comes with the multimeter.
    known = {_plain(name) for name in json.loads(said.splitlines()[-1])} - {"voltmeter"}
    files = [
        file for place in ("services/brain", "tests/brain", "tests/system", "experiments") for file in _texts(place)
    ]
    words = {_plain(word) for file in files for word in re.findall(r"[a-z][a-z0-9_]+", file.read_text(errors="ignore"))}
    script = (ROOT / "deploy" / "make-nest-mpi").read_text()
    listed = set(re.findall(r"[a-z][a-z0-9_]+", " ".join(re.findall(r'^models="(.*)"$', script, re.MULTILINE))))
    assert len(known & words) > 20
    assert known & words <= listed


def _plain(name):
    """The model without the endings of its compact and labelled forms, which come with it."""
    return name.removesuffix("_lbl").removesuffix("_hpc")


def _texts(place):
    return [file for file in (ROOT / place).rglob("*") if file.suffix in (".py", ".toml", ".csv")]
