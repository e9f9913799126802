"""What the shipped experiments are made of: runs each for one step and writes its `facts.json`, for the web page.

    python benchmarks/facts.py [EXPERIMENT …]

The facts hold for one brain and one body: `of` is what the experiment file said of them in that run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.gateway.cards import FACTS, kind_of
from services.recorder.reader import Run

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiments", type=Path, nargs="*", help="their folders (all that are shipped)")
    given = parser.parse_args()
    for folder in given.experiments or sorted(path.parent for path in ROOT.glob("experiments/*/experiment.toml")):
        found = facts_of(folder)
        (folder / FACTS).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        print(folder / FACTS, json.dumps(found))
    return 0


def facts_of(folder: Path) -> dict[str, Any]:
    """The facts of an experiment, from a run of one step of each participant."""
    settings = tomllib.loads((folder / "experiment.toml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "run"
        command = [sys.executable, "-m", "reafference.cli", "run", str(folder), "--no-overview", f"--out={out}"]
        subprocess.run([*command, "--steps=1"], check=True)
        ports = Run(out).start.ports
    return {
        name: {"of": kind_of(settings, name), **made(ports[name].facts, [port.name for port in ports[name].outputs])}
        for name, made in (("brain", of_brain), ("body", of_body))
        if name in ports
    }


def of_brain(facts: Mapping[str, Any], outputs: list[str]) -> dict[str, Any]:
    counts = {"cells": facts["neurons"], "synapses": facts["synapses"]}
    return counts | {"populations": len(facts.get("populations", {}))}


def of_body(facts: Mapping[str, Any], outputs: list[str]) -> dict[str, Any]:
    camera = any(name.startswith("camera/") for name in outputs)
    return {"muscles": len(facts.get("muscles", ())), "camera": camera}


if __name__ == "__main__":
    sys.exit(main())
