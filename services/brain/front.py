"""Rank 0 of a brain over several processes: the simulator the engine sees. It tells all ranks what to do next.

Every rank runs the same NestBrain with the same calls in the same order. Here a call becomes a command to the
other ranks and the same call on this one; what they bring home meets inside NestBrain (`together.py`).
"""

import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from reafference.errors import ReafferenceError, SimulatorFailed
from reafference.frames import Array, Plan, Port, Ports, Step
from reafference.simulator import Changed, Report
from services.brain.nest_brain import NestBrain
from services.brain.ranks import Command, Op, Ranks, known_everywhere

T = TypeVar("T")
_WANT = struct.Struct("<I")


class Front:
    """The brain as the engine sees it."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._brain = NestBrain(ranks)
        self._form = StepForm((), ())
        self.broken: ReafferenceError | None = None

    def prepare(self, plan: Plan, report: Report) -> Ports:
        """As NestBrain's, on all ranks."""
        ports = self._do(lambda: self._brain.prepare(plan, report), Op.PREPARE, pickle.dumps(plan))
        self._form = StepForm(ports.inputs, ports.outputs)
        return ports

    def advance(self, step: Step) -> dict[str, Array]:
        """As NestBrain's, on all ranks."""
        return self._do(
            lambda: self._brain.advance(step),
            Op.ADVANCE,
            self._form.written(step),
            step=step.number,
            t_ns=step.t_ns,
            dt_ns=step.dt_ns,
        )

    @property
    def deferred(self) -> tuple[str, ...]:
        return self._brain.deferred

    def afterwards(self) -> dict[str, Array]:
        """As NestBrain's; it has brought everything along with the step."""
        return self._brain.afterwards()

    def edit(self, what: str, arguments: Mapping[str, Any], report: Report) -> Changed:
        """As NestBrain's, on all ranks."""
        payload = pickle.dumps((what, dict(arguments)))
        changed = self._do(lambda: self._brain.edit(what, arguments, report), Op.EDIT, payload)
        if changed.ports is not None:
            self._form = StepForm(changed.ports.inputs, changed.ports.outputs)
        return changed

    @property
    def cancelled(self) -> Callable[[], bool]:
        """Whether somebody wants the step to end; see Cancellable."""
        return self._brain.cancelled

    @cancelled.setter
    def cancelled(self, asked: Callable[[], bool]) -> None:
        self._brain.cancelled = asked

    def close(self) -> None:
        """Drop the network on all ranks."""
        if self.broken is None:
            self._do(self._brain.close, Op.CLOSE)

    def quit(self) -> None:
        """End the other ranks: in order, or with the whole job if they cannot be reached any more."""
        if self.broken is not None:
            self._ranks.abort(self.broken)
        self._ranks.command(Op.QUIT)

    def _do(self, call: Callable[[], T], op: Op, payload: bytes = b"", **numbers: int) -> T:
        if self.broken is not None:
            raise SimulatorFailed(f"the ranks of the brain have lost each other: {self.broken.text}")
        self._ranks.command(op, payload, **numbers)
        try:
            return call()
        except Exception as error:
            # What is not known everywhere has left the other ranks somewhere else than this one.
            if not known_everywhere(error):
                self.broken = self._ranks.say(error)
            raise


class Follower:
    """What every other rank does with a command."""

    def __init__(self, ranks: Ranks) -> None:
        self._brain = NestBrain(ranks)
        self._form = StepForm((), ())

    def act(self, command: Command) -> None:
        match command.op:
            case Op.PREPARE:
                ports = self._brain.prepare(pickle.loads(command.payload), _silent)
                self._form = StepForm(ports.inputs, ports.outputs)
            case Op.ADVANCE:
                self._brain.advance(self._form.read(command))
            case Op.EDIT:
                what, arguments = pickle.loads(command.payload)
                changed = self._brain.edit(what, arguments, _silent)
                if changed.ports is not None:
                    self._form = StepForm(changed.ports.inputs, changed.ports.outputs)
            case Op.CLOSE:
                self._brain.close()


class StepForm:
    """How the inputs of a step travel between ranks: as their bytes one after the other, then what is wanted."""

    def __init__(self, inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> None:
        self._inputs = [(port.name, np.dtype(port.dtype), port.shape) for port in inputs]
        self._outputs = [port.name for port in outputs]
        self._places = {name: place for place, name in enumerate(self._outputs)}

    def written(self, step: Step) -> bytes:
        want = b"".join(_WANT.pack(self._places[name]) for name in step.want)
        arrays = [np.ascontiguousarray(step.inputs[name], dtype) for name, dtype, _ in self._inputs]
        sizes = np.array([array.shape[0] if array.ndim else 1 for array in arrays], "<i8").tobytes()
        return b"".join((_WANT.pack(len(step.want)), want, sizes, *(array.tobytes() for array in arrays)))

    def read(self, command: Command) -> Step:
        data = memoryview(command.payload)
        (count,) = _WANT.unpack_from(data)
        wanted = np.frombuffer(data, "<u4", count, _WANT.size)
        at = _WANT.size * (1 + count)
        sizes = np.frombuffer(data, "<i8", len(self._inputs), at).tolist()
        at += 8 * len(sizes)
        inputs: dict[str, Array] = {}
        for (name, dtype, shape), rows in zip(self._inputs, sizes, strict=True):
            whole = (rows, *shape[1:]) if shape else ()
            length = int(np.prod(whole, dtype=int))
            inputs[name] = np.frombuffer(data, dtype, length, at).reshape(whole)
            at += length * dtype.itemsize
        want = tuple(self._outputs[place] for place in wanted)
        return Step(number=command.step, t_ns=command.t_ns, dt_ns=command.dt_ns, inputs=inputs, want=want)


def _silent(task: str, done: int = 0, total: int = 0, detail: str = "") -> None:
    """Rank 0 tells people how far the work has come; it is the same on all ranks."""
