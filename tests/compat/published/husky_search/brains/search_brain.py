# -*- coding: utf-8 -*-
"""Eight cells: three that hear of what the camera sees, one that fires by itself, two that push the wheels."""
# pragma: no cover
from hbp_nrp_cle.brainsim import simulator as sim
import numpy as np
import logging

logger = logging.getLogger(__name__)

CELL = {
    "v_rest": -60.5,
    "cm": 0.025,
    "tau_m": 10.0,
    "tau_refrac": 10.0,
    "tau_syn_E": 2.5,
    "tau_syn_I": 2.5,
    "e_rev_E": 0.0,
    "e_rev_I": -75.0,
    "v_thresh": -60.0,
    "v_reset": -60.5,
}


def create_brain():
    """All cells, connected."""
    cells = sim.Population(8, sim.IF_cond_alpha(**CELL), label="circuit")
    cells[3:4].set(v_thresh=-60.51, v_reset=-61.6)
    sim.initialize(cells, v=cells.get("v_rest"))

    plastic = sim.TsodyksMarkramSynapse(U=1.0, tau_rec=1.0, tau_facil=1.0, weight=1.5e-4, delay=0.1)
    # Left eye to the right wheel, right eye to the left wheel.
    for source, target in ((0, 6), (1, 4)):
        sim.Projection(
            presynaptic_population=cells[source : source + 1],
            postsynaptic_population=cells[target : target + 1],
            connector=sim.OneToOneConnector(),
            synapse_type=plastic,
            receptor_type="excitatory",
        )
    # The drummer turns the robot where nothing calms it.
    sim.Projection(
        cells[3:4],
        cells[6:7],
        sim.AllToAllConnector(),
        sim.StaticSynapse(weight=1.4e-4, delay=1.0),
        receptor_type="excitatory",
    )
    sim.Projection(
        cells[0:2],
        cells[3:4],
        sim.AllToAllConnector(),
        sim.StaticSynapse(weight=np.float64(1.2e-3), delay=1.0),
        receptor_type="inhibitory",
    )
    logger.debug("circuit: %s", cells.describe())
    return cells


circuit = create_brain()
