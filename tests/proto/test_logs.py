"""reafference.logs: events with fields, on standard error."""

import json

import pytest

from reafference import logs


def lines(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_an_event_with_fields(capsys):
    log = logs.configure("engine")
    log.warning("participant late", peer="brain", step=812)
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "participant late", "level": "warning", "service": "engine", "peer": "brain", "step": 812}


def test_what_is_below_the_level_is_left_out(capsys):
    log = logs.configure("engine", "warning")
    log.info("state")
    log.error("fault")
    assert [line["event"] for line in lines(capsys)] == ["fault"]


def test_an_exception_is_one_field(capsys):
    log = logs.configure("engine")
    try:
        raise ValueError("too hot")
    except ValueError:
        log.exception("broken")
    (line,) = lines(capsys)
    assert "ValueError: too hot" in line["exception"]


def test_an_unknown_level_is_a_key_error():
    with pytest.raises(KeyError):
        logs.configure("engine", "loud")
