"""A person at an engine: an operator (or a launcher) in a thread; and a gate that holds a simulator."""

import threading
import time
from collections import deque

from reafference import codec
from reafference.client import Operator
from reafference.frames import Hello, StateNote, Welcome
from reafference.sockets import Sender, StepPeer, Waiting, Wires

PATIENCE_S = 30


class Person:
    """An operator in a thread. `heard` is all it was told."""

    def __init__(self, house, role="operator", name="console"):
        self.house, self.role, self.name = house, role, name
        self.heard, self.unread = [], deque()

    def __enter__(self):
        self.wires = Wires()
        if self.role == "operator":
            self.operator = Operator(self.wires, self.house.addresses.step, self.name)
        else:
            self.operator = StepPeer(self.wires, self.house.addresses.step, Sender(self.name))
            self.operator.send(Hello(name=self.name, role=self.role))
        self.waiting = Waiting(self.operator)
        self.until(lambda frame: isinstance(frame, Welcome))
        return self

    def __exit__(self, *_):
        self.wires.close()

    def order(self, what, reason="", scope=""):
        """Order something while nothing moves, and wait for the answer; what came before it is no answer."""
        while self.waiting.until(50):
            self.unread.extend(self.operator.arrived())
        self.heard.extend(self.unread)
        self.unread.clear()
        self.operator.order(what, reason, scope)
        return self.until(lambda frame: isinstance(frame, StateNote))

    def until(self, wanted):
        """Wait for a frame of which `wanted` is true."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            while self.unread:
                self.heard.append(self.unread.popleft())
                if wanted(self.heard[-1]):
                    return self.heard[-1]
            self.waiting.until(100)
            if self.role == "operator":
                self.unread.extend(self.operator.arrived())
            else:
                self.unread.extend(codec.decode(parts).frame for parts in self.operator.receive())
        raise AssertionError(f"it never came; heard {[frame.kind for frame in self.heard]}")


def in_state(state):
    return lambda frame: isinstance(frame, StateNote) and frame.state == state


class Gate:
    """Holds a simulator in one of its steps until it is opened."""

    def __init__(self, step):
        self.step, self.reached, self.opened = step, threading.Event(), threading.Event()

    def __call__(self, step):
        if step.number == self.step:
            self.reached.set()
            assert self.opened.wait(PATIENCE_S)
