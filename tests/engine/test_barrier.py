"""services.engine.barrier: the life of a run as lists of events."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reafference.errors import (
    DiskFull,
    OutOfOrder,
    PeerLate,
    PeerLost,
    SimulatorFailed,
    StepCancelled,
    TransferFailed,
)
from services.engine import barrier as b
from services.engine.barrier import (
    ENGINE,
    Answered,
    Arrived,
    Built,
    Commit,
    Conclude,
    Couple,
    Coupled,
    Credited,
    Failed,
    Finish,
    Grant,
    HasHalted,
    Limited,
    Lost,
    Ordered,
    Overdue,
    Restart,
    SendEdit,
    SendHalt,
    SendPrepare,
    Settled,
    Tell,
    TimedOut,
    Wanted,
)

ROSTER = {"brain": "participant", "body": "participant", "recorder": "witness"}
PAIR = {"brain": "participant", "body": "participant"}


class Play:
    """A barrier and everything it has ordered. `react` answers as the engine would: whenever the transfer functions
    are to run, they have."""

    def __init__(self, roster=None, **settings):
        settings = {"steps": 3} | settings
        self.barrier = b.open_lobby(ROSTER if roster is None else roster, **settings)
        self.actions = []

    def give(self, *events):
        """The actions that these events led to, and nothing else."""
        new = []
        for event in events:
            self.barrier, actions = b.react(self.barrier, event)
            new += actions
        self.actions += new
        return new

    def react(self, *events):
        """The same, with the transfer functions run at once."""
        new = []
        for event in events:
            pending = [event]
            while pending:
                actions = self.give(pending.pop())
                new += actions
                pending += [Coupled() for action in actions if isinstance(action, Couple)]
        return new

    def arrive(self):
        return self.react(*(Arrived(name) for name in self.barrier.members))

    def build(self):
        return self.react(*(Built(name) for name in self.barrier.members))

    def answer(self, step, *names):
        return self.react(*(Answered(name, step) for name in names or ("brain", "body")))

    def running(self, steps=0):
        """In the middle of step `steps`."""
        self.arrive()
        self.build()
        for step in range(steps):
            self.react(Credited(step - 1))
            self.answer(step)
        assert self.barrier.state == "running"
        return self

    def refuse(self, *events):
        """These events are out of place, and leave no trace."""
        for event in events:
            before = self.barrier
            with pytest.raises(OutOfOrder) as caught:
                b.react(self.barrier, event)
            assert self.barrier == before
            assert caught.value.text
        return caught.value.text

    def of(self, kind):
        return [action for action in self.actions if isinstance(action, kind)]


# --- a normal life ------------------------------------------------------------------------------------------


def test_a_life_in_order():
    play = Play(steps=2)
    assert play.react(Arrived("brain"), Arrived("recorder")) == []
    assert play.react(Arrived("body")) == [Tell("preparing"), SendPrepare(("brain", "body", "recorder"))]
    assert play.react(Built("recorder"), Built("body")) == []
    assert play.react(Built("brain")) == [Couple(0), Tell("ready"), Tell("running"), Grant(0, ("brain", "body"))]
    assert play.react(Answered("body", 0)) == []
    assert play.react(Answered("brain", 0)) == [Commit(0), Couple(1), Grant(1, ("brain", "body"))]
    assert play.react(Answered("brain", 1)) == []
    assert play.react(Answered("body", 1)) == [
        Commit(1),
        Couple(2),
        Tell("stopping"),
        SendHalt(1, ("brain", "body")),
    ]
    assert play.react(HasHalted("body")) == []
    assert play.react(HasHalted("brain")) == [Conclude(None, ""), SendHalt(1, ("recorder",))]
    assert play.react(HasHalted("recorder")) == [Finish()]
    assert play.barrier.state == "lobby"


def test_the_transfer_functions_run_once_before_the_first_step_and_once_after_each():
    play = Play(steps=3).running(3 - 1)
    play.answer(2)
    assert [action.step for action in play.of(Couple)] == [0, 1, 2, 3]
    assert [action.step for action in play.of(Commit)] == [0, 1, 2]
    assert [action.step for action in play.of(Grant)] == [0, 1, 2]


def test_nothing_is_granted_before_the_transfer_functions_have_run():
    play = Play().running()
    assert play.give(Answered("brain", 0), Answered("body", 0)) == [Commit(0), Couple(1)]
    assert play.give(Credited(0), Ordered("resume")) == []
    assert play.give(Coupled()) == [Grant(1, ("brain", "body"))]


def test_without_a_recorder_the_participants_are_halted_and_that_is_all():
    play = Play(PAIR, steps=1).running()
    play.answer(0)
    assert play.react(HasHalted("brain")) == []
    assert play.react(HasHalted("body")) == [Conclude(None, ""), Finish()]


def test_without_autostart_the_run_waits_for_an_order():
    play = Play(autostart=False)
    play.arrive()
    assert play.build() == [Couple(0), Tell("ready")]
    assert play.barrier.state == "ready"
    assert play.react(Ordered("pause")) == []
    assert play.react(Ordered("start")) == [Tell("running"), Grant(0, ("brain", "body"))]


def test_an_answer_from_memory_is_taken_once():
    play = Play().running()
    assert play.answer(0, "brain", "brain", "brain") == []
    assert play.answer(0, "body") == [Commit(0), Couple(1), Grant(1, ("brain", "body"))]


def test_building_twice_is_building_once():
    play = Play()
    play.arrive()
    play.give(Built("brain"), Built("body"))
    assert play.give(Built("recorder"), Built("recorder"), Built("brain")) == [Couple(0)]


def test_who_is_missing_is_known_in_every_state():
    play = Play()
    assert play.barrier.missing() == ["brain", "body", "recorder"]
    play.react(Arrived("body"))
    assert play.barrier.missing() == ["brain", "recorder"]
    play.react(Arrived("brain"), Arrived("recorder"), Built("brain"))
    assert play.barrier.missing() == ["body", "recorder"]
    play.react(Built("body"), Built("recorder"))
    assert play.barrier.missing() == ["brain", "body"]
    play.answer(0, "brain")
    assert play.barrier.missing() == ["body"]
    play.react(Ordered("stop"))
    play.answer(0, "body")
    assert play.barrier.missing() == ["brain", "body"]
    play.react(HasHalted("brain"), HasHalted("body"))
    assert play.barrier.missing() == ["recorder"]


# --- orders ----------------------------------------------------------------------------------------------------


def test_a_pause_takes_effect_after_the_step_in_progress():
    play = Play().running()
    assert play.react(Ordered("pause")) == []
    assert play.answer(0) == [Commit(0), Couple(1), Tell("paused")]
    assert play.react(Ordered("pause"), Credited(0)) == []
    assert play.react(Ordered("resume")) == [Tell("running"), Grant(1, ("brain", "body"))]


def test_a_pause_taken_back_in_time_is_none():
    play = Play().running()
    play.react(Ordered("pause"), Ordered("resume"))
    assert play.answer(0) == [Commit(0), Couple(1), Grant(1, ("brain", "body"))]


def test_a_pause_during_the_last_step_is_the_end():
    play = Play(steps=1).running()
    play.react(Ordered("pause"))
    assert Tell("paused") not in play.answer(0)
    assert play.barrier.state == "stopping"


def test_a_stop_takes_effect_after_the_step_in_progress():
    play = Play().running(1)
    assert play.react(Ordered("stop")) == []
    assert play.answer(1) == [Commit(1), Couple(2), Tell("stopping"), SendHalt(1, ("brain", "body"))]


def test_a_stop_is_stronger_than_a_pause():
    play = Play().running()
    play.react(Ordered("stop"), Ordered("pause"))
    play.answer(0)
    assert play.barrier.state == "stopping"


def test_a_stop_while_paused_or_ready_is_immediate():
    paused = Play().running()
    paused.react(Ordered("pause"))
    paused.answer(0)
    assert paused.react(Ordered("stop")) == [Tell("stopping"), SendHalt(0, ("brain", "body"))]
    ready = Play(autostart=False)
    ready.arrive()
    ready.build()
    assert ready.react(Ordered("stop")) == [Tell("stopping"), SendHalt(-1, ("brain", "body"))]


def test_a_stop_in_the_lobby_ends_it_at_once():
    play = Play()
    play.react(Arrived("brain"))
    assert play.react(Ordered("stop")) == [Tell("stopping"), Conclude(None, ""), Finish()]


def test_a_stop_while_building_halts_whoever_is_built_and_does_not_mind_the_others():
    play = Play()
    play.arrive()
    play.react(Built("brain"))
    assert play.react(Ordered("stop")) == [Tell("stopping"), SendHalt(-1, ("brain",))]
    assert play.give(Built("body"), Coupled()) == []  # it was on its way
    assert play.react(HasHalted("brain")) == [Conclude(None, ""), Finish()]


@pytest.mark.parametrize(("order", "starts"), [("pause", False), ("start", True), ("resume", True)])
@pytest.mark.parametrize("early", [True, False])
def test_start_and_pause_can_be_ordered_before_all_is_built(order, starts, early):
    play = Play(autostart=not starts)
    if early:
        play.react(Ordered(order))
    play.arrive()
    if not early:
        play.react(Ordered(order))
    play.build()
    assert play.barrier.state == ("running" if starts else "ready")


@pytest.mark.parametrize("order", ["start", "pause", "resume", "stop"])
def test_orders_at_the_end_are_ignored(order):
    play = Play(steps=1).running()
    play.answer(0)
    assert play.react(Ordered(order)) == []
    play.react(Failed("brain", SimulatorFailed("x")))
    assert play.react(Ordered(order)) == []


# --- rates ------------------------------------------------------------------------------------------------------


def granted(play):
    return [(action.step, action.names) for action in play.of(Grant)]


def test_only_who_is_due_is_granted_a_step():
    play = Play(PAIR, steps=6, every={"brain": 2, "body": 3}).running()
    assert granted(play) == [(0, ("brain", "body")), (1, ())]
    play.answer(0, "brain")
    assert granted(play)[2:] == [(2, ("brain",))]
    play.answer(0, "body")
    assert granted(play)[3:] == [(3, ("body",))]
    play.answer(2, "brain")
    assert granted(play)[4:] == [(4, ("brain",)), (5, ())]
    play.answer(4, "brain")
    assert play.barrier.state == "running"
    play.answer(3, "body")
    assert play.barrier.state == "stopping"
    assert [action.step for action in play.of(Commit)] == list(range(6))


def test_a_slow_participant_owes_its_answer_only_at_the_end_of_its_own_step():
    play = Play(PAIR, steps=4, every={"brain": 2}).running()
    assert play.answer(0, "body") == [Commit(0), Couple(1), Grant(1, ("body",))]
    assert play.answer(1, "body") == []
    assert play.barrier.missing() == ["brain"]
    assert play.answer(0, "brain") == [Commit(1), Couple(2), Grant(2, ("brain", "body"))]


def test_a_slow_participant_may_answer_early():
    play = Play(PAIR, steps=4, every={"brain": 2}).running()
    assert play.answer(0, "brain") == []
    assert play.answer(0, "body") == [Commit(0), Couple(1), Grant(1, ("body",))]
    assert play.answer(1, "body") == [Commit(1), Couple(2), Grant(2, ("brain", "body"))]


def test_an_answer_between_two_steps_commits_nothing_twice():
    play = Play(PAIR, steps=4, every={"brain": 2}).running()
    assert play.give(Answered("body", 0)) == [Commit(0), Couple(1)]
    assert play.give(Answered("brain", 0)) == []  # while the transfer functions run, or the wall clock is waited for
    assert play.give(Coupled()) == [Grant(1, ("body",))]


def test_an_answer_while_credit_is_short_commits_nothing():
    play = Play(steps=4, every={"brain": 2}, window=1).running()
    assert play.answer(0, "body") == [Commit(0), Couple(1)]
    assert play.barrier.short_of_credit()
    assert play.answer(0, "brain") == []
    assert play.react(Credited(0)) == [Grant(1, ("body",))]
    assert play.answer(1, "body") == [Commit(1), Couple(2)]


def test_an_answer_during_a_pause_is_kept():
    play = Play(PAIR, steps=4, every={"brain": 2}).running()
    play.react(Ordered("pause"))
    play.answer(0, "body")
    assert play.barrier.state == "paused"
    assert play.answer(0, "brain") == []
    play.react(Ordered("resume"))
    assert play.answer(1, "body") == [Commit(1), Couple(2), Grant(2, ("brain", "body"))]


def test_an_answer_of_a_step_longer_than_the_run_may_come_while_stopping():
    play = Play(PAIR, steps=1, every={"brain": 3}).running()
    play.answer(0, "body")
    assert play.barrier.state == "stopping"
    assert play.answer(0, "brain") == []
    assert play.react(HasHalted("body"), HasHalted("brain")) == [Conclude(None, ""), Finish()]


def test_a_step_in_which_nobody_is_due_passes_by_itself():
    play = Play({"brain": "participant"}, steps=4, every={"brain": 4}).running()
    assert granted(play) == [(0, ("brain",)), (1, ()), (2, ()), (3, ())]
    assert [action.step for action in play.of(Commit)] == [0, 1, 2]
    assert play.answer(0, "brain")[0] == Commit(3)


# --- credit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 5])
def test_no_step_is_granted_more_than_a_window_ahead_of_the_recorder(window):
    play = Play(steps=20, window=window).running()
    for step in range(window):
        play.answer(step)
    assert [action.step for action in play.of(Grant)] == list(range(window))
    assert play.barrier.short_of_credit()
    assert play.react(Credited(0)) == [Grant(window, ("brain", "body"))]
    assert not play.barrier.short_of_credit()


def test_old_credit_takes_nothing_back():
    play = Play(steps=20, window=2).running(2)
    play.react(Credited(1), Credited(0))
    play.answer(2)
    assert play.barrier.recorded == 1
    assert play.of(Grant)[-1].step == 3


def test_credit_counts_while_paused():
    play = Play(steps=20, window=1).running()
    play.react(Ordered("pause"))
    play.answer(0)
    assert play.react(Credited(0)) == []
    assert play.react(Ordered("resume")) == [Tell("running"), Grant(1, ("brain", "body"))]


def test_a_stop_does_not_wait_for_credit():
    play = Play(steps=20, window=1).running()
    play.answer(0)
    assert play.barrier.short_of_credit()
    assert play.react(Ordered("stop")) == [Tell("stopping"), SendHalt(0, ("brain", "body"))]


# --- loss, delay and failure ----------------------------------------------------------------------------------------


def bring_to(state):
    """A play in this state, two participants and a recorder."""
    play = Play(autostart=state != "ready")
    if state == "lobby":
        play.react(Arrived("brain"))
        return play
    play.arrive()
    if state == "preparing":
        play.react(Built("recorder"), Built("body"))
        return play
    play.build()
    if state == "paused":
        play.react(Ordered("pause"))
        play.answer(0)
    if state in ("stopping", "fault"):
        play.react(Ordered("stop"))
        play.answer(0)
    if state == "fault":
        play = Play().running()
        play.react(Failed("body", SimulatorFailed("the body failed")))
    assert play.barrier.state == state
    return play


def finish(play):
    """Let everybody who is asked to halt do so."""
    while not play.of(Finish):
        for name in play.barrier.missing():
            play.react(HasHalted(name))
    assert len(play.of(Conclude)) == 1
    assert len(play.of(Finish)) == 1
    return play.of(Conclude)[0]


PHRASES = {
    "lobby": "while waiting in the lobby",
    "preparing": "while being built",
    "ready": "while ready",
    "running": "in step 0",
    "paused": "while paused",
}


@pytest.mark.parametrize("state", PHRASES)
def test_who_is_lost_ends_the_run_whatever_it_was_doing(state):
    play = bring_to(state)
    actions = play.react(Lost("brain", "its process was killed by SIGKILL"))
    assert actions[0] == Tell("fault")
    assert not any("brain" in action.names for action in actions if isinstance(action, SendHalt))
    concluded = finish(play)
    assert isinstance(concluded.error, PeerLost)
    assert concluded.culprit == "brain"
    assert concluded.error.text == f"the brain was lost {PHRASES[state]}: its process was killed by SIGKILL"


def test_a_lost_recorder_ends_the_run_too():
    play = Play().running()
    assert play.react(Lost("recorder", "gone")) == [Tell("fault"), SendHalt(-1, ("brain", "body"))]
    assert play.react(HasHalted("brain")) == []
    assert play.react(HasHalted("body")) == [Conclude(play.barrier.error, "recorder"), Finish()]


@pytest.mark.parametrize("state", [*PHRASES, "stopping", "fault"])
def test_a_monitor_may_come_and_go_and_fail(state):
    play = bring_to(state)
    assert play.react(Lost("monitor", "left"), Failed("monitor", SimulatorFailed("x"))) == []
    assert play.barrier.state == state


@pytest.mark.parametrize("state", ["lobby", "preparing", "running"])
def test_who_is_late_is_named(state):
    play = bring_to(state)
    late = play.barrier.missing()
    actions = play.react(Overdue(2.5))
    assert actions[0] == Tell("fault")
    concluded = finish(play)
    assert isinstance(concluded.error, PeerLate)
    assert concluded.culprit == late[0]
    for name in late:
        assert name in concluded.error.text
    assert "within 2.5 s" in concluded.error.text


def test_a_late_step_names_only_those_who_owe_an_answer():
    play = Play().running(1)
    play.answer(1, "brain")
    play.react(Overdue(15))
    assert play.barrier.error.text == "the body did not reach step 1 within 15 s"
    assert play.of(SendHalt)[-1].names == ("brain",)


def test_a_recorder_that_gives_no_credit_is_late():
    play = Play(steps=20, window=1).running()
    play.answer(0)
    play.react(Overdue(15))
    assert finish(play).culprit == "recorder"
    assert play.barrier.error.text == "the recorder did not write step 0 within 15 s"


@pytest.mark.parametrize("state", ["ready", "paused"])
def test_a_person_may_take_as_long_as_they_like(state):
    bring_to(state).refuse(Overdue(1.0))


# --- edits, cancelling, resets -----------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["ready", "paused"])
def test_an_edit_is_made_at_once_while_nothing_moves(state):
    play = bring_to(state)
    assert play.react(Wanted("brain")) == [SendEdit("brain")]
    assert play.react(Wanted("body")) == []
    assert play.react(Settled("brain")) == [SendEdit("body")]
    assert play.react(Settled("body")) == []
    assert play.barrier.state == state


def test_an_edit_waits_for_the_end_of_the_step_and_the_next_step_for_it():
    play = Play().running()
    assert play.react(Wanted("brain")) == []
    assert play.answer(0) == [Commit(0), Couple(1), SendEdit("brain")]
    assert play.react(Credited(0), Ordered("resume")) == []
    assert play.react(Settled("brain")) == [Grant(1, ("brain", "body"))]


def test_an_edit_waits_for_a_border_of_its_participant_only():
    play = Play(steps=9, every={"body": 3}).running()
    play.react(Wanted("body"))
    assert play.answer(0, "brain")[-1] == Grant(1, ("brain",))
    assert play.answer(1, "brain")[-1] == Grant(2, ("brain",))
    play.answer(2, "brain")
    assert play.answer(0, "body") == [Commit(2), Couple(3), SendEdit("body")]
    other = Play(steps=9, every={"body": 3}).running()
    other.react(Wanted("brain"))
    assert other.answer(0, "brain")[-1] == SendEdit("brain")
    assert other.answer(0, "body") == []  # early, while the brain is edited
    assert other.react(Settled("brain")) == [Grant(1, ("brain",))]


def test_an_edit_that_was_asked_for_comes_before_the_pause():
    play = Play(steps=9, every={"body": 2}).running()
    play.react(Wanted("body"), Ordered("pause"))
    assert play.answer(0, "brain")[-1] == Grant(1, ("brain",))
    play.answer(0, "body")
    assert play.answer(1, "brain")[-1] == SendEdit("body")
    assert play.react(Settled("body")) == [Tell("paused")]


@pytest.mark.parametrize("order", ["stop", "reset"])
@pytest.mark.parametrize("state", ["ready", "paused", "running"])
def test_an_order_to_end_waits_for_the_edit(state, order):
    play = bring_to(state)
    play.react(Wanted("brain"))
    if state == "running":
        play.answer(0)
    assert play.react(Ordered(order)) == []
    assert play.react(Settled("brain"))[0] == Tell("stopping")


@pytest.mark.parametrize("state", ["ready", "paused"])
def test_one_step_is_made_and_then_it_pauses(state):
    play = bring_to(state)
    step = play.barrier.step
    assert play.react(Ordered("step")) == [Tell("running"), Grant(step, ("brain", "body"))]
    assert play.answer(step) == [Commit(step), Couple(step + 1), Tell("paused")]
    assert play.react(Ordered("step")) == [Tell("running"), Grant(step + 1, ("brain", "body"))]


def test_several_steps_are_made_and_then_it_pauses():
    play = Play(PAIR, steps=9, autostart=False)
    play.arrive()
    play.build()
    assert play.react(Ordered("step", steps=3))[-1] == Grant(0, ("brain", "body"))
    for step in (0, 1):
        assert play.answer(step)[-1] == Grant(step + 1, ("brain", "body"))
    assert play.answer(2)[-1] == Tell("paused")


def test_a_pause_ends_a_row_of_steps_and_another_order_counts_anew():
    play = Play(PAIR, steps=9, autostart=False)
    play.arrive()
    play.build()
    play.react(Ordered("step", steps=5), Ordered("step", steps=1))
    assert play.answer(0)[-1] == Grant(1, ("brain", "body"))
    assert play.answer(1)[-1] == Tell("paused")
    play.react(Ordered("step", steps=5), Ordered("pause"))
    assert play.answer(2)[-1] == Tell("paused")


def test_a_step_ordered_while_it_runs_is_a_pause_after_the_step_in_progress():
    play = Play().running()
    assert play.react(Ordered("step"), Ordered("step")) == []
    assert play.answer(0) == [Commit(0), Couple(1), Tell("paused")]


def test_one_step_is_one_of_the_engine_however_long_those_of_others_are():
    play = Play(PAIR, steps=9, every={"body": 3}, autostart=False)
    play.arrive()
    play.build()
    assert play.react(Ordered("step"))[-1] == Grant(0, ("brain", "body"))
    assert play.answer(0, "brain")[-1] == Tell("paused")
    assert play.react(Ordered("step"))[-1] == Grant(1, ("brain",))
    assert play.answer(1, "brain")[-1] == Tell("paused")
    assert play.answer(0, "body") == []


def test_one_step_waits_for_an_edit_and_for_credit():
    play = Play(window=1, autostart=False, steps=9)
    play.arrive()
    play.build()
    play.react(Wanted("brain"))
    assert play.react(Ordered("step")) == [Tell("running")]
    assert play.react(Settled("brain")) == [Grant(0, ("brain", "body"))]
    assert play.answer(0)[-1] == Tell("paused")
    assert play.react(Ordered("step")) == [Tell("running")]
    assert play.react(Ordered("step")) == []
    assert play.react(Credited(0)) == [Grant(1, ("brain", "body"))]
    assert play.answer(1)[-1] == Tell("paused")


@pytest.mark.parametrize(("order", "end"), [("pause", Tell("paused")), ("resume", Grant(2, ("brain", "body")))])
def test_a_later_order_takes_the_single_step_back(order, end):
    play = Play(autostart=False, steps=9)
    play.arrive()
    play.build()
    play.react(Ordered("step"), Ordered(order), Credited(0))
    play.answer(0)
    if order == "resume":
        play.answer(1)
    assert play.actions[-1] == end


@pytest.mark.parametrize("state", ["lobby", "preparing"])
def test_what_is_not_built_yet_makes_no_step(state):
    assert bring_to(state).refuse(Ordered("step")).endswith("it can make a step once it is ready")


def test_a_single_step_at_the_end_is_the_end():
    play = Play(PAIR, steps=1, autostart=False)
    play.arrive()
    play.build()
    play.react(Ordered("step"))
    assert play.answer(0)[:3] == [Commit(0), Couple(1), Tell("stopping")]


@pytest.mark.parametrize("state", ["ready", "paused"])
def test_the_engine_is_edited_between_two_steps_like_others(state):
    play = bring_to(state)
    assert play.react(Wanted(ENGINE), Wanted("brain")) == [SendEdit(ENGINE)]
    assert play.react(Settled(ENGINE)) == [SendEdit("brain")]


def test_the_engine_is_edited_at_any_border_of_its_own_steps():
    play = Play(PAIR, steps=9, every={"body": 3}).running()
    play.react(Wanted(ENGINE))
    assert play.answer(0, "brain")[-1] == SendEdit(ENGINE)
    assert play.react(Settled(ENGINE)) == [Grant(1, ("brain",))]


@pytest.mark.parametrize("state", ["ready", "running", "paused"])
def test_the_number_of_steps_can_be_changed(state):
    play = bring_to(state)
    play.react(Limited(2))
    if state != "running":
        play.react(Ordered("start"))
    while play.barrier.state == "running":
        play.answer(play.barrier.step)
    assert play.of(Commit) == [Commit(0), Commit(1)]


def test_a_limit_that_is_reached_ends_nothing_while_it_is_paused():
    play = bring_to("paused")
    assert play.react(Limited(1)) == []
    assert play.react(Limited(2)) == []
    assert play.react(Ordered("start"))[-1] == Grant(1, ("brain", "body"))


def test_when_its_time_is_over_the_run_ends_after_the_step():
    play = Play().running()
    assert play.react(TimedOut()) == []
    assert play.answer(0)[:3] == [Commit(0), Couple(1), Tell("stopping")]
    assert finish(play).error is None


def test_time_that_was_over_once_is_not_over_in_the_next_run():
    play = Play(PAIR).running()
    play.react(TimedOut(), Ordered("reset"))
    play.answer(0)
    play.react(HasHalted("brain"), HasHalted("body"))
    play.build()
    assert play.react(Ordered("start"))[-1] == Grant(0, ("brain", "body"))


def test_an_order_to_start_waits_for_the_edit():
    play = bring_to("paused")
    play.react(Wanted("brain"))
    assert play.react(Ordered("resume")) == [Tell("running")]
    assert isinstance(play.react(Settled("brain"))[0], Grant)


@pytest.mark.parametrize("state", ["ready", "paused", "running"])
def test_a_late_edit_is_a_fault_of_who_was_to_be_edited(state):
    play = bring_to(state)
    play.react(Wanted("body"))
    if state == "running":
        play.answer(0)
    assert play.react(Overdue(3))[0] == Tell("fault")
    assert play.barrier.error.text == "the body did not carry out an edit within 3 s"
    assert finish(play).culprit == "body"


def test_an_answer_to_an_edit_that_nobody_sent_is_out_of_place():
    assert "was not asked for" in Play().running().refuse(Settled("brain"))


def test_a_step_that_is_cancelled_is_not_committed():
    play = Play().running(1)
    play.answer(1, "body")
    assert play.react(Ordered("stop")) == []
    assert play.react(Ordered("cancel")) == [Tell("stopping"), SendHalt(0, ("brain", "body"))]
    assert play.barrier.cancelled == 1
    assert play.react(Failed("brain", StepCancelled("gave up"))) == []
    assert finish(play).error is None
    assert play.of(Commit) == [Commit(0)]


def test_a_full_reset_begins_another_run_with_the_same_members():
    play = Play(steps=2).running()
    assert play.react(Ordered("reset")) == []
    assert play.answer(0)[-2:] == [Tell("stopping"), SendHalt(0, ("brain", "body"))]
    play.react(HasHalted("brain"))
    assert play.react(HasHalted("body")) == [Conclude(None, "", resetting=True), SendHalt(0, ("recorder",))]
    names = ("brain", "body", "recorder")
    assert play.react(HasHalted("recorder")) == [Restart(), Tell("preparing"), SendPrepare(names)]
    play.actions.clear()
    assert play.build() == [Couple(0), Tell("ready")]
    assert play.react(Ordered("start")) == [Tell("running"), Grant(0, ("brain", "body"))]
    play.answer(0)
    play.answer(1)
    finish(play)
    assert play.of(Finish) == [Finish()]


@pytest.mark.parametrize("orders", [["reset", "cancel"], ["cancel", "reset"]])
def test_one_can_reset_out_of_a_step_that_does_not_end(orders):
    play = Play(PAIR).running()
    play.react(*(Ordered(what) for what in orders))
    play.react(HasHalted("brain"))
    assert Restart() in play.react(HasHalted("body"))


def test_the_later_order_counts():
    play = Play(PAIR).running()
    play.react(Ordered("reset"), Ordered("stop"))
    play.answer(0)
    play.react(HasHalted("brain"))
    assert play.react(HasHalted("body")) == [Conclude(None, ""), Finish()]


def test_who_fails_while_a_reset_is_on_its_way_ends_the_run():
    play = Play(PAIR).running()
    play.react(Ordered("reset"))
    play.answer(0)
    play.react(Lost("brain", "gone"))
    assert play.react(HasHalted("body"))[-1] == Finish()


@pytest.mark.parametrize("state", ["lobby", "preparing"])
def test_what_is_not_built_yet_cannot_be_reset(state):
    assert bring_to(state).refuse(Ordered("reset")).endswith("it can be reset once it is ready")


@pytest.mark.parametrize("name", ["brain", "recorder", ENGINE])
@pytest.mark.parametrize("state", PHRASES)
def test_who_fails_ends_the_run_with_its_own_error(state, name):
    error = TransferFailed("division by zero") if name == ENGINE else SimulatorFailed("it broke")
    play = bring_to(state)
    assert play.react(Failed(name, error))[0] == Tell("fault")
    concluded = finish(play)
    assert (concluded.error, concluded.culprit) == (error, name)


def test_after_a_fault_nothing_more_is_granted_or_committed():
    play = Play().running(1)
    play.answer(1, "body")
    play.react(Failed("brain", SimulatorFailed("x")))
    before = list(play.actions)
    play.react(Answered("brain", 1), Answered("body", 1), Coupled(), Credited(1), Built("body"), Ordered("start"))
    assert play.actions == before
    assert play.of(SendHalt)[-1] == SendHalt(0, ("body",))


def test_the_first_cause_stands():
    play = Play().running()
    first = SimulatorFailed("the brain broke")
    play.react(Failed("brain", first), Lost("body", "killed"), Failed("recorder", DiskFull("full")))
    concluded = finish(play)
    assert (concluded.error, concluded.culprit) == (first, "brain")


def test_who_is_lost_while_all_are_stopping_is_not_waited_for():
    play = bring_to("stopping")
    assert play.react(Lost("brain", "killed")) == []
    actions = play.react(HasHalted("body"))
    assert actions == [Conclude(play.barrier.error, "brain"), SendHalt(0, ("recorder",))]
    assert play.barrier.error.text == "the brain was lost while the run was stopping: killed"
    finish(play)


def test_a_disk_that_fills_up_with_the_last_bytes_is_told_as_what_it_is():
    play = bring_to("stopping")
    play.react(HasHalted("brain"), HasHalted("body"))
    full = DiskFull("there is no space left")
    assert play.react(Failed("recorder", full)) == [Finish()]
    assert (play.barrier.error, play.barrier.culprit) == (full, "recorder")
    assert len(play.of(Conclude)) == 1


@pytest.mark.parametrize("state", ["stopping", "fault"])
def test_who_does_not_stop_is_given_up(state):
    play = bring_to(state)
    had_a_cause = play.barrier.error
    late = play.barrier.missing()
    actions = play.react(Overdue(1.0))
    assert isinstance(actions[0], Conclude)
    assert actions[-1] == SendHalt(play.barrier.step - 1, ("recorder",))
    if not had_a_cause:
        assert play.barrier.error.text == f"the {' and the '.join(late)} did not stop within 1 s"
        assert play.barrier.culprit == late[0]
    assert play.react(Overdue(2.0)) == [Finish()]
    assert len(play.of(Conclude)) == 1


def test_the_recorder_is_halted_last():
    for state in ("stopping", "fault"):
        play = bring_to(state)
        finish(play)
        kinds = [type(action) for action in play.actions if isinstance(action, (SendHalt, Conclude, Finish))]
        assert kinds == [SendHalt, Conclude, SendHalt, Finish]
        assert play.of(SendHalt)[-1].names == ("recorder",)


def test_halting_twice_is_halting_once():
    play = bring_to("stopping")
    play.react(HasHalted("brain"), HasHalted("brain"), HasHalted("body"), HasHalted("body"), HasHalted("brain"))
    assert len(play.of(Conclude)) == 1
    assert [action.names for action in play.of(SendHalt)] == [("brain", "body"), ("recorder",)]


# --- out of place ---------------------------------------------------------------------------------------------------

EVENTS = {
    Arrived: Arrived("brain"),
    Built: Built("brain"),
    Answered: Answered("brain", 0),
    Coupled: Coupled(),
    Credited: Credited(0),
    Limited: Limited(9),
    TimedOut: TimedOut(),
    HasHalted: HasHalted("brain"),
}
PLACES = {
    "lobby": {Arrived},
    "preparing": {Built, Coupled, Limited},
    "ready": {Limited},
    "running": {Answered, Coupled, Credited, Limited, TimedOut},
    "paused": {Answered, Credited, Limited},
    "stopping": {Answered, Built, Coupled, Credited, HasHalted},
    "fault": {Answered, Built, Coupled, Credited, HasHalted},
}


@pytest.mark.parametrize(("state", "kind"), [(s, k) for s in PLACES for k in EVENTS if k not in PLACES[s]])
def test_an_event_out_of_place_is_refused_and_changes_nothing(state, kind):
    text = bring_to(state).refuse(EVENTS[kind])
    assert f"{kind.__name__.lower()} has no place while the run is" in text


@pytest.mark.parametrize(
    ("state", "event"),
    [
        ("lobby", Arrived("stranger")),
        ("preparing", Built("stranger")),
        ("running", Answered("stranger", 0)),
        ("running", Wanted("stranger")),
        ("stopping", HasHalted("stranger")),
    ],
)
def test_a_stranger_has_no_part_in_it(state, event):
    assert "stranger has no part in this run" in bring_to(state).refuse(event)


def test_an_answer_to_another_step_is_refused():
    play = Play().running(1)
    assert "brain answered step 0, step 1 was granted" in play.refuse(Answered("brain", 0))
    play.refuse(Answered("brain", 2))


# --- any order of events ------------------------------------------------------------------------------------------


class AnyOrder(RuleBasedStateMachine):
    """Answers, credit, orders and accidents in any order; beside the barrier a list of what was done."""

    @initialize(
        steps=st.integers(1, 8),
        brain=st.integers(1, 3),
        body=st.integers(1, 3),
        window=st.integers(0, 3),
        autostart=st.booleans(),
    )
    def open(self, steps, brain, body, window, autostart):
        roster = ROSTER if window else PAIR
        self.every = {"brain": brain, "body": body}
        self.window, self.steps = window, steps
        self.barrier = b.open_lobby(roster, steps=steps, every=self.every, window=window, autostart=autostart)
        self.granted = {"brain": [], "body": []}
        self.answered = {"brain": -1, "body": -1}
        self.steps_granted, self.committed, self.coupled = [], [], []
        self.recorded, self.pending_couple = -1, 0
        self.asked, self.asked_to_build, self.halted = [], [], set()
        self.concluded = self.finished = 0
        self.stopping, self.editing = False, None
        self.single = -1

    def begin_again(self):
        """As `open`, but for what a full reset leaves as it is."""
        self.granted = {"brain": [], "body": []}
        self.answered = {"brain": -1, "body": -1}
        self.steps_granted, self.committed, self.coupled = [], [], []
        self.recorded, self.pending_couple = -1, 0
        self.asked, self.concluded = [], 0
        self.stopping, self.editing, self.single = False, None, -1

    def give(self, event):
        assert not self.finished
        self.barrier, actions = b.react(self.barrier, event)
        for action in actions:
            self.take(action)

    def take(self, action):
        assert not self.finished
        match action:
            case SendPrepare(names):
                self.asked_to_build = list(names)
            case Couple(step):
                assert step == len(self.coupled)
                assert self.pending_couple == 0
                self.coupled.append(step)
                self.pending_couple = 1
            case Commit(step):
                assert step == len(self.committed)
                assert self.steps_granted[-1] == step
                self.committed.append(step)
                for name, every in self.every.items():
                    # Everybody whose own step ends here has answered it.
                    owed = [g for g in self.granted[name] if g + every - 1 <= step]
                    assert not owed or self.answered[name] >= owed[-1]
            case Grant(step, names):
                assert not self.stopping
                assert not self.editing
                assert step == len(self.steps_granted) == len(self.committed)
                assert self.pending_couple == 0
                assert len(self.coupled) == step + 1
                if self.window:
                    assert step <= self.recorded + self.window
                assert set(names) == {name for name, every in self.every.items() if step % every == 0}
                self.steps_granted.append(step)
                if self.single >= 0 and self.barrier.wanted:
                    self.single = max(self.single, step + 1)  # an edit waits for a border of its participant
                for name in names:
                    assert self.answered[name] == (self.granted[name][-1] if self.granted[name] else -1)
                    self.granted[name].append(step)
            case SendEdit(name):
                assert not self.stopping
                assert not self.editing
                assert len(self.steps_granted) == len(self.committed)
                assert name == ENGINE or len(self.committed) % self.every[name] == 0
                self.editing = name
            case Restart():
                assert self.concluded
                assert not self.asked
                self.begin_again()
            case SendHalt(_, names):
                assert "recorder" not in names or (names == ("recorder",) and self.concluded)
                self.asked += names
                self.stopping = True
            case Conclude():
                self.concluded += 1
            case Finish():
                self.finished += 1
            case Tell(state):
                if state in ("stopping", "fault"):
                    self.stopping, self.editing = True, None

    @precondition(lambda self: self.barrier.state == "lobby" and not self.finished)
    @rule(data=st.data())
    def arrive(self, data):
        self.give(Arrived(data.draw(st.sampled_from(self.barrier.missing()))))

    @precondition(lambda self: self.asked_to_build and not self.finished)
    @rule(data=st.data())
    def build(self, data):
        name = data.draw(st.sampled_from(self.asked_to_build))
        self.asked_to_build.remove(name)
        self.give(Built(name))

    @rule()
    def wait(self):
        """Nothing happens."""

    @precondition(lambda self: self.pending_couple and not self.finished)
    @rule()
    def couple(self):
        self.pending_couple = 0
        self.give(Coupled())

    @precondition(lambda self: not self.finished and any(self.open_answers()))
    @rule(data=st.data())
    def answer(self, data):
        name = data.draw(st.sampled_from(list(self.open_answers())))
        self.answered[name] = self.granted[name][-1]
        self.give(Answered(name, self.answered[name]))

    def open_answers(self):
        return (n for n, steps in self.granted.items() if steps and self.answered[n] < steps[-1])

    @precondition(lambda self: not self.finished and self.window and self.recorded < len(self.committed) - 1)
    @rule(data=st.data())
    def credit(self, data):
        self.recorded = data.draw(st.integers(self.recorded + 1, len(self.committed) - 1))
        self.give(Credited(self.recorded))

    @precondition(lambda self: not self.finished)
    @rule(
        what=st.sampled_from(["start", "pause", "resume", "resume", "start", "step", "stop", "cancel", "reset"]),
        really=st.integers(0, 9),
    )
    def order(self, what, really):
        if what in ("reset", "step") and self.barrier.state in ("lobby", "preparing"):
            with pytest.raises(OutOfOrder):
                b.react(self.barrier, Ordered(what))
            return
        if what == "step" and self.barrier.state in ("ready", "paused"):
            self.single = len(self.steps_granted) + 1
        elif what in ("start", "resume"):
            self.single = -1
        if what not in ("stop", "cancel", "reset") or really == 0:
            self.give(Ordered(what))

    @precondition(lambda self: self.barrier.state in ("ready", "running", "paused"))
    @rule(name=st.sampled_from(["brain", "body", ENGINE]))
    def want(self, name):
        if self.barrier.state == "running" or self.barrier.at_border(name):
            self.give(Wanted(name))

    @precondition(lambda self: self.editing)
    @rule()
    def settle(self):
        name, self.editing = self.editing, None
        self.give(Settled(name))

    @precondition(lambda self: not self.finished and self.asked)
    @rule(data=st.data())
    def halt(self, data):
        name = data.draw(st.sampled_from(self.asked))
        self.asked.remove(name)
        self.give(HasHalted(name))

    @precondition(lambda self: not self.finished)
    @rule(
        name=st.sampled_from(["brain", "body", "recorder", "monitor"]),
        how=st.sampled_from(["lost", "failed"]),
        really=st.integers(0, 14),
    )
    def accident(self, name, how, really):
        if really or (name == "recorder" and not self.window):
            return
        self.give(Lost(name, "gone") if how == "lost" else Failed(name, SimulatorFailed("broke")))

    @invariant()
    def nothing_is_done_twice(self):
        if not hasattr(self, "concluded"):
            return
        assert self.concluded <= 1
        assert self.finished <= 1
        assert self.finished <= self.concluded
        assert len(self.steps_granted) <= self.steps
        if self.single >= 0:
            assert len(self.steps_granted) <= self.single

    def teardown(self):
        """Whatever happened: once everybody does what is asked of them, the run ends."""
        if not hasattr(self, "barrier"):
            return
        for _ in range(500):
            if self.finished:
                break
            if self.pending_couple:
                self.couple()
            elif self.editing:
                self.settle()
            elif self.barrier.state == "lobby":
                self.give(Arrived(self.barrier.missing()[0]))
            elif self.asked_to_build:
                self.give(Built(self.asked_to_build.pop()))
            elif open_answers := list(self.open_answers()):
                self.answered[open_answers[0]] = self.granted[open_answers[0]][-1]
                self.give(Answered(open_answers[0], self.answered[open_answers[0]]))
            elif self.window and self.recorded < len(self.committed) - 1 and self.barrier.state == "running":
                self.recorded = len(self.committed) - 1
                self.give(Credited(self.recorded))
            elif self.barrier.state in ("ready", "paused"):
                self.give(Ordered("resume"))
            else:
                self.give(HasHalted(self.asked.pop()))
        assert (self.concluded, self.finished) == (1, 1)
        if self.barrier.error is None and not self.barrier.ending:
            assert self.committed == list(range(self.steps))


TestAnyOrder = AnyOrder.TestCase
