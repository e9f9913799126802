"""`python -m services.recorder`: the recorder as a process, with an engine made by hand."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reafference import codec
from reafference.config import Addresses
from reafference.frames import (
    Bye,
    ErrorFrame,
    Halt,
    Halted,
    Hello,
    Plan,
    Prepare,
    Ready,
    Recorded,
    Welcome,
)
from reafference.sockets import Sender, StepHost, TapOut, Waiting, Wires
from services.recorder import mend, store
from services.recorder.reader import Run
from services.recorder.store import RECORDING
from services.recorder.verify import verify
from tests.recorder.tape import DT_NS, Tape

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30


class Engine:
    """The other end of the recorder's wires."""

    def __init__(self, folder, **environment):
        self.folder = folder / "run"
        self.folder.mkdir()
        (folder / "wires").mkdir()
        addresses = Addresses.in_folder(folder / "wires")
        self.wires = Wires()
        self.host = StepHost(self.wires, addresses.step, Sender("engine", "7f3a"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.recorder"],
            cwd=ROOT,
            env={**os.environ, "REAF_WIRES": str(folder / "wires"), **environment},
            stderr=subprocess.PIPE,
        )
        self.tap = TapOut(self.wires, addresses.tap)
        self.heard = []
        assert isinstance(self.next(), Hello)
        pulse = {"pulse_beat": addresses.pulse_beat, "pulse_echo": addresses.pulse_echo} if environment else {}
        self.host.send("recorder", Welcome(run="7f3a", version=(1, 0), tap=addresses.tap, **pulse))

    def prepare(self, window=8):
        self.ask_to_prepare(window)
        assert isinstance(self.next(), Ready)

    def ask_to_prepare(self, window=8):
        plan = Plan(
            run="7f3a", name="recorder", seed=0, dt_ns=DT_NS, folder=str(self.folder), settings={"window_steps": window}
        )
        self.host.send("recorder", Prepare(plan=plan))

    def send(self, frames):
        for packed in frames:
            self.tap.send(packed)

    def next(self):
        """The next frame from the recorder."""
        waiting, deadline = Waiting(self.host), time.monotonic() + PATIENCE_S
        while not self.heard:
            assert time.monotonic() < deadline
            waiting.until(100)
            self.heard += [codec.decode(parts).frame for _, parts in self.host.receive()]
        return self.heard.pop(0)

    def until(self, kind):
        while not isinstance(frame := self.next(), kind):
            pass
        return frame

    def close(self):
        self.process.kill()
        self.process.communicate()
        self.wires.close()


@pytest.fixture
def engine(tmp_path):
    made = Engine(tmp_path)
    yield made
    made.close()


def test_a_recorder_that_cannot_begin_says_why(engine):
    engine.folder.rmdir()
    engine.folder.write_text("a file, where there should be a folder")
    engine.ask_to_prepare()
    said = engine.next()
    assert isinstance(said, ErrorFrame)
    assert said.code == "bad_experiment"
    assert str(engine.folder) in said.text
    assert engine.process.wait(PATIENCE_S) == 2


def test_a_run_is_recorded_acknowledged_and_closed(engine):
    tape = Tape()
    engine.prepare()
    engine.send([tape.start()])
    acknowledged = -1
    for step in range(20):
        engine.send(tape.step())
        while step - acknowledged >= 8:  # no further ahead than the window
            acknowledged = engine.until(Recorded).step
    while acknowledged < 19:
        acknowledged = engine.until(Recorded).step
    engine.send([tape.stop()])
    engine.host.send("recorder", Halt(step=19, begun=True))
    halted = engine.until(Halted)
    assert halted.step == 19
    assert halted.facts["peak_rss_mb"] > 1
    engine.host.send("recorder", Bye())
    assert engine.until(Bye)
    assert engine.process.wait(PATIENCE_S) == 0
    assert verify(Run(engine.folder)).good
    assert store.read_summary(engine.folder)["steps"] == 20


def test_frames_that_come_after_the_last_document_are_waited_for(engine):
    tape = Tape(camera=False)
    engine.prepare()
    frames = [tape.start(), *tape.step(), *tape.step(), tape.stop()]
    late = [packed for packed in frames if packed.topic.endswith(b"/brain/sinks/")][-1:]
    engine.send([packed for packed in frames if packed is not late[0]])
    engine.host.send("recorder", Halt(step=1, begun=True))
    time.sleep(0.02)
    engine.send(late)
    assert engine.until(Halted).step == 1
    assert verify(Run(engine.folder)).good


def test_a_gap_is_told_once_and_what_there_is_is_closed_in_order(engine):
    tape = Tape(camera=False)
    engine.prepare()
    engine.send([tape.start(), *tape.step(), *tape.step()])
    tape.seqs["brain/sinks"] += 1
    engine.send([*tape.step(), *tape.step()])
    error = engine.until(ErrorFrame)
    assert error.code == "sequence_gap"
    assert "brain/sinks number 3 where 2 was due" in error.text
    engine.send([tape.stop()])
    engine.host.send("recorder", Bye())
    engine.until(Bye)
    assert engine.process.wait(PATIENCE_S) == 0
    assert not mend.mend(engine.folder / RECORDING)
    assert sorted(path.name for path in engine.folder.iterdir()) == [RECORDING, store.SUMMARY]
    assert store.read_summary(engine.folder)["recording"]["complete_steps"] >= 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_acknowledged_survives_the_recorder(engine, number):
    tape = Tape()
    engine.prepare(window=4)
    engine.send([tape.start()])
    for _ in range(12):
        engine.send(tape.step())
    acknowledged = engine.until(Recorded).step
    engine.process.send_signal(number)
    assert engine.process.wait(PATIENCE_S) == (5 if number == signal.SIGTERM else -signal.SIGKILL)
    run = Run(engine.folder)
    assert run.steps > acknowledged
    if number == signal.SIGTERM:
        assert engine.until(ErrorFrame).code == "leaving"
        assert store.read_summary(engine.folder)["outcome"] == "fault"


def test_an_engine_that_falls_silent_ends_the_recording_in_order(tmp_path):
    engine = Engine(tmp_path, REAF_PATIENCE_S="5")
    try:
        tape = Tape(camera=False)
        engine.send([tape.start(), *tape.step(), *tape.step()])
        engine.prepare()
        assert engine.process.wait(PATIENCE_S) == 5  # for there was never a beat
        assert "the engine has been silent for 5 s" in engine.process.stderr.read().decode()
    finally:
        engine.close()
    summary = store.read_summary(engine.folder)
    assert (summary["outcome"], summary["service"], summary["steps"]) == ("fault", "engine", 2)
    assert not mend.mend(engine.folder / RECORDING)


def test_a_run_that_never_began_leaves_no_file(engine):
    engine.prepare()
    engine.host.send("recorder", Halt(step=-1))
    assert engine.until(Halted).step == -1
    engine.host.send("recorder", Bye())
    assert engine.process.wait(PATIENCE_S) == 0
    assert list(engine.folder.iterdir()) == []
