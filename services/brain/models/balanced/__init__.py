"""The balanced random network: excitatory and inhibitory neurons with random, partly plastic connections.

After the `hpc_benchmark` of NEST as Feldotto et al. used it, "Deploying and optimizing embodied simulations of
large-scale spiking neural networks on HPC infrastructure", Front. Neuroinform. 16:884180 (2022). README.md says
what is built; the options are in `parameters.py`, how weights follow from them in `scaling.py`.
"""

from collections.abc import Mapping
from typing import Any

from reafference.simulator import Report
from services.brain.kernel import Delays, nest
from services.brain.models.balanced.construction import construct
from services.brain.models.balanced.footprint import bytes_needed, refuse_if_too_large
from services.brain.models.balanced.parameters import BalancedParameters
from services.brain.models.balanced.scaling import scaled
from services.brain.models.compact import compact_or_plain
from services.brain.network import Network
from services.brain.settings import bad

DELAYS: Delays | None = Delays(0.5, 1.5)
"""All delays are 1.5 ms, but 20 ms, in which brain and body exchange data, is no multiple of that. Told of a shortest
delay of 0.5 ms NEST cuts a run into slices of that length, which fit; delays stay what they are."""


def build(parameters: Mapping[str, Any], *, seed: int, resolution_ms: float, report: Report) -> Network:
    """Build the network. Raises BadExperiment for a bad option or one that needs too much memory."""
    options = BalancedParameters.load(parameters)
    _check_delay(options)
    numbers = scaled(options)
    static = compact_or_plain(options.synapse_model, options.neurons / nest.total_num_virtual_procs)
    refuse_if_too_large(options, numbers, static)
    nodes = construct(options, numbers, static, report)
    synapses = nest.num_connections
    stimulus = nest.Create("poisson_generator", params={"rate": numbers.drive_hz})
    drive = {"synapse_model": static, "weight": numbers.drive_pa, "delay": options.delay_ms}
    nest.Connect(stimulus, nodes["E"] + nodes["I"], "all_to_all", drive)
    populations = {
        **nodes,
        "E_first": nodes["E"][: options.exposed],
        "I_first": nodes["I"][: options.exposed],
    }
    return Network(
        populations=populations,
        properties={name: {"sign": name[0], "kind": "neuron"} for name in populations},
        neurons=options.neurons,
        synapses=synapses,
        facts={
            "scale": options.scale,
            "indegree": numbers.indegree_e + numbers.indegree_i,
            "estimated_bytes": bytes_needed(options, numbers, static),
        },
    )


def _check_delay(options: BalancedParameters) -> None:
    shortest, longest = nest.min_delay, nest.max_delay
    if not shortest <= options.delay_ms <= longest:
        raise bad(
            "brain.parameters.delay_ms",
            f"{options.delay_ms:g} ms is outside of the delays that the kernel is set up for, "
            f"{shortest:g} to {longest:g} ms: set brain.min_delay_ms and brain.max_delay_ms too",
        )
