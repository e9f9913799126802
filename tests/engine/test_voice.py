"""services.engine.voice: what transfer functions print and log."""

import itertools
import sys

import pytest

from reafference.testing import HandClock
from services.engine import voice
from services.engine.voice import MOST_PER_S, Log, Voices
from tests.engine.toys import made

pytestmark = pytest.mark.timeout(120, method="thread")


def saying(body, arguments="", **more):
    """A transfer function with this body."""
    return made(f"import sys\n@transfer()\ndef f({arguments}):\n    {body}\n", **more)


def said(transfer, steps=1):
    messages = []
    for step in range(steps):
        assert transfer.evaluate(step * 20_000_000, step) == []
        messages += transfer.said()
    return messages


@pytest.mark.parametrize(
    ("body", "text", "severity"),
    [
        ("print('a', 1, sep='-')", "a-1", "info"),
        ("print('a', end='')", "a", "info"),
        ("print(None, sep=None)", "None", "info"),
        ("log.debug('x')", "x", "info"),
        ("log.info('x', n=1, what='y')", "x n=1 what='y'", "info"),
        ("log.warning('%d of %s', 3, 'four')", "3 of four", "warning"),
        ("log.warning('100 %', 3)", "100 % 3", "warning"),
        ("log.error(ValueError('z'))", "z", "error"),
        ("log.critical('x')", "x", "error"),
        ("log.bind(limb='left').bind(n=2).info('x', n=3)", "x limb='left' n=3", "info"),
        ("print('half \\ud800 a character')", "half ? a character", "info"),
    ],
)
def test_what_a_function_says_is_kept_with_its_line(body, text, severity):
    (message,) = said(saying(body, "log"))
    assert (message.text, message.severity, message.function, message.line) == (text, severity, "f", 4)
    assert (message.source, message.type, message.file) == ("transfer function", "runtime", "/experiment/transfer.py")


def test_an_exception_is_told_with_it():
    (message,) = said(saying("\n    try: 1 / 0\n    except ZeroDivisionError: log.exception('no')", "log"))
    assert message.text == "no: ZeroDivisionError: division by zero"
    assert message.severity == "error"


def test_step_and_time_are_those_of_the_evaluation():
    messages = said(saying("print('x')"), steps=3)
    assert [(m.step, m.t_ns) for m in messages] == [(0, 0), (1, 20_000_000), (2, 40_000_000)]


def test_a_helper_of_the_same_file_says_it_for_the_function_that_called_it():
    transfer = made("def help():\n    print('x')\n@transfer()\ndef f():\n    help()\n")
    (message,) = said(transfer)
    assert (message.function, message.line) == ("f", 2)


def test_what_is_printed_elsewhere_is_printed_there(capsys):
    transfer = made("print('while loading')\n@transfer()\ndef f():\n    print('x', file=sys.stderr)\nimport sys\n")
    assert said(transfer) == []
    transfer.functions[0].declaration.function.__globals__["print"]("outside")
    captured = capsys.readouterr()
    assert captured.out == "while loading\noutside\n"
    assert captured.err == "x\n"


def test_a_print_of_its_own_is_left_to_the_file():
    transfer = made("seen = []\ndef print(x): seen.append(x)\n@transfer()\ndef f():\n    print('x')\n")
    assert said(transfer) == []
    assert transfer.functions[0].declaration.function.__globals__["seen"] == ["x"]


def test_empty_lines_are_not_worth_a_message():
    assert said(saying("print(); print('  ')")) == []


def test_a_very_long_text_is_cut():
    (message,) = said(saying("print('x' * 10_000)"))
    assert message.text.endswith("… (10000 characters)")
    assert len(message.text) < 2100


def test_more_than_so_many_messages_a_second_are_counted(monkeypatch):
    clock = HandClock(1_000_000_000)
    monkeypatch.setattr(voice, "time", clock)
    voices = Voices()
    for name in ("f", "g"):
        for number in range(MOST_PER_S + (30 if name == "f" else 0)):
            voices.say(name, "", "info", str(number))
    first = voices.taken()
    assert [m.function for m in first] == ["f"] * MOST_PER_S + ["g"] * MOST_PER_S
    assert voices.taken() == []
    clock.now_ns += 1_100_000_000
    (summary,) = voices.taken()  # nobody has to say more for that
    assert (summary.text, summary.function) == ("30 more messages within a second: left out, 50 are shown", "f")
    voices.say("f", "", "info", "again")
    assert [m.text for m in voices.taken()] == ["again"]


def test_what_was_left_out_is_told_before_what_is_said_next_and_at_the_end(monkeypatch):
    clock = HandClock(1_000_000_000)
    monkeypatch.setattr(voice, "time", clock)
    voices = Voices()
    for number in range(MOST_PER_S + 1):
        voices.say("f", "", "info", str(number))
    clock.now_ns += 1_100_000_000
    voices.say("f", "", "info", "next")
    assert [m.text for m in voices.taken()][-2:] == [
        "1 more message within a second: left out, 50 are shown",
        "next",
    ]
    for number in range(MOST_PER_S + 5):
        voices.say("f", "", "info", str(number))
    assert len(voices.taken()) == MOST_PER_S - 1
    assert [m.text for m in voices.taken(all_of_it=True)] == ["6 more messages within a second: left out, 50 are shown"]


def test_a_function_that_never_stops_talking_costs_little_and_keeps_nothing():
    transfer = saying("\n    for n in range(20_000): print(n)")
    assert len(said(transfer)) == MOST_PER_S
    assert sys.getsizeof(transfer._voices._said) < 1000
    assert len(transfer._voices._windows) == 1


def test_the_same_log_may_be_used_by_threads_of_the_function():
    voices = Voices()
    log = Log(voices, "f", "")
    for n in itertools.islice(itertools.count(), 3):
        log.info("n", n=n)
    assert [m.text for m in voices.taken()] == ["n n=0", "n n=1", "n n=2"]
