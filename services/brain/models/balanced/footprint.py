"""Size and memory of the balanced network, told before it is built."""

from services.brain.models.balanced.parameters import BalancedParameters
from services.brain.models.balanced.scaling import Scaled
from services.brain.models.room import lack_of_room
from services.brain.settings import bad

STATIC_BYTES = {"static_synapse_hpc": 24, "static_synapse": 41}
PLASTIC_BYTES = {"static_synapse_hpc": 40, "static_synapse": 57}
"""Resident memory per synapse on NEST 3.10 once a network has run, by the static synapse that was chosen."""

NEURON_BYTES = 11_000
"""State, input buffers, spike history, entries in the connection tables."""


def expected_synapses(options: BalancedParameters, numbers: Scaled) -> int:
    """Synapses among the neurons. Every neuron has the same in-degree, so the number is exact."""
    return options.neurons * (numbers.indegree_e + numbers.indegree_i)


def bytes_needed(options: BalancedParameters, numbers: Scaled, static: str) -> int:
    """Memory of the network, on all processes together."""
    plastic = options.excitatory * numbers.indegree_e
    rest = expected_synapses(options, numbers) - plastic
    synapses = plastic * PLASTIC_BYTES[static] + rest * STATIC_BYTES[static]
    return synapses + options.neurons * NEURON_BYTES


def refuse_if_too_large(options: BalancedParameters, numbers: Scaled, static: str) -> None:
    """Raises BadExperiment if the network would need more memory than there is."""
    lack = lack_of_room(bytes_needed(options, numbers, static))
    if lack:
        synapses = expected_synapses(options, numbers)
        raise bad(
            "brain.parameters.scale",
            f"scale {options.scale:g} has {options.neurons:,} neurons and {synapses / 1e6:,.1f} M synapses, which need "
            f"about {lack}: take a smaller scale or indegree_fraction",
        )
