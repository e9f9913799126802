"""Are the shipped brain models what their tables say, and what does building them cost?

    CBCT       cells and synapses of every region against the expectation for its grid; build time and peak memory as
               a ratio to a bare PyNEST script on the same tables (bare_cbct.py; each in a process of its own, in
               turn, because a shared machine is not equally fast all the time); mean rates beside published ones
    balanced   neurons and synapses against the formula, bytes per synapse, rates of the first 200 ms

    .venv/bin/python benchmarks/models.py [--area 0.1] [--scale 1.0] [--repeats 2] [--threads 2] [--short] [--json FILE]

`--short` takes a small area and a small scale, and is done in a minute.
"""

import argparse
import csv
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
REFERENCES = HERE.parent / "services/brain/models/cbct/data/reference_rates.csv"
SEED = 123456
SAMPLE = 200
SETTLED_MS, END_MS = 400.0, 1400.0
BALANCED_MS = 200.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--area", type=float, default=0.1, help="mm2 of the whole CBCT model")
    parser.add_argument("--scale", type=float, default=1.0, help="of the balanced network")
    parser.add_argument("--indegree-fraction", type=float, default=1.0, help="of the balanced network")
    parser.add_argument("--repeats", type=int, default=2, help="how often ours and the bare script build in turn")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of NEST (all cores)")
    parser.add_argument("--short", action="store_true", help="0.02 mm2; scale 0.2 with a tenth of the in-degree")
    parser.add_argument("--only", choices=("cbct", "balanced"), help="one of the two models")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--child", choices=_CHILDREN, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.short:
        given.area, given.scale, given.indegree_fraction = 0.02, 0.2, 0.1
    if given.child:
        print(json.dumps(_CHILDREN[given.child](given)))
        return 0
    console = Console(highlight=False)
    result: dict[str, Any] = {"threads": given.threads, "cores": len(os.sched_getaffinity(0))}
    if given.only != "balanced":
        result["cbct"] = cbct(given, console)
    if given.only != "cbct":
        result["balanced"] = balanced(given, console)
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


# --- CBCT ---------------------------------------------------------------------------------------------------


def cbct(given: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Ours and the bare script in turn, then a run of ours for the rates."""
    ours, bare = [], []
    for turn in range(given.repeats):
        # Who goes first changes, for the one that goes second finds the files in memory.
        for name, results in (("ours", ours), ("bare", bare))[:: 1 if turn % 2 == 0 else -1]:
            results.append(_child(name, given))
            last = results[-1]
            console.print(f"turn {turn + 1}, {name}: {last['build_s']:.1f} s, {last['peak_mb']:.0f} MB")
    rates = _child("rates", given)
    result = {
        "area_mm2": given.area,
        "cells": ours[0]["cells"],
        "synapses": ours[0]["synapses"],
        "expected_synapses": ours[0]["expected"],
        "bare_cells": bare[0]["cells"],
        "bare_synapses": bare[0]["synapses"],
        "regions": ours[0]["regions"],
        "build_s": statistics.median(one["build_s"] for one in ours),
        "peak_mb": statistics.median(one["peak_mb"] for one in ours),
        "build_to_bare": statistics.median(a["build_s"] / b["build_s"] for a, b in zip(ours, bare, strict=True)),
        "peak_to_bare": statistics.median(a["peak_mb"] / b["peak_mb"] for a, b in zip(ours, bare, strict=True)),
        "builds_to_bare": [a["build_s"] / b["build_s"] for a, b in zip(ours, bare, strict=True)],
        "rates_hz": rates["rates_hz"],
        "step_ms": rates["step_ms"],
    }
    _print_cbct(result, console)
    return result


def _print_cbct(result: dict[str, Any], console: Console) -> None:
    table = _table(f"CBCT at {result['area_mm2']:g} mm2", "region", "cells", "synapses", "expected", "deviation")
    for name, row in result["regions"].items():
        table.add_row(name, *_counted(row["cells"], row["synapses"], row["expected"]))
    table.add_row("all", *_counted(result["cells"], result["synapses"], result["expected_synapses"]), style="bold")
    console.print(table)
    table = _table("Against a bare script on the same tables", "", "ours", "ours / bare")
    table.add_row("build, s", f"{result['build_s']:.1f}", f"{result['build_to_bare']:.3f}")
    table.add_row("peak memory, MB", f"{result['peak_mb']:.0f}", f"{result['peak_to_bare']:.3f}")
    table.add_row("synapses", f"{result['synapses']:,}", f"{result['synapses'] / result['bare_synapses']:.5f}")
    console.print(table)
    table = _table(f"Mean rates, {SETTLED_MS:g} to {END_MS:g} ms", "population", "spikes/s", "published", "")
    references = _references()
    for name, rate in result["rates_hz"].items():
        low, high = references.get(name, (None, None))
        told = "" if low is None else f"{low:g} to {high:g}"
        within = "" if low is None else "within" if low <= rate <= high else "outside"
        table.add_row(name, f"{rate:.2f}", told, within)
    console.print(table)


def _counted(cells: int, synapses: int, expected: float) -> tuple[str, ...]:
    return f"{cells:,}", f"{synapses:,}", f"{expected:,.0f}", f"{100 * (synapses / expected - 1):+.3f} %"


def _references() -> dict[str, tuple[float, float]]:
    """Lowest and highest published rate of the populations that have any."""
    lines = [line for line in REFERENCES.read_text().splitlines() if not line.startswith("#")]
    return {row["population"]: (float(row["low_hz"]), float(row["high_hz"])) for row in csv.DictReader(lines)}


def _ours(given: argparse.Namespace) -> dict[str, Any]:
    """Runs in a process of its own: build, as an experiment does it."""
    from services.brain.models import cbct
    from services.brain.models.cbct.expected import NONE, expected_synapses
    from services.brain.models.cbct.parameters import CbctParameters
    from services.brain.models.cbct.projections import projections
    from services.brain.models.cbct.sheets import place
    from services.brain.models.cbct.tables import REGIONS, tables

    counted: list[tuple[str, int]] = []
    nest = _kernel(given.threads, cbct.DELAYS)

    def report(task: str, done: int = 0, total: int = 0, detail: str = "") -> None:
        counted.append((detail.split("; ")[1], nest.num_connections))

    parameters = {"regions": list(REGIONS), "area_mm2": given.area}
    began = time.perf_counter()
    network = cbct.build(parameters, seed=SEED, resolution_ms=0.1, report=report)
    took = time.perf_counter() - began
    built = _built(took, int(network.neurons or 0), int(network.synapses or 0))
    model, options = tables(), CbctParameters.load(parameters)
    sheets: dict[str, Any] = {}
    for row in model.populations.values():
        sheets[row.id] = place(row, given.area, SEED, sheets)
    found = {name: after - before for (_, before), (name, after) in itertools.pairwise(counted)}
    regions = {name: {"cells": 0, "synapses": 0, "expected": 0.0} for name in (*REGIONS, "pathways")}
    for row in model.populations.values():
        regions[row.region]["cells"] += len(sheets[row.id]) if row.kind == "neuron" else 0
    whole = NONE
    for projection in projections(model, options, {name: len(s) for name, s in sheets.items()}):
        expected = expected_synapses(projection, sheets[projection.source], sheets[projection.target])
        inside = {model.populations[name].region for name in (projection.source, projection.target)}
        region = regions[inside.pop() if len(inside) == 1 else "pathways"]
        region["synapses"] += found[projection.id]
        region["expected"] += expected.mean
        whole += expected
    return built | {"expected": whole.mean, "regions": regions}


def _bare(given: argparse.Namespace) -> dict[str, Any]:
    """Runs in a process of its own: nothing but PyNEST and the tables."""
    import bare_cbct

    began = time.perf_counter()
    cells = bare_cbct.build(given.area, SEED, given.threads)
    took = time.perf_counter() - began
    return _built(took, cells, bare_cbct.synapses())


def _rates(given: argparse.Namespace) -> dict[str, Any]:
    """Runs in a process of its own: mean rates of samples at rest."""
    from services.brain.models.cbct.tables import REGIONS

    parameters = {"regions": list(REGIONS), "area_mm2": given.area}
    return _run_sampled("cbct", parameters, given.threads, END_MS, SETTLED_MS)


# --- the balanced network -----------------------------------------------------------------------------------


def balanced(given: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Counts, memory and rates of one build and run."""
    result = _child("balanced", given)
    title = f"Balanced network at scale {given.scale:g}, {given.indegree_fraction:g} of the in-degree"
    table = _table(title, "", "found", "expected")
    table.add_row("neurons", f"{result['neurons']:,}", f"{result['expected_neurons']:,}")
    table.add_row("synapses", f"{result['synapses']:,}", f"{result['expected_synapses']:,}")
    table.add_row("memory, MB", f"{result['memory_mb']:.0f}", f"{result['estimated_mb']:.0f}")
    table.add_row("bytes per synapse", f"{result['bytes_per_synapse']:.1f}", "")
    table.add_row("build, s", f"{result['build_s']:.1f}", "")
    for name, rate in result["rates_hz"].items():
        table.add_row(f"{name}, spikes/s in {BALANCED_MS:g} ms", f"{rate:.2f}", "5 to 25")
    console.print(table)
    return result


def _balanced(given: argparse.Namespace) -> dict[str, Any]:
    """Runs in a process of its own."""
    from services.brain.memory import held_bytes
    from services.brain.models.balanced.footprint import expected_synapses
    from services.brain.models.balanced.parameters import BalancedParameters
    from services.brain.models.balanced.scaling import scaled

    parameters = {"scale": given.scale, "indegree_fraction": given.indegree_fraction}
    options = BalancedParameters.load(parameters)
    _kernel(given.threads, None)
    before = held_bytes()
    ran = _run_sampled("balanced", parameters, given.threads, BALANCED_MS, 0.0)
    facts = ran.pop("facts")
    rates = {name: ran["rates_hz"][name] for name in ("E", "I")}
    return ran | {
        "scale": given.scale,
        "indegree_fraction": given.indegree_fraction,
        "neurons": facts["neurons"],
        "synapses": facts["synapses"],
        "expected_neurons": options.neurons,
        "expected_synapses": expected_synapses(options, scaled(options)),
        "memory_mb": (held_bytes() - before) / 1e6,
        "estimated_mb": facts["estimated_bytes"] / 1e6,
        "bytes_per_synapse": (held_bytes() - before) / facts["synapses"],
        "build_s": facts["build_s"],
        "rates_hz": rates,
    }


# --- processes ----------------------------------------------------------------------------------------------


def _run_sampled(model: str, parameters: dict[str, Any], threads: int, end_ms: float, settled_ms: float) -> Any:
    """Rates of a sample of each population, and what a step of 20 ms takes, through the brain service's simulator."""
    import numpy as np

    from reafference.frames import Plan, Step
    from services.brain.nest_brain import NestBrain

    dt_ns = 20_000_000
    sinks = {"raster": {"kind": "spike_recorder", "sources": ["*"], "sample": SAMPLE}}
    settings = {"model": model, "parameters": parameters, "sinks": sinks}
    brain = NestBrain()
    ports = brain.prepare(
        Plan(run="b", name="brain", seed=SEED, dt_ns=dt_ns, threads=threads, folder=".", settings=settings, files={}),
        lambda *args, **more: None,
    )
    senders, times, took = [], [], []
    for number in range(round(end_ms / 20)):
        began = time.perf_counter()
        out = brain.advance(Step(number=number, t_ns=number * dt_ns, dt_ns=dt_ns, inputs={}))
        took.append(time.perf_counter() - began)
        out |= brain.afterwards()
        senders.append(out["spikes.sender"])
        times.append(out["spikes.time_ns"])
    sender, settled = np.concatenate(senders), np.concatenate(times) > settled_ms * 1e6
    rates = {}
    for name, ranges in ports.facts["recorders"]["raster"].items():
        ids = np.concatenate([np.arange(first, last + 1) for first, last in ranges])
        spikes = np.count_nonzero(settled & np.isin(sender, ids))
        rates[name] = float(spikes / len(ids) / (end_ms - settled_ms) * 1000)
    facts = {
        name: ports.facts[name] for name in ("neurons", "synapses", "build_s", "estimated_bytes") if name in ports.facts
    }
    return {"rates_hz": rates, "step_ms": 1e3 * statistics.median(took), "facts": facts}


def _kernel(threads: int, delays: Any) -> Any:
    from services.brain.kernel import KernelSetup, nest

    KernelSetup(resolution_ns=100_000, seed=SEED, threads=threads, delays=delays).apply()
    return nest


def _built(took_s: float, cells: int, synapses: int) -> dict[str, Any]:
    import resource

    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"build_s": took_s, "peak_mb": peak_mb, "cells": cells, "synapses": synapses}


_CHILDREN = {"ours": _ours, "bare": _bare, "rates": _rates, "balanced": _balanced}


def _child(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """What this process prints as its last line when it is started with `--child`."""
    command = [sys.executable, str(Path(__file__)), "--child", name, "--threads", str(given.threads)]
    command += ["--area", str(given.area), "--scale", str(given.scale)]
    command += ["--indegree-fraction", str(given.indegree_fraction)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "PYNEST_QUIET": "1"}
    done = subprocess.run(command, env=environment, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} ended with status {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), title=f"\n{title}", title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right")
    return table


if __name__ == "__main__":
    sys.exit(main())
