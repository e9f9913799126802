"""Fixtures around the one NEST kernel of the process: every test finds it empty and leaves it empty."""

import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

# Before NEST loads OpenMP: on a machine short of cores, threads that spin while they wait cost minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pytest

from reafference.frames import Array, Plan, Ports, Step
from services.brain import nest_module
from services.brain.kernel import leave_context, nest
from services.brain.nest_brain import NestBrain

SEED = 123456

# What is about the compiled module can be tested where deploy/make-nest-module has made it.
collect_ignore = [] if nest_module.compiled() else ["test_nest_module.py"]


@pytest.fixture(params=["nest", "module"] if nest_module.compiled() else ["nest"])
def way(request: Any, monkeypatch: Any) -> str:
    """How spikes and voltages leave: by NEST's own calls, or by the extension module where it is compiled."""
    if request.param == "nest":
        monkeypatch.setenv(nest_module.VARIABLE, "off")
    return str(request.param)


@pytest.fixture(autouse=True)
def _empty_kernel() -> Iterator[None]:
    yield
    leave_context()
    nest.ResetKernel()


def silent(task: str, done: int = 0, total: int = 0, detail: str = "") -> None:
    """A report nobody reads."""


class Bench:
    """A brain on the bench: prepared from the `[brain]` table, stepped by hand, its outputs kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.brain = NestBrain()
        self.ports = Ports()
        self.outputs: list[dict[str, Array]] = []
        self._dt_ns = 0

    def plan(
        self,
        settings: Mapping[str, Any],
        *,
        script: str | None = None,
        dt_ms: float = 20.0,
        seed: int = SEED,
        threads: int = 1,
    ) -> Plan:
        """`script` is the text of brain.py, which the settings then name."""
        files = {}
        if script is not None:
            files = {"brain.py": textwrap.dedent(script)}
            settings = {"script": "brain.py", **settings}
        return Plan(
            run="r1",
            name="bench",
            seed=seed,
            dt_ns=round(dt_ms * 1e6),
            threads=threads,
            folder=str(self.folder),
            settings=settings,
            files=files,
        )

    def prepare(self, settings: Mapping[str, Any], **options: Any) -> Ports:
        plan = self.plan(settings, **options)
        self.ports = self.brain.prepare(plan, silent)
        self.outputs = []
        self._dt_ns = plan.dt_ns
        return self.ports

    def run(self, steps: int, **inputs: Any) -> list[dict[str, Array]]:
        """Outputs of the next `steps` steps; inputs that are not given keep their resting value."""
        first = len(self.outputs)
        resting = {port.name: port.resting() for port in self.ports.inputs}
        values = resting | {name: np.asarray(value, float) for name, value in inputs.items()}
        for number in range(first, first + steps):
            step = Step(number=number, t_ns=number * self._dt_ns, dt_ns=self._dt_ns, inputs=values)
            self.outputs.append({**self.brain.advance(step), **self.brain.afterwards()})
        return self.outputs[first:]

    def sink(self, name: str) -> Array:
        """A sink at the end of every step so far, shape (steps, n)."""
        return np.array([out[f"sinks.{name}"] for out in self.outputs])

    def spikes(self) -> tuple[Array, Array]:
        """Senders and times (ms) of all steps so far."""
        sender = np.concatenate([out["spikes.sender"] for out in self.outputs])
        return sender, np.concatenate([out["spikes.time_ns"] for out in self.outputs]) / 1e6

    def port(self, name: str) -> Any:
        return next(p for p in (*self.ports.inputs, *self.ports.outputs) if p.name == name)

    def ids(self, population: str) -> Array:
        spans = self.ports.facts["populations"][population]["ranges"]
        return np.concatenate([np.arange(first, last + 1) for first, last in spans])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.brain.close()


@pytest.fixture
def quiet() -> Callable[..., None]:
    return silent
