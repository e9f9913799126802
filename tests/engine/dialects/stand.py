"""Published functions beside a real brain and a real body, stepped by hand in one process."""

import textwrap

import numpy as np

from reafference.frames import Plan, Step
from services.body.bullet_body import BulletBody
from services.brain.nest_brain import NestBrain
from services.engine import dialects, experiment
from services.engine.transfer import Transfer

DT_NS = 20_000_000

BRAIN = """
import nest

def build():
    return {"relays": nest.Create("parrot_neuron", 8), "cells": nest.Create("iaf_psc_alpha", 8, {"I_e": 0.0})}
"""

HEAD = """
[experiment]
name = "stand"
steps = 1000

[record]
enabled = false

[brain]
script = "brain.py"

[body]
model = "{body}"
{body_more}
[transfer]
dialect = "nrp"
"""


def silent(*_args, **_kwargs):
    """A report nobody reads."""


def written(folder, files, more="", body="mouse_forelimb"):
    """Put an experiment with these functions into a folder, and load it. `more` goes into [transfer]."""
    body_more = "[body.parameters]\ncamera = true\n" if body == "husky_room" else ""
    names = ", ".join(f'"{name}"' for name in files)
    text = HEAD.format(body=body, body_more=body_more) + f"files = [{names}]\n{more}\n"
    (folder / "experiment.toml").write_text(text)
    (folder / "brain.py").write_text(BRAIN)
    for name, source in files.items():
        (folder / name).write_text(textwrap.dedent(source).lstrip("\n"))
    return experiment.load(folder)


class Stand:
    """An experiment that is stepped by hand; `messages` is all that people would have been told."""

    def __init__(self, folder, files, more="", body="mouse_forelimb", former=None):
        self.experiment = written(folder, files, more, body)
        self.script = dialects.load(self.experiment, former)
        self.devices = self.script.devices()
        self.brain, self.body = NestBrain(), BulletBody()
        settings = {"script": "brain.py", **self.devices}
        self.ports = {
            "brain": self.brain.prepare(self._plan("brain", settings, folder), silent),
            "body": self.body.prepare(self._plan("body", {"model": body}, folder), silent),
        }
        self.transfer = Transfer(self.script, self.ports, {})
        self.steps, self.messages = 0, self.transfer.flaws()
        self._couple()

    def _plan(self, name, settings, folder):
        files = self.experiment.files
        return Plan(run="r", name=name, seed=7, dt_ns=DT_NS, folder=str(folder), settings=settings, files=files)

    def run(self, steps):
        """So many steps of brain, body and functions."""
        for _ in range(steps):
            t_ns = self.steps * DT_NS
            for name, simulator in (("brain", self.brain), ("body", self.body)):
                step = Step(number=self.steps, t_ns=t_ns, dt_ns=DT_NS, inputs=self.transfer.inputs[name])
                given = simulator.advance(step)
                if name == "brain":
                    given = {**given, **self.brain.afterwards()}
                for port, value in given.items():
                    # Off the wire every value is an array of its own.
                    self.transfer.take(name, port, np.array(value))
            self.steps += 1
            self._couple()
        return self

    def _couple(self):
        self.messages += self.transfer.evaluate(self.steps * DT_NS, self.steps)
        self.messages += self.transfer.said(all_of_it=True)

    def edit(self, call, *arguments):
        """A live edit of the functions, and what the brain is asked for by it."""
        self.messages += getattr(self.transfer, call)(*arguments) or []
        for need in self.transfer.needs():
            changed = self.brain.edit(need.what, need.arguments, silent)
            self.ports = {**self.ports, need.to: changed.ports}
            self.messages += self.transfer.rewire(need.to, self.ports, self.steps, self.steps * DT_NS)
        return self

    def function(self, name):
        return next(one for one in self.transfer.described() if one["name"] == name)

    def global_(self, name):
        """A variable that all functions have."""
        return self.script._house.variables[name]

    def state(self, function):
        """The variables of a function."""
        return next(one for one in self.transfer.functions if one.name == function).state.__dict__

    def texts(self):
        return [message.text for message in self.messages]

    def close(self):
        self.script.close()
        self.transfer.close()
        self.brain.close()
        self.body.close()
