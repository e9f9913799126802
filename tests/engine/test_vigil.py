"""services.engine.vigil: who is taken for lost, when, and in which words."""

import time

import pytest

from reafference.pulse import PulseEcho, PulseHost
from reafference.sockets import Sender, Waiting, Wires
from services.engine import vigil
from services.engine.vigil import Silence, Vigil

PATIENCE_S = 20


class Watched:
    """A vigil and those it watches, each with a real echo."""

    def __init__(self, wires, folder):
        self._beat, self._echo = f"ipc://{folder}/beat", f"ipc://{folder}/echo"
        pulse = PulseHost(wires, self._beat, self._echo, Sender("engine"))
        self.vigil, self._waiting = Vigil(pulse), Waiting(pulse)
        self._echoes = {}

    def join(self, *names):
        for name in names:
            self._echoes[name] = PulseEcho(self._beat, self._echo, name)

    def fall_silent(self, *names):
        for name in names:
            self._echoes.pop(name).close()

    def listen(self, seconds, *, until=1):
        """What is told, and after how many seconds: at most for so long, or until so many are told."""
        began, told = time.monotonic(), []
        while time.monotonic() - began < seconds and len(told) < until:
            self._waiting.until(self.vigil.due_ms())
            told += [(silence, time.monotonic() - began) for silence in self.vigil.turn()]
        return told

    def close(self):
        self.fall_silent(*list(self._echoes))


@pytest.fixture
def watched(tmp_path):
    with Wires() as wires:
        made = Watched(wires, tmp_path)
        yield made
        made.close()


def test_whoever_is_alone_and_falls_silent_is_told_at_once(watched):
    watched.join("body", "brain")
    watched.vigil.watch("body")
    watched.vigil.watch("brain")
    assert watched.listen(3) == []
    watched.fall_silent("body")
    ((silence, after_s),) = watched.listen(PATIENCE_S)
    assert silence == Silence("body", "no sign of life for 2 s")
    assert after_s > 1.0  # the last echoes may be on their way when it falls silent
    assert watched.listen(1.5) == []  # once, and nobody else


def test_one_rank_that_is_silent_is_named(watched, monkeypatch):
    monkeypatch.setattr(vigil, "OTHERS_S", 2.0)
    watched.join("brain", "brain.1", "brain.2")
    watched.vigil.watch("brain", (1, 2), job=True)
    watched.fall_silent("brain.1")
    ((silence, after_s),) = watched.listen(PATIENCE_S)
    assert silence == Silence("brain", "rank 1 gave no sign of life for 2 s")
    assert after_s > vigil.OTHERS_S + 1.0
    watched.fall_silent("brain", "brain.2")
    assert watched.listen(4) == []  # it is lost already


def test_a_job_of_which_nobody_answers_is_given_time_to_say_why(watched, monkeypatch):
    monkeypatch.setattr(vigil, "JOB_S", 6.0)
    monkeypatch.setattr(vigil, "OTHERS_S", 4.0)  # a busy machine closes the second echo late
    watched.join("brain", "brain.1")
    watched.vigil.watch("brain", (1,), job=True)
    watched.fall_silent("brain.1")
    assert watched.listen(0.5) == []  # what ends the others takes a moment
    watched.fall_silent("brain")
    ((silence, after_s),) = watched.listen(PATIENCE_S)
    assert silence == Silence("brain", "rank 1 gave no sign of life for 2 s")
    assert after_s > vigil.JOB_S + 1.0


@pytest.mark.parametrize("ranks", [(), (1, 2, 3)])
def test_nothing_is_told_of_a_job_whose_end_was_told(watched, ranks, monkeypatch):
    monkeypatch.setattr(vigil, "OTHERS_S", vigil.JOB_S)  # a busy machine closes the further echoes late
    names = ("brain", *(f"brain.{rank}" for rank in ranks))
    watched.join(*names)
    watched.vigil.watch("brain", ranks, job=True)
    watched.fall_silent(*names)
    assert watched.listen(3) == []
    watched.vigil.told("brain")
    assert watched.listen(vigil.JOB_S + 1) == []


@pytest.mark.parametrize("job", [False, True])
def test_whoever_takes_no_message_is_told_when_no_better_reason_came(watched, job):
    watched.join("brain")
    watched.vigil.watch("brain", job=job)
    watched.vigil.unreachable("brain", "brain is not connected")
    watched.vigil.unreachable("brain", "again")
    ((silence, after_s),) = watched.listen(PATIENCE_S)
    assert silence == Silence("brain", "brain is not connected")
    assert after_s > vigil.LAST_WORDS_S - 0.1
    watched.vigil.unreachable("brain", "brain is not connected")
    watched.vigil.told("brain")
    assert watched.listen(1) == []
