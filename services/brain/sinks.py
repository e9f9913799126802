"""Spike sinks in NEST that are read as a number: one device per entry, all of a group read in one call."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reafference.errors import BadExperiment
from reafference.frames import Port
from reafference.plain import Misfit
from services.brain.device_kinds import VoltageSink
from services.brain.kernel import nest, refuse_if_prepared, set_each
from services.brain.selection import Selection
from services.brain.settings import bad, misfit_in
from services.brain.switches import Switch
from services.brain.voltages import Voltages
from services.brain.wiring import Wiring, reweigh

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SinkGroup:
    """A named group of sinks of the experiment, its selections resolved."""

    name: str
    spec: VoltageSink
    selections: Sequence[Selection]
    switch: Switch

    @property
    def port_name(self) -> str:
        return f"sinks.{self.name}"

    def port(self) -> Port:
        n = len(self.selections)
        return Port(
            name=self.port_name,
            shape=(n,),
            dtype="float64",
            unit=self.spec.unit,
            labels=tuple(s.label for s in self.selections),
            rest=np.full(n, self.spec.rest),
            description=f"{self._what()} at the end of the step, one per entry",
        )

    def weights(self) -> list[float]:
        """Weight of the synapses of each device. Raises BadExperiment."""
        try:
            return [self.spec.weight_for(len(s), s.scale) for s in self.selections]
        except Misfit as misfit:
            raise misfit_in(misfit, "sinks", self.name) from None

    def _what(self) -> str:
        if self.spec.kind == "population_rate":
            return f"population_rate ({self.spec.reduce} of the neurons)"
        return self.spec.kind


class VoltageSinks:
    """All sinks of one kind. Their value is the membrane voltage of a neuron that never fires."""

    def __init__(self, groups: Sequence[SinkGroup], delay_ms: float, *, late: bool = False) -> None:
        """Create and connect; `delay_ms` is for the devices that give none. For `late` see Wiring.

        Raises BadExperiment.
        """
        refuse_if_prepared("sinks")
        weights = [group.weights() for group in groups]
        parameters = [group.spec.parameters() for group in groups for _ in group.selections]
        devices = _create(groups[0].spec.model, parameters)
        self._parts: dict[str, _Part] = {}
        first = 0
        for group, weight in zip(groups, weights, strict=True):
            own = devices[first : first + len(group.selections)]
            Wiring(group.spec, weight, delay_ms, f"sinks.{group.name}", late).listen(own, group.selections)
            self._parts[group.port_name] = _Part.of(own, group)
            first += len(group.selections)

    def ports(self) -> list[Port]:
        return [part.group.port() for part in self._parts.values()]

    def read(self, ports: Collection[str]) -> Mapping[str, Values]:
        """The values of those of `ports` that are ours, each of shape (n,); 0 for the devices of another process."""
        return {name: part.read() for name, part in self._parts.items() if name in ports}

    def change(self, name: str, spec: VoltageSink) -> None:
        """Give a group the weight and the constants of `spec`, if it is one of these; see Devices."""
        part = self._parts.get(f"sinks.{name}")
        if part is not None:
            self._parts[part.group.port_name] = part.changed(replace(part.group, spec=spec))


@dataclass(frozen=True, slots=True)
class _Part:
    """The devices of one group: those that live in this process, and their places in the group."""

    group: SinkGroup
    devices: Any
    voltages: Voltages
    at: npt.NDArray[np.intp]

    @classmethod
    def of(cls, devices: Any, group: SinkGroup) -> "_Part":
        at = np.flatnonzero(np.atleast_1d(devices.local))
        # An empty selection is no collection; the value of a device that lives elsewhere cannot be asked for.
        return cls(group, devices, Voltages(devices[at.tolist()] if len(at) else None), at)

    def changed(self, group: SinkGroup) -> "_Part":
        """The same devices with the options of `group`; raises BadExperiment, and then they are as before."""
        weights = group.weights()
        before, wanted = (_constants(g.spec) for g in (self.group, group))
        if wanted != before:
            try:
                set_each(self.devices, [wanted] * len(self.devices))
            except nest.NESTError as error:
                set_each(self.devices, [before] * len(self.devices))
                raise bad(f"brain.sinks.{group.name}", f"NEST refuses these values ({error})") from None
        if weights != self.group.weights():
            connections = nest.GetConnections(target=self.devices)
            try:
                reweigh(connections, self.devices, weights, group.spec, "target", f"sinks.{group.name}")
            except BadExperiment:
                set_each(self.devices, [before] * len(self.devices))
                raise
        return replace(self, group=group)

    def read(self) -> Values:
        values = np.zeros(len(self.group.selections))
        values[self.at] = np.where(self.group.switch.on[self.at], self.voltages.read(), self.group.spec.rest)
        return values


def _constants(spec: VoltageSink) -> dict[str, Any]:
    """What NEST is told of a sink, without its state."""
    return {name: value for name, value in spec.parameters().items() if name != "V_m"}


def _create(model: str, parameters: list[dict[str, Any]]) -> Any:
    try:
        return nest.Create(model, len(parameters), parameters)
    except nest.NESTError as error:
        raise bad("brain.sinks", f"NEST refuses to create a sink: {error}") from None
