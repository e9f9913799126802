"""A brain without a body, driven from a script."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..frames import Array
from . import tomltext
from .brain import Brain
from .door import Door
from .refusals import Invalid
from .resources import Status
from .simulation import Simulation

SCRIPT = "brain.py"
RECORDER = "all_spikes"
_FOR_EVER = 10**9  # steps: it ends when the script ends it


class StandaloneBrain(Brain):
    """A network on any number of MPI processes and threads: run it, read it, change it; all of `Brain` is there too.

        brain.load_network(script)
        brain.create_device("noise", "poisson", targets=["E", "I"], rate_hz=8000.0, weight=1.0)
        brain.run(500.0)
        print(brain.kernel_status()["connections"], brain.rates_hz(since_ms=100.0))

    At the end of a `with` it is stopped, and its experiment with the recording deleted; `keep()` prevents the latter.
    """

    def __init__(self, door: Door, simulation: Simulation, experiment: str) -> None:
        super().__init__(door, simulation.id)
        self.simulation, self.experiment = simulation, experiment
        self._kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def keep(self) -> str:
        """Leave the experiment and its recording on the server at the end; the id of the experiment."""
        self._kept = True
        return self.experiment

    def close(self) -> None:
        """Stop it, and delete the experiment that was made for it."""
        try:
            self.simulation.stop()
        finally:
            self.simulation.close()
            if not self._kept:
                self._door.delete("experiments", self.experiment)

    @property
    def time_ms(self) -> float:
        """Simulated time so far."""
        return self.simulation.status.t_s * 1000.0

    def run(self, time_ms: float) -> Status:
        """Simulate so many milliseconds, a multiple of the step. Raises Failed with NEST's reason."""
        step_ms = self.simulation.status.dt_s * 1000.0
        steps = round(time_ms / step_ms)
        if steps < 1 or abs(steps * step_ms - time_ms) > 1e-6:
            raise Invalid(
                f"{time_ms:g} ms is no multiple of the step of {step_ms:g} ms: give step_ms to session.brain()"
            )
        return self.simulation.run(for_s=time_ms / 1000.0)

    def load_network(self, script: str | Path) -> None:
        """Build another network from this script, in place of the present one; its time goes on."""
        self.replace(script)

    def spikes(self, population: str | None = None, *, since_ms: float = 0.0) -> dict[str, Array]:
        """All spikes so far, or those of one population: `time_s`, `sender` (node id), `population`."""
        found = self.simulation.csv("brain/spikes", since_s=since_ms / 1000.0)
        if population is None or not found:
            return found
        chosen = found["population"] == population
        return {name: values[chosen] for name, values in found.items()}

    def rates_hz(self, *, since_ms: float = 0.0) -> dict[str, float]:
        """Spikes per second of one neuron in the mean, by population, from `since_ms` until now."""
        seconds = (self.time_ms - since_ms) / 1000.0
        if seconds <= 0:
            raise Invalid(f"no time has passed since {since_ms:g} ms: run it first")
        spikes = self.spikes(since_ms=since_ms)
        senders = spikes.get("sender", np.empty(0, np.int64))[spikes.get("time_s", np.empty(0)) * 1000.0 > since_ms]
        return {
            name: float(sum(((first <= senders) & (senders <= last)).sum() for first, last in facts["ranges"]))
            / facts["size"]
            / seconds
            for name, facts in self.populations.items()
        }

    def read(self, group: str, *, since_ms: float = 0.0) -> dict[str, Array]:
        """What the devices of a group have read, a column for each with `t_s`: voltages in mV, rates in Hz."""
        found = self.simulation.csv("brain/sinks", since_s=since_ms / 1000.0)
        own = {name: values for name, values in found.items() if name == group or name.startswith(f"{group}_")}
        if not own:
            raise Invalid(f"no device group {group!r} has been read so far: create it as a sink, then run")
        return {"t_s": found["t_s"], **own}


def brain_files(
    script: Path | str | None,
    model: str | None,
    tables: Mapping[str, Mapping[str, Any] | None],
    kernel: Mapping[str, Any],
    *,
    name: str,
    step_ms: float,
    seed: int,
) -> dict[str, bytes]:
    """The files of an experiment that has a brain only. Raises Invalid unless it is a script or a model."""
    if (script is None) == (model is None):
        raise Invalid("a brain is made from a script or from a model: give one of the two", code="invalid")
    brain: dict[str, Any] = {"model": model} if model is not None else {"script": SCRIPT}
    brain |= kernel
    brain |= {key: dict(table) for key, table in tables.items() if table}
    everyone = {"kind": "spike_recorder", "sources": ["*"]}
    brain["sinks"] = {RECORDER: everyone, **brain.get("sinks", {})}
    general = {"name": name, "steps": _FOR_EVER, "step_ms": step_ms, "seed": seed}
    files = {"experiment.toml": tomltext.dumps({"experiment": general, "brain": brain}).encode()}
    if script is not None:
        files[SCRIPT] = script.read_bytes() if isinstance(script, Path) else script.encode()
    return files
