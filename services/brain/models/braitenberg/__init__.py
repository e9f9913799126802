"""Eight neurons that let a wheeled robot with a camera look for red: the classic benchmark of coupling.

A Braitenberg vehicle after the published example of the HBP Neurorobotics Platform: neurons 0 to 3 hear
of red in the left and right half of the image, 4 of what is not red, 5 fires by itself, 6 and 7 drive
the left and right wheel. Conductance-based neurons with alpha-shaped synapses, short-term plastic
synapses. Populations: `neurons` (all), `sensors` (0 to 4), `actors` (6 and 7).
"""

from collections.abc import Mapping
from typing import Any

from reafference.simulator import Report
from services.brain.kernel import Delays, nest
from services.brain.network import Network
from services.brain.settings import bad

DELAYS: Delays | None = None

CELLS = 8
# mV, pF, nS, ms
COMMON = {
    "E_L": -60.5,
    "C_m": 25.0,
    "g_L": 2.5,
    "t_ref": 10.0,
    "tau_syn_ex": 2.5,
    "tau_syn_in": 2.5,
    "E_ex": 0.0,
    "E_in": -75.0,
    "V_th": -60.0,
    "V_reset": -60.5,
    "V_m": -60.5,
}
# Its resting potential lies above its threshold, so it fires without input.
SELF_FIRING = {"V_th": -60.51, "V_reset": -61.6}
SELF_FIRING_CELL = 5

# tau_psc is the time constant of the targets' synapses, which the plastic synapse has to know.
SYNAPSE = {"U": 1.0, "tau_rec": 1.0, "tau_fac": 1.0, "tau_psc": 2.5, "delay": 0.1}
CONNECTIONS = (  # from, to, weight in nS
    (2, 7, 0.15),
    (3, 6, 0.15),
    (0, 4, -1.2),
    (1, 4, -1.2),
    (0, 5, -1.2),
    (1, 5, -1.2),
    (4, 7, 0.105),
    (5, 7, 0.14),
)


def build(parameters: Mapping[str, Any], *, seed: int, resolution_ms: float, report: Report) -> Network:
    """The vehicle's brain; it takes no parameters. Raises BadExperiment if any is given."""
    for name in parameters:
        raise bad(f"brain.parameters.{name}", "the model braitenberg takes no parameters")
    neurons = nest.Create("iaf_cond_alpha", CELLS, COMMON)
    neurons[SELF_FIRING_CELL].set(SELF_FIRING)
    for source, target, weight in CONNECTIONS:
        synapse = {"synapse_model": "tsodyks_synapse", "weight": weight, **SYNAPSE}
        nest.Connect(neurons[source], neurons[target], "one_to_one", synapse)
    report("create cells", CELLS, CELLS, detail=f"{CELLS} neurons, {len(CONNECTIONS)} synapses")
    populations = {"neurons": neurons, "sensors": neurons[0:5], "actors": neurons[6:8]}
    return Network(
        populations=populations,
        full_sizes={name: len(nodes) for name, nodes in populations.items()},
        neurons=CELLS,
        synapses=len(CONNECTIONS),
    )
