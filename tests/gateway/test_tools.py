"""Other rooms of the house, run as processes."""

import threading
import time

import pytest

from services.gateway.problems import Problem
from services.gateway.tools import Tools


@pytest.fixture
def tools():
    tools = Tools()
    yield tools
    tools.close()


def test_what_a_tool_says_comes_back(tools):
    told = tools.run("platform", [], 30)
    assert (told.status, "Linux" in told.output) == (0, True)


def test_the_last_words_of_one_that_fails_come_back(tools, tmp_path):
    told = tools.run("services.recorder", ["export", str(tmp_path)], 30)
    assert told.status
    assert "reaf:" not in told.last_words
    assert str(tmp_path) in told.last_words


def test_one_that_takes_too_long_is_ended(tools):
    began = time.monotonic()
    with pytest.raises(Problem) as late:
        tools.run("http.server", ["0"], 0.5)
    assert late.value.status == 504
    assert time.monotonic() - began < 10
    assert not tools._running


def test_none_outlives_the_server(tools):
    found = []
    thread = threading.Thread(target=lambda: found.append(tools.run("http.server", ["0"], 60)))
    thread.start()
    while not tools._running:
        time.sleep(0.01)
    tools.close()
    thread.join(10)
    assert found[0].status < 0
    with pytest.raises(Problem) as closed:
        tools.run("platform", [], 30)
    assert closed.value.status == 503
