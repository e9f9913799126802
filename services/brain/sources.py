"""Spike sources in NEST: one device per entry, all of a kind in one collection, written when they change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reafference.errors import BadExperiment, PortMismatch
from reafference.frames import Array, Port
from services.brain.device_kinds import Poisson
from services.brain.kernel import nest, refuse_if_prepared
from services.brain.selection import Selection
from services.brain.settings import bad
from services.brain.wiring import Wire, connect

WEAK_PA = 1.0

Rates = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SourceGroup:
    """A named group of sources of the experiment, its selections resolved."""

    name: str
    spec: Poisson
    selections: Sequence[Selection]

    def port(self) -> Port:
        n = len(self.selections)
        return Port(
            name=self.name,
            shape=(n,),
            dtype="float64",
            unit=self.spec.unit,
            labels=tuple(s.label for s in self.selections),
            rest=np.full(n, self.spec.rate_hz),
            low=0.0,
            description="rate of independent Poisson spike trains, one to each neuron of the entry",
        )

    def warnings(self) -> list[str]:
        """A sentence for each selection whose neurons will hardly notice the weight."""
        if abs(self.spec.weight) >= WEAK_PA:
            return []
        models = {s.label: nest.NodeCollection([int(s.ids[0])]).get("model") for s in self.selections}
        return [
            f"brain.sources.{self.name}.weight = {self.spec.weight:g} is in pA for {label} ({model}), which will "
            "hardly notice: tens to thousands are usual for current-based neurons"
            for label, model in models.items()
            if "_psc_" in model
        ]


class PoissonSources:
    """All Poisson sources of the experiment.

    Each is an `inhomogeneous_poisson_generator`: between Prepare and Cleanup NEST ignores a new rate of a
    `poisson_generator` without a word, while this one takes a rate from the next time step on.
    """

    def __init__(self, groups: Sequence[SourceGroup], resolution_ns: int, delay_ms: float) -> None:
        """Create and connect; `delay_ms` is for the devices that give none. Raises BadExperiment."""
        refuse_if_prepared("sources")
        self._groups = groups
        self._resolution_ns = resolution_ns
        self._n = np.concatenate([np.full(len(g.selections), g.spec.n) for g in groups])
        self._written: Rates = np.zeros(len(self._n))
        self._given: list[bytes] = []
        self._devices = _create(_parameters(groups, resolution_ns / 1e6))
        at = 0
        for group in groups:
            wire = Wire.of(group.spec, group.spec.weight, delay_ms, f"sources.{group.name}")
            for selection in group.selections:
                connect(self._devices[at], selection.ids, wire)
                at += 1

    def ports(self) -> list[Port]:
        return [group.port() for group in self._groups]

    def warnings(self) -> list[str]:
        return [text for group in self._groups for text in group.warnings()]

    def write(self, inputs: Mapping[str, Array], t_ns: int) -> None:
        """Let the rates in `inputs` (Hz, by group) hold from `t_ns` on; only what changed goes to NEST.

        Raises BadExperiment for a rate that is negative or not a number, PortMismatch for a wrong shape;
        then nothing has been written.
        """
        given = [inputs[group.name].tobytes() for group in self._groups]
        if given == self._given:
            return
        rates = np.concatenate([self._rates(group, inputs) for group in self._groups]) * self._n
        changed = np.flatnonzero(rates != self._written)
        if not len(changed):
            self._given = given
            return
        # The spikes of a step carry times in (t, t + dt]: the first time step to act on is t + resolution.
        first_ms = (t_ns + self._resolution_ns) / 1e6
        devices = self._devices if len(changed) == len(rates) else self._devices[changed.tolist()]
        devices.set([{"rate_times": [first_ms], "rate_values": [rate]} for rate in rates[changed].tolist()])
        self._written, self._given = rates, given

    def _rates(self, group: SourceGroup, inputs: Mapping[str, Array]) -> Rates:
        rates = np.asarray(inputs[group.name], np.float64)
        if rates.shape != (len(group.selections),):
            raise PortMismatch(
                f"brain.{group.name} takes {len(group.selections)} rates, it was given shape {rates.shape}"
            )
        # Written so that a NaN fails it too.
        usable = (rates >= 0) & (rates < np.inf)
        if not usable.all():
            at = int(np.argmin(usable))
            raise BadExperiment(
                f"brain.{group.name}[{at}] ({group.selections[at].label}) was given a rate of {rates[at]:g} Hz: "
                "a rate is a finite number of 0 or more, check the transfer function that writes it",
                detail={"port": group.name, "element": at},
            )
        return rates


def _create(parameters: list[dict[str, Any]]) -> Any:
    try:
        return nest.Create("inhomogeneous_poisson_generator", len(parameters), parameters)
    except nest.NESTError as error:
        text = f"NEST refuses to create the sources ({error}): start_ms and stop_ms lie on the time grid"
        raise bad("brain.sources", text) from None


def _parameters(groups: Sequence[SourceGroup], resolution_ms: float) -> list[dict[str, Any]]:
    """When each device may fire: at times in (start, stop], as every other device of NEST.

    An inhomogeneous generator takes its window one time step later than the others do.
    """
    parameters = []
    for group in groups:
        spec = group.spec
        own = {"start": -np.inf if spec.start_ms == 0 else spec.start_ms - resolution_ms}
        if np.isfinite(spec.stop_ms):
            own["stop"] = spec.stop_ms - resolution_ms
        parameters += [own] * len(group.selections)
    return parameters
