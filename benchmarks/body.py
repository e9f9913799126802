"""How fast the bodies are: real-time factor at 1 ms on one core, and where a substep spends its time.

    python benchmarks/body.py [--seconds 10] [--json FILE]

Prints medians over steps of 20 ms. The forelimb runs its scripted excitations, the robot drives in circles, with its
camera and without.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

# One core: before numpy comes, and for everything it starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from reafference.frames import Array, Plan, Ports, Step

STEP_NS = 20_000_000
SUBSTEPS = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="simulated seconds of each run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    steps = max(2, round(options.seconds * 1e9 / STEP_NS))
    figures = {
        "start": measure_start(),
        "forelimb": measure_run({"model": "mouse_forelimb"}, forelimb_inputs, steps),
        "forelimb_parts": measure_parts(steps),
        "husky": measure_run({"model": "husky_room"}, husky_inputs, steps // 4),
        "husky_blind": measure_run({"model": "husky_room", "parameters": {"camera": False}}, husky_inputs, steps),
    }
    show(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def measure_start() -> dict[str, float]:
    """Seconds from nothing imported to a forelimb at rest; the first time on a machine it also compiles."""
    started = time.perf_counter()
    from services.body.bullet_body import BulletBody

    body = BulletBody()
    body.prepare(plan({"model": "mouse_forelimb"}))
    first = time.perf_counter() - started
    started = time.perf_counter()
    body.prepare(plan({"model": "mouse_forelimb"}))
    again = time.perf_counter() - started
    body.close()
    return {"first_s": first, "again_s": again}


def measure_run(
    settings: Mapping[str, Any], inputs: Callable[[int, Ports], Mapping[str, Array]], steps: int
) -> dict[str, float]:
    """A body as the engine sees it: whole steps, their substeps, their read-out."""
    from services.body.bullet_body import BulletBody

    body = BulletBody()
    ports = body.prepare(plan(settings))
    whole, run, readout = [], [], []
    for number in range(steps):
        step = Step(number=number, t_ns=number * STEP_NS, dt_ns=STEP_NS, inputs=inputs(number, ports))
        started = time.perf_counter_ns()
        outputs = body.advance(step)
        whole.append(time.perf_counter_ns() - started)
        run.append(int(outputs["timing.run"]))
        readout.append(int(outputs["timing.readout"]))
    body.close()
    return {
        "real_time_factor": STEP_NS / (sum(whole[1:]) / len(whole[1:])),
        "step_us": median(whole) / 1e3,
        "substep_us": median(run) / SUBSTEPS / 1e3,
        # The mean: most steps of a body with a camera have no picture, and the others a slow one.
        "readout_us": sum(readout) / len(readout) / 1e3,
    }


def measure_parts(steps: int) -> dict[str, float]:
    """One substep of the forelimb, cut in two: PyBullet, and our kernels for kinematics, muscles and torques."""
    from services.body.models.mouse_forelimb.description import load
    from services.body.models.mouse_forelimb.limb import Limb
    from services.body.models.mouse_forelimb.parameters import Parameters

    limb = Limb(load(), Parameters(), STEP_NS // SUBSTEPS)
    bones, muscles, fibers = [], [], []
    for number in range(steps):
        excitation = script(number * STEP_NS / 1e9)
        for _ in range(SUBSTEPS):
            t0 = time.perf_counter_ns()
            limb.move_bones()
            t1 = time.perf_counter_ns()
            limb.move_muscles(excitation)
            t2 = time.perf_counter_ns()
            bones.append(t1 - t0)
            muscles.append(t2 - t1)
    path = limb.muscles.path.copy()
    for _ in range(steps):
        t0 = time.perf_counter_ns()
        limb.muscles.advance(path, excitation, 1e-3)
        fibers.append(time.perf_counter_ns() - t0)
    limb.close()
    return {
        "rigid_body_us": median(bones) / 1e3,
        "kernels_us": median(muscles) / 1e3,
        "eight_muscles_alone_us": median(fibers) / 1e3,
    }


def script(t_s: float) -> Array:
    """The reference script, again and again every 1.5 s."""
    t_s %= 1.5
    values = np.array([0.5, 0.9, 0.2, 0.4, 0.6, 0.8, 0.2, 0.6])
    if t_s >= 0.1:
        values[0] = 0.2
        values[[1, 4, 6]] = 1.0 if 0.5 <= t_s < 1.0 else 0.01
    return values


def forelimb_inputs(number: int, ports: Ports) -> Mapping[str, Array]:
    rest = {port.name: port.resting() for port in ports.inputs}
    return {**rest, "excitation": script(number * STEP_NS / 1e9)}


def husky_inputs(number: int, ports: Ports) -> Mapping[str, Array]:
    return {"velocity": np.array([0.3, 0.3]), "screens": np.array([1.0, 0.0])}


def plan(settings: Mapping[str, Any]) -> Plan:
    return Plan(run="bench", name="body", seed=1, dt_ns=STEP_NS, folder=".", settings=settings)


def show(figures: Mapping[str, Mapping[str, float]]) -> None:
    for title, values in figures.items():
        print(title.replace("_", " "))
        for name, value in values.items():
            print(f"  {name:24} {value:10.2f}")


if __name__ == "__main__":
    sys.exit(main())
