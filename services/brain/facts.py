"""What a built brain tells people about itself: counts, names, versions, memory."""

import os
import platform
from collections.abc import Mapping
from typing import Any

from services.brain import nest_module
from services.brain.kernel import nest, silent_nodes
from services.brain.memory import held_bytes
from services.brain.network import Network
from services.brain.selection import Population, ranges
from services.brain.together import Together


def count(network: Network, together: Together) -> dict[str, int]:
    """Neurons, relays and synapses of the network without any device, on all ranks together.

    Counted in the kernel where the model does not say; then a relay counts as a neuron. Each rank knows the
    synapses onto its own neurons.
    """
    with together.stage():
        neurons, synapses = _counted(network)
    return {"neurons": neurons, "relays": network.relays or 0, "synapses": together.total(synapses)}


def _counted(network: Network) -> tuple[int, int]:
    """All neurons, and the synapses of this rank."""
    if network.neurons is not None and network.synapses is not None:
        return network.neurons, network.synapses
    drivers = nest.GetNodes({"element_type": "stimulator"})
    readers = nest.GetNodes({"element_type": "recorder"})
    neurons, synapses = _without_silent(nest.network_size, nest.num_connections)
    return neurons - len(drivers) - len(readers), synapses - _of_devices(drivers, readers)


def of_populations(populations: Mapping[str, Population]) -> dict[str, dict[str, Any]]:
    """Size, node ids as inclusive ranges, full size where known, and what else the model says."""
    return {name: _of_population(p) for name, p in populations.items()}


def of_kernel(together: Together) -> dict[str, Any]:
    """As NEST has it now, on all ranks together; `connections` has those of devices too."""
    with together.stage():
        status = nest.kernel_status
        nodes, synapses = _without_silent(int(status["network_size"]), int(status["num_connections"]))
    ranks = together.each({"pid": os.getpid(), "host": platform.node(), "memory_bytes": held_bytes()})
    return {
        "nest": nest.__version__,
        "have_mpi": bool(status["build_info"]["have_mpi"]),
        "nest_module": nest_module.installed(),
        "threads": int(status["local_num_threads"]),
        "processes": int(status["num_processes"]),
        "virtual_processes": int(status["total_num_virtual_procs"]),
        "resolution_ms": float(status["resolution"]),
        "min_delay_ms": float(status["min_delay"]),
        "max_delay_ms": float(status["max_delay"]),
        "nodes": nodes,
        "connections": together.total(synapses),
        "memory_bytes": sum(rank["memory_bytes"] for rank in ranks),
        "ranks": ranks,
    }


def of_running_kernel(together: Together) -> dict[str, Any]:
    """The kernel between two steps: `of_kernel`, and NEST's own clock, which begins at 0 when the brain is built.

    `spikes_last_run` are those that neurons have fired in its last run, which is the last step where that was not cut
    into pieces. Sums are over all ranks.
    """
    known = of_kernel(together)
    with together.stage():
        status = nest.kernel_status
        _, synapses = _without_silent(0, int(status["num_connections"]))
        own = {
            "rank": together.rank,
            "spikes_last_run": int(status["local_spike_counter"]),
            "connections": synapses,
        }
    each = together.each(own)
    ranks = [{**rank, **other} for rank, other in zip(known["ranks"], each, strict=True)]
    return {
        **known,
        "ranks": ranks,
        "biological_time_ms": float(status["biological_time"]),
        "spikes_last_run": sum(rank["spikes_last_run"] for rank in each),
        "seed": int(status["rng_seed"]),
    }


def _without_silent(nodes: int, synapses: int) -> tuple[int, int]:
    """These numbers of nodes and synapses of this rank, less the silent ones that we have put there."""
    silent = silent_nodes()
    return nodes - silent[0], synapses - silent[1]


def _of_population(population: Population) -> dict[str, Any]:
    facts: dict[str, Any] = {"size": len(population.ids), "ranges": ranges(population.ids)}
    if population.full_size is not None:
        facts["full_size"] = population.full_size
    return facts | dict(population.properties)


def _of_devices(drivers: Any, readers: Any) -> int:
    """Connections from or to a device; a multimeter is a recorder that is the source of its connections."""
    devices = drivers + readers if drivers and readers else drivers or readers
    if not devices:
        return 0
    both = len(nest.GetConnections(source=devices, target=readers)) if readers else 0
    reading = len(nest.GetConnections(target=readers)) if readers else 0
    return len(nest.GetConnections(source=devices)) + reading - both
