"""A brain over several ranks that is asked, added to and changed: python -m mpi4py additions_job.py OUT.npz THREADS

Rank 0 writes what came of it. With as many threads in all the number of ranks must not matter.
"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np

from reafference.errors import BadExperiment
from reafference.frames import Plan, Step
from services.brain.front import Follower, Front
from services.brain.ranks import Ranks, follow

SCRIPT = """
import nest

def build():
    cells = nest.Create("iaf_psc_alpha", 20, {"I_e": nest.random.uniform(300.0, 450.0)})
    relays = nest.Create("parrot_neuron", positions=nest.spatial.free([[0.1 * n, 0.0] for n in range(8)]))
    nest.Connect(cells, cells, {"rule": "fixed_indegree", "indegree": 5}, {"weight": 40.0, "delay": 1.0})
    return {"cells": cells, "relays": relays}
"""
SETTINGS = {
    "script": "brain.py",
    "sources": {
        "drive": {"kind": "poisson", "targets": ["cells"], "weight": 30.0, "rate_hz": 800.0},
        "more": {"kind": "poisson", "targets": ["each relays"], "rate_hz": 300.0},
    },
    "sinks": {
        "spikes": {"kind": "spike_recorder", "sources": ["cells"]},
        "rate": {"kind": "population_rate", "sources": ["cells", "relays"]},
        "level": {"kind": "leaky_integrator_exp", "sources": ["each relays"]},
        "late": {"kind": "spike_recorder", "sources": ["relays"]},
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


def main(out, threads):
    ranks = Ranks()
    if ranks.rank:
        follow(ranks, Follower(ranks).act)
    else:
        brain = Steered(ranks, threads)
        brain.go(3)
        refused = ""
        try:
            if ranks.size > 1:
                brain.edit("add_device", group="bad", table={"kind": "population_rate", "sources": ["cells"]})
        except BadExperiment as error:
            refused = error.text
        brain.go(3)
        brain.go(5)
        brain.edit("set_device", group="more", table={"weight": 1.0})
        brain.edit("set_device", group="level", table={"tau_m_ms": 40.0, "weight": 300.0})
        brain.go(5)
        status, found = brain.edit("kernel_status"), brain.edit("positions", most=20)["populations"]
        brain.edit("reset")
        brain.go(5)
        names = ("spikes.sender", "spikes.time_ns", "sinks.rate", "sinks.level")
        np.savez(
            out,
            refused=refused,
            spikes_last_run=status["spikes_last_run"],
            connections=status["connections"],
            processes=status["processes"],
            memory=len(status["ranks"]),
            **{name: brain.all(name) for name in names},
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
    main(sys.argv[1], int(sys.argv[2]))
