"""What do spikes and voltages cost on their way out of the brain? Two measurements through the whole system.

    (a) spikes: 100,000 neurons at about 10 Hz, each with a Poisson input of its own and no synapses among them, all of
        them recorded: a million spikes per second of simulated time. The same network runs in NEST alone, without a
        recorder and without a step, and NEST counts its spikes.
    (b) voltages: 23, 230 and 1000 leaky integrators, each on one neuron, read at the end of every step.

Both with the extension module (deploy/make-nest-module) where it is compiled, and by NEST's own calls.

Printed and written with --json, for (a): `outside_nest`, the share of the run's time that is not spent in nest.Run
(harvesting, publishing, recording and the loop itself); `in_nest`, by which share nest.Run is slower than NEST
alone (handing the spikes to the recorder, and the cuts into steps); `recorded` and `counted`, the spikes in the
recording and in the kernel, and `twice`, how many of the recorded ones are there twice; `memory_mb`, what the brain
holds at each quarter of the run. For (b): milliseconds of each reading.

    .venv/bin/python benchmarks/spikes.py [--neurons 100000] [--seconds 0.5] [--resolution-ms 0.1] [--ways module nest]
                                          [--repeats 3] [--json FILE]

The short form for a quick look is `--neurons 10000 --seconds 0.2 --repeats 1`. The long one, about half an hour, is
`--seconds 60 --resolution-ms 1 --repeats 1 --ways module`: memory must not grow with simulated time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
STEP_MS = 20.0
SEED = 20
GROUPS = (23, 230, 1000)
_SWITCH = "REAF_NEST_MODULE"

BRAIN = '''\
import nest
import numpy as np


def build(neurons, seed=1):
    """Neurons without synapses, each under a Poisson input of its own that lets it fire at about 10 Hz."""
    cells = nest.Create("iaf_psc_alpha", neurons)
    cells.V_m = np.random.default_rng(seed).uniform(-70.0, -60.0, neurons)
    noise = nest.Create("poisson_generator", params={"rate": 800.0})
    nest.Connect(noise, cells, syn_spec={"weight": 69.0, "delay": 1.0})
    return {"cells": cells}
'''
EXPERIMENT = """\
[experiment]
name = "spikes"
steps = {steps}
step_ms = {step_ms}
seed = {seed}

[brain]
script = "brain.py"
resolution_ms = {resolution_ms}

[brain.parameters]
neurons = {neurons}
"""
RASTER = """
[brain.sinks.raster]
kind = "spike_recorder"
sources = ["cells"]
"""
READOUT = """
[brain.sinks.readout]
kind = "leaky_integrator_alpha"
sources = {sources}

[measures]
last_mV = {{ reads = "brain.sinks.readout.cells[0]" }}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=0.5, help="simulated time of (a); (b) takes 30 steps")
    parser.add_argument("--resolution-ms", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3, help="how often (a) is measured in turn")
    parser.add_argument("--ways", nargs="+", choices=("module", "nest"), default=["module", "nest"])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--nest-alone", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.nest_alone:
        print(json.dumps(_nest_alone_here(given.nest_alone)))
        return 0
    steps = max(2, round(given.seconds * 1e3 / STEP_MS))
    ways = [way for way in given.ways if way == "nest" or _module_is_compiled()]
    result = {
        "neurons": given.neurons,
        "steps": steps,
        "resolution_ms": given.resolution_ms,
        "cores": len(os.sched_getaffinity(0)),
        "spikes": {way: measure_spikes(way, given.neurons, steps, given.resolution_ms, given.repeats) for way in ways},
        "voltages_ms": {way: {n: measure_voltages(way, n) for n in GROUPS} for way in ways},
    }
    _show(result)
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


# --- (a) spikes -----------------------------------------------------------------------------------------------


def measure_spikes(way: str, neurons: int, steps: int, resolution_ms: float, repeats: int) -> dict[str, Any]:
    """The figures of (a), by the extension module or by NEST's own calls: medians, and the counts of the last turn.

    NEST alone and the closed loop take turns, because a shared machine is not equally fast all the time.
    """
    plain = EXPERIMENT.format(steps=steps, step_ms=STEP_MS, seed=SEED, resolution_ms=resolution_ms, neurons=neurons)
    turns = []
    for _ in range(repeats):
        with _experiment(plain) as folder:
            alone = json.loads(_python("--nest-alone", str(folder)).splitlines()[-1])
        with _experiment(plain + RASTER) as folder:
            summary, memory_mb = _run(folder, way)
            recorded, twice = _spikes_in(folder / "run")
        total_s, run_s = (summary[name]["mean"] * (steps - 1) / 1e3 for name in ("step_ms", "brain_run_ms"))
        turns.append((1 - run_s / total_s, run_s / alone["seconds"] - 1, total_s, run_s, alone["seconds"]))
    names = ("outside_nest", "in_nest", "total_s", "run_s", "nest_alone_s")
    return {
        **{name: statistics.median(values) for name, values in zip(names, zip(*turns, strict=True), strict=True)},
        "spikes_per_s": recorded / summary["simulated_s"],
        "recorded": recorded,
        "counted": alone["spikes"],
        "twice": twice,
        "memory_mb": memory_mb,
    }


def _nest_alone_here(folder: Path) -> dict[str, float]:
    """Runs in a process of its own: the experiment's network, simulated in one piece but for the first step."""
    from services.brain.nest_brain import NestBrain
    from services.engine import documents, experiment

    wanted = experiment.load(folder, [])
    brain = NestBrain()
    brain.prepare(documents.plans(wanted, "benchmark")["brain"], lambda *args, **more: None)
    import nest

    nest.Run(STEP_MS)  # as in the closed loop, where the first step is left out because it sets up tables
    spikes = nest.local_spike_counter
    began = time.perf_counter()
    nest.Run(STEP_MS * (wanted.general.steps - 1))
    seconds = time.perf_counter() - began
    spikes += nest.local_spike_counter
    brain.close()
    return {"seconds": seconds, "spikes": spikes}


def _spikes_in(folder: Path) -> tuple[int, int]:
    """How many spikes the recording has, and how many of them more than once."""
    from services.recorder.reader import Run

    recorded, twice = 0, 0
    for sample in Run(folder).samples(["brain/spikes"]):
        # A spike belongs to one step, so that one met twice would lie in the same.
        pairs = np.stack([sample.arrays["time_ns"], sample.arrays["sender"]])
        recorded += pairs.shape[1]
        twice += pairs.shape[1] - np.unique(pairs, axis=1).shape[1]
    return recorded, twice


# --- (b) voltages ---------------------------------------------------------------------------------------------


def measure_voltages(way: str, n: int) -> float:
    """Median milliseconds that reading `n` integrators takes at the end of a step."""
    sources = json.dumps([f"cells[{i}]" for i in range(n)])
    text = EXPERIMENT.format(steps=30, step_ms=STEP_MS, seed=SEED, resolution_ms=0.1, neurons=1000)
    with _experiment(text + READOUT.format(sources=sources)) as folder:
        summary, _ = _run(folder, way)
    return float(summary["brain_readout_ms"]["median"])


# --- running --------------------------------------------------------------------------------------------------


@contextmanager
def _experiment(text: str) -> Iterator[Path]:
    """A folder with this experiment and the script of its brain."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "experiment.toml").write_text(text, encoding="utf-8")
        (folder / "brain.py").write_text(BRAIN, encoding="utf-8")
        yield folder


def _run(folder: Path, way: str) -> tuple[dict[str, Any], list[float]]:
    """The summary of a run of the experiment into its folder `run`, and the brain's memory (MB) at each quarter."""
    out = folder / "run"
    command = [sys.executable, "-m", "reafference.cli", "run", str(folder), "--no-overview", "--out", str(out)]
    process = subprocess.Popen(command, env=_environment(way), stderr=subprocess.PIPE, text=True)
    memory = _Memory(process.pid)
    with memory:
        _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"the run failed:\n{said}")
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return summary, memory.quarters(summary["step_ms"]["mean"] * summary["steps"] / 1e3)


class _Memory:
    """Watches how much the brain among the descendants of a process holds, twice a second."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._seen: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._watcher.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def quarters(self, run_s: float) -> list[float]:
        """Megabytes at 1/4, 1/2, 3/4 and the end of the run, which took `run_s` and ended when the brain did."""
        if not self._seen:
            return []
        times, held = np.array(self._seen).T
        return [float(mb) for mb in np.interp(times[-1] - run_s * np.array([0.75, 0.5, 0.25, 0.0]), times, held)]

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            held = max((_held_mb(pid) for pid in _descendants(self._root) if _is_brain(pid)), default=0.0)
            if held:
                self._seen.append((time.monotonic(), held))


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(task).split():
            yield int(child)
            yield from _descendants(int(child))


def _is_brain(pid: int) -> bool:
    return "services.brain" in _read(Path(f"/proc/{pid}/cmdline"))


def _held_mb(pid: int) -> float:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if fields else 0.0


def _read(path: Path) -> str:
    """Nothing where the process has ended in between."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _module_is_compiled() -> bool:
    from services.brain import nest_module

    return nest_module.compiled() is not None


def _environment(way: str) -> Mapping[str, str]:
    return os.environ if way == "module" else {**os.environ, _SWITCH: "off"}


def _python(*arguments: str) -> str:
    command = [sys.executable, str(Path(__file__)), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


# --- the table ------------------------------------------------------------------------------------------------


_NAMES = {"module": "extension module", "nest": "NEST's own calls"}
_ROWS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "spikes per simulated second": lambda found: f"{found['spikes_per_s']:,.0f}",
    "spikes recorded": lambda found: f"{found['recorded']:,}",
    "spikes counted in the kernel": lambda found: f"{found['counted']:,}",
    "recorded twice": lambda found: f"{found['twice']:,}",
    "share of time outside NEST": lambda found: f"{found['outside_nest']:.2%}",
    "NEST slower than alone by": lambda found: f"{found['in_nest']:.2%}",
    "MB of the brain at each quarter": lambda found: " ".join(f"{mb:.0f}" for mb in found["memory_mb"]),
}


def _show(result: Mapping[str, Any]) -> None:
    ways = list(result["spikes"])
    table = Table(title=f"{result['neurons']:,} neurons, {result['steps']} steps of {STEP_MS:g} ms, all recorded")
    table.add_column("")
    for way in ways:
        table.add_column(_NAMES[way], justify="right")
    for row, text in _ROWS.items():
        table.add_row(row, *(text(result["spikes"][way]) for way in ways))
    table.add_section()
    for n in GROUPS:
        table.add_row(f"reading {n} integrators (ms)", *(f"{result['voltages_ms'][way][n]:.2f}" for way in ways))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
