"""Where a simulation stands, told from what its engine and launcher say."""

import pytest

from reafference.frames import Bye, ErrorFrame, Progress, RunStop, StateNote, Welcome
from services.gateway.status import Status


def note(state, step=0, **more):
    facts = {"dt_ns": 20_000_000, **more.pop("facts", {})}
    return StateNote(step=step, t_ns=step * 20_000_000, state=state, steps=50, facts=facts, **more)


def stop(outcome, **more):
    return RunStop(step=9, t_ns=180_000_000, outcome=outcome, steps=9, **more)


def after(*heard, now=0.0):
    status = Status(folder="/home/x")
    for one in heard:
        if isinstance(one, dict):
            status.say(one)
        else:
            status.hear(one, now)
    return status


BUILT = (Welcome(run="7f3a", version=(1, 2), run_folder="/r/one"), note("preparing"), note("ready"))


@pytest.mark.parametrize(
    ("heard", "state"),
    [
        ((), "created"),
        ((note("lobby"),), "created"),
        ((note("preparing"),), "initialised"),
        (BUILT, "paused"),
        ((*BUILT, note("running")), "started"),
        ((*BUILT, note("running"), note("paused", 3)), "paused"),
        ((*BUILT, note("running"), note("stopping", 3)), "started"),
        ((*BUILT, note("running"), stop("finished")), "stopped"),
        ((note("preparing"), note("fault", text="no")), "failed"),
        ((*BUILT, note("running"), note("fault", text="no")), "halted"),
        ((*BUILT, stop("reset")), "initialised"),
    ],
)
def test_the_state_follows_the_engine(heard, state):
    assert after(*heard).state == state


def test_the_outcome_tells_a_limit_from_a_stop():
    assert after(*BUILT, stop("finished")).outcome == "finished"
    assert after(*BUILT, stop("stopped")).outcome == "stopped"
    assert after(*BUILT, note("fault", text="no")).outcome == "fault"


def test_a_halted_simulation_says_who_is_to_blame():
    status = after(*BUILT, note("running"), stop("fault", code="peer_lost", service="brain", text="the brain is gone"))
    assert (status.state, status.problem["source"], status.problem["code"]) == ("halted", "brain", "peer_lost")
    status.over(5)
    assert (status.state, status.text) == ("halted", "the brain is gone")


def test_a_failed_launch_names_file_and_line():
    text = "/home/x/transfer.py, line 7: invalid syntax\n    def f(:"
    status = after({"event": "failed", "code": "script_error", "text": text})
    status.over(2)
    assert status.state == "failed"
    assert status.problem == {
        "code": "script_error",
        "detail": "transfer.py, line 7: invalid syntax\n    def f(:",
        "source": "transfer function",
        "type": "compile",
        "file": "transfer.py",
        "line": 7,
        "column": None,
        "line_text": "def f(:",
    }


def test_the_first_problem_is_the_one_that_counts():
    status = after(*BUILT, note("fault", text="the brain is gone"), {"event": "engine", "how": "killed"})
    assert status.problem["detail"] == "the brain is gone"


def test_a_launcher_that_dies_without_a_word_is_a_problem():
    status = after(*BUILT, note("running"))
    status.over(-9)
    assert (status.state, status.outcome) == ("halted", "fault")
    assert "its launcher was killed" in status.text
    failed = after()
    failed.over(1)
    assert failed.state == "failed"


def test_a_stop_while_it_is_built_is_no_problem():
    status = after(note("preparing"))
    status.stop_asked = True
    status.over(0)
    assert (status.state, status.outcome, status.problem) == ("stopped", "stopped", None)


def test_a_cancelled_step_stops_it_where_that_was_asked_for():
    status = after(*BUILT, note("running"))
    status.stop_asked = True
    status.hear(stop("fault", code="step_cancelled", text="given up"), 0.0)
    status.over(130)
    assert (status.state, status.outcome, status.problem) == ("stopped", "stopped", None)


def test_a_halted_simulation_can_be_put_away_and_keeps_its_problem():
    status = after(*BUILT, note("fault", text="no"))
    status.put_away()
    assert (status.state, status.problem["detail"]) == ("stopped", "no")


def test_a_refusal_changes_nothing():
    status = after(*BUILT)
    assert not status.hear(ErrorFrame(code="out_of_order", text="not now"), 0.0)
    assert (status.state, status.refusal.text, status.problem) == ("paused", "not now", None)


def test_a_full_reset_begins_another_run_with_another_recording():
    again = (stop("reset"), Welcome(run="8b4c", version=(1, 2), run_folder="/r/one-2"), note("preparing"))
    status = after(*BUILT, note("running", 9), *again)
    assert (status.run, status.recording, status.state, status.outcome) == ("8b4c", "one-2", "initialised", "")
    status.hear(note("ready"), 0.0)
    assert (status.state, status.as_map()["step"]) == ("paused", 0)


def test_progress_is_told_with_the_tasks_before():
    status = after(note("preparing"))
    status.hear(Progress(service="brain", task="create cells", done=1, total=2), 10.0)
    status.hear(Progress(service="brain", task="create cells", done=2, total=2), 10.5)
    status.hear(Progress(service="brain", task="connect M1", done=31, total=67, detail="x"), 11.5)
    told = status.as_map()["progress"]["brain"]
    assert (told["task"], told["done"], told["total"], told["detail"]) == ("connect M1", 31, 67, "x")
    assert told["before"] == [{"task": "create cells", "s": 1.5}]
    status.hear(note("ready"), 12.0)
    assert status.as_map()["progress"] == {}


def test_the_real_time_factor_is_of_the_last_two_seconds_of_running():
    status = after(*BUILT)
    for step in range(100):
        real_s = step * 0.1 if step < 50 else 5.0 + (step - 50) * 0.04
        status.hear(note("running", step, facts={"real_ns": int(real_s * 1e9)}), 1000.0 + step)
    assert status.real_time_factor == pytest.approx(0.5, rel=0.1)
    status.hear(note("paused", 100, facts={"real_ns": int(7e9)}), 5000.0)
    assert status.real_time_factor == pytest.approx(0.5, rel=0.1)


def test_limit_and_times_are_those_of_the_engine():
    facts = {
        "limit": {"kind": "real", "s": 60.0, "left_s": 12.5},
        "spent_ns": {"brain": 1_500_000_000, "wait": 2_000},
        "function_ns": {"drive": 4_000_000},
        "neurons": 8,
        "real_ns": 2_500_000_000,
    }
    told = after(*BUILT, note("running", 3, facts=facts)).as_map()
    assert told["limit"] == facts["limit"]
    assert (told["spent_s"]["brain"], told["spent_s"]["body"], told["real_s"]) == (1.5, 0.0, 2.5)
    assert told["function_s"] == {"drive": 0.004}
    assert told["facts"] == {"neurons": 8}
    assert after(*BUILT, note("running", 10)).as_map()["limit"] == {"kind": "simulated", "s": 1.0, "left_s": 0.8}


def test_frames_that_say_nothing_of_the_run_change_nothing():
    assert not after(*BUILT).hear(Bye(), 0.0)
