"""The CBCT model of a rodent at rest: cortex, basal ganglia, cerebellum and thalamus on square sheets.

After Feldotto et al., "Deploying and optimizing embodied simulations of large-scale spiking neural
networks on HPC infrastructure", Front. Neuroinform. 16:884180 (2022), section 4.2, and the tables of its
public code. README.md says the rules; the numbers are in `data/`; the options in `parameters.py`.
"""

from collections.abc import Mapping
from typing import Any

from reafference.simulator import Report
from services.brain.kernel import Delays, nest
from services.brain.models.cbct.anatomy import offset, upright
from services.brain.models.cbct.construction import CREATE, DRIVE, Construction, Progress, connecting
from services.brain.models.cbct.expected import NONE
from services.brain.models.cbct.footprint import refuse_if_too_large, synapses_of
from services.brain.models.cbct.parameters import CbctParameters
from services.brain.models.cbct.projections import projections
from services.brain.models.cbct.sheets import Sheet, cell_count, place
from services.brain.models.cbct.tables import (
    LONGEST_DELAY_MS,
    SHORTEST_DELAY_MS,
    PopulationRow,
    Tables,
    tables,
)
from services.brain.network import Network

DELAYS: Delays | None = Delays(SHORTEST_DELAY_MS, LONGEST_DELAY_MS)
"""The range of the whole model, so that a part of it is cut into slices as the whole is."""


def build(parameters: Mapping[str, Any], *, seed: int, resolution_ms: float, report: Report) -> Network:
    """Build the regions asked for. Raises BadExperiment for a bad option or one that needs too much memory."""
    options = CbctParameters.load(parameters)
    model = tables()
    rows = [row for row in model.populations.values() if row.zone in options.zones]
    # Once before anything is placed, because a slip in the area can ask for billions of cells.
    refuse_if_too_large(options, sum(cell_count(row, options.area_mm2) for row in rows), NONE, 0.0)
    sheets: dict[str, Sheet] = {}
    for row in rows:
        sheets[row.id] = place(row, options.area_mm2, seed, sheets)
    sizes = {name: len(sheet) for name, sheet in sheets.items()}
    planned = projections(model, options, sizes, nest.total_num_virtual_procs)
    refuse_if_too_large(options, sum(sizes.values()), *synapses_of(options, sheets, planned))
    inputs = [row for row in model.inputs.values() if row.target in sheets]
    tasks = [connecting(model, projection.target) for projection in planned]
    totals = {CREATE: len(rows), **{task: tasks.count(task) for task in tasks}, DRIVE: len(inputs)}
    progress = Progress(report, totals)
    construction = Construction(model, options, sheets, seed=seed, resolution_ms=resolution_ms, progress=progress)
    construction.populate()
    for projection in planned:
        construction.project(projection)
    synapses = nest.num_connections
    construction.drive()
    return _network(model, options, rows, sheets, construction, synapses)


def _network(
    model: Tables,
    options: CbctParameters,
    rows: list[PopulationRow],
    sheets: Mapping[str, Sheet],
    construction: Construction,
    synapses: int,
) -> Network:
    groups = [g for g in options.pathway_groups if _is_built(model, g, sheets)]
    sizes = {kind: sum(len(sheets[r.id]) for r in rows if r.kind == kind) for kind in ("neuron", "relay")}
    return Network(
        populations={name: _range(nodes) for name, nodes in construction.nodes.items()},
        full_sizes={row.id: cell_count(row, 1.0) for row in rows},
        positions={name: upright(sheet) for name, sheet in sheets.items()},
        offsets={row.id: offset(row, options.area_mm2) for row in rows},
        properties={row.id: _properties(row) for row in rows},
        neurons=sizes["neuron"],
        relays=sizes["relay"],
        synapses=synapses,
        facts={
            "area_mm2": options.area_mm2,
            "pathway_groups": groups,
            "taken_over": construction.taken_over,
        },
    )


def _range(nodes: Any) -> range:
    first = nodes[0].global_id
    return range(first, first + len(nodes))


def _is_built(model: Tables, group: str, sheets: Mapping[str, Sheet]) -> bool:
    rows = [row for row in model.pathways.values() if row.group == group]
    return any(row.source in sheets and row.target in sheets for row in rows)


def _properties(row: PopulationRow) -> dict[str, Any]:
    return {"region": row.region, "layer": row.sheet, "cell": row.cell, "sign": row.sign, "kind": row.kind}
