"""NEST itself: imported without its banner, reset, set up and asked about, in one place.

NEST keeps one network per process. Everything that holds for the whole of it (resolution, seed, threads,
range of delays) is a `KernelSetup`, so that it can be applied again and checked after a foreign script.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from reafference.errors import BadExperiment, OutOfOrder
from services.brain import nest_module

# The banner is printed at import, before a verbosity can be set; so is the remark that NEST ignores
# OMP_NUM_THREADS, where that is set for the sake of other libraries.
os.environ.setdefault("PYNEST_QUIET", "1")
_omp_num_threads = os.environ.pop("OMP_NUM_THREADS", None)
import nest  # noqa: E402
from nest import nestkernel_api  # noqa: E402

if _omp_num_threads is not None:
    os.environ["OMP_NUM_THREADS"] = _omp_num_threads
nest.verbosity = nest.VerbosityLevel.ERROR

__all__ = [
    "Delays",
    "KernelSetup",
    "clear_buffers",
    "copied_synapse_model",
    "empty_kernel",
    "enter_context",
    "leave_context",
    "nest",
    "nestkernel_api",
    "refuse_if_prepared",
    "set_each",
    "shortest_delay_ns",
    "silent_ids",
    "silent_nodes",
]

SEEDS = (1, 2**32 - 1)
NS_PER_TIC = 1_000

_ROUNDS = 1_000
"""How many messages between the ranks a short buffer may take, about: each costs some ten microseconds."""

_FILLING = 8
"""Entries for each rank that the silent neurons have in what is told of rank 0's neurons."""

_silent = range(0)
_silent_synapses = 0


@dataclass(frozen=True, slots=True)
class Delays:
    """The range of delays a network may have, in ms; fixes where NEST cuts a run into slices."""

    min_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSetup:
    """What holds for the whole kernel, in force before the first node is created."""

    resolution_ns: int
    seed: int
    threads: int
    delays: Delays | None = None

    def __post_init__(self) -> None:
        if not SEEDS[0] <= self.seed <= SEEDS[1]:
            raise BadExperiment(f"the seed is {self.seed}: NEST takes whole numbers from 1 to {SEEDS[1]}")
        if self.resolution_ns <= 0 or self.resolution_ns % NS_PER_TIC:
            raise _bad("brain.resolution_ms", f"{self.resolution_ms:g} ms is not a multiple of 0.001 ms")
        if self.threads < 1:
            raise _bad("brain.threads", f"{self.threads} threads cannot run anything: take 1 or more")

    @property
    def resolution_ms(self) -> float:
        return self.resolution_ns / 1e6

    def apply(self) -> None:
        """An empty kernel with this set-up; whatever was built before is gone."""
        leave_context()
        empty_kernel(nest.ResetKernel)
        self._configure()

    def _configure(self) -> None:
        nest.verbosity = nest.VerbosityLevel.ERROR
        nest.set(resolution=self.resolution_ms, local_num_threads=self.threads, rng_seed=self.seed)
        nest_module.install(nest.Install)
        if self.delays is not None:
            self.set_delays(self.delays)

    def set_delays(self, delays: Delays) -> None:
        try:
            nest.set(min_delay=delays.min_ms, max_delay=delays.max_ms)
        except nest.NESTError as error:
            raise _bad("brain.min_delay_ms", f"NEST refuses {delays}: {error}") from None

    def verify(self, script: str) -> None:
        """Raises BadExperiment if `script` has left the kernel other than it was set up."""
        found = nest.kernel_status
        for name, wanted, key in (
            ("resolution", self.resolution_ms, "brain.resolution_ms"),
            ("local_num_threads", self.threads, "brain.threads"),
            ("rng_seed", self.seed, "seed"),
        ):
            if not math.isclose(found[name], wanted):
                raise _bad(
                    key,
                    f"{script} sets {name} of the kernel to {found[name]}, the experiment says {wanted}: "
                    f"remove the line from the script, or change {key}",
                )
        if found["biological_time"] != 0 or found["prepared"]:
            raise _bad(
                "brain.script",
                f"{script} simulates by itself ({found['biological_time']:g} ms): a brain script only "
                "builds the network, remove its calls of Simulate, Prepare and Run",
            )

    @contextmanager
    def survives_reset(self) -> Iterator[None]:
        """While inside, `nest.ResetKernel()` also applies this set-up again.

        Many published scripts begin with that call; without this they would lose seed and threads.
        """
        original = nest.ResetKernel

        def reset_and_set_up() -> None:
            leave_context()
            empty_kernel(original)
            self._configure()

        # Straight into the namespace: the module forbids assignment to names it does not list.
        namespace: dict[str, Any] = vars(nest)
        namespace["ResetKernel"] = reset_and_set_up
        try:
            yield
        finally:
            namespace["ResetKernel"] = original


def shortest_delay_ns() -> int:
    """The shortest delay in the network, which is the length of NEST's slices."""
    return round(float(nest.min_delay) * 1e6)


def set_each(nodes: Any, orders: list[dict[str, Any]]) -> None:
    """`nodes.set(orders)` at a tenth of its price: NEST's own asks every node for all it has first."""
    nestkernel_api.llapi_set_nc_status(nodes._datum, orders)


def copied_synapse_model(model: str) -> str:
    """A synapse model like `model` under a name of its own, for synapses that come while spikes are under way.

    What NEST has sent and not delivered names its synapses by their place in the table of their model, and further
    synapses of that model move the places.
    """
    known = set(nest.synapse_models)
    name = next(name for n in range(len(known) + 1) if (name := f"{model}_of_addition_{n}") not in known)
    nest.CopyModel(model, name)
    return name


def enter_context(*, wired: bool) -> None:
    """Prepare. `wired` says that nodes or synapses may have come since the last time. Called on all ranks."""
    if wired and nest.num_processes > 1:
        clear_buffers()
    nest.Prepare()


def silent_nodes() -> tuple[int, int]:
    """How many silent neurons there are in the network, and how many of their synapses are on this rank."""
    return len(_silent), _silent_synapses


def silent_ids() -> range:
    """The node ids of the silent neurons."""
    return _silent


def _add_silent() -> None:
    """Wire some neurons of rank 0, which never fire, to a neuron on every rank.

    What a short buffer leaves behind lies at its beginning, where the ranks then tell rank 0 of its neurons. A network
    of a few neurons has less to tell than that; these fill it up. They take no random number.
    """
    global _silent, _silent_synapses
    if _silent:
        return
    processes, everywhere = nest.num_processes, nest.total_num_virtual_procs
    cycles = -(-_FILLING * processes // nest.local_num_threads)
    nodes = nest.Create("parrot_neuron", cycles * everywhere)
    of_rank_0 = nest.NodeCollection([node for node in nodes.tolist() if node % everywhere % processes == 0])
    nest.Connect(of_rank_0, nodes[:processes], "all_to_all", {"weight": 0.0, "delay": nest.min_delay})
    _silent_synapses = len(of_rank_0)  # consecutive neurons lie on different ranks, so each rank has one of the targets
    _silent = range(nodes[0].global_id, nodes[-1].global_id + 1)


def clear_buffers() -> None:
    """Let the ranks tell each other where spikes go through a very short buffer, so that the next one is a clean one.

    NEST 3.10 sends the unused end of that buffer along, with what an earlier telling has left there, and the ranks
    take it for further synapses: spikes arrive twice, or nowhere, or end the process. What a buffer gains in length
    is zeros, which do nothing. The network gets some silent neurons of ours, if it has none yet.
    """
    _add_silent()
    size, most = nest.buffer_size_target_data, nest.max_buffer_size_target_data
    short = max(2 * nest.num_processes, size // _ROUNDS)
    if size <= short:
        return
    _mark_as_wired()
    nest.max_buffer_size_target_data = short
    try:
        nest.Prepare()
        nest.Cleanup()
    finally:
        nest.max_buffer_size_target_data = most
    _mark_as_wired()


def _mark_as_wired() -> None:
    """Have NEST tell the ranks anew where spikes go at the next Prepare. Makes no synapse, takes no random number."""
    node = nest.NodeCollection([1])
    nest.Connect(node, node, {"rule": "fixed_indegree", "indegree": 0}, {"delay": nest.min_delay})


def empty_kernel(reset: Callable[[], None]) -> None:
    """An empty kernel by `reset`, on several ranks without what the last network has left in the buffers."""
    global _silent, _silent_synapses
    reset()
    _silent, _silent_synapses = range(0), 0
    if nest.num_processes == 1:
        return
    # NEST keeps the buffers of the network before; one of two neurons shortens them.
    nest.verbosity = nest.VerbosityLevel.ERROR
    neurons = nest.Create("parrot_neuron", 2)
    nest.Connect(neurons, neurons)
    nest.Prepare()
    nest.Cleanup()
    reset()


def leave_context() -> None:
    """Cleanup, if the kernel is between Prepare and Cleanup."""
    if nest.kernel_status["prepared"]:
        nest.Cleanup()


def refuse_if_prepared(what: str) -> None:
    """Raises OutOfOrder between Prepare and Cleanup, where NEST would ignore `what` without a word."""
    if nest.kernel_status["prepared"]:
        raise OutOfOrder(f"{what} must come before the first step: NEST would ignore it in a running brain")


def _bad(key: str, text: str) -> BadExperiment:
    return BadExperiment(f"{key}: {text}", detail={"file": "experiment.toml", "key": key})
