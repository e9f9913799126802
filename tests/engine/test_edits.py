"""Edits between steps, resets, a cancelled step: whole runs over real wires, with toys for simulators."""

import json
import math
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from reafference.errors import BadExperiment, OutOfOrder, PeerLate, SimulatorFailed, StepCancelled, WrongVersion
from reafference.frames import Bye, Hello, Message, Port, Ports, RunStop
from reafference.simulator import Changed, never
from services.recorder.export import export
from services.recorder.reader import Run
from services.recorder.verify import verify
from tests.engine.operators import PATIENCE_S, Gate, Person, in_state
from tests.engine.simulators import Counter, Echo, House, port

pytestmark = pytest.mark.timeout(120, method="thread")

ROOT = Path(__file__).parents[2]

LOOP = """
calls = []

@transfer(writes="brain.drive")
def pulse(step):
    calls.append(step)
    return float(len(calls))

@transfer(reads="brain.sinks.count", writes="body.excitation")
def forth(count, state):
    state.sum = getattr(state, "sum", 0.0) + count
    return state.sum

@transfer(reads="body.joints.echo", writes="brain.back")
def back(echo):
    return echo
"""


class Tunable(Counter):
    """A brain whose die can be scaled, that can get other ports, and that can fail in both ways."""

    def __init__(self, act=lambda step: None):
        super().__init__(act)
        self.edits, self.cancelled = [], never

    def prepare(self, plan, report):
        self.scale, self.wide = 1.0, False
        return super().prepare(plan, report)

    @property
    def present(self):
        """Its ports after a change: one sink is gone, one is new, one has another form."""
        kept = [p for p in self.ports.outputs if p.name not in ("sinks.count", "sinks.die")]
        new = port("sinks.pair"), Port(name="sinks.die", shape=(2,), dtype="<f8", unit="1")
        return Ports(inputs=self.ports.inputs, outputs=(*kept, *new)) if self.wide else self.ports

    def edit(self, what, arguments, report):
        self.edits.append((len(self.steps), what))
        match what:
            case "scale":
                before, self.scale = self.scale, arguments["by"]
                return Changed({"before": before, "most": math.inf, "all": np.array([1.0, math.nan])})
            case "widen" | "narrow":
                self.wide = what == "widen"
                return Changed(ports=self.present)
            case "reset":
                return Changed(ports=self.prepare(self.plan, report))
            case "break":
                raise ValueError("the axon tore")
            case "wait":
                assert arguments["gate"] == "shut"
                assert self.hold.wait(PATIENCE_S)
        raise BadExperiment(f"{what!r} is no edit of this brain: name 'scale'")

    def outputs(self, step):
        out = super().outputs(step)
        out["sinks.die"] = out["sinks.die"] * self.scale
        if self.wide:
            del out["sinks.count"]
            out["sinks.die"] = np.full(2, out["sinks.die"])
            out["sinks.pair"] = np.array(2.0)
        return out


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    made.simulators["brain"] = Tunable()
    return made


def recorded(house, *overrides, **more):
    """Run with a recorder beside; the last document."""
    recorder = subprocess.Popen([sys.executable, "-m", "services.recorder"], cwd=ROOT, env=house.environment)
    try:
        stop = house.run(*overrides, **more)
        assert recorder.wait(PATIENCE_S) == 0
    finally:
        recorder.kill()
        recorder.wait()
    return stop


def surely(operator, what, scope=""):
    """Order something; the engine has taken it when this returns, for it takes what comes in order."""
    operator.operator.order(what, scope=scope)
    with pytest.raises(BadExperiment):
        operator.operator.edit("nobody", "this is refused at once")


def ended(operator):
    """Wait until the engine says goodbye; the last document before that."""
    operator.until(lambda frame: isinstance(frame, Bye))
    return [frame for frame in operator.heard if isinstance(frame, RunStop)][-1]


def schedule(house, *entries):
    """Put these into the experiment file: (at_s, to, what, arguments)."""
    with (house.folder / "experiment.toml").open("a") as file:
        for at_s, to, what, arguments in entries:
            file.write(f'\n[[schedule]]\nat_s = {at_s}\nto = "{to}"\nwhat = "{what}"\narguments = {arguments}\n')


# --- edits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["ready", "paused", "running"])
def test_an_edit_is_made_between_two_steps_and_answered(house, state):
    gate, said = Gate(3), []
    house.simulators["body"] = Echo(gate)
    steps = 200 if state == "running" else 6
    house.write(LOOP, steps=steps, record=True)

    def person():
        with Person(house) as operator:
            operator.until(in_state("ready"))
            edit = operator.operator.edit
            if state == "ready":
                said.append(edit("brain", "scale", {"by": 2.5}))
            operator.operator.order("start")
            assert gate.reached.wait(PATIENCE_S)
            if state == "paused":
                surely(operator, "pause")
                gate.opened.set()
                operator.until(in_state("paused"))
                said.append(edit("brain", "scale", {"by": 2.5}))
                operator.operator.order("resume")
            if state == "running":
                threading.Timer(0.2, gate.opened.set).start()
                said.append(edit("brain", "scale", {"by": 2.5}))
            gate.opened.set()
            ended(operator)

    stop = recorded(house, beside=[person], autostart=False)
    assert (stop.outcome, stop.steps) == ("finished", steps)
    ((at, what),) = house.simulators["brain"].edits
    assert what == "scale"
    assert at == {"ready": 0, "paused": 4}.get(state, at)
    assert (said[0]["before"], said[0]["most"]) == (1.0, math.inf)
    assert math.isnan(said[0]["all"][1])
    run = Run(house.folder / "run")
    (change,) = run.changes
    assert (change.step, change.t_ns, change.by) == (at, at * 20_000_000, "console")
    assert (change.to, change.what, change.arguments, change.code) == ("brain", "scale", {"by": 2.5}, "")
    assert verify(run).good
    rolled = np.random.default_rng(house.simulators["brain"].plan.seed).random(steps)
    scales = run.series("brain/sinks", "die")[1] / rolled
    assert list(scales) == pytest.approx([1.0] * at + [2.5] * (steps - at))


def test_an_edit_that_is_refused_changes_nothing_and_the_caller_gets_the_reason(house):
    gate, caught = Gate(2), []
    house.simulators["body"] = Echo(gate)
    house.write(LOOP, steps=5, record=True)

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            surely(operator, "pause")
            gate.opened.set()
            operator.until(in_state("paused"))
            for to, what in (("brain", "tickle"), ("body", "tickle"), ("brian", "scale")):
                with pytest.raises(BadExperiment) as refused:
                    operator.operator.edit(to, what)
                caught.append(refused.value.text)
            caught.append(operator.order("pause").state)
            operator.operator.order("resume")
            ended(operator)

    stop = recorded(house, beside=[person])
    assert caught == [
        "'tickle' is no edit of this brain: name 'scale'",
        "the body has no edit 'tickle': it can be reset, and nothing else",
        "there is no participant 'brian' to edit: name 'brain' or 'body' or 'engine' (did you mean 'brain'?)",
        "paused",
    ]
    assert (stop.outcome, stop.steps) == ("finished", 5)
    run = Run(house.folder / "run")
    assert [(c.step, c.to, c.code) for c in run.changes] == [
        (3, "brain", "bad_experiment"),
        (3, "body", "bad_experiment"),
    ]
    assert verify(run).good


def test_edits_of_several_operators_wait_for_their_turn(house):
    gate, both = Gate(2), threading.Barrier(2)
    house.simulators["body"] = Echo(gate)
    house.write(LOOP, steps=200)

    def person(name):
        def act():
            with Person(house, name=name) as operator:
                assert gate.reached.wait(PATIENCE_S)
                both.wait(PATIENCE_S)  # neither is too late
                gate.opened.set()
                for by in (1.0, 2.0, 3.0):
                    operator.operator.edit("brain", "scale", {"by": by})
                ended(operator)

        return act

    stop = house.run(beside=[person("anna"), person("ben")])
    assert (stop.outcome, stop.steps) == ("finished", 200)
    assert [what for _, what in house.simulators["brain"].edits] == ["scale"] * 6


def test_an_edit_that_breaks_the_simulator_ends_the_run_and_the_caller_knows_why(house):
    caught = []
    house.write(LOOP)

    def person():
        with Person(house) as operator:
            operator.until(in_state("ready"))
            with pytest.raises(SimulatorFailed) as failed:
                operator.operator.edit("brain", "break")
            caught.append(failed.value.text)
            ended(operator)

    stop = house.run(beside=[person], autostart=False)
    assert (stop.outcome, stop.code, stop.service) == ("fault", "simulator_failed", "brain")
    assert stop.text == "the brain failed in the edit 'break': ValueError: the axon tore"
    assert stop.text in caught[0]


def test_an_edit_that_is_late_ends_the_run(house):
    hold, caught = Gate(0), []
    house.simulators["brain"].hold = hold.opened
    house.write(LOOP)

    def person():
        with Person(house) as operator:
            operator.until(in_state("ready"))
            with pytest.raises(PeerLate) as late:
                operator.operator.edit("brain", "wait", {"gate": "shut"}, timeout_s=0.3)
            caught.append(late.value.text)
            ended(operator)

    stop = house.run(beside=[person], autostart=False, after=hold.opened.set)
    assert (stop.outcome, stop.code, stop.service) == ("fault", "peer_late", "brain")
    assert stop.text == "the brain did not carry out an edit within 0.3 s"
    assert stop.text in caught[0]


def test_an_edit_waits_for_the_end_of_a_longer_step_of_its_participant(house):
    gate, caught = Gate(3), []
    house.simulators["brain"] = Tunable(gate)
    house.write(LOOP, steps=9, body="step_ms = 60")

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            surely(operator, "pause")
            gate.opened.set()
            operator.until(in_state("paused"))
            with pytest.raises(OutOfOrder) as refused:
                operator.operator.edit("body", "reset")
            caught.append(refused.value.text)
            operator.operator.edit("brain", "scale", {"by": 3.0})
            operator.operator.order("resume")
            operator.operator.edit("body", "reset")
            ended(operator)

    # So slowly that the last edit arrives within the body's step, on a busy machine, too.
    stop = house.run("experiment.pace=0.05", beside=[person])
    assert "paused in the middle of a step of the body: resume it" in caught[0]
    assert (stop.outcome, stop.steps) == ("finished", 9)
    assert house.simulators["brain"].edits == [(4, "scale")]
    assert house.simulators["body"].plan.t_ns == 6 * 20_000_000


def test_a_participant_of_the_protocol_before_takes_part_but_cannot_be_edited(house, monkeypatch):
    monkeypatch.setattr("reafference.link.Hello", partial(Hello, highest=(1, 0)))
    caught = []
    house.write(LOOP, steps=3)

    def person():
        with Person(house) as operator:
            operator.until(in_state("ready"))
            with pytest.raises(WrongVersion) as refused:
                operator.operator.edit("brain", "scale", {"by": 2.0})
            caught.append(refused.value.text)
            operator.operator.order("start")
            ended(operator)

    stop = house.run(beside=[person], autostart=False)
    assert (stop.outcome, stop.steps) == ("finished", 3)
    assert caught == ["the brain speaks protocol 1.0, which has no edits: upgrade it"]


# --- other ports --------------------------------------------------------------------------------------------


def test_functions_whose_ports_are_gone_rest_until_they_are_back(house):
    house.write(LOOP, steps=12, record=True)
    schedule(house, (0.08, "brain", "widen", "{}"), (0.16, "brain", "narrow", "{}"))
    told = []

    def person():
        with Person(house) as operator:
            operator.until(in_state("ready"))
            operator.operator.order("start")
            told.append(operator.until(lambda frame: isinstance(frame, Message)))
            ended(operator)

    stop = recorded(house, beside=[person], autostart=False)
    assert (stop.outcome, stop.steps) == ("finished", 12)
    assert (told[0].function, told[0].step, told[0].line_text) == (
        "forth",
        4,
        '@transfer(reads="brain.sinks.count", writes="body.excitation")',
    )
    assert "the brain has no such port" in told[0].text
    # The count of the steps 1 to 4, then the last value, and on with the same variables.
    sums = [0, 1, 3, 6, 10, 10, 10, 10, 10, 19, 29, 40]
    assert house.simulators["body"].seen("excitation") == dict(enumerate(map(float, sums)))
    assert house.simulators["brain"].seen("drive") == {n: n + 1.0 for n in range(12)}
    assert stop.facts["switched_off"] == []
    run = Run(house.folder / "run")
    assert verify(run).good
    assert run.series("brain/sinks", "die")[1].shape == (8,)
    made = {path.name for path in export(run, house.folder / "export")}
    assert {"sinks.csv", "sinks_from_step_4.csv", "sinks_from_step_8.csv", "edits.csv"} <= made
    wide = (house.folder / "export" / "sinks_from_step_4.csv").read_text().splitlines()
    assert wide[0].split(",")[:2] == ["step", "t_s"]
    assert [line.split(",")[0] for line in wide[1:]] == ["4", "5", "6", "7"]


def test_a_lost_port_halts_a_run_that_halts_on_errors(house):
    house.write(LOOP, steps=8)
    schedule(house, (0.08, "brain", "widen", "{}"))
    stop = house.run("on_error=halt")
    assert (stop.outcome, stop.code, stop.steps) == ("halted", "transfer_failed", 4)


def test_a_measure_whose_port_is_gone_has_no_result(house):
    house.write(LOOP, steps=8)
    with (house.folder / "experiment.toml").open("a") as file:
        file.write('\n[measures]\nmost = { reads = "brain.count", over = "max" }\necho = { reads = "body.echo" }\n')
    schedule(house, (0.08, "brain", "widen", "{}"))
    stop = house.run()
    assert stop.measures == {"most": None, "echo": 10.0}
    assert any("measure 'most' reads" in message["text"] for message in stop.messages)


# --- the schedule ---------------------------------------------------------------------------------------------


def test_a_scheduled_edit_is_made_at_its_time_and_every_time_alike(house):
    house.write(LOOP, steps=6)
    plain_run = house.run()
    schedule(house, (0, "brain", "scale", "{by = 3.0}"), (0.06, "brain", "scale", "{by = 0.5}"))
    stops = [house.run(), house.run()]
    assert house.simulators["brain"].edits == [(0, "scale"), (3, "scale")] * 2
    assert stops[0].digest == stops[1].digest != plain_run.digest


def test_a_scheduled_edit_is_the_same_as_one_by_hand(house):
    gate = Gate(2)
    house.write(LOOP, steps=6)
    schedule(house, (0.06, "brain", "scale", "{by = 0.5}"))
    scheduled = house.run()
    house.write(LOOP, steps=6)
    house.simulators["body"] = Echo(gate)

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            surely(operator, "pause")
            gate.opened.set()
            operator.until(in_state("paused"))
            operator.operator.edit("brain", "scale", {"by": 0.5})
            operator.operator.order("resume")
            ended(operator)

    assert house.run(beside=[person]).digest == scheduled.digest


def test_a_scheduled_edit_that_is_refused_ends_the_run(house):
    house.write(LOOP, steps=6)
    schedule(house, (0.04, "brain", "tickle", "{}"))
    stop = house.run()
    assert (stop.outcome, stop.code, stop.exit_status, stop.steps) == ("fault", "bad_experiment", 2, 2)
    assert stop.text.startswith("the edit 'tickle' that is scheduled for 0.04 s was refused: 'tickle' is no edit")


def test_an_edit_for_which_the_run_is_too_short_is_told(house):
    house.write(LOOP, steps=2)
    schedule(house, (0.04, "brain", "scale", "{by = 2.0}"))
    stop = house.run()
    assert (stop.outcome, house.simulators["brain"].edits) == ("finished", [])
    assert [m["text"] for m in stop.messages] == [
        "the edit 'scale' is scheduled for 0.04 s, but the run ends at 0.04 s"
    ]


# --- resets ---------------------------------------------------------------------------------------------------


def test_a_run_after_a_full_reset_equals_the_first_twice_in_a_row(house):
    """Three whole runs by the same processes, each reset at its end, after edits that must not last."""
    house.write(LOOP, steps=8, record=True)
    schedule(house, (0.06, "brain", "scale", "{by = 3.0}"))
    folders, stops, gates = [], [], [Gate(6)]
    straight = recorded(house, out="straight")

    def hold(step):
        gates[-1](step)

    house.simulators["body"] = Echo(hold)

    def person():
        with Person(house) as operator:
            for number in range(3):
                operator.until(in_state("ready"))
                folders.append(Path(operator.operator.welcome.run_folder))
                operator.operator.order("start")
                assert gates[-1].reached.wait(PATIENCE_S)
                gate = gates[-1]
                if number < 2:
                    gates.append(Gate(6))
                    surely(operator, "reset", "full")
                    gate.opened.set()
                    stops.append(operator.until(lambda frame: isinstance(frame, RunStop)))
                gate.opened.set()
            stops.append(ended(operator))

    last = recorded(house, beside=[person], autostart=False)
    assert [stop.outcome for stop in stops] == ["reset", "reset", "finished"]
    assert [stop.steps for stop in stops] == [7, 7, 8]
    assert last.digest == straight.digest
    assert stops[0].digest == stops[1].digest != ""
    assert [folder.name for folder in folders] == ["run", "run-2", "run-3"]
    runs = [Run(folder) for folder in folders]
    assert len({run.start.run for run in runs}) == 3
    for run, stop in zip(runs, stops, strict=True):
        assert (run.steps, run.stop.digest) == (stop.steps, stop.digest)
        assert verify(run).good
        assert json.loads((run.folder / "summary.json").read_text())["outcome"] == stop.outcome
        assert len((run.folder / "profile.csv").read_text().splitlines()) == stop.steps + 1
    assert house.ends == {"brain": "in order", "body": "in order"}


def test_a_reset_waits_for_its_outcome_and_leaves_the_run_ready(house):
    gate, seen = Gate(2), []
    house.simulators["body"] = Echo(gate)
    house.write(LOOP, steps=1_000_000)

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            gate.opened.set()
            operator.operator.reset()
            seen.append(len(house.simulators["brain"].steps))
            operator.operator.edit("brain", "scale", {"by": 2.0})
            operator.operator.reset()
            seen.append(house.simulators["brain"].scale)
            operator.operator.order("stop")
            ended(operator)

    stop = house.run(beside=[person])
    assert seen == [0, 1.0]
    assert (stop.outcome, stop.steps) == ("stopped", 0)


def test_a_run_that_nobody_records_says_that_it_was_reset(house):
    gate, stops = Gate(3), []
    house.simulators["body"] = Echo(gate)
    house.write(LOOP, steps=1_000_000)

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            surely(operator, "reset", "full")
            gate.opened.set()
            stops.append(operator.until(lambda frame: isinstance(frame, RunStop)))
            operator.until(in_state("ready"))
            operator.operator.order("stop")
            stops.append(ended(operator))

    house.run(beside=[person])
    assert [(stop.outcome, stop.steps) for stop in stops] == [("reset", 4), ("stopped", 0)]


@pytest.mark.parametrize("scope", ["brain", "body"])
def test_one_simulator_is_reset_and_clock_and_the_other_go_on(house, scope):
    gate = Gate(3)
    house.simulators["body"] = Echo(gate)
    house.write(LOOP, steps=6, record=True)

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            surely(operator, "pause")
            gate.opened.set()
            operator.until(in_state("paused"))
            if scope == "body":
                assert operator.order("reset", "", scope).state == "paused"
            else:
                operator.operator.reset(scope)
            operator.operator.order("resume")
            ended(operator)

    stop = recorded(house, beside=[person])
    brain, body = house.simulators["brain"], house.simulators["body"]
    assert (stop.outcome, stop.steps) == ("finished", 6)
    fresh, old = (brain, body) if scope == "brain" else (body, brain)
    assert [step.number for step in fresh.steps] == [4, 5]
    assert [step.t_ns for step in fresh.steps] == [80_000_000, 100_000_000]
    assert [step.number for step in old.steps] == [0, 1, 2, 3, 4, 5]
    run = Run(house.folder / "run")
    assert verify(run).good
    assert [(c.step, c.to, c.what, c.code) for c in run.changes] == [(4, scope, "reset", "")]
    counts = run.series("brain/sinks", "count")[1]
    assert list(counts) == ([1, 2, 3, 4, 1, 2] if scope == "brain" else [1, 2, 3, 4, 5, 6])


def test_what_is_being_built_cannot_be_reset_or_edited(house):
    gate, caught = Gate(0), []

    class Slow(Tunable):
        def prepare(self, plan, report):
            gate.reached.set()
            assert gate.opened.wait(PATIENCE_S)
            return super().prepare(plan, report)

    house.simulators["brain"] = Slow()
    house.write(LOOP, steps=2)

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            for action in (lambda: operator.operator.edit("brain", "scale"), operator.operator.reset):
                with pytest.raises(OutOfOrder) as refused:
                    action()
                caught.append(refused.value.text)
            gate.opened.set()
            ended(operator)

    assert house.run(beside=[person]).outcome == "finished"
    assert caught[0] == "nothing can be edited while the run is in the state 'preparing'"
    assert caught[1] == "the run is being built: it can be reset once it is ready"


# --- cancelling -----------------------------------------------------------------------------------------------


class Endless(Tunable):
    """A brain that does not come out of step 3 by itself, in its first run."""

    runs = 0

    def prepare(self, plan, report):
        self.runs += 1
        return super().prepare(plan, report)

    def advance(self, step):
        if step.number == 3 and self.runs == 1:
            self.stuck.set()
            while not self.cancelled():
                pass
            raise StepCancelled(f"the brain gave up in the middle of step {step.number}")
        return super().advance(step)


def endless(house):
    house.simulators["brain"] = Endless()
    house.simulators["brain"].stuck = Gate(0).reached
    return house.simulators["brain"].stuck


def test_a_cancelled_step_ends_the_run_in_order_without_it(house):
    stuck = endless(house)
    house.write(LOOP, steps=6, record=True)

    def person():
        with Person(house) as operator:
            assert stuck.wait(PATIENCE_S)
            operator.operator.order("stop")
            operator.operator.order("cancel")
            ended(operator)

    stop = recorded(house, beside=[person])
    assert (stop.outcome, stop.code, stop.exit_status, stop.steps) == ("stopped", "step_cancelled", 130, 3)
    assert stop.text == "step 3 was cancelled before its end"
    assert house.loop.exit_status == 130
    assert house.ends == {"brain": "in order", "body": "in order"}
    run = Run(house.folder / "run")
    assert (run.steps, run.stop.outcome, run.stop.digest) == (3, "stopped", "")


def test_a_run_can_be_reset_out_of_a_step_that_does_not_end(house):
    stuck = endless(house)
    house.write(LOOP, steps=6, record=True)

    def person():
        with Person(house) as operator:
            assert stuck.wait(PATIENCE_S)
            operator.operator.order("reset")
            operator.operator.order("cancel")
            operator.until(lambda frame: isinstance(frame, RunStop) and frame.outcome == "reset")
            operator.until(in_state("ready"))
            operator.operator.order("start")
            ended(operator)

    stop = recorded(house, beside=[person])
    assert (stop.outcome, stop.steps) == ("finished", 6)
    assert [Run(house.folder / name).steps for name in ("run", "run-2")] == [3, 6]
    assert verify(Run(house.folder / "run-2")).good


def test_who_does_not_look_makes_the_step_to_its_end(house):
    gate = Gate(3)
    house.simulators["body"] = Echo(gate)
    house.write(LOOP, steps=6)

    def person():
        with Person(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            surely(operator, "cancel")
            gate.opened.set()
            ended(operator)

    stop = house.run(beside=[person])
    assert (stop.outcome, stop.code, stop.steps, stop.digest) == ("stopped", "step_cancelled", 3, "")


def test_a_cancel_between_two_steps_is_a_stop(house):
    house.write(LOOP, steps=6)

    def person():
        with Person(house) as operator:
            operator.until(in_state("ready"))
            operator.operator.order("cancel")
            ended(operator)

    stop = house.run(beside=[person], autostart=False)
    assert (stop.outcome, stop.code, stop.exit_status, stop.steps) == ("stopped", "", 0, 0)


def test_the_plan_says_how_long_a_step_may_take(house):
    house.write(LOOP, steps=1)
    house.run("experiment.step_timeout_s=7.5")
    assert house.simulators["brain"].plan.step_timeout_s == 7.5
