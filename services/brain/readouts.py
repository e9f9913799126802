"""What follows from the spikes of a step: who fired, when, and which spikes are of recorders that are on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reafference.frames import Array, Port
from services.brain.device_kinds import SpikeRecorder
from services.brain.recorders import RecorderGroup
from services.brain.selection import Ids
from services.brain.switches import Switch

SENDER, TIME_NS = "spikes.sender", "spikes.time_ns"


@dataclass(frozen=True, slots=True)
class Readout:
    """A recorder as transfer functions see it.

    `neurons` are its node ids in the order of its entries, ascending within each, shape (n,); `entry` is the
    place of the entry of each.
    """

    group: RecorderGroup
    spec: SpikeRecorder
    switch: Switch
    neurons: Ids
    entry: npt.NDArray[np.intp]

    @classmethod
    def of(cls, group: RecorderGroup, spec: SpikeRecorder, switch: Switch) -> "Readout":
        entries = list(group.recorded.values())
        sizes = [len(ids) for ids in entries]
        return cls(group, spec, switch, np.concatenate(entries), np.repeat(np.arange(len(entries)), sizes))

    @property
    def spiked(self) -> str:
        return f"spiked.{self.group.name}"

    @property
    def times(self) -> str:
        return f"times.{self.group.name}"

    @property
    def heard(self) -> npt.NDArray[np.bool_]:
        """Whether the entry of each neuron is on, shape (n,)."""
        heard: npt.NDArray[np.bool_] = self.switch.on[self.entry]
        return heard

    def names(self) -> list[str]:
        """Of its ports."""
        return [name for name, asked in ((self.spiked, self.spec.spiked), (self.times, self.spec.times)) if asked]

    def ports(self) -> list[Port]:
        return [self._spiked() if name == self.spiked else self._times() for name in self.names()]

    def derive(self, sender: Ids, time_ns: Ids) -> dict[str, Array]:
        """The values of its ports, from the spikes of the step in their order."""
        names = self.names()
        if not names:
            return {}
        # A node that there is not never fires.
        neurons = np.where(self.heard, self.neurons, -1)
        values: dict[str, Array] = {}
        if self.spiked in names:
            values[self.spiked] = np.isin(neurons, sender).astype(np.uint8)
        if self.times in names:
            values[self.times] = self._rows(neurons, sender, time_ns)
        return values

    def _rows(self, neurons: Ids, sender: Ids, time_ns: Ids) -> npt.NDArray[np.float64]:
        own = np.isin(sender, neurons)
        who = sender[own]
        if not self.spec.global_ids:
            order = np.argsort(neurons, kind="stable")
            who = order[np.searchsorted(neurons, who, sorter=order)]
        return np.column_stack([who.astype(np.float64), time_ns[own] / 1e6])

    def _spiked(self) -> Port:
        entries = self.group.recorded
        # Entries of several neurons have no name for each of them.
        labels = tuple(entries) if all(len(ids) == 1 for ids in entries.values()) else ()
        return Port(
            name=self.spiked,
            shape=(len(self.neurons),),
            dtype="uint8",
            unit="",
            labels=labels,
            description="1 for each neuron that fired in the step, 0 for the others, by entry, then node id",
        )

    def _times(self) -> Port:
        who = "node id" if self.spec.global_ids else "place of the neuron in the recorder"
        return Port(
            name=self.times,
            shape=(-1, 2),
            dtype="float64",
            unit="ms",
            description=f"{who} and time (ms) of each spike of the step, by time, then node id",
        )


@dataclass(frozen=True, slots=True)
class Readouts:
    """Those of all recorders of an experiment."""

    each: Sequence[Readout]

    @property
    def names(self) -> list[str]:
        return [name for readout in self.each for name in readout.names()]

    def ports(self) -> list[Port]:
        return [port for readout in self.each for port in readout.ports()]

    def derive(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """From the spikes of all processes, if they are among `outputs`: those that are heard, and all that follows."""
        if SENDER not in outputs:
            return {}
        sender, time_ns = outputs[SENDER], outputs[TIME_NS]
        values = {name: array for r in self.each for name, array in r.derive(sender, time_ns).items()}
        if not all(readout.switch.on.all() for readout in self.each):
            heard = np.isin(sender, np.concatenate([r.neurons[r.heard] for r in self.each]))
            values |= {SENDER: sender[heard], TIME_NS: time_ns[heard]}
        return values
