"""Sources in NEST: one device per entry, all of a kind in one collection, written when they change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reafference.errors import BadExperiment, PortMismatch
from reafference.frames import Array, Port
from services.brain.device_kinds import Quantity, Source
from services.brain.drivers import DRIVERS, Grid, Span, Values
from services.brain.kernel import nest, refuse_if_prepared, set_each
from services.brain.selection import Selection
from services.brain.settings import bad
from services.brain.switches import Switch
from services.brain.wiring import Wiring, reweigh

WEAK_PA = 1.0


@dataclass(frozen=True, slots=True)
class SourceGroup:
    """A named group of sources of the experiment, its selections resolved."""

    name: str
    spec: Source
    selections: Sequence[Selection]
    switch: Switch

    def port_names(self) -> list[str]:
        return [self.name + quantity.suffix for quantity in self.spec.quantities]

    def ports(self) -> list[Port]:
        """One for each quantity, with a value for each entry."""
        return [self._port(quantity) for quantity in self.spec.quantities]

    def values(self, inputs: Mapping[str, Array]) -> Values:
        """What `inputs` say, a row for each entry; what the devices that are off are given counts for later.

        Raises BadExperiment for a value that is none, PortMismatch for a wrong shape.
        """
        n = len(self.selections)
        return np.hstack([self._read(quantity, inputs).reshape(n, -1) for quantity in self.spec.quantities])

    def warnings(self) -> list[str]:
        """A sentence for each model whose neurons will hardly notice the weight of a spike."""
        if not self.spec.spikes or abs(self.spec.weight) >= WEAK_PA:
            return []
        # Those with delta synapses take mV.
        weak = {model for _, model in self._models() if "_psc_" in model and "delta" not in model}
        return [
            f"brain.sources.{self.name}.weight = {self.spec.weight:g} is in pA for {self._listed(model)} ({model}), "
            "which will hardly notice: tens to thousands are usual for current-based neurons"
            for model in sorted(weak)
        ]

    def _listed(self, model: str) -> str:
        """The first of the entries that are of a model, and how many more there are."""
        labels = [label for label, own in self._models() if own == model]
        more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
        return ", ".join(labels[:3]) + more

    def _models(self) -> list[tuple[str, str]]:
        """The label of each entry and the model of its first neuron."""
        firsts = np.array([s.ids[0] for s in self.selections])
        ids, places = np.unique(firsts, return_inverse=True)
        models = np.atleast_1d(nest.NodeCollection(ids).get("model"))
        return [(s.label, str(models[place])) for s, place in zip(self.selections, places, strict=True)]

    def _shape(self) -> tuple[int, ...]:
        n, times = len(self.selections), self.spec.times
        return (n,) if times == 1 else (n, times)

    def _port(self, quantity: Quantity) -> Port:
        return Port(
            name=self.name + quantity.suffix,
            shape=self._shape(),
            dtype="float64",
            unit=quantity.unit,
            labels=tuple(s.label for s in self.selections),
            rest=np.full(self._shape(), quantity.rest),
            low=quantity.low if np.isfinite(quantity.low) else None,
            high=quantity.high if np.isfinite(quantity.high) else None,
            description=f"{quantity.noun} of: {self.spec.about}" if quantity.suffix else self.spec.about,
        )

    def _read(self, quantity: Quantity, inputs: Mapping[str, Array]) -> Values:
        name = self.name + quantity.suffix
        values = np.asarray(inputs[name], np.float64)
        if values.shape != self._shape():
            raise PortMismatch(
                f"brain.{name} takes {' x '.join(map(str, self._shape()))} values, it was given shape {values.shape}"
            )
        # Written so that a NaN fails it too.
        usable = (values >= quantity.low) & (values <= quantity.high) & (np.abs(values) < np.inf)
        if not usable.all():
            element = int(np.argmin(usable)) // self.spec.times
            first_bad = values[~usable][0]
            raise BadExperiment(
                f"brain.{name}[{element}] ({self.selections[element].label}) was given a {quantity.noun} of "
                f"{first_bad:g} {quantity.unit}: expected {quantity.expected}, check the transfer function that "
                "writes it",
                detail={"port": name, "element": element},
            )
        return values


class Sources:
    """All sources of one kind."""

    def __init__(self, groups: Sequence[SourceGroup], grid: Grid, delay_ms: float, *, late: bool = False) -> None:
        """Create and connect; `delay_ms` is for the devices that give none. For `late` see Wiring.

        Raises BadExperiment.
        """
        refuse_if_prepared("sources")
        self._groups = list(groups)
        self._grid = grid
        specs = [group.spec for group in groups for _ in group.selections]
        self._driver = DRIVERS[type(specs[0])](specs, grid)
        self._width = max(len(group.spec.quantities) * group.spec.times for group in groups)
        self._written: Values = np.full((len(specs), self._width), self._driver.silent)
        self._given: list[bytes] = []
        self._devices = self._create(specs)
        self._own: dict[str, Any] = {}
        at = 0
        for group in groups:
            n = len(group.selections)
            self._own[group.name] = self._devices[at : at + n]
            wiring = Wiring(group.spec, [group.spec.weight] * n, delay_ms, f"sources.{group.name}", late)
            wiring.drive(self._own[group.name], group.selections)
            at += n

    def ports(self) -> list[Port]:
        return [port for group in self._groups for port in group.ports()]

    def warnings(self) -> list[str]:
        return [text for group in self._groups for text in group.warnings()]

    def write(self, inputs: Mapping[str, Array], t_ns: int, dt_ns: int) -> None:
        """Let the values in `inputs` (by port) hold from `t_ns` on; only what changed goes to NEST.

        Raises BadExperiment for a value that is none, PortMismatch for a wrong shape; then nothing has been written.
        """
        given = [inputs[name].tobytes() for group in self._groups for name in group.port_names()]
        given += [group.switch.on.tobytes() for group in self._groups]
        if given == self._given and not self._driver.restless:
            return
        values = np.vstack([self._wanted(group, inputs) for group in self._groups])
        span = Span(t_ns, dt_ns, self._grid)
        at = np.flatnonzero(self._driver.due(values, self._written, span))
        if len(at):
            devices = self._devices if len(at) == len(values) else self._devices[at.tolist()]
            set_each(devices, self._driver.orders(at, values[at], self._written[at], span))
        self._written, self._given = values, given

    def change(self, name: str, spec: Source) -> None:
        """Give a group the weight and the window of `spec`, if it is one of these; see Devices."""
        for place, group in enumerate(self._groups):
            if group.name == name:
                self._set_window(group, spec)
                try:
                    self._set_weight(group, spec)
                except BadExperiment:
                    self._set_window(group, group.spec)
                    raise
                self._groups[place] = replace(group, spec=spec)

    def _set_window(self, group: SourceGroup, spec: Source) -> None:
        devices = self._own[group.name]
        before, wanted = (self._driver.window(s) for s in (group.spec, spec))
        if wanted == before:
            return
        try:
            set_each(devices, [{"stop": np.inf, **wanted}] * len(devices))
        except nest.NESTError as error:
            set_each(devices, [{"stop": np.inf, **before}] * len(devices))
            text = f"NEST refuses another window ({error}): start_ms and stop_ms lie on the time grid"
            raise bad(f"brain.sources.{group.name}", text) from None

    def _set_weight(self, group: SourceGroup, spec: Source) -> None:
        if spec.weight == group.spec.weight:
            return
        devices = self._own[group.name]
        connections = nest.GetConnections(source=devices)
        weights = [spec.weight] * len(devices)
        reweigh(connections, devices, weights, spec, "source", f"sources.{group.name}")

    def _wanted(self, group: SourceGroup, inputs: Mapping[str, Array]) -> Values:
        """The values of a group as its switch lets them through."""
        values = group.values(inputs)
        wanted = np.full((len(values), self._width), self._driver.silent)
        wanted[:, : values.shape[1]] = np.where(group.switch.on[:, np.newaxis], values, self._driver.silent)
        return wanted

    def _create(self, specs: Sequence[Source]) -> Any:
        try:
            parameters = [self._driver.parameters(spec) for spec in specs]
            return nest.Create(self._driver.model, len(specs), parameters)
        except nest.NESTError as error:
            names = ", ".join(group.name for group in self._groups)
            raise bad(
                "brain.sources",
                f"NEST refuses to create {names} ({error}): start_ms and stop_ms lie on the time grid, as do "
                "interval_ms and t_ref_ms",
            ) from None
