"""Experiments for scripts of the published client, and what these scripts have at hand."""

import textwrap
from pathlib import Path

from tests.gateway.runs import LIMB

from .coach import run

BRAIN = '''\
import nest


def build(cells=8):
    """Cells that fire without input."""
    circuit = nest.Create("iaf_psc_alpha", cells, {"I_e": 500.0})
    return {"circuit": circuit}
'''
NET_TOML = """\
[experiment]
name = "net"
title = "Eight neurons and a limb"
steps = 100000
pace = 1.0

[brain]
script = "brain.py"

[brain.populations]
sensors = "circuit[0:5]"
actors = "circuit[5:8]"

[brain.sinks.rates]
kind = "population_rate"
sources = ["circuit"]

[body]
model = "mouse_forelimb"

[transfer]
file = "transfer.py"
"""
NET_TRANSFER = """\
from reafference import transfer


@transfer(reads="brain.rates.circuit", writes="body.Foot1")
def contract(rate_hz):
    return min(rate_hz / 100.0, 1.0)
"""
MACHINE = "import smach_ros\nsm = None\n"
NET = {
    "experiment.toml": NET_TOML,
    "brain.py": BRAIN,
    "transfer.py": NET_TRANSFER,
    "state_machines/seek.py": MACHINE,
}
SHORT = LIMB | {"experiment.toml": LIMB["experiment.toml"].replace("steps = 100000\npace = 1.0", "steps = 25")}
HALTING = SHORT | {
    "experiment.toml": SHORT["experiment.toml"].replace("steps = 25", 'steps = 1000\non_error = "halt"'),
    "transfer.py": LIMB["transfer.py"].replace("return 0.5", "return 1 / (5 - step)"),
}

PUBLISHED = Path(__file__).parent / "published"
PEEK = """\
import hbp_nrp_cle.tf_framework as nrp


@nrp.MapSpikeSink("rate", nrp.brain.eyes, nrp.population_rate)
@nrp.Neuron2Robot()
def peek(t, rate):
    clientLogger.info("rate %.2f" % rate.rate)
"""

# A simulation that is left alone keeps the client waiting for ever.
HELPERS = """\
import time


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


class stopping:
    def __init__(self, sim):
        self.sim = sim

    def __enter__(self):
        return self.sim

    def __exit__(self, *exception):
        self.sim.stop()


def refused(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return str(error)
    return None


"""


def played(door, script, person="otto", **given):
    """Run a script that has HELPERS as well."""
    return run(door, HELPERS + textwrap.dedent(script), person, **given)


def held(door):
    """How many places are taken."""
    return door.gateway.simulations.busy
