"""A brain over several ranks that is asked, added to and changed: python -m mpi4py additions_job.py OUT.npz THREADS HOW

Rank 0 writes what came of it. With as many threads in all the number of ranks must not matter. HOW is `edited`, or
`alone` for the same steps of the first brain without the edits.
"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np

from reafference.frames import Plan, Step
from services.brain.front import Follower, Front
from services.brain.ranks import Ranks, follow

# Busy, and so sparse that many a cell has no target on one of the ranks, or none at all.
SCRIPT = """
import nest

def build(cells=300, asks=False):
    cells = nest.Create("iaf_psc_alpha", cells, {"I_e": nest.random.uniform(350.0, 500.0)})
    relays = nest.Create("parrot_neuron", positions=nest.spatial.free([[0.1 * n, 0.0] for n in range(8)]))
    once = {"rule": "fixed_indegree", "indegree": 1}
    nest.Connect(cells[:150], cells, once, {"weight": 150.0, "delay": nest.random.uniform(1.0, 3.0)})
    if asks:
        assert len(nest.GetConnections())
    nest.Connect(cells[150:], cells, once, {"weight": -150.0, "delay": nest.random.uniform(1.0, 3.0)})
    return {"cells": cells, "relays": relays}
"""
OTHER = SCRIPT.replace("cells=300, asks=False", "cells=220, asks=True")
SETTINGS = {
    "script": "brain.py",
    "sources": {
        "drive": {"kind": "poisson", "targets": ["cells"], "weight": 30.0, "rate_hz": 800.0},
        "more": {"kind": "poisson", "targets": ["each relays"], "rate_hz": 300.0},
    },
    "sinks": {
        "spikes": {"kind": "spike_recorder", "sources": ["cells"]},
        "rate": {"kind": "population_rate", "sources": ["cells[0:50]", "relays"]},
        "level": {"kind": "leaky_integrator_exp", "sources": ["each relays"]},
        "late": {"kind": "spike_recorder", "sources": ["relays"]},
        "some": {"kind": "leaky_integrator_alpha", "sources": ["cells[0:20]", "cells[100:120]"]},
    },
}
DT_NS = 20_000_000


def silent(*_, **__):
    pass


class Steered:
    """The front of the brain, stepped at rest and edited; what it gives is kept."""

    def __init__(self, ranks, threads):
        self.front, self.number, self.kept = Front(ranks), 0, []
        plan = Plan(
            run="r",
            name="brain",
            seed=3,
            dt_ns=DT_NS,
            ranks=ranks.size,
            threads=threads,
            folder=os.getcwd(),
            settings=SETTINGS,
            files={"brain.py": SCRIPT},
        )
        self.ports = self.front.prepare(plan, silent)

    def go(self, steps):
        for _ in range(steps):
            inputs = {port.name: port.resting() for port in self.ports.inputs}
            step = Step(number=self.number, t_ns=self.number * DT_NS, dt_ns=DT_NS, inputs=inputs)
            self.kept.append({**self.front.advance(step), **self.front.afterwards()})
            self.number += 1

    def edit(self, what, **arguments):
        changed = self.front.edit(what, arguments, silent)
        self.ports = changed.ports or self.ports
        return changed.result

    def all(self, name):
        return np.concatenate([np.ravel(out[name]) for out in self.kept if name in out])


def edited(brain):
    """Twelve steps with further sinks, which change no spike; then whatever else makes synapses."""
    brain.go(3)
    for group in ("first", "second"):
        rate = {"kind": "population_rate", "sources": ["each cells[0:5]", "cells", "relays"]}
        brain.edit("add_device", group=group, table=rate)
        brain.go(3)
    brain.edit("add_device", group="third", table={"kind": "spike_recorder", "sources": ["cells[0:9]"], "times": True})
    brain.go(3)
    for drive in ({"rate_hz": 900.0, "weight": 40.0}, {"amplitude_pA": 80.0}):
        brain.edit("stimulate", population="cells[10:200]", duration_ms=50.0, **drive)
        brain.go(3)
    brain.edit("add_device", group="extra", table={"kind": "poisson", "targets": ["each cells[0:30]"], "rate_hz": 90.0})
    brain.go(3)
    brain.edit("set_device", group="extra", table={"weight": 100.0})
    brain.edit("set_device", group="level", table={"tau_m_ms": 40.0, "weight": 300.0})
    brain.go(3)
    brain.edit("reset")
    brain.go(3)
    brain.edit("add_device", group="fourth", table={"kind": "leaky_integrator_exp", "sources": ["cells[100:200]"]})
    brain.go(3)
    beat = {"kind": "fixed_frequency", "targets": ["cells"], "weight": 300.0, "rate_hz": 40.0}
    assert brain.edit("add_device", group="beat", table=beat)["rebuilt"]
    brain.go(3)
    brain.edit("replace_brain", script=OTHER)
    brain.go(3)


def main(out, threads, how):
    ranks = Ranks()
    if ranks.rank:
        follow(ranks, Follower(ranks).act)
    else:
        brain = Steered(ranks, threads)
        if how == "edited":
            edited(brain)
        else:
            brain.go(12)
        status, found = brain.edit("kernel_status"), brain.edit("positions", most=20)["populations"]
        ports = {name for step in brain.kept for name in step if not name.startswith("timing.")}
        np.savez(
            out,
            spikes_last_run=status["spikes_last_run"],
            connections=status["connections"],
            processes=status["processes"],
            memory=len(status["ranks"]),
            **{name: brain.all(name) for name in ports},
            **{f"ids.{name}": p["ids"] for name, p in found.items()},
            **{f"positions.{name}": p["positions_mm"] for name, p in found.items()},
            recorded=np.array(brain.ports.facts["recorders"]["late"]["relays"]),
        )
        brain.front.close()
        brain.front.quit()
    sys.stdout.flush()
    ranks.leave()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
