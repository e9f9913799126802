"""A brain without a body, driven from a script."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from ..frames import Array
from . import tomltext
from .brain import Brain, device_table
from .door import Door
from .refusals import Failed, Invalid
from .resources import Status
from .simulation import Simulation

FILE = "experiment.toml"
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

    def __init__(self, door: Door, experiment: str, document: dict[str, Any], launch: Callable[[], Simulation]) -> None:
        self.simulation, self.experiment = launch(), experiment
        super().__init__(door, self.simulation.id)
        self._document, self._launch = document, launch
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

    def replace(self, script: str | Path) -> None:
        """As `load_network`."""
        super().replace(script)
        self._write(SCRIPT, text_of(script))
        table = self._document["brain"]
        table["script"] = SCRIPT
        table.pop("model", None)

    def create_device(
        self,
        name: str,
        kind: str,
        *,
        targets: Sequence[str] | None = None,
        sources: Sequence[str] | None = None,
        role: Literal["source", "sink"] | None = None,
        **options: Any,
    ) -> None:
        """As Brain.create_device; on several processes only before the first step, for the brain is built anew then."""
        if self._document["brain"]["ranks"] == 1:
            super().create_device(name, kind, targets=targets, sources=sources, role=role, **options)
            return
        if self.simulation.status.step:
            raise Invalid(
                f"{name!r} cannot be created any more: on several processes, create devices before the first step, "
                "or give them to session.brain()",
                code="out_of_order",
            )
        found, table = device_table(kind, targets, sources, role, options)
        self._rebuild(f"{found}s", name, table)

    def _rebuild(self, group: str, name: str, table: Mapping[str, Any]) -> None:
        """Build it with one more group of devices; without it again, and the error, where that cannot be."""
        groups = self._document["brain"].setdefault(group, {})
        if name in groups:
            raise Invalid(f"there is a group {name!r} already: choose another name", code="conflict")
        groups[name] = dict(table)
        try:
            self._begin_anew()
        except Failed:
            del groups[name]
            self._begin_anew()
            raise

    def _begin_anew(self) -> None:
        self.simulation.stop()
        self.simulation.close()
        self._write(FILE, tomltext.dumps(self._document).encode())
        self.simulation = self._launch()
        self._path = ("simulations", self.simulation.id)

    def _write(self, path: str, raw: bytes) -> None:
        self._door.write("experiments", self.experiment, "files", path, raw=raw)

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


def brain_document(
    script: Path | str | None,
    model: str | None,
    tables: Mapping[str, Mapping[str, Any] | None],
    kernel: Mapping[str, Any],
    *,
    name: str,
    step_ms: float,
    seed: int,
) -> dict[str, Any]:
    """The experiment file of a brain without a body. Raises Invalid unless it is a script or a model."""
    if (script is None) == (model is None):
        raise Invalid("a brain is made from a script or from a model: give one of the two", code="invalid")
    brain: dict[str, Any] = {"model": model} if model is not None else {"script": SCRIPT}
    brain |= kernel
    brain |= {key: dict(table) for key, table in tables.items() if table}
    everyone = {"kind": "spike_recorder", "sources": ["*"]}
    brain["sinks"] = {RECORDER: everyone, **brain.get("sinks", {})}
    return {"experiment": {"name": name, "steps": _FOR_EVER, "step_ms": step_ms, "seed": seed}, "brain": brain}


def brain_files(document: Mapping[str, Any], script: Path | str | None) -> dict[str, bytes]:
    """The files of that experiment."""
    files = {FILE: tomltext.dumps(document).encode()}
    return files if script is None else files | {SCRIPT: text_of(script)}


def text_of(script: Path | str) -> bytes:
    return script.read_bytes() if isinstance(script, Path) else script.encode()
