"""Two very small simulators, and a house for them: an engine in this thread, everybody else beside it.

`python -m tests.engine.simulators brain|body` is one of them as a process.
"""

import gc
import os
import sys
import threading
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import structlog

from reafference import participant
from reafference.config import Addresses, ServiceConfig
from reafference.errors import ReafferenceError
from reafference.frames import Port, Ports, RunStop
from reafference.link import WireLink
from reafference.sockets import BusProxy, Wires
from services.engine import dialects, documents, experiment
from services.engine.loop import Loop


def port(name, dtype="<f8", **more):
    return Port(name=name, shape=(), dtype=dtype, unit="1", **more)


class Toy:
    """Keeps every step it was given; `act` is called with each of them first."""

    def __init__(self, act=lambda step: None):
        self.act, self.steps, self.closed = act, [], 0

    def prepare(self, plan, report):
        self.plan, self.steps = plan, []
        self.random = np.random.default_rng(plan.seed)
        report("building", 1, 1)
        return self.ports

    def advance(self, step):
        self.steps.append(step)
        self.act(step)
        return self.outputs(step)

    def seen(self, name):
        """The values of one input, by step number."""
        return {step.number: float(step.inputs[name]) for step in self.steps}

    def close(self):
        self.closed += 1


class Counter(Toy):
    """A brain that counts its steps, rolls a die, and says what drove it."""

    ports = Ports(
        inputs=(port("drive"), port("back")),
        outputs=(
            port("sinks.count", "<i8"),
            port("sinks.drive"),
            port("sinks.die"),
            port("timing.run", "<i8", digest=False),
        ),
        facts={"neurons": 3},
    )

    def outputs(self, step):
        return {
            "sinks.count": np.array(len(self.steps)),
            "sinks.drive": step.inputs["drive"],
            "sinks.die": np.array(self.random.random()),
            "timing.run": np.array(1000),
        }


class Echo(Toy):
    """A body that gives back what excites it."""

    ports = Ports(inputs=(port("excitation"),), outputs=(port("joints.echo"),))

    def outputs(self, step):
        return {"joints.echo": step.inputs["excitation"]}


HEAD = """
[experiment]
name = "toy"
steps = {steps}
step_ms = 20
step_timeout_s = 60
[record]
enabled = {record}
window_steps = 4
[transfer]
[brain]
{brain}
[body]
{body}
"""


@dataclass
class House:
    """One run after the other, in one folder. Whoever is in `simulators` takes part in a thread of its own."""

    folder: Path
    simulators: dict = field(default_factory=lambda: {"brain": Counter(), "body": Echo()})
    leave: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(asked=False))
    leaves: dict = field(default_factory=lambda: {name: SimpleNamespace(asked=False) for name in ("brain", "body")})
    ends: dict = field(default_factory=dict)
    failed: list = field(default_factory=list)

    def __post_init__(self):
        (self.folder / "wires").mkdir(exist_ok=True)
        self.addresses = Addresses.in_folder(self.folder / "wires")

    def write(self, functions="", *, steps=5, record=False, brain="", body=""):
        """Put the experiment into the folder."""
        text = HEAD.format(steps=steps, record=str(record).lower(), brain=brain, body=body)
        (self.folder / "experiment.toml").write_text(text)
        (self.folder / "transfer.py").write_text(functions)

    def load(self, *overrides):
        return experiment.load(self.folder, [experiment.parse_override(text) for text in overrides])

    def config(self, name):
        return ServiceConfig(name=name, addresses=self.addresses, join_s=60, patience_s=30)

    def run(self, *overrides, beside=(), after=lambda: None, autostart=True, out="run") -> RunStop:
        """Run the experiment to its end; the last document. `beside` are functions that run in threads meanwhile,
        `after` is called when the engine has ended."""
        wanted = self.load(*overrides)
        functions = dialects.load(wanted)
        (self.folder / out).mkdir(exist_ok=True)
        threads = [threading.Thread(target=self._live, args=item, daemon=True) for item in self.simulators.items()]
        threads += [threading.Thread(target=self._do, args=(function,), daemon=True) for function in beside]
        with self._bus(), Wires() as wires:
            self.loop = Loop(
                wires,
                self.addresses,
                wanted,
                functions,
                self.folder / out,
                self.leave,
                structlog.get_logger(),
                autostart=autostart,
            )
            for thread in threads:
                thread.start()
            stop = self.loop.run()
        after()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        gc.unfreeze()
        assert self.failed == []
        return stop

    @contextmanager
    def _bus(self):
        proxy = BusProxy(self.addresses.bus_in, self.addresses.bus_out)
        try:
            yield
        finally:
            proxy.close()

    def _do(self, function):
        try:
            function()
        except BaseException:
            self.failed.append(traceback.format_exc())

    def _live(self, name, simulator):
        try:
            with (
                Wires() as wires,
                WireLink(wires, self.config(name), "participant", self.leaves[name]) as link,
            ):
                link.join()
                participant.serve(simulator, link, name)
            self.ends[name] = "in order"
        except ReafferenceError as error:
            self.ends[name] = error.code

    @property
    def environment(self):
        """What a service started as a process needs to find the others."""
        return {**os.environ, "REAF_WIRES": str(self.folder / "wires"), "REAF_PARENT_PID": str(os.getpid())}


def seeds(house):
    """The seed of each participant."""
    return {name: plan.seed for name, plan in documents.plans(house.load(), "r").items()}


if __name__ == "__main__":
    kinds = {"brain": Counter, "body": Echo}
    sys.exit(participant.run(kinds[sys.argv[1]](), ServiceConfig.load(sys.argv[1], os.environ)))
