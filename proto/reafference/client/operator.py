"""Steering a run on the step wire: `Operator`."""

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import codec, outcome
from ..clock import Deadline
from ..errors import PeerLate, ReafferenceError
from ..frames import Bye, Edit, Frame, Hello, Order, OrderKind, Scope, Welcome
from ..outcome import Outcome
from ..sockets import Sender, StepPeer, Waiting, Wires


class Operator:
    """Steers a run: sends orders to its engine and hears how it goes.

    Orders are answered by a frame among those that arrive. Edits, and a reset, wait for their outcome; what else
    arrives meanwhile is kept for `arrived`. They raise the error of the engine or the simulator where something
    cannot be done, and PeerLate when the outcome has not come after `patience_s`.
    """

    def __init__(self, wires: Wires, address: str, name: str) -> None:
        self._sender = Sender(name)
        self._peer = StepPeer(wires, address, self._sender)
        self._waiting = Waiting(self._peer)
        self._unread: deque[Frame] = deque()
        self._edits = 0
        self.welcome: Welcome | None = None
        self._peer.send(Hello(name=name, role="operator", pid=os.getpid()))

    @property
    def socket(self) -> object:
        """For waiting (see sockets.Waiting)."""
        return self._peer.socket

    def arrived(self) -> Iterator[Frame]:
        """What the engine has sent, without waiting; frames that cannot be read are left out."""
        while self._unread:
            yield self._unread.popleft()
        yield from self._new()

    def _new(self) -> Iterator[Frame]:
        for parts in self._peer.receive():
            try:
                frame = codec.decode(parts).frame
            except ReafferenceError:
                continue
            if isinstance(frame, Welcome):
                self.welcome, self._sender.run = frame, frame.run
            yield frame

    def order(self, what: OrderKind, reason: str = "", scope: Scope = "", steps: int = 1) -> None:
        """Ask for something; the engine answers with a `state` or an `error` frame."""
        self._peer.send(Order(what=what, reason=reason, scope=scope, steps=steps))

    def edit(
        self,
        to: str,
        what: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout_s: float = 0.0,
        patience_s: float = 3600.0,
    ) -> dict[str, Any]:
        """Change something of the participant (or "engine") `to` between two steps; what it says about it, by name.

        `timeout_s` is how long the edit itself may take before the run is given up: 0 for as long as a step may
        (or building, where the edit builds anew). Before that it waits for its turn.
        """
        self._edits += 1
        self._peer.send(Edit(id=self._edits, to=to, what=what, arguments=arguments or {}, timeout_s=timeout_s))
        result: dict[str, Any] = self._await(outcome.of_edit(self._edits, what), f"the edit {what!r}", patience_s)
        return result

    def reset(self, scope: Scope = "full", *, patience_s: float = 3600.0) -> None:
        """Put one simulator back to its start, or begin the whole run anew: it is then ready, and waits for `start`.

        A full reset waits for the end of the step; order "cancel" after it, from another place, if that never comes.
        """
        if scope in ("brain", "body"):
            self.edit(scope, "reset", patience_s=patience_s)
            return
        self.order("reset", scope=scope)
        self._await(outcome.of_full_reset(self._sender.run), "the reset", patience_s)

    def set_parameters(self, population: str, parameters: Mapping[str, Any]) -> None:
        """Give all neurons of a population these parameters: a number for all, or an array with one for each."""
        self.edit("brain", "set_parameters", {"population": population, "parameters": dict(parameters)})

    def get_parameters(self, population: str, names: Sequence[str]) -> dict[str, Any]:
        """These parameters of the neurons of a population, by name."""
        return self.edit("brain", "get_parameters", {"population": population, "names": list(names)})

    def set_synapses(self, source: str, target: str, parameters: Mapping[str, Any]) -> None:
        """Give all synapses from one population to another these parameters."""
        self.edit("brain", "set_synapses", {"source": source, "target": target, "parameters": dict(parameters)})

    def get_synapses(self, source: str, target: str, names: Sequence[str]) -> dict[str, Any]:
        """These parameters of the synapses from one population to another, with the node ids of both ends."""
        return self.edit("brain", "get_synapses", {"source": source, "target": target, "names": list(names)})

    def silence(self, population: str) -> None:
        """Let no neuron of the population fire any more."""
        self.edit("brain", "silence", {"population": population})

    def lesion(self, population: str) -> None:
        """Update the population no more: it does not fire, and does not change, until the brain is reset."""
        self.edit("brain", "lesion", {"population": population})

    def restore(self, population: str) -> None:
        """Take a silence back."""
        self.edit("brain", "restore", {"population": population})

    def stimulate(
        self,
        population: str,
        *,
        duration_ms: float,
        rate_hz: float | None = None,
        weight: float | None = None,
        amplitude_pA: float | None = None,
    ) -> None:
        """Drive a population for a while, with Poisson spikes of a rate and a weight (nS or pA), or with a current."""
        how = {"rate_hz": rate_hz, "weight": weight, "amplitude_pA": amplitude_pA}
        given = {name: value for name, value in how.items() if value is not None}
        self.edit("brain", "stimulate", {"population": population, "duration_ms": duration_ms, **given})

    def switch(self, device: str, on: bool) -> None:
        """Switch a device of the brain on or off; a source that is off sends nothing and keeps its values."""
        self.edit("brain", "switch", {"device": device, "on": on})

    def replace_brain(self, script: str) -> dict[str, Any]:
        """Build another brain from this text of a script; body and clock go on. What the brain says of itself."""
        return self.edit("brain", "replace_brain", {"script": script})

    def set_populations(self, populations: Mapping[str, Any]) -> dict[str, Any]:
        """Give the brain these populations, as they would stand in the experiment file."""
        return self.edit("brain", "set_populations", {"populations": dict(populations)})

    def _await(self, told: Outcome, what: str, patience_s: float) -> Any:
        """Wait for the frame that settles it; it and all others stay to be read."""
        deadline = Deadline.after_s(patience_s)
        while not deadline.passed():
            self._waiting.until(deadline.left_ms())
            for frame in self._new():
                self._unread.append(frame)
                settled = told(frame)
                if settled is not None:
                    return settled
        raise PeerLate(f"{what} had no outcome within {patience_s:g} s")

    def leave(self) -> None:
        self._peer.send(Bye())
