"""Ports for tests that must know one before somebody listens there, or that give one up and take it again."""

import contextlib
import itertools
import os
import random
import socket

# Below those that the system gives to whoever connects somewhere or asks for any port; a part for each worker.
_FIRST, _EACH, _WORKERS = 24_000, 800, 4
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_ports = itertools.cycle(random.sample(range(_FIRST + _EACH * _WORKER, _FIRST + _EACH * (_WORKER + 1)), _EACH))


def free_port():
    """A port of this machine that nobody listens on, and that nobody else is given soon."""
    while True:
        port = next(_ports)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
