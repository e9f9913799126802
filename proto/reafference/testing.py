"""Hand-made stand-ins for what surrounds a simulator: for tests, and for notebooks.

LocalPeer     drives a simulator in this process, without a socket
ScriptedPeer  a participant's link made of lists
HandClock     the `time` module, with hands that one turns oneself
plan, grant   what the engine would send, filled in
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

from . import codec
from .clock import NS_PER_S, ns_from_ms
from .errors import PortMismatch
from .frames import Array, Frame, Packed, Plan, Port, Ports, Step, StepGrant, Stream
from .plain import nearest
from .simulator import Changed, Deferring, Editable, Simulator
from .topics import Topic

STEP_MS = 20.0


def plan(
    settings: Mapping[str, Any] | None = None,
    *,
    name: str = "toy",
    step_ms: float = STEP_MS,
    every: int = 1,
    seed: int = 1,
    threads: int = 1,
    folder: str = ".",
    files: Mapping[str, str] | None = None,
) -> Plan:
    """A plan as the engine makes it from an experiment file; `settings` is the table of this simulator."""
    return Plan(
        run="test",
        name=name,
        seed=seed,
        dt_ns=ns_from_ms(step_ms) * every,
        every=every,
        threads=threads,
        folder=folder,
        settings=settings or {},
        files=files or {},
    )


def grant(
    step: int,
    inputs: Mapping[str, Array] | None = None,
    *,
    want: Iterable[str] = (),
    step_ms: float = STEP_MS,
    every: int = 1,
) -> StepGrant:
    """The engine's order to make `step`, with `inputs` by port name."""
    dt_ns = ns_from_ms(step_ms)
    stream = Stream(step=step, t_ns=step * dt_ns, arrays=inputs or {})
    packed = codec.encode(
        stream, run="test", src="engine", seq=step, topic=Topic("test", "engine", "inputs/toy").wire()
    )
    return StepGrant(step=step, t_ns=step * dt_ns, dt_ns=dt_ns * every, want=tuple(want), inputs=(packed,))


class LocalPeer:
    """Drives a simulator step by step, as the engine would.

        with LocalPeer(Pendulum(), plan({"length_m": 0.3})) as pendulum:
            for _ in range(100):
                outputs = pendulum.step({"torque": [0.1]})

    Inputs begin at the resting values of their ports and keep what they were given last. What the simulator returns,
    at once or afterwards, is held to what it declared. Raises PortMismatch where either does not fit.
    """

    def __init__(self, simulator: Simulator, wanted: Plan | None = None) -> None:
        self._simulator = simulator
        self.plan = wanted or plan()
        self.ports = Ports()
        self.steps = 0
        self._inputs: dict[str, Array] = {}
        self.prepare()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def t_ns(self) -> int:
        """Simulated time, at the end of the last step."""
        return self.steps * self.plan.dt_ns

    def prepare(self) -> Ports:
        """Build the simulator anew, at time 0 and with resting inputs."""
        self.ports = self._simulator.prepare(self.plan, _unheard)
        self._inputs = {port.name: np.array(port.resting()) for port in self.ports.inputs}
        self.steps = 0
        return self.ports

    def step(self, inputs: Mapping[str, Any] | None = None, *, want: Iterable[str] = ()) -> dict[str, Array]:
        """Make one step; the outputs by port name. `want` names the streams that may not be left for afterwards."""
        for name, value in (inputs or {}).items():
            port = _named(name, self.ports.inputs, "takes")
            self._inputs[name] = _fitting(np.array(value, port.dtype), port)
        for array in self._inputs.values():
            array.flags.writeable = False
        step = Step(
            number=self.steps * self.plan.every,
            t_ns=self.t_ns,
            dt_ns=self.plan.dt_ns,
            inputs=dict(self._inputs),
            want=tuple(want),
        )
        outputs = self._simulator.advance(step)
        if isinstance(self._simulator, Deferring) and self._simulator.deferred:
            outputs = outputs | self._simulator.afterwards()
        self.steps += 1
        return {
            name: _fitting(np.asarray(value), _named(name, self.ports.outputs, "declared"))
            for name, value in outputs.items()
        }

    def edit(self, what: str, arguments: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Change the simulator between two steps; what it says about it. Inputs whose ports are new are at rest."""
        assert isinstance(self._simulator, Editable), "the simulator has no `edit`"
        changed: Changed = self._simulator.edit(what, arguments or {}, _unheard)
        if changed.ports is not None:
            self.ports = changed.ports
            self._inputs = {port.name: port.kept(self._inputs.get(port.name)) for port in self.ports.inputs}
        return changed.result

    def close(self) -> None:
        """Let the simulator go."""
        self._simulator.close()


def _unheard(task: str, done: int = 0, total: int = 0, detail: str = "") -> None:
    """A report to nobody."""


def _named(name: str, ports: Iterable[Port], verb: str) -> Port:
    known = {port.name: port for port in ports}
    if name not in known:
        raise PortMismatch(f"the simulator {verb} no port {name!r}{nearest(name, known)}")
    return known[name]


def _fitting(array: Array, port: Port) -> Array:
    wanted = tuple(
        found if declared == -1 else declared for declared, found in zip(port.shape, array.shape, strict=False)
    )
    if array.dtype.str != port.dtype or len(array.shape) != len(port.shape) or array.shape != wanted:
        raise PortMismatch(f"{port.name!r} is {array.dtype} {array.shape}, declared as {port.dtype} {port.shape}")
    return array


class ScriptedPeer:
    """A link (see link.Link) made of lists.

    The engine of this link sends `given`, one after the other; an exception among them is raised there, as a real
    link raises EngineLost. `sent` is what the participant answered, `published` what went to bus and tap. As long
    as `cut_in` is true, something of the engine is `pending`.
    """

    def __init__(self, given: Iterable[Frame | Exception], *, name: str = "toy") -> None:
        self._given, self._name, self.run = list(given), name, "test"
        self.cut_in = False
        self.sent: list[Frame] = []
        self.published: list[Packed] = []

    def frames(self) -> Iterator[Frame]:
        for frame in self._given:
            if isinstance(frame, Exception):
                raise frame
            yield frame

    def send(self, frame: Frame) -> None:
        self.sent.append(frame)

    def sign(self, stream: str, seq: int, frame: Frame) -> Packed:
        topic = Topic(self.run, self._name, stream).wire()
        return codec.encode(frame, run=self.run, src=self._name, seq=seq, topic=topic)

    def publish(self, packed: Packed) -> None:
        self.published.append(packed)

    def begin(self, run: str) -> None:
        self.run = run

    def pending(self) -> bool:
        return self.cut_in

    @property
    def streams(self) -> list[codec.Received]:
        """What was published, decoded."""
        return [codec.decode(packed.parts()) for packed in self.published]


@dataclass(slots=True)
class HandClock:
    """Stands in for the `time` module of the module under test: time passes when one says so.

    clock = HandClock()
    monkeypatch.setattr("reafference.sockets.time", clock)
    clock.advance_s(0.25)
    """

    now_ns: int = 0

    def advance_s(self, seconds: float) -> None:
        """Let this much time pass."""
        self.now_ns += round(seconds * NS_PER_S)

    def time_ns(self) -> int:
        return self.now_ns

    monotonic_ns = perf_counter_ns = time_ns
