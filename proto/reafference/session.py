"""One run of one simulator: its ports, its sequence numbers, its digest, its last answer.

What the engine waits for is done first and sent; all the rest is done while the engine works on it.
"""

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from . import codec, plain
from .digest import Digest
from .errors import BadExperiment, OutOfOrder, PortMismatch, ReafferenceError, SimulatorFailed
from .frames import (
    Array,
    Edit,
    Edited,
    Halted,
    Packed,
    Plan,
    Port,
    Ports,
    Progress,
    Step,
    StepDone,
    StepGrant,
    Stream,
)
from .link import Link
from .process import peak_rss_mb
from .simulator import Cancellable, Changed, Deferring, Editable, Simulator

_REPORT_EVERY_NS = 100_000_000
_TIMING = "timing."

Streams = dict[str, dict[str, Array]]
"""Arrays by stream and name."""


@dataclass(frozen=True, slots=True)
class _Output:
    """An output port, taken apart once."""

    port: Port
    dtype: np.dtype[Any]
    stream: str
    array: str


class Session:
    """One run of one simulator, from `prepare` to `halted`."""

    def __init__(self, simulator: Simulator, link: Link, name: str, plan: Plan) -> None:
        """Build the simulator. Raises its BadExperiment, or SimulatorFailed for anything it did not foresee."""
        self._simulator, self._link, self._name, self._plan = simulator, link, name, plan
        link.begin(plan.run)
        if isinstance(simulator, Cancellable):
            simulator.cancelled = link.pending
        self._deferring = simulator if isinstance(simulator, Deferring) else None
        self._digest = Digest(())
        self._seqs: dict[str, int] = {}
        self._last: StepDone | None = None
        self._take_ports(self._prepared(plan))

    def answer(self, grant: StepGrant) -> None:
        """Make the step and send the answer, then everything else that the step brought."""
        # A repeated step is answered from memory: after a reconnect the engine cannot know whether our
        # last answer arrived, and advancing twice would be wrong.
        if self._last is not None and grant.step == self._last.step:
            self._link.send(self._last)
            return
        expected = 0 if self._last is None else self._last.step + self._plan.every
        if grant.step != expected:
            raise OutOfOrder(f"the {self._name} was granted step {grant.step}, its next one is {expected}")
        began_ns = time.perf_counter_ns()
        end_ns = grant.t_ns + grant.dt_ns
        streams, timing = self._advance(grant)
        deferred = self._deferring.deferred if self._deferring else ()
        later = {_stream(port): None for port in deferred}
        for stream in {**streams, **later}:
            self._seqs[stream] = self._seqs.get(stream, -1) + 1
        wanted = {_stream(port): None for port in grant.want}
        riding = {s: self._sign(s, grant.step, end_ns, streams[s]) for s in wanted if s in streams}
        self._last = StepDone(
            step=grant.step,
            t_ns=end_ns,
            busy_ns=time.perf_counter_ns() - began_ns,
            timing=timing,
            seqs=dict(self._seqs),
            outputs=tuple(riding.values()),
        )
        self._link.send(self._last)
        # From here on the engine is at work, and nobody waits for us.
        for stream, arrays in streams.items():
            if stream not in later:
                packed = riding.get(stream) or self._sign(stream, grant.step, end_ns, arrays)
                self._publish(stream, grant.step, arrays, packed)
        if later:
            for stream, arrays in self._rest(grant.step, deferred).items():
                whole = streams.get(stream, {}) | arrays
                self._publish(stream, grant.step, whole, self._sign(stream, grant.step, end_ns, whole))

    def edit(self, edit: Edit) -> Edited:
        """Change the simulator between two steps.

        Raises its BadExperiment where everything is as before, SimulatorFailed where that is not sure.
        """
        try:
            changed = self._changed(edit)
        except ReafferenceError:
            raise
        except Exception as error:
            raise self._failed(f"failed in the edit {edit.what!r}", error) from error
        if changed.ports is not None:
            self._take_ports(changed.ports)
        return Edited(id=edit.id, result=changed.result, ports=changed.ports)

    def halted(self) -> Halted:
        """What is to be said at the end."""
        return Halted(
            step=-1 if self._last is None else self._last.step,
            digest=self._digest.hexdigest(),
            seqs=dict(self._seqs),
            facts={"peak_rss_mb": peak_rss_mb()},
        )

    def _prepared(self, plan: Plan) -> Ports:
        try:
            return self._simulator.prepare(plan, _Reporter(self._link, self._name))
        except ReafferenceError:
            raise
        except Exception as error:
            raise self._failed("could not be built", error) from error

    def _changed(self, edit: Edit) -> Changed:
        if isinstance(self._simulator, Editable):
            arguments = plain.with_arrays(edit.arguments)
            return self._simulator.edit(edit.what, arguments, _Reporter(self._link, self._name))
        if edit.what != "reset":
            raise BadExperiment(f"the {self._name} has no edit {edit.what!r}: it can be reset, and nothing else")
        t_ns = 0 if self._last is None else self._last.t_ns
        try:
            return Changed(ports=self._prepared(replace(self._plan, t_ns=t_ns)))
        except BadExperiment as error:  # what there was before is gone
            raise SimulatorFailed(f"the {self._name} could not be reset: {error.text}", detail=error.detail) from error

    def _take_ports(self, ports: Ports) -> None:
        self.ports = ports
        self._outputs = {port.name: _taken_apart(port) for port in ports.outputs}
        self._timing = [name for name in self._outputs if name.startswith(_TIMING)]
        self._digest.expect(ports.outputs)

    def _advance(self, grant: StepGrant) -> tuple[Streams, dict[str, int]]:
        """The output by stream, and the wall-clock nanoseconds that came with it."""
        inputs: Mapping[str, Array] = {}
        if grant.inputs:
            received = codec.decode(grant.inputs[0].parts()).frame
            assert isinstance(received, Stream)
            inputs = received.arrays
        step = Step(number=grant.step, t_ns=grant.t_ns, dt_ns=grant.dt_ns, inputs=inputs, want=grant.want)
        try:
            results = self._simulator.advance(step)
        except ReafferenceError:
            raise
        except Exception as error:
            raise self._failed(f"failed in step {grant.step}", error) from error
        timing = {name.removeprefix(_TIMING): int(results.pop(name)) for name in self._timing if name in results}
        return self._streams(results), timing

    def _rest(self, step: int, deferred: tuple[str, ...]) -> Streams:
        assert self._deferring is not None
        try:
            results = self._deferring.afterwards()
        except ReafferenceError:
            raise
        except Exception as error:
            raise self._failed(f"failed after step {step}", error) from error
        if set(results) != set(deferred):
            given, promised = ", ".join(results) or "nothing", ", ".join(deferred)
            raise PortMismatch(f"the {self._name} gave {given} after step {step}, it had promised {promised}")
        return self._streams(results)

    def _streams(self, results: Mapping[str, Array]) -> Streams:
        """The results by stream; raises PortMismatch where they are not what the ports say."""
        streams: Streams = {}
        for name, value in results.items():
            output = self._outputs.get(name)
            if output is None:
                raise PortMismatch(f"the {self._name} returned {name!r}, which it had not declared")
            array = value if isinstance(value, np.ndarray) else np.asarray(value)
            if array.dtype != output.dtype or not output.port.has_shape(array.shape):
                raise PortMismatch(
                    f"the {self._name} returned {name!r} as {array.dtype} {array.shape}, "
                    f"it had declared {output.dtype} {output.port.shape}"
                )
            streams.setdefault(output.stream, {})[output.array] = array
        return streams

    def _sign(self, stream: str, step: int, t_ns: int, arrays: Mapping[str, Array]) -> Packed:
        return self._link.sign(stream, self._seqs[stream], Stream(step=step, t_ns=t_ns, arrays=arrays))

    def _publish(self, stream: str, step: int, arrays: Mapping[str, Array], packed: Packed) -> None:
        self._link.publish(packed)
        self._digest.update(stream, step, arrays)

    def _failed(self, what: str, error: Exception) -> SimulatorFailed:
        phrase = " ".join(f"{type(error).__name__}: {error}".split())
        trace = "".join(traceback.format_exception(error))
        return SimulatorFailed(f"the {self._name} {what}: {phrase}", detail={"trace": trace})


@cache
def _stream(port: str) -> str:
    """The stream of the output port of this name."""
    return port.partition(".")[0]


def _taken_apart(port: Port) -> _Output:
    stream, _, array = port.name.partition(".")
    return _Output(port, np.dtype(port.dtype), stream, array)


class _Reporter:
    """Passes progress on, but not faster than a person can read it."""

    def __init__(self, link: Link, name: str) -> None:
        self._link, self._name = link, name
        self._next_ns = 0

    def __call__(self, task: str, done: int = 0, total: int = 0, detail: str = "") -> None:
        now = time.monotonic_ns()
        if now >= self._next_ns or (total and done >= total):
            self._next_ns = now + _REPORT_EVERY_NS
            self._link.send(Progress(service=self._name, task=task, done=done, total=total, detail=detail))
