"""How much memory a build will take, told before it starts."""

from collections.abc import Mapping, Sequence

from services.brain.models.cbct.expected import NONE, Expected, expected_synapses
from services.brain.models.cbct.parameters import CbctParameters
from services.brain.models.cbct.projections import Projection
from services.brain.models.cbct.sheets import Sheet
from services.brain.models.room import lack_of_room
from services.brain.settings import bad

SYNAPSE_BYTES = {"static_synapse_hpc": 24, "static_synapse": 41}
"""Resident memory per synapse on NEST 3.10, with what NEST needs to find them from their sources."""

CELL_BYTES = 8000
"""State, input buffers for delays up to 11 ms, place on the sheet, entries in the connection tables."""


def refuse_if_too_large(options: CbctParameters, cells: int, synapses: Expected, synapse_bytes: float) -> None:
    """Raises BadExperiment if the network would need more memory than the machine has free."""
    lack = lack_of_room(cells * CELL_BYTES + synapse_bytes)
    if not lack:
        return
    number = f" and {synapses.mean / 1e6:,.1f} M synapses" if synapses.mean else ""
    raise bad(
        "brain.parameters.area_mm2",
        f"{', '.join(options.regions)} at {options.area_mm2:g} mm2 have {cells:,} cells{number}, which need about "
        f"{lack}: take a smaller area or fewer regions",
    )


def synapses_of(
    options: CbctParameters, sheets: Mapping[str, Sheet], planned: Sequence[Projection]
) -> tuple[Expected, float]:
    """The synapses the network will have, and the bytes they will take."""
    published = options.geometry == "published"
    synapses, n_bytes = NONE, 0.0
    for projection in planned:
        source, target = sheets[projection.source], sheets[projection.target]
        expected = expected_synapses(projection, source, target, published=published)
        n_bytes += expected.mean * SYNAPSE_BYTES[projection.synapse_model]
        synapses += expected
    return synapses, n_bytes
