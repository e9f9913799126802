"""What a built brain tells people about itself: counts, names, versions, memory."""

from collections.abc import Mapping
from typing import Any

from services.brain.kernel import nest
from services.brain.memory import held_bytes
from services.brain.network import Network
from services.brain.selection import Population, ranges


def count(network: Network) -> dict[str, int]:
    """Neurons, relays and synapses of the network without any device.

    Counted in the kernel where the model does not say; then a relay counts as a neuron.
    """
    if network.neurons is not None and network.synapses is not None:
        return {
            "neurons": network.neurons,
            "relays": network.relays or 0,
            "synapses": network.synapses,
        }
    drivers = nest.GetNodes({"element_type": "stimulator"})
    readers = nest.GetNodes({"element_type": "recorder"})
    return {
        "neurons": nest.network_size - len(drivers) - len(readers),
        "relays": network.relays or 0,
        "synapses": nest.num_connections - _of_devices(drivers, readers),
    }


def of_populations(populations: Mapping[str, Population]) -> dict[str, dict[str, Any]]:
    """Size, node ids as inclusive ranges, full size where known, and what else the model says."""
    return {name: _of_population(p) for name, p in populations.items()}


def of_kernel() -> dict[str, Any]:
    """As NEST has it now; `connections` has those of devices too."""
    status = nest.kernel_status
    return {
        "nest": nest.__version__,
        "have_mpi": bool(status["build_info"]["have_mpi"]),
        "threads": int(status["local_num_threads"]),
        "processes": int(status["num_processes"]),
        "virtual_processes": int(status["total_num_virtual_procs"]),
        "resolution_ms": float(status["resolution"]),
        "min_delay_ms": float(status["min_delay"]),
        "max_delay_ms": float(status["max_delay"]),
        "nodes": int(status["network_size"]),
        "connections": int(status["num_connections"]),
        "memory_bytes": held_bytes(),
    }


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
