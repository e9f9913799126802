"""A brain behind its front, without an engine: python -m mpi4py front_job.py CASE

Rank 0 says what comes of each call in a line of JSON.
"""

import json
import os
import sys

import numpy as np

from reafference.errors import ReafferenceError
from reafference.frames import Plan, Step
from services.brain.devices import Devices
from services.brain.front import Follower, Front
from services.brain.ranks import Ranks, follow

SCRIPT = """
import nest

def build():
    return {"all": nest.Create("iaf_psc_alpha", 6, {"I_e": 380.0})}
"""
SETTINGS = {
    "script": "brain.py",
    "sources": {"drive": {"kind": "poisson", "targets": ["all"], "weight": 20.0}},
    "sinks": {
        "rate": {"kind": "population_rate", "sources": ["all"]},
        "spikes": {"kind": "spike_recorder", "sources": ["all"]},
    },
}
DT_NS = 20_000_000


def say(**found):
    print(json.dumps(found), flush=True)


def silent(*_, **__):
    pass


def step(front, number, rate_hz):
    """One step; what came of it is said."""
    inputs = {"drive": np.array([rate_hz])}
    try:
        out = front.advance(Step(number=number, t_ns=number * DT_NS, dt_ns=DT_NS, inputs=inputs))
    except ReafferenceError as error:
        say(step=number, code=error.code, text=error.text)
        return
    say(step=number, rate=out["sinks.rate"].tolist(), spikes=len(out["spikes.sender"]))


def failing_on_rank_1(write):
    """A device that fails in the third step, on one rank only."""

    def failing(self, inputs, t_ns, dt_ns):
        if t_ns == 2 * DT_NS:
            raise RuntimeError("the device is broken")
        write(self, inputs, t_ns, dt_ns)

    return failing


def main(case):
    ranks = Ranks()
    if case == "one" and ranks.rank == 1:
        Devices.write = failing_on_rank_1(Devices.write)
    if ranks.rank:
        follow(ranks, Follower(ranks).act)
    else:
        front = Front(ranks)
        front.prepare(
            Plan(
                run="r",
                name="brain",
                seed=3,
                dt_ns=DT_NS,
                ranks=ranks.size,
                folder=os.getcwd(),
                settings=SETTINGS,
                files={"brain.py": SCRIPT},
            ),
            silent,
        )
        step(front, 0, 500.0)
        step(front, 1, 500.0)
        if case == "all":
            step(front, 2, float("inf"))
        step(front, 2, 500.0)
        front.close()
        front.quit()
    sys.stdout.flush()
    ranks.leave()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
