"""Compact synapses take half the memory of plain ones, and address few nodes of a thread."""

from typing import Literal

from services.brain.settings import bad

SynapseModel = Literal["auto", "static_synapse_hpc", "static_synapse"]

COMPACT_NODES = 65_534 - 1_000
"""Nodes of one thread that a compact synapse can address, less some for devices."""


def compact_or_plain(wanted: SynapseModel, nodes_per_thread: float) -> Literal["static_synapse_hpc", "static_synapse"]:
    """The static synapse to take; raises BadExperiment if the one asked for cannot address so many nodes."""
    compact = nodes_per_thread <= COMPACT_NODES
    if wanted == "auto":
        return "static_synapse_hpc" if compact else "static_synapse"
    if wanted == "static_synapse_hpc" and not compact:
        raise bad(
            "brain.parameters.synapse_model",
            f"static_synapse_hpc can address {COMPACT_NODES:,} cells of a thread, there would be "
            f"{nodes_per_thread:,.0f}: take more threads, or static_synapse",
        )
    return wanted
