"""Scripts that use the published client of the Virtual Coach, run as a laboratory would run them."""

import json
import os
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".compat" / "pynrp" / "bin" / "python"
PATIENCE_S = 300

LOGIN = """\
import json
import os
import sys

import requests
from pynrp.virtual_coach import VirtualCoach

URL, USER, PASSWORD = (os.environ[name] for name in ("COACH_URL", "COACH_USER", "COACH_PASSWORD"))


def tell(**found):
    print("FOUND " + json.dumps(found), flush=True)


vc = VirtualCoach(environment=URL, storage_username=USER, storage_password=PASSWORD)
"""


@dataclass(frozen=True)
class Said:
    """What a script has printed, what it has logged, and what it told by name with `tell(...)`."""

    status: int
    printed: str
    logged: str

    @property
    def found(self):
        lines = [line.removeprefix("FOUND ") for line in self.printed.splitlines() if line.startswith("FOUND ")]
        return {name: value for line in lines for name, value in json.loads(line).items()}


def attempt(door, script, person="otto", *, password=None, **given):
    """Run a script, logged in as `vc`, whatever comes of it; `given` are variables that it has."""
    assert PYTHON.exists(), "the published client is not installed: make compat"
    head = LOGIN + "".join(f"{name} = {value!r}\n" for name, value in given.items())
    secret = password if password is not None else door.secrets.get(person, "")
    environment = {"COACH_URL": door.url, "COACH_USER": person, "COACH_PASSWORD": secret, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [PYTHON, "-c", head + textwrap.dedent(script)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def run(door, script, person="otto", **given):
    """Run a script, logged in as `vc`, that comes to its end."""
    said = attempt(door, script, person, **given)
    assert said.status == 0, said.logged
    return said
