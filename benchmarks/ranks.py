"""What ranks and devices cost: part of `coupling.py --ranks`, which says what is measured."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

EXPERIMENT = Path(__file__).resolve().parent.parent / "experiments" / "mouse_reach"
MODULE_SWITCH = "REAF_NEST_MODULE"
_SMALL = ("area_mm2=0.02", "drive_hz=0")
_READS = '\n\n@transfer(reads="brain.many")\ndef everything(voltages_mV):\n    """Waits for all of them."""\n'

# 19 integrators, 3 sources and one recorder are the 23 devices of the experiment as it is.
_MANY = {23: 0, 230: 207, 1000: 1000}
NAMES = {"module": "module", "nest": "NEST"}
"""Who reads: our extension module for NEST, or NEST's own calls."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians over the steps of one run, in ms."""

    ranks: int
    devices: int
    way: str
    overhead_ms: float
    overhead_p99_ms: float
    readout_ms: float
    step_ms: float
    brain_ms: float


def measure(ranks: Sequence[int], *, steps: int, repeats: int) -> list[Figure]:
    """One figure for each number of ranks and of devices, and each way of reading: medians of `repeats` runs.

    The runs take turns, because a shared machine is not equally fast all the time.
    """
    cases = [
        (n, devices, way)
        for n in ranks
        for devices in _MANY
        for way in NAMES
        # Few devices are read in the same time either way.
        if devices != 23 or way == "module"
    ]
    found: dict[tuple[int, int, str], list[Figure]] = {case: [] for case in cases}
    for _ in range(repeats):
        for case in cases:
            found[case].append(_run(*case, steps=steps))
    return [_median(figures) for figures in found.values()]


def _run(ranks: int, devices: int, way: str, *, steps: int) -> Figure:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many = _MANY[devices]
        for file in ("experiment.toml", "transfer.py"):
            text = (EXPERIMENT / file).read_text(encoding="utf-8")
            if many and file == "experiment.toml":
                text = text.replace("[body]", _sinks(many) + "\n[body]")
            if many and file == "transfer.py":
                text += _READS
            (folder / file).write_text(text, encoding="utf-8")
        out = folder / "run"
        command = [sys.executable, "-m", "reafference.cli", "run", str(folder), "--no-overview", "--out", str(out)]
        command += ["--ranks", str(ranks), "--threads", "1", "--steps", str(steps)]
        for text in _SMALL:
            command += ["--set", text]
        environment = dict(os.environ) if way == "module" else {**os.environ, MODULE_SWITCH: "off"}
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the run failed:\n{done.stderr}")
        summary: Mapping[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return Figure(
        ranks=ranks,
        devices=devices,
        way=way,
        overhead_ms=summary["overhead_ms"]["median"],
        overhead_p99_ms=summary["overhead_ms"]["p99"],
        readout_ms=summary["brain_readout_ms"]["median"],
        step_ms=summary["step_ms"]["median"],
        brain_ms=summary["brain_run_ms"]["median"],
    )


def _sinks(n: int) -> str:
    """`n` integrators that read one neuron each."""
    return (
        "[brain.sinks.many]\n"
        'kind = "leaky_integrator_alpha"\n'
        f'sources = ["each cells[0:{n}]"]\n'
        "delay_ms = 1.5\n\n"
        "[brain.populations]\n"
        'cells = "M1_L23_CC + M1_L6_CT + M1_L5B_PT + M1_L5B_CS + M1_L5B_CC + M1_L5A_CC + M1_L5A_CS + M1_L5A_CT + '
        'M1_L23_PV + M1_L6_SST + M1_L6_PV + M1_L5B_PV + M1_L5B_SST + M1_L23_VIP + M1_L23_SST + M1_L1_SBC"\n'
    )


def _median(figures: Sequence[Figure]) -> Figure:
    first = figures[0]
    medians = {
        name: statistics.median(getattr(figure, name) for figure in figures)
        for name in ("overhead_ms", "overhead_p99_ms", "readout_ms", "step_ms", "brain_ms")
    }
    return Figure(ranks=first.ranks, devices=first.devices, way=first.way, **medians)


def report(figures: Sequence[Figure]) -> None:
    """A table for people."""
    cores = len(os.sched_getaffinity(0))
    table = Table(
        title=f"mouse_reach at 0.02 mm², one thread a rank, {cores} cores; ms, medians over the steps",
        caption="devices are read by our extension module for NEST, or by NEST's own calls",
    )
    for column in ("ranks", "devices", "read by"):
        table.add_column(column)
    for column in ("overhead", "p99", "read-out", "NEST", "step"):
        table.add_column(column, justify="right")
    for figure in figures:
        values = (figure.overhead_ms, figure.overhead_p99_ms, figure.readout_ms, figure.brain_ms, figure.step_ms)
        numbers = (f"{value:.2f}" for value in values)
        table.add_row(str(figure.ranks), str(figure.devices), NAMES[figure.way], *numbers)
    Console().print(table)
