"""Spike recorders of an experiment: which neurons each records, and the one recorder behind them all."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reafference.frames import Port
from services.brain import nest_module
from services.brain.device_kinds import SpikeRecorder
from services.brain.kernel import nest, refuse_if_prepared
from services.brain.network import collection
from services.brain.selection import Ids, Selection, ranges
from services.brain.settings import bad


@dataclass(frozen=True, slots=True)
class RecorderGroup:
    """A named recorder of the experiment: the neurons it records, by label, in ascending order."""

    name: str
    recorded: Mapping[str, Ids]

    @classmethod
    def of(cls, name: str, spec: SpikeRecorder, selections: Sequence[Selection], seed: int) -> "RecorderGroup":
        """Draws the samples; the same seed, recorder and label give the same neurons."""
        return cls(name, {s.label: _sample(s, spec.sample, name, seed) for s in selections})

    def facts(self) -> dict[str, list[list[int]]]:
        return {label: ranges(ids) for label, ids in self.recorded.items()}


def create_recorder(groups: Sequence[RecorderGroup], delay_ms: float) -> Any:
    """One NEST recorder for all neurons of all groups, each connected once, for a `harvest`.

    Raises BadExperiment where NEST refuses.
    """
    refuse_if_prepared("recorders")
    recorder = nest.Create("spike_recorder", params=_recording())
    record_also(recorder, [], groups, delay_ms)
    return recorder


def record_also(
    recorder: Any, before: Sequence[RecorderGroup], groups: Sequence[RecorderGroup], delay_ms: float
) -> None:
    """Connect the neurons of `groups` that those `before` do not record already. Raises BadExperiment."""
    refuse_if_prepared("recorders")
    ids = np.setdiff1d(_recorded(groups), _recorded(before))
    if not len(ids):
        return
    try:
        nest.Connect(collection(ids), recorder, "all_to_all", {"synapse_model": _synapse(), "delay": delay_ms})
    except nest.NESTError as error:
        names = ", ".join(group.name for group in groups)
        raise bad("brain.sinks", f"NEST refuses to record ({error}): do {names} select neurons only?") from None


def spike_ports() -> list[Port]:
    """The stream of all recorders together."""
    return [
        Port(
            name="spikes.sender",
            shape=(-1,),
            dtype="int64",
            unit="",
            description="node id of each recorded neuron that fired in the step, by time, then id",
        ),
        Port(
            name="spikes.time_ns",
            shape=(-1,),
            dtype="int64",
            unit="ns",
            description="its time, after the start of the step and up to its end",
        ),
    ]


def _recorded(groups: Sequence[RecorderGroup]) -> Ids:
    """Every neuron of these, ascending."""
    every = [ids for group in groups for ids in group.recorded.values()]
    return np.unique(np.concatenate(every)) if every else np.empty(0, np.int64)


def _recording() -> dict[str, Any]:
    # Both ways keep times in time steps, which are exact.
    return {"record_to": nest_module.BACKEND} if nest_module.installed() else {"time_in_steps": True}


def _synapse() -> str:
    return nest_module.SYNAPSE if nest_module.installed() else "static_synapse"


def _sample(selection: Selection, most: int | None, name: str, seed: int) -> Ids:
    if most is None or len(selection) <= most:
        return np.sort(selection.ids)
    # A stream of its own per selection, so that another recorder does not change what this one draws.
    rng = np.random.default_rng([seed, zlib.crc32(f"{name}/{selection.label}".encode())])
    return np.sort(rng.choice(selection.ids, most, replace=False))
