"""Ports and transfer functions to test with."""

import textwrap
from pathlib import Path

from reafference.frames import Port, Ports
from services.engine import script
from services.engine.transfer import Transfer


def port(name, shape=(), *, dtype="<f8", unit="1", **more):
    return Port(name=name, shape=shape, dtype=dtype, unit=unit, **more)


BRAIN = Ports(
    inputs=(
        port("drive", (3,), unit="Hz", low=0.0),
        port("bias", unit="pA"),
    ),
    outputs=(
        port("readout.voltage", (2,), unit="mV", labels=("M1_L1", "M1_L23")),
        port("rates.rate", (3,), unit="Hz", labels=("A", "B", "C")),
        port("spikes.sender", (-1,), dtype="<i8"),
        port("timing.run", dtype="<i8", unit="ns", digest=False),
    ),
)
BODY = Ports(
    inputs=(
        port("excitation", (4,), labels=("Foot1", "Foot2", "Humerus1", "foot2"), low=0.0, high=1.0),
        port("gain", dtype="<i8"),
        port("table", (2, 3)),
    ),
    outputs=(
        port("joints.position", (2,), unit="rad", labels=("elbow", "wrist")),
        port("joints.velocity", (2,), unit="rad/s", labels=("elbow", "wrist")),
        port("tip.position", (3,), unit="m", labels=("x", "y", "z")),
        port("camera.eye", (2, 2), dtype="|u1"),
        port("clock.ticks", dtype="<i8"),
    ),
)
PORTS = {"brain": BRAIN, "body": BODY}


def declared(text, name="transfer.py", folder=Path("/experiment")):
    """What a file of transfer functions with this text declares."""
    return list(loaded(text, name, folder).declarations)


def loaded(text, name="transfer.py", folder=Path("/experiment")):
    """A file of transfer functions with this text, run."""
    return script.load(name, textwrap.dedent(text), folder)


def made(text, params=None, *, timeout_s=5.0, ports=None):
    """The transfer functions of such a file, resolved against PORTS."""
    return Transfer(loaded(text), PORTS if ports is None else ports, params or {}, timeout_s=timeout_s)
