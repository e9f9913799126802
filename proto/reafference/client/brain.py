"""The brain of a simulation, seen from a script."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..frames import Array
from .door import Door

BUILDING_S = 3600.0
"""How long a network may take to be built, or an edit to be carried out."""


class Brain:
    """Look into the network and change it while the simulation runs, on any number of MPI processes.

        sim.brain.populations["M1_L5B_PT"]["size"]
        sim.brain.parameters("M1_L1_ENGC", ["V_th", "C_m"])
        sim.brain.set_parameters("M1_L1_ENGC", V_th=-50.0)
        sim.brain.create_device("level", "population_rate", sources=["M1_L5B_PT"])

    A population is a name, or an expression such as "M1_L1_ENGC[0:10]" (services/brain/DEVICES.md). Changes act
    between two steps. What cannot be done raises a ServerError with the brain's own sentence, and has changed nothing.
    """

    def __init__(self, door: Door, simulation: str) -> None:
        self._door, self._path = door, ("simulations", simulation)

    # --- what it is ---------------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """By these names: model or script, its source, populations, selections (of the experiment file), devices."""
        return self._map(self._door.get(*self._path, "brain", patience_s=BUILDING_S))

    def kernel_status(self) -> dict[str, Any]:
        """The kernel of NEST as it is now, on all processes together: threads, resolution, nodes, connections, …"""
        return self.edit("kernel_status")

    @property
    def populations(self) -> dict[str, dict[str, Any]]:
        """By name: size, node ids as inclusive ranges, and what else the model says (region, layer, sign)."""
        return self._map(self.describe().get("populations"))

    @property
    def devices(self) -> dict[str, Any]:
        """The groups of devices, as in the experiment file."""
        return self._map(self.describe().get("devices"))

    def positions(self, most: int | None = None) -> dict[str, dict[str, Array]]:
        """Places of neurons, by population: `ids` (n) and `positions_mm` (n, 3), of at most so many neurons in all."""
        answer = self._door.get(*self._path, "brain", "positions", most=most, patience_s=BUILDING_S)
        return {
            name: {
                "ids": np.asarray(found["ids"], np.int64),
                "positions_mm": np.asarray(found["positions_mm"], np.float64).reshape(-1, 3),
            }
            for name, found in answer["populations"].items()
        }

    # --- parameters ---------------------------------------------------------------------------------------

    def parameters(self, population: str, names: Sequence[str]) -> dict[str, Array]:
        """These parameters of its neurons, by name; one value for each neuron, in their order."""
        query = ",".join(names)
        answer = self._door.get(
            *self._path, "populations", population, "parameters", names=query, patience_s=BUILDING_S
        )
        return {name: np.asarray(answer[name]) for name in names}

    def set_parameters(self, population: str, **parameters: Any) -> None:
        """Give all its neurons these parameters: one value for all, or a list or array with one for each."""
        given = {name: _plain(value) for name, value in parameters.items()}
        self._door.patch(*self._path, "populations", population, "parameters", body=given, patience_s=BUILDING_S)

    def synapses(self, source: str, target: str, names: Sequence[str] = ("weight", "delay")) -> dict[str, Array]:
        """These parameters of the synapses between two populations, with the node ids `source` and `target`."""
        found = self.edit("get_synapses", source=source, target=target, names=[*names])
        return {name: np.asarray(values) for name, values in found.items()}

    def set_synapses(self, source: str, target: str, **parameters: Any) -> None:
        """Give all synapses from one population to another these parameters."""
        self.edit("set_synapses", source=source, target=target, parameters=parameters)

    def set_populations(self, populations: Mapping[str, Any]) -> None:
        """Other populations of the experiment, as in [brain.populations]; the network is built anew."""
        self._door.put(*self._path, "populations", body={"populations": dict(populations)}, patience_s=BUILDING_S)

    # --- lesions and stimulation --------------------------------------------------------------------------

    def silence(self, population: str) -> None:
        """Let no neuron of the population fire any more."""
        self.edit("silence", population=population)

    def lesion(self, population: str) -> None:
        """Update the population no more: it does not fire, and does not change, until the brain is reset."""
        self.edit("lesion", population=population)

    def restore(self, population: str) -> None:
        """Take a silence back."""
        self.edit("restore", population=population)

    def stimulate(
        self,
        population: str,
        *,
        duration_ms: float,
        rate_hz: float | None = None,
        weight: float | None = None,
        amplitude_pA: float | None = None,
    ) -> None:
        """Drive it for a while, with Poisson spikes of a rate and a weight (nS or pA), or with a current."""
        how = {"rate_hz": rate_hz, "weight": weight, "amplitude_pA": amplitude_pA}
        given = {name: value for name, value in how.items() if value is not None}
        self.edit("stimulate", population=population, duration_ms=duration_ms, **given)

    # --- devices ------------------------------------------------------------------------------------------

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
        """A further group of devices, created and connected in one go while the simulation runs.

        A source (poisson, dc, …) drives its `targets`, a sink (spike_recorder, population_rate, …) reads its
        `sources`: one device for each entry. `options` are those of the kind, as `rate_hz` and `weight`. To connect
        further neurons, create another group. NEST takes new synapses in a running brain on one process only; on
        several, write the group into the experiment file.
        """
        role, table = device_table(kind, targets, sources, role, options)
        self.edit("add_device", group=name, role=role, table=table)

    def set_device(self, name: str, **options: Any) -> None:
        """Change options of a group of devices, as `rate_hz` or `weight`; which ones, the brain says."""
        self.edit("set_device", group=name, table=options)

    def switch(self, device: str, on: bool) -> None:
        """Switch a device on or off; a source that is off sends nothing and keeps its values."""
        self.edit("switch", device=device, on=on)

    # --- another network ----------------------------------------------------------------------------------

    def replace(self, script: str | Path) -> None:
        """Build another network from this script (its text, or its path here); body and clock go on.

        Raises ServerError with the line where the script has an error; then the old network goes on.
        """
        text = script.read_text(encoding="utf-8") if isinstance(script, Path) else script
        self._door.put(*self._path, "brain", body={"source": text}, patience_s=BUILDING_S)

    def reset(self) -> None:
        """Put the network back to its start; body and clock go on, and the simulation is paused."""
        self._door.post(*self._path, "reset", body={"what": "brain"}, patience_s=BUILDING_S)

    def save(self) -> None:
        """Write script and populations, as they are now, into the experiment."""
        self._door.post(*self._path, "brain", "save")

    def edit(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Any edit that the brain has (services/brain/edits.py); what it says about it, by name."""
        body = {"to": "brain", "what": what, "arguments": {name: _plain(value) for name, value in arguments.items()}}
        return self._map(self._door.post(*self._path, "edits", body=body, patience_s=BUILDING_S))

    @staticmethod
    def _map(value: Any) -> dict[str, Any]:
        return dict(value) if isinstance(value, Mapping) else {}


def device_table(
    kind: str,
    targets: Sequence[str] | None,
    sources: Sequence[str] | None,
    role: Literal["source", "sink"] | None,
    options: Mapping[str, Any],
) -> tuple[Literal["source", "sink"], dict[str, Any]]:
    """Its role, and its table as in an experiment file. Raises TypeError unless it has either targets or sources."""
    if (targets is None) == (sources is None):
        raise TypeError("a device has either targets (it drives neurons) or sources (it reads them): give one")
    ends = {"targets": [*targets]} if targets is not None else {"sources": [*(sources or ())]}
    return role or ("source" if targets is not None else "sink"), {"kind": kind, **ends, **options}


def _plain(value: Any) -> Any:
    """Arrays as lists: JSON has no arrays of its own."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
