"""All devices of an experiment: declared, created, written, read and switched, in one batch per kind."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from reafference.errors import BadExperiment
from reafference.frames import Array, Port
from reafference.plain import Misfit, nearest
from services.brain.device_kinds import SOURCE_KINDS, VOLTAGE_KINDS, Sink, Source, SpikeRecorder, VoltageSink
from services.brain.drivers import Grid
from services.brain.kernel import nest
from services.brain.network import NotPopulations, node_ids
from services.brain.readouts import SENDER, TIME_NS, Readout, Readouts
from services.brain.recorders import RecorderGroup, create_recorder, record_also, spike_ports
from services.brain.selection import Population, Selection, resolve, resolve_one
from services.brain.settings import BrainSettings, bad, misfit_in
from services.brain.sinks import SinkGroup, VoltageSinks
from services.brain.sources import SourceGroup, Sources
from services.brain.switches import Switch

G = TypeVar("G", SourceGroup, SinkGroup)


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of one experiment on one network; `recorder` is NEST's, None if nothing is recorded.

    `switches` are keyed `sources.<name>` and `sinks.<name>`; `selections` are those the experiment has named. On
    several processes all of them make the same calls; `read` then gives the part of each, and `derive` wants the
    spikes of all.
    """

    sources: Sequence[Sources]
    sinks: Sequence[VoltageSinks]
    recorders: Sequence[RecorderGroup]
    readouts: Readouts
    switches: Mapping[str, Switch]
    selections: Mapping[str, Selection]
    recorder: Any = field(repr=False)

    @classmethod
    def create(
        cls,
        settings: BrainSettings,
        populations: Mapping[str, Population],
        *,
        seed: int,
        delay_ms: float,
        begin_ns: int = 0,
    ) -> "Devices":
        """Build all that `settings` have, with `delay_ms` where a device gives no delay.

        `begin_ns` is the simulated time at which NEST's clock stands at 0. Raises BadExperiment, before
        anything is created, for a selection that cannot be resolved; after that only where NEST refuses a
        connection.
        """
        none = cls([], [], [], Readouts([]), {}, {}, None)
        return none.extended(settings, populations, seed=seed, delay_ms=delay_ms, begin_ns=begin_ns, late=False)

    def extended(
        self,
        settings: BrainSettings,
        populations: Mapping[str, Population],
        *,
        seed: int,
        delay_ms: float,
        begin_ns: int = 0,
        late: bool = True,
    ) -> "Devices":
        """These, and beside them those of `settings`, which are built now; the rest is as in `create`.

        `late` says that the network may have run before.
        """
        groups = _Groups(settings, populations, seed)
        sources, sinks, readouts = groups.sources(), groups.voltage_sinks(), groups.readouts()
        switches = {**self.switches, **groups.switches}
        before = [port for built in self.sources for port in built.ports()]
        _check_names([*before, *(port for group in sources for port in group.ports())], switches)
        grid = Grid(settings.resolution_ns, begin_ns)
        recorders = [readout.group for readout in readouts]
        return Devices(
            sources=[
                *self.sources,
                *(Sources(same, grid, delay_ms, late=late) for same in _by_kind(sources, SOURCE_KINDS)),
            ],
            sinks=[*self.sinks, *(VoltageSinks(same, delay_ms, late=late) for same in _by_kind(sinks, VOLTAGE_KINDS))],
            recorders=[*self.recorders, *recorders],
            readouts=Readouts([*self.readouts.each, *readouts]),
            switches=switches,
            selections=groups.extra,
            recorder=self._recording(recorders, delay_ms),
        )

    def change(self, name: str, spec: Source | VoltageSink) -> None:
        """Give the devices of a group the weight, the window or the constants of `spec`, outside the context.

        What else differs between its options and `spec` is left as it is. Raises BadExperiment where NEST refuses;
        then everything is as before.
        """
        of_sinks = isinstance(spec, VoltageSink)
        for built in self.sinks if of_sinks else self.sources:
            built.change(name, spec)  # type: ignore[arg-type]

    def input_ports(self) -> tuple[Port, ...]:
        values = [port for sources in self.sources for port in sources.ports()]
        return (*values, *(port for switch in self.switches.values() for port in switch.ports()))

    def output_ports(self) -> tuple[Port, ...]:
        voltages = [port for sinks in self.sinks for port in sinks.ports()]
        return (*voltages, *(spike_ports() if self.recorders else ()), *self.readouts.ports())

    def warnings(self) -> list[str]:
        """What is allowed but probably not meant, in sentences."""
        return [text for sources in self.sources for text in sources.warnings()]

    def write(self, inputs: Mapping[str, Array], t_ns: int, dt_ns: int) -> None:
        """Let `inputs` (by port) hold for the step from `t_ns` for `dt_ns`.

        Raises BadExperiment for a value that its source cannot take.
        """
        for switch in self.switches.values():
            switch.write(inputs)
        for sources in self.sources:
            sources.write(inputs, t_ns, dt_ns)

    def read(self, ports: Collection[str]) -> dict[str, npt.NDArray[np.float64]]:
        """The voltage sinks of these ports."""
        return {port: values for sinks in self.sinks for port, values in sinks.read(ports).items()}

    @property
    def of_spikes(self) -> frozenset[str]:
        """The output ports that are the spikes or follow from them, which all come together."""
        return frozenset((SENDER, TIME_NS, *self.readouts.names)) if self.recorders else frozenset()

    def derive(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """What follows from the spikes of the step, of all processes, if they are among `outputs`.

        That is the ports of recorders that transfer functions may read, and the spikes themselves where a
        recorder is off.
        """
        return self.readouts.derive(outputs)

    def switch(self, name: str, on: bool) -> None:
        """Switch a group of devices off or on, from the next step on.

        `name` is that of the group, with `sources.` or `sinks.` before it where both have one of that name.
        A source that is off sends nothing, a sink that is off reads its resting value, a recorder records
        nothing. What is written to a source that is off acts when it is on again. Raises BadExperiment for
        a name that no group, or more than one, has.
        """
        found = [key for key in self.switches if name in (key, key.split(".")[1])]
        if len(found) != 1:
            known = found or list(self.switches)
            hint = "" if found else nearest(name, [key.split(".")[1] for key in known])
            listed = ", ".join(known) or "none"
            raise BadExperiment(f"{name!r} cannot be switched{hint}: name one of the brain's devices, {listed}")
        self.switches[found[0]].order(on)

    def _recording(self, groups: Sequence[RecorderGroup], delay_ms: float) -> Any:
        """NEST's recorder, which notes the neurons of these groups too."""
        if not groups:
            return self.recorder
        if self.recorder is None:
            return create_recorder(groups, delay_ms)
        record_also(self.recorder, self.recorders, groups, delay_ms)
        return self.recorder

    def recorder_facts(self) -> dict[str, dict[str, list[list[int]]]]:
        """Recorded node ids as inclusive ranges, by recorder and label."""
        return {group.name: group.facts() for group in self.recorders}


def _by_kind(groups: Sequence[G], kinds: Iterable[str]) -> list[list[G]]:
    """The groups of each kind that has any."""
    parts = [[group for group in groups if group.spec.kind == kind] for kind in kinds]
    return [part for part in parts if part]


def _check_names(sources: Sequence[Port], switches: Mapping[str, Switch]) -> None:
    """Raises BadExperiment where two groups would have an input port of one name."""
    seen: set[str] = set()
    for port in (*sources, *(port for switch in switches.values() for port in switch.ports())):
        if port.name in seen:
            raise bad("brain.sources", f"two devices take an input called {port.name!r}: rename one of the groups")
        seen.add(port.name)


class _Groups:
    """The groups of devices that an experiment names, their selections resolved; errors carry their key."""

    def __init__(self, settings: BrainSettings, populations: Mapping[str, Population], seed: int) -> None:
        self._settings = settings
        self._populations = populations
        self._seed = seed
        self.extra: dict[str, Selection] = {}
        for name, meant in settings.populations.items():
            self.extra[name] = self._further(name, meant)
        self.switches: dict[str, Switch] = {}

    def sources(self) -> list[SourceGroup]:
        groups = []
        for name, spec in self._settings.sources.items():
            found = self._selections("sources", name, "targets", spec.targets)
            groups.append(SourceGroup(name, spec, found, self._switch("sources", name, spec, found)))
        return groups

    def voltage_sinks(self) -> list[SinkGroup]:
        groups = []
        for name, spec in self._settings.sinks.items():
            if not isinstance(spec, SpikeRecorder):
                found = self._selections("sinks", name, "sources", spec.sources)
                groups.append(SinkGroup(name, spec, found, self._switch("sinks", name, spec, found)))
        return groups

    def readouts(self) -> list[Readout]:
        readouts = []
        for name, spec in self._settings.sinks.items():
            if isinstance(spec, SpikeRecorder):
                found = self._selections("sinks", name, "sources", spec.sources)
                group = RecorderGroup.of(name, spec, found, self._seed)
                readouts.append(Readout.of(group, spec, self._switch("sinks", name, spec, found)))
        return readouts

    def _switch(self, table: str, name: str, spec: Source | Sink, found: Sequence[Selection]) -> Switch:
        made = Switch(name, tuple(s.label for s in found), switchable=spec.switchable)
        self.switches[f"{table}.{name}"] = made
        return made

    def _selections(self, table: str, name: str, option: str, entries: Sequence[str]) -> list[Selection]:
        try:
            if not entries:
                raise Misfit("", "at least one selection", "an empty list")
            return resolve(entries, self._populations, self.extra)
        except Misfit as misfit:
            misfit.key = f"{option}{misfit.key}"
            raise misfit_in(misfit, table, name) from None

    def _further(self, name: str, meant: str | int | tuple[int, ...]) -> Selection:
        key = f"brain.populations.{name}"
        if name in self._populations:
            raise bad(key, "the brain has a population of this name already, choose another")
        try:
            if isinstance(meant, str):
                found = resolve_one(meant, self._populations, self.extra)
                return Selection(name, found.ids, found.scale)
            return Selection(name, node_ids(meant, "it", nest.network_size), None)
        except Misfit as misfit:
            raise misfit_in(misfit, "populations", name) from None
        except NotPopulations as error:
            raise bad(key, str(error)) from None
