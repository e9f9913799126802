"""The brain: a Simulator on NEST. Builds a shipped model or a user's script, and moves it in steps."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reafference.errors import BadExperiment, OutOfOrder, SimulatorFailed, StepCancelled
from reafference.frames import Array, Plan, Port, Ports, Step
from reafference.plain import describe
from reafference.simulator import Changed, Report, never
from services.brain import additions, edits, facts, free_kernel, questions
from services.brain.building import build, check_step
from services.brain.device_kinds import FixedFrequency, SpikeRecorder
from services.brain.devices import Devices
from services.brain.harvest import Harvest, harvest
from services.brain.kernel import enter_context, leave_context, nest, shortest_delay_ns
from services.brain.network import Network
from services.brain.script import check_syntax
from services.brain.selection import Ids, Population
from services.brain.settings import BrainSettings
from services.brain.slices import Slices
from services.brain.together import Alone, Stage, Together

TIMING = {
    "timing.write": "writing the sources",
    "timing.run": "NEST itself",
    "timing.readout": "reading what a transfer function or a measure waits for",
}

_OF_THE_LIMIT = 0.9
"""The brain gives up this part of the way to the deadline of a step: it knows more about it than the engine does."""


@dataclass(slots=True)
class _Running:
    """A brain between prepare and close."""

    plan: Plan
    network: Network
    populations: Mapping[str, Population]
    facts: dict[str, Any]
    devices: Devices
    edits: edits.Edits
    harvest: Harvest | None
    outputs: tuple[str, ...]
    shortest_ns: int
    t_ns: int
    latest: dict[str, Array] = field(default_factory=dict)
    """What rank 0 has given last, by port."""

    @property
    def nest_ns(self) -> int:
        """NEST's own time, which is 0 where the brain began."""
        return self.t_ns - self.plan.t_ns


class NestBrain:
    """One brain, in this process or over the ranks of a job. NEST has one kernel per process, so two of these
    would share it.

    `prepare` leaves the kernel between Prepare and Cleanup; `advance` writes the sources that changed, runs,
    and reads what the engine waits for; the rest is for monitors and the recorder, and is read `afterwards`.
    On several ranks each runs the same calls in the same order; rank 0 returns the results of all, the others
    return nothing that counts. Whatever can fail stands in a stage (`together.py`).
    """

    def __init__(self, together: Together | None = None) -> None:
        self._together = together or Alone()
        self._running: _Running | None = None
        self._free: free_kernel.FreeKernel | None = None
        self._owed: tuple[str, ...] = ()
        self._slices = Slices()
        self._step_began = 0.0
        self.cancelled: Callable[[], bool] = never

    def prepare(self, plan: Plan, report: Report) -> Ports:
        """Build, seed and connect everything. Raises BadExperiment (ScriptError for a user's script)."""
        self.close()
        try:
            return self._prepare(plan, report)
        except BaseException as error:
            # Where the other ranks are somewhere else, NEST's calls of one rank would meet theirs.
            if self._together.holds_after(error):
                self.close()
            raise

    def advance(self, step: Step) -> dict[str, Array]:
        """One step of the length the plan gave. Inputs act from its first time step on.

        Raises OutOfOrder for a step that does not follow the last one, BadExperiment for a source value
        that is no rate, SimulatorFailed where NEST fails or takes longer than the plan allows, StepCancelled
        where somebody asked for that.
        """
        timing = dict.fromkeys(TIMING, 0)
        local = _Local()
        done_ns = 0
        self._step_began = time.monotonic()
        while done_ns < step.dt_ns:
            # One stage for all: the ranks meet once a step, and inside Run, where NEST sees to it. A rank that fails
            # alone before Run leaves the others in there, which its patience ends.
            with self._together.stage() as stage:
                began = time.perf_counter_ns()
                running = self._expect(step)
                if not done_ns:
                    running.devices.write(step.inputs, step.t_ns, step.dt_ns)
                piece_ns = self._slices.next(step.dt_ns - done_ns, running.shortest_ns)
                written = time.perf_counter_ns()
                _run(piece_ns, step.number)
                done_ns += piece_ns
                run = time.perf_counter_ns()
                if done_ns == step.dt_ns:
                    running.t_ns += step.dt_ns
                    # Ranks that came back for the rest would cost more time than it takes to bring it along.
                    ports = step.want if self._together.size == 1 else running.outputs
                    local = _read(running, ports)
                    self._owed = tuple(port for port in running.outputs if port not in _with_spikes(running, ports))
                    stage.tells = (run - written, *local.tells)
                else:
                    stage.tells = (run - written, self._has_enough(), 0)
            self._slices.learn(piece_ns, int(stage.told[:, 0].max()))
            timing["timing.write"] += written - began
            timing["timing.run"] += run - written
            if done_ns < step.dt_ns and stage.told[:, 1].any():
                with self._together.stage():
                    self._give_up(step.number, f"{done_ns / 1e6:g} of {step.dt_ns / 1e6:g} ms")
        outputs = self._merged(running, local, stage)
        running.latest = dict(outputs)
        timing["timing.readout"] = time.perf_counter_ns() - run
        return outputs | {name: np.array(ns, np.int64) for name, ns in timing.items()}

    @property
    def deferred(self) -> tuple[str, ...]:
        """The ports of sinks and spikes that nobody waits for."""
        return self._owed

    def afterwards(self) -> dict[str, Array]:
        """The rest of the sinks and spikes of the last step."""
        owed, self._owed = self._owed, ()
        running = self._running
        if running is None or not owed:
            return {}
        with self._together.stage() as stage:
            local = _read(running, owed)
            stage.tells = (0, *local.tells)
        outputs = self._merged(running, local, stage)
        running.latest |= outputs
        return outputs

    def edit(self, what: str, arguments: Mapping[str, Any], report: Report) -> Changed:
        """Change something between two steps; the edits are those of `edits.py`, `switch`, those of devices
        (`additions.py`), those that only ask (`questions.py`, `free_kernel.py`), and the ones that build the brain
        anew at the present time: `reset`, `replace_brain`, `set_populations`.

        Raises BadExperiment for what cannot be done. Then everything is as before; only a script that fails while
        it builds has cost the earlier brain its state: that one is built again, and starts from its beginning.
        """
        if self._free is not None:
            return Changed(result=self._free.edit(what, arguments))
        with self._together.stage():
            edits.check_known(what)
            running = self._running
            if running is None:
                raise OutOfOrder(f"the edit {what!r} came before prepare")
            if what in edits.REBUILDING:
                plan = _replanned(running.plan, what, arguments, t_ns=running.t_ns)
        if what in edits.REBUILDING:
            return Changed(ports=self._rebuild(plan, running.plan, report))
        if what in free_kernel.KNOWN:
            return Changed(result=free_kernel.looked_at(what, arguments, self._together))
        if what in questions.KNOWN:
            asked = questions.Asked(running.plan, running.network, running.populations, running.devices)
            return Changed(result=questions.ask(what, arguments, asked, self._together))
        if what == "add_device":
            return self._add_device(running, arguments, report)
        if what == "set_device":
            return self._set_device(running, arguments)
        with self._together.stage():
            if what == "switch":
                running.devices.switch(_text(arguments, "device"), _truth(arguments, "on"))
                return Changed()
            # Inside the context NEST would ignore some of it.
            nest.Cleanup()
            try:
                finish = running.edits.act(what, arguments)
            finally:
                enter_context(wired=what == "stimulate")
        return Changed(result=finish(self._together))

    def close(self) -> None:
        """Leave the context and drop the network."""
        self._running = None
        self._free = None
        self._slices = Slices()  # nothing is known about the network that comes now
        leave_context()
        nest.ResetKernel()

    def _prepare(self, plan: Plan, report: Report) -> Ports:
        began = time.perf_counter_ns()
        together = self._together
        with together.stage():
            self._check_ranks(plan)
            settings = BrainSettings.load(plan.settings)
        if settings.model == free_kernel.MODEL:
            return self._prepare_free(plan, settings)
        with together.stage():
            network, populations = build(plan, settings, report, ranks=together.size)
        counts = facts.count(network, together)
        with together.stage():
            report("connect devices")
            shortest_ns = shortest_delay_ns()
            devices = Devices.create(
                settings, populations, seed=plan.seed, delay_ms=shortest_ns / 1e6, begin_ns=plan.t_ns
            )
            check_step(plan.dt_ns, settings.resolution_ns)
        with together.stage():
            report("prepare the simulation", detail=f"{counts['neurons']:,} neurons, {counts['synapses']:,} synapses")
            enter_context(wired=True)
            recorder = devices.recorder
            taken = None if recorder is None else harvest(recorder, settings.resolution_ns)
            names = tuple(port.name for port in devices.output_ports())
        known = {
            **network.facts,
            **counts,
            "build_s": (time.perf_counter_ns() - began) / 1e9,
            "populations": facts.of_populations(populations),
        }
        self._running = _Running(
            plan=plan,
            network=network,
            populations=populations,
            facts=known,
            devices=devices,
            edits=edits.Edits(populations, devices.selections),
            harvest=taken,
            outputs=names,
            shortest_ns=shortest_ns,
            t_ns=plan.t_ns,
        )
        return self._ports(self._running)

    def _prepare_free(self, plan: Plan, settings: BrainSettings) -> Ports:
        """A kernel without a network and without a loop, for callers of NEST's own interface."""
        with self._together.stage():
            self._free = free_kernel.FreeKernel(settings.parameters, threads=plan.threads, together=self._together)
        return Ports(outputs=tuple(_timing_ports()), facts=facts.of_kernel(self._together))

    def _ports(self, running: _Running) -> Ports:
        """As the devices are now."""
        devices = running.devices
        kernel = facts.of_kernel(self._together)
        return Ports(
            inputs=devices.input_ports(),
            outputs=(*_lately(devices.output_ports(), running.latest), *_timing_ports()),
            facts={
                **running.facts,
                **kernel,
                "recorders": devices.recorder_facts(),
                "warnings": devices.warnings(),
            },
        )

    def _add_device(self, running: _Running, arguments: Mapping[str, Any], report: Report) -> Changed:
        """A further group of devices; nothing else of the brain changes, but where it has to be built anew."""
        before = {port.name for port in (*running.devices.input_ports(), *running.devices.output_ports())}
        with self._together.stage():
            ordered = additions.added(running.plan.settings, arguments, running.shortest_ns / 1e6)
            # The first neuron with exact spike times makes NEST send all spikes in another way, and those that are
            # under way are lost.
            anew = isinstance(ordered.spec, FixedFrequency) and not nest.off_grid_spiking and running.nest_ns > 0
        if anew:
            plan = replace(running.plan, settings=ordered.settings, t_ns=running.t_ns)
            ports = self._rebuild(plan, running.plan, report)
            return Changed(result={"ports": _further(ports, before), "rebuilt": True}, ports=ports)
        with self._together.stage():
            nest.Cleanup()
            try:
                devices = running.devices.extended(
                    ordered.alone(),
                    running.populations,
                    seed=running.plan.seed,
                    delay_ms=running.shortest_ns / 1e6,
                    begin_ns=running.plan.t_ns,
                )
            finally:
                enter_context(wired=True)
        with self._together.stage():
            if running.harvest is None and devices.recorder is not None:
                running.harvest = harvest(devices.recorder, ordered.loaded.resolution_ns)
        ports = self._take_devices(running, ordered, devices)
        return Changed(result={"ports": _further(ports, before)}, ports=ports)

    def _set_device(self, running: _Running, arguments: Mapping[str, Any]) -> Changed:
        """Other options of a group of devices, as far as NEST can change them."""
        with self._together.stage():
            ordered = additions.changed(running.plan.settings, arguments)
            spec = ordered.spec
            assert not isinstance(spec, SpikeRecorder), "refused before"
            nest.Cleanup()
            try:
                running.devices.change(ordered.name, spec)
            finally:
                nest.Prepare()
        return Changed(ports=self._take_devices(running, ordered, running.devices))

    def _take_devices(self, running: _Running, ordered: additions.Ordered, devices: Devices) -> Ports:
        """Go on with these, and build them again whenever the brain is built anew."""
        running.devices = devices
        running.plan = replace(running.plan, settings=ordered.settings)
        running.outputs = tuple(port.name for port in devices.output_ports())
        return self._ports(running)

    def _rebuild(self, plan: Plan, before: Plan, report: Report) -> Ports:
        try:
            return self.prepare(plan, report)
        except BadExperiment:
            self.prepare(replace(before, t_ns=plan.t_ns), report)
            raise

    def _has_enough(self) -> bool:
        """Whether a step that is not over shall not go on."""
        return self.cancelled() or self._takes_too_long()

    def _takes_too_long(self) -> bool:
        assert self._running is not None
        limit_s = self._running.plan.step_timeout_s
        return bool(limit_s) and time.monotonic() - self._step_began > _OF_THE_LIMIT * limit_s

    def _give_up(self, number: int, done: str) -> None:
        """Raises on the rank that has enough; `done` says how far the step has come."""
        assert self._running is not None
        if self.cancelled():
            raise StepCancelled(f"step {number} was cancelled after {done}")
        if self._takes_too_long():
            raise SimulatorFailed(
                f"step {number} takes too long: after {time.monotonic() - self._step_began:.1f} s NEST had come to "
                f"{done}, and a step may take {self._running.plan.step_timeout_s:g} s (step_timeout_s); does the "
                "network explode?"
            )

    def _check_ranks(self, plan: Plan) -> None:
        size = self._together.size
        if size > 1 and nest.num_processes != size:
            raise BadExperiment(
                f"brain.ranks: {size} processes were started, but the NEST that is installed has no MPI and would "
                "make a brain of its own in each: run make nest-mpi, or use threads only (--ranks 1)",
                detail={"key": "brain.ranks"},
            )
        if plan.ranks != size:
            raise BadExperiment(
                f"brain.ranks: the experiment asks for {plan.ranks} rank{'s' if plan.ranks > 1 else ''}, the brain was "
                f"started with {size}: give mpiexec the same number",
                detail={"key": "brain.ranks"},
            )

    def _expect(self, step: Step) -> _Running:
        running = self._running
        if self._free is not None:
            raise OutOfOrder("a free kernel makes no steps, it belongs to its callers: name another brain.model")
        if running is None:
            raise OutOfOrder(f"step {step.number} came before prepare")
        if (step.t_ns, step.dt_ns) != (running.t_ns, running.plan.dt_ns):
            raise OutOfOrder(
                f"step {step.number} goes from {step.t_ns} ns for {step.dt_ns} ns, the brain stands at "
                f"{running.t_ns} ns and moves in steps of {running.plan.dt_ns} ns"
            )
        return running

    def _merged(self, running: _Running, local: "_Local", stage: Stage) -> dict[str, Array]:
        """What the ranks have read, on rank 0. `stage` is the one in which they read it."""
        rows, due = stage.told[:, 1], stage.told[:, 2]
        outputs, columns = self._together.home(local.values, local.rows, rows)
        if due.any():
            with self._together.stage():
                assert running.harvest is not None
                running.harvest.empty()
        if columns:
            sender, time_ns = columns
            order = np.lexsort((sender, time_ns)) if self._together.size > 1 else slice(None)
            outputs |= {"spikes.sender": sender[order], "spikes.time_ns": time_ns[order]}
            outputs |= running.devices.derive(outputs)
        return outputs


@dataclass(slots=True)
class _Local:
    """What one rank has read: voltages, and spikes as columns where they were asked for."""

    values: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    rows: tuple[Ids, ...] = ()
    due: bool = False

    @property
    def tells(self) -> tuple[int, int]:
        """What the other ranks need to know of it."""
        return (len(self.rows[0]) if self.rows else 0), self.due


def _read(running: _Running, ports: Collection[str]) -> _Local:
    """The sinks among `ports`; all of the spikes if any of them are."""
    values = running.devices.read(ports)
    if running.harvest is None or running.devices.of_spikes.isdisjoint(ports):
        return _Local(values)
    sender, time_ns = running.harvest.take(running.nest_ns)
    return _Local(values, (sender, time_ns + running.plan.t_ns), running.harvest.due)


def _run(piece_ns: int, number: int) -> None:
    try:
        nest.Run(piece_ns / 1e6)
    except nest.NESTError as error:
        raise SimulatorFailed(f"NEST failed in step {number}: {error}") from error


def _with_spikes(running: _Running, ports: Collection[str]) -> Collection[str]:
    """These ports, and those that come with them."""
    of_spikes = running.devices.of_spikes
    return ports if of_spikes.isdisjoint(ports) else of_spikes.union(ports)


def _replanned(plan: Plan, what: str, arguments: Mapping[str, Any], *, t_ns: int) -> Plan:
    """The plan of the brain that comes after such an edit, from `t_ns` on."""
    plan = replace(plan, t_ns=t_ns)
    match what:
        case "replace_brain":
            text, name = _text(arguments, "script"), str(arguments.get("name", "brain.py"))
            check_syntax(name, text)
            settings = {key: value for key, value in plan.settings.items() if key != "model"}
            return replace(plan, settings={**settings, "script": name}, files={**plan.files, name: text})
        case "set_populations":
            populations = arguments.get("populations")
            if not isinstance(populations, Mapping):
                raise BadExperiment(
                    f"populations: expected a map of names to selections, found {describe(populations)}"
                )
            return replace(plan, settings={**plan.settings, "populations": dict(populations)})
    return plan


def _further(ports: Ports, before: Collection[str]) -> list[str]:
    """The names of those that were not there `before`, but for the brain's own."""
    return [p.name for p in (*ports.inputs, *ports.outputs) if p.name not in before and p.name not in TIMING]


def _lately(ports: tuple[Port, ...], latest: Mapping[str, Array]) -> list[Port]:
    """The ports with what they have given last as the value that others read until the next step."""
    return [replace(p, rest=latest[p.name]) if p.name in latest and p.shape[0] >= 0 else p for p in ports]


def _text(arguments: Mapping[str, Any], key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str):
        raise BadExperiment(f"{key}: expected text, found {describe(value)}")
    return value


def _truth(arguments: Mapping[str, Any], key: str) -> bool:
    value = arguments.get(key)
    if not isinstance(value, bool):
        raise BadExperiment(f"{key}: expected true or false, found {describe(value)}")
    return value


def _timing_ports() -> list[Port]:
    return [
        Port(name=name, shape=(), dtype="int64", unit="ns", digest=False, description=f"wall time of {what}")
        for name, what in TIMING.items()
    ]
