"""services.engine.loop: whole runs over real wires, with toys for simulators."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from reafference import codec
from reafference.frames import (
    Bye,
    Clock,
    ErrorFrame,
    Gone,
    Hello,
    Message,
    RunStart,
    RunStop,
    Stream,
    Welcome,
)
from reafference.sockets import Sender, StepPeer, TapIn, Waiting, Wires
from services.recorder.reader import Run
from services.recorder.verify import verify
from tests.engine.operators import PATIENCE_S, Gate, Person, in_state
from tests.engine.simulators import Counter, Echo, House

# The engine uses the alarm clock that pytest-timeout would use too.
pytestmark = pytest.mark.timeout(120, method="thread")

ROOT = Path(__file__).parents[2]

LOOP = """
@transfer(writes="brain.drive")
def pulse(step):
    return 1.0 if step == 3 else 0.0

@transfer(reads="brain.sinks.drive", writes="body.excitation")
def forth(drive):
    return drive

@transfer(reads="body.joints.echo", writes="brain.back")
def back(echo):
    return echo
"""


def wait_for(true):
    until = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < until:
        time.sleep(0.01)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


# --- coupling -----------------------------------------------------------------------------------------------


def test_a_pulse_takes_exactly_one_step_in_each_direction(house):
    house.write(LOOP, steps=8)
    stop = house.run()
    brain, body = house.simulators["brain"], house.simulators["body"]
    assert brain.seen("drive") == {n: float(n == 3) for n in range(8)}
    assert body.seen("excitation") == {n: float(n == 4) for n in range(8)}
    assert brain.seen("back") == {n: float(n == 5) for n in range(8)}
    assert (stop.outcome, stop.steps, stop.exit_status, stop.t_ns) == ("finished", 8, 0, 160_000_000)
    assert house.ends == {"brain": "in order", "body": "in order"}


def test_the_functions_run_before_the_first_step_on_resting_values(house):
    house.write(
        """
        @transfer(reads="brain.sinks.count", writes="body.excitation")
        def f(count, t, step):
            return 100 * count + 10 * t + step
        """.replace("\n        ", "\n"),
        steps=3,
    )
    house.run()
    assert house.simulators["body"].seen("excitation") == pytest.approx({0: 0.0, 1: 101.2, 2: 202.4})


def test_simulators_see_integer_times_and_their_own_seeds(house):
    house.write(steps=3)
    house.run()
    for toy in house.simulators.values():
        assert [(s.number, s.t_ns, s.dt_ns) for s in toy.steps] == [
            (0, 0, 20_000_000),
            (1, 20_000_000, 20_000_000),
            (2, 40_000_000, 20_000_000),
        ]
    assert house.simulators["brain"].plan.seed != house.simulators["body"].plan.seed


def test_the_same_seed_gives_the_same_digest_and_another_one_another(house):
    house.write(LOOP, steps=6)
    first, second, other = house.run(), house.run(), house.run("seed=2")
    assert first.digest == second.digest != ""
    assert first.digests == second.digests
    assert other.digests["brain"] != first.digests["brain"]
    assert other.digest != first.digest


def test_a_slow_participant_makes_longer_and_fewer_steps(house):
    house.write(LOOP, steps=7, body="step_ms = 60")
    stop = house.run()
    assert stop.steps == 7
    assert [(s.number, s.t_ns, s.dt_ns) for s in house.simulators["body"].steps] == [
        (0, 0, 60_000_000),
        (3, 60_000_000, 60_000_000),
        (6, 120_000_000, 60_000_000),
    ]
    assert [s.number for s in house.simulators["brain"].steps] == list(range(7))
    assert house.ends == {"brain": "in order", "body": "in order"}


def test_participants_of_different_rates_meet_at_their_common_steps(house):
    house.write(steps=6, brain="step_ms = 40", body="step_ms = 60")
    stop = house.run()
    assert [s.number for s in house.simulators["brain"].steps] == [0, 2, 4]
    assert [s.number for s in house.simulators["body"].steps] == [0, 3]
    assert (stop.outcome, stop.steps) == ("finished", 6)


def test_one_participant_is_enough(house):
    house.write(steps=3, brain="step_ms = 60")
    (house.folder / "experiment.toml").write_text((house.folder / "experiment.toml").read_text().replace("[body]", ""))
    del house.simulators["body"]
    assert house.run().steps == 3


def test_measures_are_taken_at_the_end_of_steps(house):
    house.write("@transfer(writes='body.excitation')\ndef f(step): return float(step)", steps=5)
    text = '\n[measures]\nat = { reads = "body.echo", at_s = 0.06 }\nmost = { reads = "body.echo", over = "max" }\n'
    with (house.folder / "experiment.toml").open("a") as file:
        file.write(text)
    assert house.run().measures == {"at": 2.0, "most": 4.0}


# --- what is published ----------------------------------------------------------------------------------------


def test_the_tap_carries_everything_in_order_and_numbered(house):
    """The engine records; we are its recorder, but for the step wire."""
    house.write(LOOP, steps=4, record=True)
    frames, heard = [], threading.Event()

    def record():
        with Wires() as wires:
            tap = TapIn(wires, house.addresses.tap)
            peer = StepPeer(wires, house.addresses.step, Sender("recorder"))
            peer.send(Hello(name="recorder", role="witness"))
            answers = {"prepare": codec.KINDS["ready"](ports=Counter.ports), "bye": Bye()}
            waiting, ended = Waiting(tap, peer), False
            while not ended:
                assert waiting.until(PATIENCE_S * 1000)
                frames.extend(codec.decode(parts) for parts in tap.receive())
                for parts in peer.receive():
                    frame = codec.decode(parts).frame
                    if frame.kind == "halt":
                        while not any(isinstance(r.frame, RunStop) for r in frames):
                            waiting.until(100)
                            frames.extend(codec.decode(parts) for parts in tap.receive())
                        peer.send(codec.KINDS["halted"](step=frame.step))
                    elif frame.kind in answers:
                        peer.send(answers[frame.kind])
                    ended = frame.kind == "bye"
        heard.set()

    house.run(beside=[record])
    assert heard.wait(PATIENCE_S)
    seqs, names = {}, {}
    for received in frames:
        name = received.topic.decode().split("/", 1)[1]
        seqs.setdefault(name, []).append(received.envelope.seq)
        names.setdefault(name, []).append(received.frame)
    assert all(numbers == list(range(len(numbers))) for numbers in seqs.values())
    assert set(names) == {
        "run/start/",
        "run/stop/",
        "engine/clock/",
        "engine/state/",
        "engine/inputs/brain/",
        "engine/inputs/body/",
        "engine/profile/",
        "engine/functions/",
        "engine/values/",
        "brain/sinks/",
        "body/joints/",
    }
    (start,), (stop,) = names["run/start/"], names["run/stop/"]
    assert isinstance(start, RunStart)
    assert (start.experiment, start.steps, set(start.ports)) == ("toy", 4, {"brain", "body", "engine"})
    marks = names["engine/clock/"]
    assert [(mark.step, mark.t_ns) for mark in marks] == [(n, (n + 1) * 20_000_000) for n in range(4)]
    assert all(isinstance(mark, Clock) for mark in marks)
    assert marks[2].seqs["brain/sinks"] == 2
    assert marks[2].seqs["engine/inputs/body"] == 2
    assert "engine/clock" not in marks[2].seqs
    assert [len(names[f"{name}/"]) for name in ("brain/sinks", "body/joints", "engine/profile")] == [4, 4, 4]
    assert stop.seqs["engine/clock"] == 3
    inputs = names["engine/inputs/body/"]
    assert all(isinstance(frame, Stream) for frame in inputs)
    assert [(frame.step, frame.t_ns) for frame in inputs] == [(n, n * 20_000_000) for n in range(4)]


def test_a_run_with_its_recorder_leaves_a_recording_that_can_be_verified(house):
    house.write(LOOP, steps=30, record=True)
    recorder = subprocess.Popen([sys.executable, "-m", "services.recorder"], cwd=ROOT, env=house.environment)
    try:
        stop = house.run()
        assert recorder.wait(PATIENCE_S) == 0
    finally:
        recorder.kill()
        recorder.wait()
    run = Run(house.folder / "run")
    assert (run.steps, run.stop.digest) == (30, stop.digest)
    assert verify(run).good
    times, drive = run.series("brain/sinks", "drive")
    assert list(drive) == [float(n == 3) for n in range(30)]
    assert times[-1] == pytest.approx(0.6)
    summary = json.loads((house.folder / "run" / "summary.json").read_text())
    assert (summary["outcome"], summary["steps"], summary["recording"]["complete_steps"]) == ("finished", 30, 30)


def test_whole_services_run_an_experiment_as_processes(house):
    house.write(LOOP, steps=6, record=True)
    commands = {
        "engine": ["services.engine", str(house.folder), "--out", str(house.folder / "run")],
        "recorder": ["services.recorder"],
        "brain": ["tests.engine.simulators", "brain"],
        "body": ["tests.engine.simulators", "body"],
    }
    processes = {
        name: subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=house.environment)
        for name, command in commands.items()
    }
    try:
        assert {name: process.wait(PATIENCE_S) for name, process in processes.items()} == dict.fromkeys(commands, 0)
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    assert verify(Run(house.folder / "run")).steps == 6
    assert len((house.folder / "run" / "profile.csv").read_text().splitlines()) == 7


# --- orders -----------------------------------------------------------------------------------------------------


def test_a_run_pauses_between_two_steps_and_goes_on(house):
    gate, notes = Gate(3), []
    house.simulators["brain"] = Counter(gate)
    house.write(LOOP, steps=6)

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            assert operator.order("pause", "lunch").state == "running"
            gate.opened.set()
            paused = operator.until(in_state("paused"))
            time.sleep(0.1)
            notes.append((paused.step, len(house.simulators["brain"].steps)))
            operator.operator.order("resume")
            notes.append(operator.until(lambda frame: isinstance(frame, RunStop)).outcome)
            operator.until(lambda frame: isinstance(frame, Bye))

    stop = house.run(beside=[person])
    assert notes == [(4, 4), "finished"]
    assert stop.steps == 6
    assert house.simulators["brain"].seen("back") == {n: float(n == 5) for n in range(6)}


def test_a_pause_changes_nothing_in_the_result(house):
    house.write(LOOP, steps=6)
    straight = house.run()
    gate = Gate(2)
    house.simulators["body"] = Echo(gate)

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            assert operator.order("pause").state == "running"
            gate.opened.set()
            operator.until(in_state("paused"))
            operator.operator.order("resume")
            operator.until(lambda frame: isinstance(frame, Bye))

    assert house.run(beside=[person]).digest == straight.digest


def test_a_held_run_waits_for_the_order_to_start(house):
    house.write(steps=2)
    steps_before = []

    def person():
        with Person(house) as operator:
            operator.until(in_state("ready"))
            steps_before.append(len(house.simulators["brain"].steps))
            operator.operator.order("start")
            operator.until(lambda frame: isinstance(frame, Bye))

    assert house.run(beside=[person], autostart=False).steps == 2
    assert steps_before == [0]


def test_an_order_to_stop_ends_the_run_after_the_step(house):
    gate = Gate(2)
    house.simulators["body"] = Echo(gate)
    house.write(steps=1000)

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            assert operator.order("stop", "enough").state == "running"
            gate.opened.set()
            operator.until(lambda frame: isinstance(frame, Bye))

    stop = house.run(beside=[person])
    assert (stop.outcome, stop.steps, stop.exit_status) == ("stopped", 3, 0)
    assert stop.digest
    assert house.ends == {"brain": "in order", "body": "in order"}


def test_sigterm_to_the_engine_means_stop(house):
    def wish(step):
        house.leave.asked = step.number >= 2

    house.simulators["body"] = Echo(wish)
    house.write(steps=1_000_000)
    stop = house.run()
    assert stop.outcome == "stopped"
    assert 3 <= stop.steps < 1_000_000


def test_a_paced_run_keeps_to_the_wall_clock(house):
    house.write(steps=10)
    began = time.monotonic()
    stop = house.run("pace=1.0")
    assert time.monotonic() - began >= 9 * 0.02
    assert stop.steps == 10
    assert stop.facts["overruns"] >= 0
    assert stop.timing["pace_wait_ms"]["mean"] > 0


def test_a_fault_while_the_wall_clock_is_waited_for_ends_the_run(house):
    house.write(steps=10)

    def launcher():
        with Person(house, "launcher", "launcher") as peer:
            peer.until(in_state("running"))
            peer.operator.send(Gone(name="brain", how="its process was killed by SIGKILL"))
            peer.until(lambda frame: isinstance(frame, Bye))

    stop = house.run("pace=0.005", beside=[launcher])  # each step would take four seconds
    assert (stop.outcome, stop.service) == ("fault", "brain")
    assert stop.text.endswith("its process was killed by SIGKILL")


# --- what goes wrong ----------------------------------------------------------------------------------------------


def fail_at(number):
    def act(step):
        if step.number == number:
            raise ValueError("the membrane burst")

    return act


def test_a_participant_that_answers_an_error_ends_the_run(house):
    house.simulators["brain"] = Counter(fail_at(2))
    house.write(LOOP)
    stop = house.run()
    assert (stop.outcome, stop.code, stop.service, stop.exit_status) == ("fault", "simulator_failed", "brain", 5)
    assert stop.text == "the brain failed in step 2: ValueError: the membrane burst"
    assert stop.steps == 2
    assert house.loop.exit_status == 5
    assert house.ends["body"] == "in order"


def test_a_participant_that_is_late_ends_the_run(house):
    gate = Gate(2)
    house.simulators["brain"] = Counter(gate)
    house.write(LOOP)
    stop = house.run("experiment.step_timeout_s=1.0", after=gate.opened.set)
    assert (stop.outcome, stop.code, stop.service) == ("fault", "peer_late", "brain")
    assert stop.text == "the brain did not reach step 2 within 1 s"
    assert stop.steps == 2


def test_a_participant_that_cannot_be_built_ends_the_run_before_it_began(house):
    class Unbuildable(Echo):
        def prepare(self, plan, report):
            raise RuntimeError("no such model")

    house.simulators["body"] = Unbuildable()
    house.write(LOOP)
    stop = house.run()
    assert (stop.steps, stop.code) == (0, "simulator_failed")
    assert stop.text == "the body could not be built: RuntimeError: no such model"
    assert house.simulators["brain"].steps == []


def test_a_port_that_is_not_there_ends_the_run_before_it_began(house):
    house.write("@transfer(reads='brain.count', writes='body.excitaton')\ndef f(count): return 1.0")
    stop = house.run()
    assert (stop.code, stop.exit_status, stop.steps) == ("port_mismatch", 2, 0)
    assert "did you mean 'excitation'" in stop.text
    assert house.ends == {"brain": "in order", "body": "in order"}


def test_a_failing_function_is_switched_off_and_the_run_goes_on(house):
    house.write("@transfer(writes='body.excitation')\ndef f(step):\n    return 0.25 if step < 3 else 1 / 0\n")
    told = []

    def person():
        with Person(house) as operator:
            told.append(operator.until(lambda frame: isinstance(frame, Message)))
            operator.until(lambda frame: isinstance(frame, Bye))

    stop = house.run(beside=[person])
    assert (stop.outcome, stop.exit_status, stop.steps) == ("finished", 0, 5)
    assert stop.facts["switched_off"] == ["f"]
    assert house.simulators["body"].seen("excitation") == dict.fromkeys(range(5), 0.25)
    (message,) = stop.messages
    assert (message["function"], message["line"], message["step"]) == ("f", 3, 3)
    assert told[0].line_text == "return 0.25 if step < 3 else 1 / 0"


def test_a_failing_function_halts_the_run_if_the_experiment_says_so(house):
    house.write("@transfer(writes='body.excitation')\ndef f(step): return 1 / (3 - step)")
    stop = house.run("on_error=halt")
    assert (stop.outcome, stop.code, stop.exit_status) == ("halted", "transfer_failed", 3)
    assert stop.steps == 3
    assert "halted after step 2" in stop.text
    assert "ZeroDivisionError" in stop.text


def test_a_killed_participant_is_missed(house):
    house.write(LOOP, steps=1_000_000)
    command = [sys.executable, "-m", "tests.engine.simulators", "brain"]
    del house.simulators["brain"]
    brain = subprocess.Popen(command, cwd=ROOT, env=house.environment)

    def kill(step):
        if step.number == 3:
            os.kill(brain.pid, signal.SIGKILL)

    house.simulators["body"] = Echo(kill)
    try:
        stop = house.run()
    finally:
        brain.kill()
        brain.wait()
    assert (stop.outcome, stop.code, stop.service, stop.exit_status) == ("fault", "peer_lost", "brain", 5)
    # By its pulse, or by the next grant if the connection was seen to close before that.
    assert "no sign of life" in stop.text or "not connected" in stop.text
    assert stop.steps in (3, 4)


def test_what_a_participant_said_before_it_left_is_heard_by_an_engine_that_was_busy(house):
    began, left = house.folder / "began", house.folder / "left"
    house.write(f"""
import time
from pathlib import Path

@transfer(writes="body.excitation")
def busy(step):
    if step == 3:
        Path({str(began)!r}).touch()
        until = time.monotonic() + {PATIENCE_S}
        while not Path({str(left)!r}).exists() and time.monotonic() < until:
            time.sleep(0.01)
    return 0.0
""")

    def tell_it_to_leave():
        wait_for(began.exists)
        house.leaves["brain"].asked = True
        wait_for(lambda: "brain" in house.ends)
        time.sleep(0.1)  # the engine's end of the connection closes a moment later
        left.touch()

    stop = house.run(beside=[tell_it_to_leave])
    assert house.ends == {"brain": "leaving", "body": "in order"}
    assert (stop.outcome, stop.code, stop.service, stop.steps) == ("fault", "leaving", "brain", 3)
    assert "the brain was told to end" in stop.text


def test_an_engine_whose_services_do_not_come_says_who_is_missing(house, monkeypatch):
    monkeypatch.setattr("services.engine.loop._JOIN_S", 0.5)
    house.write(LOOP)
    house.simulators = {}
    stop = house.run()
    assert (stop.code, stop.steps) == ("peer_late", 0)
    assert stop.text.startswith("the brain and the body did not")


# --- who may join -----------------------------------------------------------------------------------------------


def knock(house, frame, name):
    """What the engine answers to the first frame of this name."""
    with Wires() as wires:
        peer = StepPeer(wires, house.addresses.step, Sender(name))
        peer.send(frame)
        assert Waiting(peer).until(PATIENCE_S * 1000)
        return codec.decode(next(iter(peer.receive()))).frame


def test_the_door_is_kept(house):
    gate, answers = Gate(1), {}
    house.simulators["body"] = Echo(gate)
    house.write(steps=3)

    def visitors():
        assert gate.reached.wait(PATIENCE_S)
        for who, frame in {
            "stranger": Hello(name="stranger", role="participant"),
            "second": Hello(name="brain", role="participant"),
            "recorder": Hello(name="recorder", role="witness"),  # this experiment records nothing
            "future": Hello(name="future", role="operator", lowest=(2, 0), highest=(3, 1)),
            "past": Hello(name="past", role="operator", lowest=(0, 1), highest=(0, 9)),
            "monitor": Hello(name="monitor", role="operator"),
            "liar": Clock(step=1, t_ns=1, seqs={}),
            "orderer": codec.KINDS["order"](what="stop"),
        }.items():
            answers[who] = knock(house, frame, who)
        with Wires() as wires:
            peer = StepPeer(wires, house.addresses.step, Sender("babbler"))
            peer.socket.send_multipart([b"step", b"no header"])
            assert Waiting(peer).until(PATIENCE_S * 1000)
            answers["babbler"] = codec.decode(next(iter(peer.receive()))).frame
        gate.opened.set()

    stop = house.run(beside=[visitors])
    codes = {who: frame.code for who, frame in answers.items() if isinstance(frame, ErrorFrame)}
    assert codes == {
        "stranger": "not_allowed",
        "second": "not_allowed",
        "recorder": "not_allowed",
        "future": "wrong_version",
        "past": "wrong_version",
        "liar": "unknown_kind",
        "orderer": "not_allowed",
        "babbler": "bad_frame",
    }
    assert isinstance(answers["monitor"], Welcome)
    assert "'brain' cannot speak on the connection of 'second'" in answers["second"].text
    assert (stop.outcome, stop.steps) == ("finished", 3)
