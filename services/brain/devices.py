"""All devices of an experiment: declared, created, written and read, in one batch per kind."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from reafference.frames import Array, Port
from reafference.plain import Misfit
from services.brain.device_kinds import VOLTAGE_KINDS, Sink, SpikeRecorder
from services.brain.kernel import nest
from services.brain.network import NotPopulations, node_ids
from services.brain.recorders import RecorderGroup, create_recorder, spike_ports
from services.brain.selection import Population, Selection, resolve, resolve_one
from services.brain.settings import BrainSettings, bad, misfit_in
from services.brain.sinks import SinkGroup, VoltageSinks
from services.brain.sources import PoissonSources, SourceGroup

S = TypeVar("S", bound=Sink)


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of one experiment on one network; `recorder` is NEST's, None if nothing is recorded."""

    sources: PoissonSources | None
    sinks: Sequence[VoltageSinks]
    recorders: Sequence[RecorderGroup]
    recorder: Any = field(repr=False)

    @classmethod
    def create(
        cls, settings: BrainSettings, populations: Mapping[str, Population], *, seed: int, delay_ms: float
    ) -> "Devices":
        """Build them all, with `delay_ms` where a device gives no delay.

        Raises BadExperiment, before anything is created, for a selection that cannot be resolved; after
        that only where NEST refuses a connection.
        """
        names = _Selections(settings, populations)
        sources = [
            SourceGroup(name, spec, names.of("sources", name, "targets", spec.targets))
            for name, spec in settings.sources.items()
        ]
        recorders = [
            RecorderGroup.of(name, spec, selections, seed)
            for name, spec, selections in names.sinks(settings, SpikeRecorder)
        ]
        kinds = [
            [SinkGroup(name, spec, found) for name, spec, found in names.sinks(settings, kind)]
            for kind in VOLTAGE_KINDS.values()
        ]
        return cls(
            sources=PoissonSources(sources, settings.resolution_ns, delay_ms) if sources else None,
            sinks=[VoltageSinks(groups, delay_ms) for groups in kinds if groups],
            recorders=recorders,
            recorder=create_recorder(recorders, delay_ms) if recorders else None,
        )

    def input_ports(self) -> tuple[Port, ...]:
        return tuple(self.sources.ports()) if self.sources else ()

    def output_ports(self) -> tuple[Port, ...]:
        voltages = [port for sinks in self.sinks for port in sinks.ports()]
        return (*voltages, *(spike_ports() if self.recorders else ()))

    def warnings(self) -> list[str]:
        """What is allowed but probably not meant, in sentences."""
        return self.sources.warnings() if self.sources else []

    def write(self, inputs: Mapping[str, Array], t_ns: int) -> None:
        """Let `inputs` (by port) hold from `t_ns` on. Raises BadExperiment for a rate that is none."""
        if self.sources:
            self.sources.write(inputs, t_ns)

    def read(self, ports: Collection[str]) -> dict[str, npt.NDArray[np.float64]]:
        """The voltage sinks of these ports."""
        return {port: values for sinks in self.sinks for port, values in sinks.read(ports).items()}

    def recorder_facts(self) -> dict[str, dict[str, list[list[int]]]]:
        """Recorded node ids as inclusive ranges, by recorder and label."""
        return {group.name: group.facts() for group in self.recorders}


class _Selections:
    """Resolves the expressions of an experiment; errors carry their key."""

    def __init__(self, settings: BrainSettings, populations: Mapping[str, Population]) -> None:
        self._populations = populations
        self._extra: dict[str, Selection] = {}
        for name, meant in settings.populations.items():
            self._extra[name] = self._further(name, meant)

    def of(self, group: str, name: str, option: str, entries: Sequence[str]) -> list[Selection]:
        try:
            if not entries:
                raise Misfit("", "at least one selection", "an empty list")
            return resolve(entries, self._populations, self._extra)
        except Misfit as misfit:
            misfit.key = f"{option}{misfit.key}"
            raise misfit_in(misfit, group, name) from None

    def sinks(self, settings: BrainSettings, kind: type[S]) -> Iterator[tuple[str, S, list[Selection]]]:
        for name, spec in settings.sinks.items():
            if type(spec) is kind:
                yield name, spec, self.of("sinks", name, "sources", spec.sources)

    def _further(self, name: str, meant: str | int | tuple[int, ...]) -> Selection:
        key = f"brain.populations.{name}"
        if name in self._populations:
            raise bad(key, "the brain has a population of this name already, choose another")
        try:
            if isinstance(meant, str):
                found = resolve_one(meant, self._populations, self._extra)
                return Selection(name, found.ids, found.scale)
            return Selection(name, node_ids(meant, "it", nest.network_size), None)
        except Misfit as misfit:
            raise misfit_in(misfit, "populations", name) from None
        except NotPopulations as error:
            raise bad(key, str(error)) from None
