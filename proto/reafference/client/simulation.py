"""A simulation that runs on a server, seen from a script."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from ..frames import Array, Message
from . import tables
from .body import Body
from .brain import Brain
from .door import Door, loaded
from .functions import TransferFunctions
from .live import Live, Sample, Wish
from .recordings import Recordings
from .refusals import Conflict, Failed, Late, failure
from .resources import ENDED, Limit, Recording, SimulationState, Status

ResetKind = Literal["full", "brain", "body", "world"]

PATIENCE_S = 3600.0

_LOOK_S = 0.5
"""The longest pause between two looks at the clock; near the moment that is waited for they are shorter."""
_LEAVES_WITHIN_S = 20.0

_WRITES_EVERY_S = 0.3
"""The recorder writes out what it has five times a second, also after a pause."""
_WRITTEN_WITHIN_S = 5.0


class Simulation:
    """Start, watch and steer one simulation. As a context manager it is stopped at the end.

    with session.launch("mouse_reach-1") as sim:
        sim.run(for_s=0.5)
        print(sim.latest("body/tip")["position"])
        sim.transfer_functions.edit("motor_drive", source)
        sim.run(for_s=0.5)
        joints = sim.csv("body/joints")
    """

    def __init__(self, door: Door, simulation: str) -> None:
        self.id = simulation
        self._door, self._path = door, ("simulations", simulation)
        self._moved_at = 0.0
        self.transfer_functions = TransferFunctions(door, simulation)
        self.brain = Brain(door, simulation)
        self.body = Body(door, simulation)

    def __repr__(self) -> str:
        return f"<Simulation {self.id} at {self._door.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except Exception:
            if error is None:  # else the first one is what the reader needs
                raise
        finally:
            self.close()

    def close(self) -> None:
        """Listen no more; the simulation goes on."""
        if "_live" in self.__dict__:
            self._live.close()

    # --- how it stands ------------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """As the server has it now."""
        return loaded(Status, self._door.get(*self._path))

    @property
    def state(self) -> SimulationState:
        return self.status.state

    @property
    def limit(self) -> Limit | None:
        """How long it goes on; None where there is no limit."""
        return self.status.limit

    def wait(self, until: float | Callable[[Status], bool] | None = None, *, timeout_s: float | None = None) -> Status:
        """Wait for a simulated time in seconds, for something about its status, or (None) for its end.

        Returns the status then, also when it has ended before. Raises Failed, with the reason, when it is halted or
        has failed, and Late after `timeout_s`.
        """
        return self._watched(_Aim.of(until), timeout_s)

    # --- life cycle -----------------------------------------------------------------------------------------

    def start(self) -> Status:
        """Let it run, until its limit or `pause`."""
        return self._order("started")

    def pause(self) -> Status:
        """Pause after the step in progress."""
        return self._order("paused")

    def stop(self) -> Status:
        """End it; its recording is closed and its place free. One that has ended already stays as it is."""
        if not self.status.ended:
            self._order("stopped")
        status = self._watched(_ENDED, PATIENCE_S)
        self._left()
        return status

    def step(self, steps: int = 1) -> Status:
        """Make so many CLE steps; it is paused then. Fewer only where the limit comes first."""
        return self._stepped(steps, None)

    def run(self, for_s: float, *, timeout_s: float | None = None) -> Status:
        """Run for so many simulated seconds, to the step, then pause; less only where the limit comes first.

        Raises Failed when something breaks on the way, and Late after `timeout_s`, paused where it has come to.
        """
        status = self.status
        _check(status)
        if not status.dt_s:
            raise Conflict(f"{self.id} cannot run while it is {status.state}", code="out_of_order")
        target = status.step + max(1, round(for_s / status.dt_s))
        if status.state == "started":
            status = self.pause()
        if status.ended or status.step >= target:
            return status
        try:
            return self._stepped(target - status.step, timeout_s)
        except Late:
            status = self.pause()
            raise Late(f"{self.id} is paused at step {status.step} of {target} after {timeout_s:g} s") from None

    def reset(self, kind: ResetKind = "full") -> Status:
        """Put the robot ("body"), its surroundings ("world"), the network ("brain") or all of it back to the start.

        It is paused then. A full reset also resets clock, limit and recording.
        """
        return loaded(Status, self._door.post(*self._path, "reset", body={"what": kind}, patience_s=PATIENCE_S))

    def extend(self, seconds: float) -> Limit:
        """Move the limit further away, in seconds of the kind that it has; the limit as it is then."""
        return self._limited({"extend_s": seconds})

    def set_limit(self, *, simulated_s: float | None = None, real_s: float | None = None) -> Limit:
        """End it at this simulated time, or after so much wall-clock time of running; give one of the two."""
        given = {"simulated_s": simulated_s, "real_s": real_s}
        return self._limited({name: value for name, value in given.items() if value is not None})

    def cancel(self) -> Status:
        """Give up the step in progress and stop: for one that takes too long."""
        self._door.post(*self._path, "cancel")
        return self._watched(_ENDED, PATIENCE_S)

    # --- parameters -----------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Any]:
        """The table [parameters] of the experiment, as transfer functions see it now."""
        return dict(self._door.get(*self._path, "parameters"))

    def set_parameters(self, **parameters: Any) -> dict[str, Any]:
        """Change some of them from the next step on; all of them as they are then."""
        return dict(self._door.patch(*self._path, "parameters", body=parameters))

    # --- listening ------------------------------------------------------------------------------------------

    def stream(self, topic: str, *, hz: float = 0.0) -> Iterator[Sample]:
        """The samples of a stream as they come, `hz` a second at most (0: every one), until the simulation ends.

            for sample in sim.stream("body/joints", hz=20):
                print(sample.t_s, sample["position"])

        Topics are those of the bus, and brain/raster. Whoever reads too slowly loses the oldest ones.
        """
        return iter(self._live.feed(topic, Wish(hz=hz)))

    def latest(self, topic: str, *, timeout_s: float = 2.0) -> Sample | None:
        """The newest sample of a stream; None when there has been none within the time, because it is paused."""
        return self._live.newest(topic, timeout_s)

    def on_status(self, callback: Callable[[Status], object]) -> Callable[[], None]:
        """Call it, in a thread of its own, at every change and once a second, and a last time when it has ended.

        Call the result to take it back.
        """
        return self._live.on_status(callback)

    def on_message(self, callback: Callable[[Message], object]) -> Callable[[], None]:
        """Call it with every log line, warning and error, those so far included. Call the result to take it back."""
        return self._live.on_sample("engine/log", lambda sample: callback(_message(sample)))

    @property
    def missed(self) -> Mapping[str, int]:
        """Frames by topic that never reached this script since it began to listen."""
        return dict(self._live.missed)

    @cached_property
    def _live(self) -> Live:
        return Live(self._door.url, self._door.token, self.id, self._door.tls)

    # --- what was recorded ------------------------------------------------------------------------------------

    def csv(self, stream: str, *, since_s: float = 0.0) -> dict[str, Array]:
        """What is recorded of a stream of this run, by column; `tables.structured` makes one array of it.

        joints = sim.csv("body/joints")
        plt.plot(joints["t_s"], joints["position_elbow_rad"])
        """
        status, deadline = self.status, time.monotonic() + _WRITTEN_WITHIN_S
        if status.state == "paused":
            time.sleep(max(0.0, self._moved_at + _WRITES_EVERY_S - time.monotonic()))
        while True:
            raw, _ = self._door.read(
                *self._path, "data.csv", stream=stream, since_s=max(since_s, 0.0), patience_s=PATIENCE_S
            )
            found = tables.columns(raw.decode("utf-8"))
            steps = found.get("step", np.empty(0))
            behind = len(steps) > 0 and steps[-1] < status.step - 1
            if status.state != "paused" or not behind or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def runs(self) -> tuple[Recording, ...]:
        """The recordings of this experiment, newest first."""
        return self.recordings.list()

    @property
    def recording(self) -> Recording | None:
        """That of the present run, with its files; None where nothing is recorded."""
        status = self.status
        return self.recordings[status.recording] if status.recording else None

    @cached_property
    def recordings(self) -> Recordings:
        """The recordings of this experiment."""
        return Recordings(self._door, self.status.experiment)

    def history(self) -> Any:
        """Log messages and edits so far."""
        return self._door.get(*self._path, "history")

    def log(self, service: str) -> str:
        """The last lines of a service's own log: brain, body, engine, recorder."""
        return self._door.read(*self._path, "log", service)[0].decode("utf-8", "replace")

    # --- within -----------------------------------------------------------------------------------------------

    def built(self, patience_s: float) -> None:
        """Wait until it is built. Raises Failed with the reason, Late when it takes longer."""
        try:
            self._watched(_Aim(lambda status: status.state not in ("created", "initialised")), patience_s)
        except Failed:
            self._left()
            raise

    def _order(self, state: str) -> Status:
        wish = {"state": state}
        status = self._asked(lambda: self._door.put(*self._path, "state", body=wish, patience_s=PATIENCE_S))
        self._moved_at = time.monotonic()
        return status

    def _asked(self, ask: Callable[[], Any]) -> Status:
        """The status that the server answers; where it cannot because the simulation has failed, that is the error."""
        try:
            return loaded(Status, ask())
        except Conflict:
            _check(self.status)
            raise

    def _limited(self, body: Mapping[str, float]) -> Limit:
        return loaded(Limit, self._door.put(*self._path, "limit", body=dict(body), patience_s=PATIENCE_S))

    def _stepped(self, steps: int, timeout_s: float | None) -> Status:
        """So many steps; the server answers before their end where that takes long."""
        body = {"steps": steps}
        status = self._asked(lambda: self._door.post(*self._path, "step", body=body, patience_s=PATIENCE_S))
        if status.state == "started":
            status = self._watched(_Aim(lambda found: found.state != "started"), timeout_s)
        _check(status)
        self._moved_at = time.monotonic()
        return status

    def _left(self) -> None:
        """Wait until the processes of what has ended are gone, so that its place and its files are free."""
        deadline = time.monotonic() + _LEAVES_WITHIN_S
        while time.monotonic() < deadline:
            running = [found for found in self._door.get("simulations") if found["state"] not in ENDED]
            if sum(server["busy"] for server in self._door.get("servers")) <= len(running):
                return
            time.sleep(0.05)

    def _watched(self, aim: "_Aim", timeout_s: float | None) -> Status:
        began, pause_s = time.monotonic(), 0.02
        while True:
            status = self.status
            if not aim.may_fail:
                _check(status)
            if aim.met(status) or status.ended:
                return status
            if timeout_s is not None and time.monotonic() - began > timeout_s:
                raise Late(f"{self.id} is {status.state} at {status.t_s:g} s after {timeout_s:g} s of waiting")
            time.sleep(pause_s)
            pause_s = min(1.5 * pause_s, _LOOK_S)


@dataclass(frozen=True, slots=True)
class _Aim:
    """What is waited for."""

    met: Callable[[Status], bool]
    may_fail: bool = False

    @classmethod
    def of(cls, until: float | Callable[[Status], bool] | None) -> "_Aim":
        if until is None:
            return cls(lambda status: status.ended)
        if callable(until):
            return cls(until)
        moment = float(until)
        return cls(lambda status: status.t_s >= moment - 1e-9)


_ENDED = _Aim(lambda status: status.ended, may_fail=True)


def _check(status: Status) -> None:
    if status.state in ("halted", "failed"):
        raise failure(status.problem, status.text or "")


def _message(sample: Sample) -> Message:
    assert isinstance(sample.frame, Message)
    return sample.frame
