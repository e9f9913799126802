"""Drives the barrier over the step wire: deadlines, pacing, publishing. Blocking, in one thread.

What happens next is always the barrier's decision; here it is only carried out.
"""

import gc
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reafference import codec, plain
from reafference.clock import NS_PER_MS, Deadline
from reafference.config import Addresses
from reafference.errors import (
    BadExperiment,
    NotAllowed,
    OutOfOrder,
    PeerLost,
    ReafferenceError,
    TransferFailed,
    UnknownKind,
    WrongVersion,
    from_code,
)
from reafference.frames import (
    ENGINE_READINGS,
    PROTOCOL,
    Bye,
    Clock,
    Edit,
    Edited,
    ErrorFrame,
    Frame,
    FunctionsNote,
    Gone,
    Halt,
    Halted,
    Hello,
    Message,
    Order,
    Outcome,
    Packed,
    Ports,
    PortsNote,
    Prepare,
    Progress,
    Ready,
    Recorded,
    Role,
    RunStop,
    State,
    StateNote,
    StepDone,
    StepGrant,
    Stream,
    Values,
    Welcome,
)
from reafference.process import Leave
from reafference.pulse import PulseHost
from reafference.sockets import BusOut, Sender, StepHost, TapOut, Waiting, Wires
from reafference.topics import parsed

from . import barrier as b
from . import documents, edits, steering
from .dialects import Written, owner_of_device
from .dialects import load as load_functions
from .edits import FUNCTIONS, SCHEDULE, Edits, Wish
from .experiment import PARTICIPANTS, Experiment, Planned
from .limit import Stopwatch
from .measures import Measures
from .pace import Pace
from .profile import Profile, Row
from .publisher import Publisher
from .stage import Need
from .steering import Lasting, Now, Steered
from .transfer import Transfer
from .vigil import Vigil

_JOIN_S = 60.0
_HALT_S = 30.0
_HALT_AFTER_FAULT_S = 1.0
_RECORDER_HALT_AFTER_FAULT_S = 2.0
_BYE_S = 0.2
_SECOND_LOOK_S = 0.05
_STATE_EVERY_NS = 50 * NS_PER_MS
_TURN_MS = 250
_SETTLE_MS = 1
_FOR_EVER = 0.0
MOST_STEPS = 2**40
_FIRST_WITH_EDITS = (1, 1)
_FIRST_WITH_INFO = (1, 2)


class Loop:
    """One run of one experiment, from the lobby to the last document; after a full reset another one."""

    def __init__(
        self,
        wires: Wires,
        addresses: Addresses,
        experiment: Experiment,
        functions: Written,
        folder: Path,
        leave: Leave,
        log: Any,
        *,
        autostart: bool = True,
        doors: Addresses | None = None,
    ) -> None:
        self._experiment, self._script, self._addresses = experiment, functions, addresses
        self._doors = doors
        self._folder = self._first_folder = folder
        self._leave, self._log = leave, log
        record = experiment.document.record
        self._sender = Sender("engine", documents.new_run_id())
        self._host = StepHost(wires, addresses.step, self._sender, doors.step if doors else "")
        beside = (doors.pulse_beat, doors.pulse_echo) if doors else ("", "")
        pulse = PulseHost(wires, addresses.pulse_beat, addresses.pulse_echo, self._sender, beside)
        self._vigil = Vigil(pulse)
        tap = TapOut(wires, addresses.tap) if record.enabled else None
        self._publisher = Publisher(self._sender, BusOut(wires, addresses.bus_in), tap)
        self._waiting = Waiting(self._host, pulse)
        roster: dict[str, Role] = dict.fromkeys(experiment.participants, "participant")
        self._barrier = b.open_lobby(
            roster | ({documents.RECORDER: "witness"} if record.enabled else {}),
            steps=experiment.limit.last,
            every={name: experiment.every(name) for name in experiment.participants},
            window=record.window_steps if record.enabled else 0,
            autostart=autostart,
        )
        self._operators: dict[str, Role] = {}
        self._versions: dict[str, tuple[int, int]] = {}
        self._schedule: dict[int, list[Planned]] = {}
        for planned in experiment.document.schedule:
            self._schedule.setdefault(experiment.border(planned), []).append(planned)
        self._lasting = Lasting(experiment.limit)
        self._stop_asked = self._over = self._seen_late = False
        self._deadline = Deadline.after_s(_JOIN_S)
        self._begin_run()
        self._allow(_JOIN_S)

    def _begin_run(self) -> None:
        """Everything that belongs to one run only."""
        self._ports: dict[str, Ports] = {}
        self._halted: dict[str, Halted] = {}
        self._early: dict[str, StepDone] = {}
        self._messages: list[Message] = []
        self._transfer: Transfer | None = None
        self._measures: Measures | None = None
        self._want: dict[str, tuple[str, ...]] = {}
        self._edits = Edits()
        self._needs: deque[tuple[Need, Wish | None]] = deque()
        self._needs_asked: deque[tuple[Need, Wish | None]] = deque()
        self.profile = Profile()
        self._row: Row | None = None
        self._owed: list[Clock | Packed | Row | Values | Message] = []
        self._told: list[Values | Message] = []
        self._limit = self._lasting.limit
        self._running = Stopwatch()
        self._row_began_ns = self._granted_ns = self._short_since_ns = self._committed = 0
        pace = self._experiment.general.pace
        self._pace = Pace(int(self._experiment.dt_ns / pace) if pace else 0)
        self._next_state_ns = 0
        self._opened = False
        self._stop: RunStop | None = None

    @property
    def folder(self) -> Path:
        """The folder of the run that is going on, or was the last one."""
        return self._folder

    def run(self) -> RunStop:
        """Run until everything has stopped; the last document of the last run."""
        while not self._over:
            self._wait()
            self._follow(self._arriving())
            if not self._over:
                self._follow(self._by_the_clock())
        assert self._stop is not None
        return self._stop

    @property
    def exit_status(self) -> int:
        if self._barrier.error is not None:
            return self._barrier.error.exit_status
        return self._stop.exit_status if self._stop else 0

    def _follow(self, events: Iterable[b.Event]) -> None:
        """Apply each event as it comes, and those that follow from it in order."""
        for event in events:
            queue = deque((event,))
            while queue and not self._over:
                queue.extend(self._apply(queue.popleft()))

    def _wait(self) -> None:
        # After a grant the simulators need the cores: what we still have to say about the last step can wait.
        if self._owed:
            if self._waiting.until(_SETTLE_MS):
                return
            self._catch_up()
        ends = [self._vigil.due_ms(), _TURN_MS]
        if self._limit_s != _FOR_EVER:
            ends.append(self._deadline.left_ms())
        if self._pace.holding:
            ends.append(max(0, (self._pace.until_ns - time.perf_counter_ns()) // NS_PER_MS))
        self._waiting.until(min(ends))

    def _apply(self, event: b.Event) -> list[b.Event]:
        """Let the barrier decide and do what it says; the events that follow from that."""
        try:
            self._barrier, actions = b.react(self._barrier, event)
        except OutOfOrder as error:
            self._log.warning("out of order", text=error.text)
            self._send(getattr(event, "name", ""), ErrorFrame(code=error.code, text=error.text))
            return []
        follow: list[b.Event] = []
        for action in actions:
            try:
                follow += self._act(action)
            except ReafferenceError as error:
                follow.append(b.Failed("engine", error))
        if isinstance(event, b.Ordered):
            self._tell(self._barrier.state)
        if isinstance(event, b.Coupled) and self._barrier.short_of_credit():
            self._short_since_ns = time.perf_counter_ns()
            self._catch_up()  # the recorder gives no credit for a step whose mark it has not seen
        return follow

    def _act(self, action: b.Action) -> list[b.Event]:
        match action:
            case b.SendPrepare(names):
                self._send_prepare(names)
            case b.Couple(step):
                return self._couple(step)
            case b.Commit(step):
                self._commit(step)
            case b.Grant(step, names):
                self._grant(step, names)
            case b.SendEdit(name):
                return self._send_edit(name)
            case b.SendHalt(step, names):
                self._send_halt(step, names)
            case b.Restart():
                return self._restart()
            case b.Tell(state):
                self._tell(state)
            case b.Conclude():
                self._conclude(action)
            case b.Finish():
                self._finish()
        return []

    # --- what arrives --------------------------------------------------------------------------------

    def _arriving(self) -> Iterator[b.Event]:
        ends: list[tuple[str, Gone]] = []
        for name, parts in self._host.receive():
            try:
                frame = codec.decode(parts).frame
            except ReafferenceError as error:
                self._refuse(name, error)
                continue
            if isinstance(frame, Gone):
                ends.append((name, frame))
            else:
                yield from self._acted_on(name, frame)
        # What a service said before its end was sent before the launcher told of that, and need not be read before it.
        for name, gone in ends:
            yield from self._acted_on(name, gone)

    def _acted_on(self, name: str, frame: Frame) -> Iterator[b.Event]:
        try:
            yield from self._event_of(name, frame)
        except ReafferenceError as error:
            self._refuse(name, error)

    def _refuse(self, name: str, error: ReafferenceError) -> None:
        self._log.warning("refused", peer=name, code=error.code, text=error.text)
        self._send(name, ErrorFrame(code=error.code, text=error.text, detail=error.detail))

    def _event_of(self, name: str, frame: Frame) -> Iterator[b.Event]:
        match frame:
            case Hello():
                yield from self._welcome(name, frame)
            case StepDone():
                self._check_role(name, "participant")
                self._take(name, frame)
                yield b.Answered(name, frame.step)
            case Recorded():
                self._check_role(name, "witness")
                yield b.Credited(frame.step)
            case Progress():
                self._check_role(name, "participant", "witness")
                self._to_operators(frame)
            case Ready():
                self._check_role(name, "participant", "witness")
                self._ports[name] = frame.ports
                yield b.Built(name)
            case Halted():
                self._check_role(name, "participant", "witness")
                self._halted[name] = frame
                yield b.HasHalted(name)
            case Order():
                self._check_operator(name)
                self._log.info("order", what=frame.what, scope=frame.scope, by=name, reason=frame.reason)
                yield from self._ordered(name, frame)
            case Edit():
                self._check_operator(name)
                yield from self._wished(name, frame)
            case Edited():
                self._check_role(name, "participant")
                yield from self._edited(name, frame)
            case Gone():
                self._check_operator(name)
                self._vigil.told(frame.name)
                self._log.warning("service gone", peer=frame.name, how=frame.how)
                # What the service itself said of its end is more than that it has ended.
                error = from_code(frame.code, frame.how)
                yield b.Failed(frame.name, error) if frame.code else b.Lost(frame.name, frame.how)
            case ErrorFrame() if "edit" in frame.detail:
                yield from self._refused(name, frame)
            case ErrorFrame():
                self._log.warning("error frame", peer=name, code=frame.code, text=frame.text)
                text = frame.text + owner_of_device(self._script, str(frame.detail.get("key", "")))
                yield b.Failed(name, from_code(frame.code, text, frame.detail))
            case Bye():
                self._operators.pop(name, None)
            case _:
                raise UnknownKind(f"the engine cannot act on a {frame.kind!r} frame")

    def _welcome(self, name: str, hello: Hello) -> Iterator[b.Event]:
        if hello.name != name:
            raise NotAllowed(f"{hello.name!r} cannot speak on the connection of {name!r}")
        if not hello.lowest <= PROTOCOL or hello.highest[0] < PROTOCOL[0]:
            raise WrongVersion(
                f"{name} speaks protocols {hello.lowest} to {hello.highest}, the engine speaks {PROTOCOL}: "
                "upgrade the older of the two"
            )
        member = self._barrier.members.get(name)
        if member is None and hello.role in ("participant", "witness"):
            raise NotAllowed(f"this experiment has no place for a {hello.role} called {name!r}")
        if member is not None and (self._barrier.state != "lobby" or member.arrived):
            raise OutOfOrder(f"a run is going on: {name} can join the next one")
        self._versions[name] = min(hello.highest, PROTOCOL)
        self._send(name, self._welcome_frame(name, with_pulse=member is not None))
        if member is None:
            self._operators[name] = hello.role
            self._send(name, self._state_note())
        else:
            self._vigil.watch(name, hello.ranks, job=name == "brain" and self._experiment.ranks > 1)
            yield b.Arrived(name)

    def _welcome_frame(self, name: str, *, with_pulse: bool) -> Welcome:
        record = self._experiment.document.record
        where = self._doors if self._doors and self._host.by_door(name) else self._addresses
        return Welcome(
            run=self._sender.run,
            version=self._versions[name],
            bus=where.bus_in,
            tap=where.tap if record.enabled else "",
            pulse_beat=where.pulse_beat if with_pulse else "",
            pulse_echo=where.pulse_echo if with_pulse else "",
            tap_window_steps=record.window_steps,
            run_folder=str(self._folder),
        )

    def _check_operator(self, name: str) -> None:
        if name not in self._operators:
            raise NotAllowed(f"{name} is not an operator of this run")

    def _check_role(self, name: str, *roles: Role) -> None:
        member = self._barrier.members.get(name)
        if member is None or member.role not in roles:
            raise NotAllowed(f"{name} is not a {' or '.join(roles)} of this run")

    def _take(self, name: str, done: StepDone) -> None:
        """Note when an answer came; keep what rode in it until the participant's own step has ended."""
        if self._row is not None:
            self._row.wait = time.perf_counter_ns() - self._granted_ns
            self._row.take(name, done.timing)
        if done.step + self._barrier.members[name].every - 1 <= self._barrier.step:
            self._merge(name, done)
        else:
            # A slow participant may answer early: what others see must not depend on how early.
            self._early[name] = done

    def _merge(self, name: str, done: StepDone) -> None:
        """What rode in an answer becomes what the transfer functions read."""
        if self._transfer is None:
            return
        for packed in done.outputs:
            stream = parsed(packed.topic).stream
            frame = codec.decode(packed.parts()).frame
            assert isinstance(frame, Stream)
            for array, value in frame.arrays.items():
                self._transfer.take(name, f"{stream}.{array}", value)
        for stream, seq in done.seqs.items():
            self._publisher.seqs[f"{name}/{stream}"] = seq

    def _by_the_clock(self) -> Iterator[b.Event]:
        for silence in self._vigil.turn():
            yield b.Lost(silence.name, silence.how)
        if self._leave.asked and not self._stop_asked:
            self._stop_asked = True
            yield b.Ordered("stop")
        now = time.perf_counter_ns()
        if self._pace.due(now) and self._row is not None:
            self._row.pace_wait = self._pace.release(now)
            yield from self._timed_out(now)
            yield b.Coupled()
        if self._limit_s != _FOR_EVER and self._deadline.passed() and not self._pace.holding:
            if not self._seen_late:
                # If we ourselves could not run for a while, the answer may be here and not yet read.
                self._seen_late = True
                self._deadline = Deadline.after_s(_SECOND_LOOK_S)
                return
            limit = self._limit_s
            self._allow(_FOR_EVER)
            yield b.Overdue(limit)

    # --- what has to be done ------------------------------------------------------------------------

    def _send_prepare(self, names: tuple[str, ...]) -> None:
        plans = documents.plans(self._experiment, self._sender.run, self._script.devices())
        plans[documents.RECORDER] = documents.recorder_plan(self._experiment, self._sender.run, self._folder)
        self._allow(self._experiment.general.prepare_timeout_s)
        self._request({name: Prepare(plan=plans[name]) for name in names})

    def _couple(self, step: int) -> list[b.Event]:
        """Run the transfer functions on what is known at the end of `step` steps."""
        repeated: list[Message] = []
        if self._transfer is None:
            self._transfer, repeated = self._resolve()
            self._needs += ((need, None) for need in self._transfer.needs())
        began = time.perf_counter_ns()
        messages = self._transfer.evaluate(step * self._experiment.dt_ns, step)
        ended = time.perf_counter_ns()
        if self._row is not None:
            self._row.transfer = ended - began
        self._told += self._transfer.said()
        if self._transfer.numbers:
            t_ns = step * self._experiment.dt_ns
            self._told.append(Values(step=step - 1, t_ns=t_ns, values=self._transfer.numbers))
        if not self._opened:
            # Only now is it sure that the experiment can be run: shapes were checked on resting values.
            self._open_run()
        elif messages:
            self._tell_functions(step)
        for message in (*repeated, *messages):
            self._warn(message)
        if messages and self._experiment.general.on_error == "halt":
            return [b.Failed("engine", self._halting(messages[0], step))]
        planned = [self._planned(entry) for entry in self._schedule.get(step, ())]
        planned += self._ask_for_needs()
        if self._transfer.shall_pause:
            planned.append(b.Ordered("step"))
        if step and self._pace.hold(ended):
            return planned
        return [*planned, *self._timed_out(ended), b.Coupled()]

    def _timed_out(self, now_ns: int) -> list[b.Event]:
        """What follows if the run has been running for as long as it may."""
        over = self._limit.real_ns and self._running.spent_ns(now_ns) >= self._limit.real_ns
        return [b.TimedOut()] if over and self._barrier.state == "running" else []

    def _halting(self, message: Message, step: int) -> TransferFailed:
        text = message.text.rsplit(";", 1)[0]
        where = f"after step {step - 1}" if step else "before step 0"
        return TransferFailed(
            f"{text} ({message.file}, line {message.line}: {message.line_text}); halted {where}, "
            'as on_error = "halt" asks for'
        )

    def _resolve(self) -> tuple[Transfer, list[Message]]:
        """All ports are known: find what transfer functions and measures name. After a reset the functions are changed
        as people have changed them before; what is wrong with them then is told too."""
        simulators = self._simulators()
        transfer = Transfer(
            self._script,
            simulators,
            self._experiment.document.parameters,
            timeout_s=self._experiment.general.transfer_timeout_s,
        )
        repeated = transfer.flaws() + self._lasting.repeat(transfer, Now(step=0, real_ns=0))
        self._measures = Measures(self._experiment.document.measures, simulators)
        self._ask_for(transfer, self._measures)
        return transfer, repeated

    def _simulators(self) -> dict[str, Ports]:
        return {name: self._ports[name] for name in self._experiment.participants}

    def _ask_for(self, transfer: Transfer, measures: Measures) -> None:
        """Let what somebody reads ride in the answers."""
        for name in self._experiment.participants:
            self._want[name] = tuple(sorted({*transfer.want(name), *measures.want(name)}))

    def _open_run(self) -> None:
        simulators = self._simulators()
        assert self._transfer is not None
        start = documents.start_document(
            self._experiment,
            self._sender.run,
            simulators,
            steps=self._limit.steps,
            parameters=self._transfer.parameters.now(),
        )
        self._publisher.publish("start", start, "run")
        self._opened = True
        self._script.open(self._folder)
        self._tell_functions(0)
        for name, ports in simulators.items():
            for text in ports.facts.get("warnings", ()):
                self._warn(Message(severity="warning", source=name, type="loading", text=text))
        for text in self._experiment.never_made():
            self._warn(Message(severity="warning", source=SCHEDULE, type="loading", text=text))
        for text in self._experiment.never_run():
            self._warn(Message(severity="warning", source=b.ENGINE, type="loading", text=text))
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def _commit(self, step: int) -> None:
        assert self._row is not None
        assert self._transfer is not None
        assert self._measures is not None
        began = time.perf_counter_ns()
        for name in sorted(self._early):
            if self._early[name].step + self._barrier.members[name].every - 1 <= step:
                self._merge(name, self._early.pop(name))
        t_ns = (step + 1) * self._experiment.dt_ns
        self._measures.take(self._transfer.values, t_ns)
        seqs = {topic: seq for topic, seq in self._publisher.seqs.items() if topic != "engine/clock"}
        self._owed.append(Clock(step=step, t_ns=t_ns, seqs=seqs))
        self._committed = step + 1
        self._row.commit = time.perf_counter_ns() - began

    def _grant(self, step: int, names: tuple[str, ...]) -> None:
        assert self._transfer is not None
        behind = len(self._owed) > 1
        began = time.perf_counter_ns()
        self._owed += self._close_row(began)
        self._row, self._row_began_ns = Row(step), began
        t_ns = step * self._experiment.dt_ns
        for name in names:
            inputs = Stream(step=step, t_ns=t_ns, arrays=self._transfer.inputs[name])
            packed = self._publisher.sign(f"inputs/{name}", inputs)
            dt_ns = self._experiment.dt_ns * self._barrier.members[name].every
            grant = StepGrant(step=step, t_ns=t_ns, dt_ns=dt_ns, want=self._want[name], inputs=(packed,))
            self._request({name: grant})
            self._owed.append(packed)
        self._owed += self._told
        self._told = []
        self._granted_ns = time.perf_counter_ns()
        self._row.send = self._granted_ns - began
        self._allow(self._experiment.general.step_timeout_s)
        if behind:
            self._catch_up()

    def _close_row(self, now_ns: int) -> list[Row]:
        """The row of the step before, which lasted until now; none if there was no step."""
        row, self._row = self._row, None
        since_ns, self._short_since_ns = self._short_since_ns, 0
        if row is None:
            return []
        row.cle_step = now_ns - self._row_began_ns
        row.credit_wait = now_ns - since_ns if since_ns else 0
        return [row]

    def _publish_row(self, row: Row) -> None:
        t_ns = (row.step + 1) * self._experiment.dt_ns
        parts = self.profile.add(row)
        self._publisher.publish("profile", Stream(step=row.step, t_ns=t_ns, arrays={"parts": parts}))

    def _send_halt(self, step: int, names: tuple[str, ...]) -> None:
        self._request({name: Halt(step=step, begun=self._opened) for name in names})
        fault = self._barrier.error is not None
        if names == (documents.RECORDER,):
            self._allow(_RECORDER_HALT_AFTER_FAULT_S if fault else _HALT_S)
        else:
            self._allow(_HALT_AFTER_FAULT_S if fault else self._experiment.general.step_timeout_s)

    def _conclude(self, end: b.Conclude) -> None:
        if self._transfer is not None and self._opened:
            self._told += self._transfer.said(all_of_it=True)
            self._catch_up()
        self._stop = documents.stop_document(
            self._experiment,
            self.profile,
            self._halted,
            outcome="reset" if end.resetting else self._outcome(),
            cancelled=end.cancelled,
            error=end.error,
            culprit=end.culprit,
            seqs=self._publisher.seqs,
            measures=self._measures.results() if self._measures else {},
            facts={
                **documents.counts(self._ports),
                "switched_off": self._transfer.switched_off() if self._transfer else [],
                "overruns": self._pace.overruns,
            },
            messages=self._messages,
        )
        if self._transfer is not None:
            self._transfer.close()
        self._script.close()
        if self._opened:
            self._publisher.publish("stop", self._stop, "run")
        self._to_operators(self._stop)

    def _outcome(self) -> Outcome:
        """How the run ends, if nothing is wrong and no other one follows."""
        early = self._barrier.ending and not self._barrier.timed_out and len(self.profile) < self._barrier.steps
        return "stopped" if early else "finished"

    def _restart(self) -> list[b.Event]:
        """Begin another run of the same experiment: all is as at the start, but everybody is here."""
        self._write_profile()
        documents.remove_if_unused(self._folder)
        self._folder = documents.make_next_run_folder(self._first_folder)
        self._sender.run = documents.new_run_id()
        self._publisher.begin()
        self._begin_run()
        # Loaded again, for there may be variables in the file.
        self._script = load_functions(self._experiment, self._script)
        self._log.info("reset", run=self._sender.run, folder=str(self._folder))
        for name in tuple(self._operators):
            self._send(name, self._welcome_frame(name, with_pulse=False))
        return [b.Limited(self._limit.last)]

    def _write_profile(self) -> None:
        if not len(self.profile):
            return
        try:
            self.profile.write_csv(self._folder / "profile.csv", self._experiment.dt_ns)
        except OSError as error:
            self._log.warning("profile not written", text=str(error))

    def _finish(self) -> None:
        assert self._stop is not None
        late = self._barrier.error
        if late is not None and late.code != self._stop.code:
            # It came after the last document: the recorder could not close its file, for instance.
            self._to_operators(ErrorFrame(step=self._stop.step, code=late.code, text=late.text))
            self._log.error("fault after the end", code=late.code, text=late.text)
        for name in (*self._barrier.members, *self._operators):
            self._send(name, Bye())
        self._over = True
        self._await_byes()
        self._write_profile()

    def _await_byes(self) -> None:
        """Let members answer before the sockets close: a message that nobody takes would hold them up."""
        left = {name for name, member in self._barrier.members.items() if member.arrived}
        deadline = Deadline.after_s(_BYE_S)
        while left and not deadline.passed():
            self._waiting.until(deadline.left_ms())
            for name, parts in self._host.receive():
                if parts and parts[0] == Bye.kind.encode():
                    left.discard(name)

    # --- edits --------------------------------------------------------------------------------------

    def _ordered(self, by: str, order: Order) -> Iterator[b.Event]:
        if order.what == "tell":
            self._tell_again(by)
        elif order.what == "reset" and order.scope in PARTICIPANTS:
            yield from self._wished(by, Edit(id=0, to=order.scope, what="reset"))
            self._send(by, self._state_note())
        else:
            yield b.Ordered(order.what, by, _steps_of(order))

    def _tell_again(self, by: str) -> None:
        """Show an operator who comes late what the bus has told; to the bus, and to the recorder, it is told once."""
        note = self._state_note()
        try:
            for packed in self._publisher.told():
                self._host.send_packed(by, packed)
            self._host.send(by, replace(note, facts={**note.facts, "told": True}))
        except PeerLost as error:
            self._log.info("not delivered", peer=by, kind="tell", text=error.text)

    def _wished(self, by: str, edit: Edit) -> Iterator[b.Event]:
        """An operator wants an edit: it waits for its turn, or cannot be."""
        try:
            self._check_target(edit.to)
            self._check_time(edit.to)
        except ReafferenceError as error:
            self._reject(Wish(by, edit), error)
            return
        self._log.info("edit", to=edit.to, what=edit.what, by=by)
        self._edits.add(Wish(by, edit))
        yield b.Wanted(edit.to)

    def _planned(self, planned: Planned) -> b.Event:
        """An edit of the experiment file whose time has come."""
        self._check_target(planned.to)
        edit = Edit(id=0, to=planned.to, what=planned.what, arguments=planned.arguments, timeout_s=planned.timeout_s)
        self._edits.add(Wish(SCHEDULE, edit))
        return b.Wanted(planned.to)

    def _check_target(self, to: str) -> None:
        if to == b.ENGINE:
            return
        participants = self._experiment.participants
        if to not in participants:
            names = (*participants, b.ENGINE)
            known = " or ".join(map(repr, names))
            raise BadExperiment(f"there is no participant {to!r} to edit: name {known}{plain.nearest(to, names)}")
        version = self._versions[to]
        if version < _FIRST_WITH_EDITS:
            spoken = ".".join(map(str, version))
            raise WrongVersion(f"the {to} speaks protocol {spoken}, which has no edits: upgrade it")

    def _check_time(self, to: str) -> None:
        state = self._barrier.state
        if state not in ("ready", "running", "paused"):
            raise OutOfOrder(f"nothing can be edited while the run is in the state {state!r}")
        if state != "running" and not self._barrier.at_border(to):
            raise OutOfOrder(
                f"the run is paused in the middle of a step of the {to}: resume it, and ask for the edit while it runs"
            )

    def _send_edit(self, name: str) -> list[b.Event]:
        self._end_of_steps()
        edit = self._edits.begin()
        if name == b.ENGINE:
            return self._steer(edit)
        self._allow(edits.limit_s(edit, self._experiment.general))
        self._request({name: edit})
        return []

    def _steer(self, edit: Edit) -> list[b.Event]:
        """Carry out an edit of the engine itself."""
        assert self._transfer is not None
        assert self._measures is not None
        now = Now(step=self._barrier.step, real_ns=self._running.spent_ns(time.perf_counter_ns()))
        try:
            steered = steering.carry_out(edit, self._transfer, self._limit, now)
        except ReafferenceError as error:
            detail = {**error.detail, "edit": edit.id}
            return list(self._refused(b.ENGINE, ErrorFrame(code=error.code, text=error.text, detail=detail)))
        wish, took_ns = self._edits.end()
        if wish.by != SCHEDULE:
            self._lasting.note(wish.edit, steered)
        self._take_steered(edit, steered)
        if edit.what not in ENGINE_READINGS:
            # The sources would stand there a second time.
            result = {name: value for name, value in steered.result.items() if name != "functions"}
            self._tell_change(wish, took_ns, result)
        self._needs += ((need, wish) for need in self._transfer.needs())
        asked = self._ask_for_needs()
        if not asked:
            # What cannot be asked for now comes when it can be; nobody waits for it.
            self._needs = deque((need, None) for need, _ in self._needs)
            self._send_to(wish, Edited(id=wish.edit.id, step=self._barrier.step, result=steered.result))
        self._allow_on()
        return [*([b.Limited(self._limit.last)] if steered.limit else []), *asked, b.Settled(b.ENGINE)]

    def _ask_for_needs(self) -> list[b.Event]:
        """Let what functions need be made, as far as it can be now."""
        wanted: list[b.Event] = []
        while self._needs and (self._barrier.state != "paused" or self._barrier.at_border(self._needs[0][0].to)):
            need, by = self._needs.popleft()
            self._edits.add(Wish(FUNCTIONS, Edit(id=0, to=need.to, what=need.what, arguments=need.arguments)))
            self._needs_asked.append((need, by))
            wanted.append(b.Wanted(need.to))
        return wanted

    def _need_answered(self, refusal: str = "") -> None:
        """An edit that a function needed was answered: who changed that function is told how it stands now."""
        assert self._transfer is not None
        need, by = self._needs_asked.popleft()
        if refusal:
            for message in self._transfer.refused(need, refusal):
                self._warn(message)
            self._tell_functions(self._barrier.step)
        if by is not None and all(other is not by for _, other in (*self._needs_asked, *self._needs)):
            self._tell_changed(by)

    def _tell_changed(self, wish: Wish) -> None:
        assert self._transfer is not None
        result = {"functions": self._transfer.described()}
        self._send_to(wish, Edited(id=wish.edit.id, step=self._barrier.step, result=result))

    def _take_steered(self, edit: Edit, steered: Steered) -> None:
        """Let it be so from now on, and say so."""
        assert self._transfer is not None
        assert self._measures is not None
        if steered.limit is not None:
            self._limit = steered.limit
        if "functions" in steered.result and edit.what not in ENGINE_READINGS:
            self._ask_for(self._transfer, self._measures)
            self._tell_functions(self._barrier.step)
        for message in steered.messages:
            self._warn(message)

    def _tell_functions(self, step: int) -> None:
        """Say what the functions are from this step on."""
        assert self._transfer is not None
        described = tuple(self._transfer.described())
        note = FunctionsNote(step=step, t_ns=step * self._experiment.dt_ns, functions=described)
        self._publisher.publish("functions", note)

    def _edited(self, name: str, frame: Edited) -> Iterator[b.Event]:
        if not self._edits.awaits(name, frame.id):
            return  # of a run that has ended meanwhile
        wish, took_ns = self._edits.end()
        failed = [] if frame.ports is None else self._take_ports(name, frame.ports)
        self._tell_change(wish, took_ns, frame.result)
        self._send_to(wish, replace(frame, id=wish.edit.id, step=self._barrier.step))
        if wish.by == FUNCTIONS:
            self._need_answered()
        self._allow_on()
        yield failed[0] if failed else b.Settled(name)

    def _refused(self, name: str, frame: ErrorFrame) -> Iterator[b.Event]:
        """Everything is as it was; an experiment whose own edit cannot be made is not the one that was meant."""
        if not self._edits.awaits(name, frame.detail["edit"]):
            return
        wish, took_ns = self._edits.end()
        self._tell_change(wish, took_ns, code=frame.code, text=frame.text)
        self._reject(wish, from_code(frame.code, frame.text, frame.detail))
        if wish.by == FUNCTIONS:
            self._need_answered(frame.text)
        self._allow_on()
        if wish.by == SCHEDULE:
            t_s = self._barrier.step * self._experiment.dt_ns / 1e9
            text = f"the edit {wish.edit.what!r} that is scheduled for {t_s:g} s was refused: {frame.text}"
            yield b.Failed("engine", from_code(frame.code, text, frame.detail))
        else:
            yield b.Settled(name)

    def _take_ports(self, name: str, ports: Ports) -> list[b.Event]:
        """From now on these are the ports of `name`; what follows if that breaks a transfer function."""
        assert self._transfer is not None
        assert self._measures is not None
        step, t_ns = self._barrier.step, self._barrier.step * self._experiment.dt_ns
        self._ports[name] = ports
        simulators = self._simulators()
        messages = self._transfer.rewire(name, simulators, step, t_ns)
        flaws = self._measures.rewire(simulators)
        self._ask_for(self._transfer, self._measures)
        note = PortsNote(step=step, t_ns=t_ns, ports=documents.all_ports(simulators))
        self._publisher.publish("ports", note, "run")
        self._tell_functions(step)
        for message in messages:
            self._warn(message)
        for text in flaws:
            self._warn(Message(step=step, t_ns=t_ns, severity="warning", source=name, type="loading", text=text))
        if messages and self._experiment.general.on_error == "halt":
            return [b.Failed("engine", self._halting(messages[0], step))]
        return []

    def _tell_change(
        self, wish: Wish, took_ns: int, result: Mapping[str, Any] | None = None, code: str = "", text: str = ""
    ) -> None:
        step = self._barrier.step
        note = edits.change(
            wish,
            step=step,
            t_ns=step * self._experiment.dt_ns,
            took_ns=took_ns,
            result=result,
            code=code,
            text=text,
        )
        self._publisher.publish("edits", note)

    def _reject(self, wish: Wish, error: ReafferenceError) -> None:
        self._log.warning("edit refused", to=wish.edit.to, what=wish.edit.what, by=wish.by, text=error.text)
        detail = {**error.detail, "edit": wish.edit.id}
        self._send_to(wish, ErrorFrame(step=self._barrier.step, code=error.code, text=error.text, detail=detail))

    def _reject_all(self) -> None:
        """The run ends: nobody shall wait for an edit any more."""
        cause = self._barrier.error
        for wish in self._edits.drop():
            why = f": {cause.text}" if cause else ""
            text = f"the run ended before the edit {wish.edit.what!r} was carried out{why}"
            self._reject(wish, from_code(cause.code if cause else OutOfOrder.code, text))
        # What they asked for has been done, though the function that came of it is not called any more.
        for waiting in {id(wish): wish for _, wish in (*self._needs_asked, *self._needs) if wish}.values():
            self._tell_changed(waiting)
        self._needs_asked.clear()
        self._needs.clear()

    def _send_to(self, wish: Wish, frame: Frame) -> None:
        if wish.by not in (SCHEDULE, FUNCTIONS):
            self._send(wish.by, frame)

    def _allow_on(self) -> None:
        """The edit is over: what holds in the present state holds again."""
        running = self._barrier.state == "running"
        self._allow(self._experiment.general.step_timeout_s if running else _FOR_EVER)

    # --- telling ------------------------------------------------------------------------------------

    def _allow(self, seconds: float) -> None:
        """From now on the present state may last this long."""
        self._limit_s, self._deadline = seconds, Deadline.after_s(seconds)
        self._seen_late = False

    def _request(self, frames: Mapping[str, Frame]) -> None:
        """Send what has to be answered, by name; who cannot be reached is lost, and may have said why."""
        for name, frame in frames.items():
            try:
                self._host.send(name, frame)
            except PeerLost as error:
                self._vigil.unreachable(name, error.text)

    def _send(self, name: str, frame: Frame) -> None:
        """To whom it may concern; a member who is gone is found by other means."""
        try:
            self._host.send(name, frame)
        except PeerLost as error:
            self._operators.pop(name, None)
            self._log.info("not delivered", peer=name, kind=frame.kind, text=error.text)

    def _to_operators(self, frame: Frame) -> None:
        for name in tuple(self._operators):
            self._send(name, frame)

    def _tell(self, state: State) -> None:
        self._running.run(self._barrier.state == "running", time.perf_counter_ns())
        if state in ("paused", "stopping", "fault"):
            self._end_of_steps()
        if state in ("stopping", "fault"):
            self._reject_all()
        note = self._state_note()
        self._to_operators(note)
        self._publisher.publish("state", note)
        self._next_state_ns = time.monotonic_ns() + _STATE_EVERY_NS
        if state in ("ready", "paused") and not self._barrier.editing:
            self._allow(_FOR_EVER)  # a person may take as long as they like
        if state != "running":
            self._log.info("state", state=state, step=self._barrier.step)

    def _catch_up(self) -> None:
        """Publish what was put off: commit marks, profile, copies of inputs; and say where the run stands."""
        owed = self._owed + self._told
        self._owed, self._told = [], []
        for item in owed:
            match item:
                case Clock():
                    self._publisher.publish("clock", item)
                case Row():
                    self._publish_row(item)
                case Values():
                    self._publisher.publish("values", item)
                case Message():
                    self._tell_message(item)
                case _:
                    self._publisher.copy(item)
        if self._barrier.state == "running" and time.monotonic_ns() >= self._next_state_ns:
            self._tell("running")

    def _end_of_steps(self) -> None:
        """No step follows at once: what has been measured of the last one is all of it."""
        if self._transfer is not None and self._opened:
            self._told += self._transfer.said(all_of_it=True)
        self._catch_up()
        self._pace.restart()
        for finished in self._close_row(time.perf_counter_ns()):
            if finished.step < self._committed:
                self._publish_row(finished)

    def _state_note(self) -> StateNote:
        real_ns = self._running.spent_ns(time.perf_counter_ns())
        return StateNote(
            step=self._barrier.step,
            t_ns=self._barrier.step * self._experiment.dt_ns,
            state=self._barrier.state,
            steps=self._limit.steps,
            text=self._barrier.error.text if self._barrier.error else "",
            cle_step_ns=self.profile.last_step_ns,
            mean_step_ns=self.profile.mean_step_ns(),
            recorded=self._barrier.recorded,
            facts={
                "experiment": self._experiment.general.name,
                "dt_ns": self._experiment.dt_ns,
                "real_ns": real_ns,
                "limit": self._limit.described(self._barrier.step, real_ns),
                "function_ns": self._transfer.spent_ns() if self._transfer else {},
                "spent_ns": self.profile.spent_ns(),
                **documents.counts(self._ports),
            },
        )

    def _warn(self, message: Message) -> None:
        """Say what is also told at the end of the run; what was said before it comes first."""
        if self._told:
            self._catch_up()
        self._messages.append(message)
        self._log.warning("message", text=message.text, function=message.function, line=message.line, step=message.step)
        self._tell_message(message)

    def _tell_message(self, message: Message) -> None:
        self._publisher.publish("log", message)
        for name in tuple(self._operators):
            if message.severity != "info" or self._versions[name] >= _FIRST_WITH_INFO:
                self._send(name, message)


def _steps_of(order: Order) -> int:
    """How many steps are ordered. Raises BadExperiment."""
    if order.what == "step" and not 1 <= order.steps <= MOST_STEPS:
        raise BadExperiment(f"step: expected 1 to {MOST_STEPS:,} steps, found {order.steps:,}")
    return order.steps
