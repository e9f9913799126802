"""The brain: a Simulator on NEST. Builds a shipped model or a user's script, and moves it in steps."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from reafference.errors import OutOfOrder, SimulatorFailed
from reafference.frames import Array, Plan, Port, Ports, Step
from reafference.simulator import Report
from services.brain import facts
from services.brain.building import build, check_step
from services.brain.devices import Devices
from services.brain.harvest import Harvest
from services.brain.kernel import leave_context, nest, shortest_delay_ns
from services.brain.settings import BrainSettings

TIMING = {
    "timing.write": "writing the sources",
    "timing.run": "NEST itself",
    "timing.readout": "reading what a transfer function or a measure waits for",
}


@dataclass(slots=True)
class _Running:
    """A brain between prepare and close."""

    plan: Plan
    devices: Devices
    harvest: Harvest | None
    outputs: tuple[str, ...]
    t_ns: int = 0


class NestBrain:
    """One brain in this process. NEST has one kernel per process, so two of these would share it.

    `prepare` leaves the kernel between Prepare and Cleanup; `advance` writes the sources that changed, runs,
    and reads what the engine waits for; the rest is for monitors and the recorder, and is read `afterwards`.
    """

    def __init__(self) -> None:
        self._running: _Running | None = None
        self._owed: tuple[str, ...] = ()

    def prepare(self, plan: Plan, report: Report) -> Ports:
        """Build, seed and connect everything. Raises BadExperiment (ScriptError for a user's script)."""
        self.close()
        try:
            return self._prepare(plan, report)
        except BaseException:
            self.close()
            raise

    def advance(self, step: Step) -> dict[str, Array]:
        """One step of the length the plan gave. Inputs act from its first time step on.

        Raises OutOfOrder for a step that does not follow the last one, BadExperiment for a source value
        that is no rate, SimulatorFailed where NEST fails.
        """
        running = self._expect(step)
        began = time.perf_counter_ns()
        running.devices.write(step.inputs, step.t_ns)
        written = time.perf_counter_ns()
        try:
            nest.Run(step.dt_ns / 1e6)
        except nest.NESTError as error:
            raise SimulatorFailed(f"NEST failed in step {step.number}: {error}") from error
        run = time.perf_counter_ns()
        running.t_ns += step.dt_ns
        outputs = _read(running, step.want)
        self._owed = tuple(port for port in running.outputs if port not in outputs)
        ended = time.perf_counter_ns()
        spent = (written - began, run - written, ended - run)
        return outputs | {name: np.array(ns, np.int64) for name, ns in zip(TIMING, spent, strict=True)}

    @property
    def deferred(self) -> tuple[str, ...]:
        """The ports of sinks and spikes that nobody waits for."""
        return self._owed

    def afterwards(self) -> dict[str, Array]:
        """The rest of the sinks and spikes of the last step."""
        owed, self._owed = self._owed, ()
        return _read(self._running, owed) if self._running else {}

    def close(self) -> None:
        """Leave the context and drop the network."""
        self._running = None
        leave_context()
        nest.ResetKernel()

    def _prepare(self, plan: Plan, report: Report) -> Ports:
        began = time.perf_counter_ns()
        settings = BrainSettings.load(plan.settings)
        network, populations = build(plan, settings, report)
        counts = facts.count(network)
        report("connecting devices")
        shortest_ms = shortest_delay_ns() / 1e6
        devices = Devices.create(settings, populations, seed=plan.seed, delay_ms=shortest_ms)
        check_step(plan.dt_ns, settings.resolution_ns)
        report("preparing", detail=f"{counts['neurons']:,} neurons, {counts['synapses']:,} synapses")
        nest.Prepare()
        recorder = devices.recorder
        harvest = None if recorder is None else Harvest(recorder, settings.resolution_ns)
        ended = time.perf_counter_ns()
        outputs = devices.output_ports()
        self._running = _Running(plan, devices, harvest, tuple(port.name for port in outputs))
        return Ports(
            inputs=devices.input_ports(),
            outputs=(*outputs, *_timing_ports()),
            facts={
                **network.facts,
                **counts,
                **facts.of_kernel(),
                "build_s": (ended - began) / 1e9,
                "populations": facts.of_populations(populations),
                "recorders": devices.recorder_facts(),
                "warnings": devices.warnings(),
            },
        )

    def _expect(self, step: Step) -> _Running:
        running = self._running
        if running is None:
            raise OutOfOrder(f"step {step.number} came before prepare")
        if (step.t_ns, step.dt_ns) != (running.t_ns, running.plan.dt_ns):
            raise OutOfOrder(
                f"step {step.number} goes from {step.t_ns} ns for {step.dt_ns} ns, the brain stands at "
                f"{running.t_ns} ns and moves in steps of {running.plan.dt_ns} ns"
            )
        return running


def _read(running: _Running, ports: Collection[str]) -> dict[str, Array]:
    """The sinks among `ports`; all of the spikes if any of them are."""
    return {**running.devices.read(ports), **_spikes(running, ports)}


def _spikes(running: _Running, ports: Collection[str]) -> Mapping[str, Array]:
    if running.harvest is None or not any(port.startswith("spikes.") for port in ports):
        return {}
    sender, time_ns = running.harvest.take(running.t_ns)
    if running.harvest.due:
        running.harvest.empty()
    return {"spikes.sender": sender, "spikes.time_ns": time_ns}


def _timing_ports() -> list[Port]:
    return [
        Port(name=name, shape=(), dtype="int64", unit="ns", digest=False, description=f"wall time of {what}")
        for name, what in TIMING.items()
    ]
