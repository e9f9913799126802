"""From a plan to a network in the kernel: set up NEST, run the model or the user's script, check the step."""

import math
from pathlib import Path

from reafference.frames import Plan
from reafference.simulator import Report
from services.brain import memory
from services.brain.kernel import Delays, KernelSetup, nest, shortest_delay_ns
from services.brain.network import Network, populations_of
from services.brain.script import Script
from services.brain.selection import Population
from services.brain.settings import BrainSettings, bad
from services.brain.shipped import shipped_model

_SHARE = 0.95
"""Of the memory that is free: a script that takes all of it takes the machine down with it."""


def build(
    plan: Plan, settings: BrainSettings, report: Report, *, ranks: int = 1
) -> tuple[Network, dict[str, Population]]:
    """An emptied and set-up kernel with the experiment's network in it, and the populations by name.

    A shipped model knows beforehand how much memory it needs; a script builds under a limit, its share of what is
    free where `ranks` processes build at once. Raises BadExperiment, ScriptError for an error in the user's script.
    """
    if plan.dt_ns % settings.resolution_ns:
        text = f"a step of {plan.dt_ns / 1e6:g} ms is no multiple of {settings.resolution_ns / 1e6:g} ms"
        raise bad("brain.resolution_ms", text)
    if settings.script is not None:
        setup = _setup(plan, settings, None)
        setup.apply()
        report("run the script", detail=settings.script)
        limit = _memory_limit(settings, ranks)
        with memory.limited(limit):
            script, words = _script(plan, settings.script), memory.in_words(limit)
            return script.build(settings.parameters, setup, limit=words, selections=settings.populations)
    model = shipped_model(settings.model or "")
    setup = _setup(plan, settings, model.DELAYS)
    setup.apply()
    try:
        network = model.build(settings.parameters, seed=plan.seed, resolution_ms=setup.resolution_ms, report=report)
    except nest.NESTError as error:
        text = f"NEST refuses to build {settings.model} with these settings ({error})"
        raise bad("brain", f"{text}: check resolution_ms, min_delay_ms and max_delay_ms") from error
    return network, populations_of(network)


def _memory_limit(settings: BrainSettings, ranks: int) -> float:
    """Bytes of data that one of `ranks` processes on this machine may hold while a script builds."""
    if settings.memory_limit_gb is not None:
        return settings.memory_limit_gb * 1e9
    free = memory.free_bytes()
    return math.inf if free is None else memory.held_bytes() + _SHARE * free / ranks


def check_step(dt_ns: int, resolution_ns: int) -> None:
    """Raises BadExperiment unless a step is a multiple of the shortest delay in the kernel.

    NEST cuts a run into slices of that length, counted from the start of each Run. Where a step ends in
    the middle of one, the same network gives other spikes with other step lengths.
    """
    shortest_ns = shortest_delay_ns()
    if dt_ns % shortest_ns == 0:
        return
    fitting_ns = _largest_fitting(dt_ns, shortest_ns, resolution_ns)
    raise bad(
        "brain.min_delay_ms",
        f"a step of {dt_ns / 1e6:g} ms is no multiple of the brain's shortest delay, {shortest_ns / 1e6:g} ms, "
        f"so that the spikes would depend on the length of the step: set min_delay_ms = {fitting_ns / 1e6:g} "
        f"and max_delay_ms to the longest delay",
    )


def _largest_fitting(dt_ns: int, below_ns: int, resolution_ns: int) -> int:
    steps = dt_ns // resolution_ns
    most = below_ns // resolution_ns
    return resolution_ns * max(n for n in range(1, most + 1) if steps % n == 0)


def _setup(plan: Plan, settings: BrainSettings, own: Delays | None) -> KernelSetup:
    delays = own
    if settings.min_delay_ms is not None and settings.max_delay_ms is not None:
        delays = Delays(settings.min_delay_ms, settings.max_delay_ms)
    return KernelSetup(resolution_ns=settings.resolution_ns, seed=plan.seed, threads=plan.threads, delays=delays)


def _script(plan: Plan, name: str) -> Script:
    text = plan.files.get(name)
    if text is None:
        raise bad("brain.script", f"the file {name!r} is not in the experiment's folder")
    return Script(name, text, Path(plan.folder).absolute())
