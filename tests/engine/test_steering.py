"""services.engine.steering: what may be changed of the engine itself, in whole runs over real wires."""

import asyncio
import itertools
import time

import pytest

from reafference import codec
from reafference.aio import AioOperator
from reafference.client import Monitor
from reafference.clock import Deadline
from reafference.errors import BadExperiment, ScriptError
from reafference.frames import Bye, Change, FunctionsNote, Hello, Message, Order, RunStop, StateNote, Values
from reafference.sockets import Sender, StepPeer, Waiting, Wires
from services.recorder import store
from services.recorder.reader import Run
from services.recorder.verify import verify
from tests.engine.operators import PATIENCE_S, Gate, Person, in_state
from tests.engine.simulators import Echo, House
from tests.engine.test_edits import recorded, surely

pytestmark = pytest.mark.timeout(120, method="thread")

FUNCTIONS = """
GAIN = 2.0

@transfer(writes="brain.drive")
def pulse(step):
    return float(step)

@transfer(reads="brain.sinks.drive", writes="body.excitation")
def forth(drive, state):
    state.calls = getattr(state, "calls", 0) + 1
    return GAIN * drive

@transfer(reads="body.joints.echo", writes="brain.back")
def back(echo):
    return echo
"""

TENFOLD = '@transfer(reads="brain.sinks.drive", writes="body.excitation")\ndef forth(drive):\n    return 10 * drive\n'
BROKEN = '@transfer(reads="brain.sinks.drive", writes="body.excitation")\ndef forth(drive):\n    return 10 *\n'
NEW = (
    '@transfer(reads="brain.sinks.count", writes="body.excitation", priority=-1)\ndef fifth(n):\n    return float(n)\n'
)


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    made.write(FUNCTIONS, steps=8)
    return made


class Steerer(Person):
    """A person who changes the engine."""

    def edit(self, what, to="engine", **arguments):
        return self.operator.edit(to, what, arguments, patience_s=PATIENCE_S)

    def functions(self):
        return {function["name"]: function for function in self.edit("functions")["functions"]}

    def step(self, count=1):
        """Make so many steps, one at a time; the state after them."""
        for _ in range(count):
            self.operator.order("step")
            self.until(in_state("running"))
            note = self.until(in_state("paused"))
        return note

    def end(self):
        self.operator.order("resume")
        self.until(lambda frame: isinstance(frame, Bye))
        return next(frame for frame in reversed(self.heard) if isinstance(frame, RunStop))


def held(house, talk, *, record=False):
    """Run with a person who is asked before the first step; the last document."""

    def person():
        with Steerer(house) as operator:
            operator.until(in_state("ready"))
            talk(operator)
            operator.end()

    run = recorded if record else lambda house, **more: house.run(**more)
    return run(house, autostart=False, beside=[person])


def of(house, topic, out="run"):
    """The frames of one topic of a recorded run."""
    written = store.read(house.folder / out / store.RECORDING)
    return [codec.decode(packed.parts()).frame for name, packed in written if name == topic]


# --- one step at a time --------------------------------------------------------------------------------------


def test_one_step_is_made_at_a_time(house):
    states = []

    def talk(operator):
        states.extend((operator.step(), operator.step(2)))

    stop = held(house, talk)
    assert [(note.step, note.state) for note in states] == [(1, "paused"), (3, "paused")]
    assert (stop.outcome, stop.steps) == ("finished", 8)


def test_a_step_while_it_is_being_built_is_refused(tmp_path):
    house, gate = House(tmp_path), Gate(0)
    house.simulators["body"] = Echo(gate)
    house.write(FUNCTIONS, steps=2)

    def person():
        with Steerer(house) as operator:
            operator.until(in_state("ready"))
            operator.operator.order("step")
            assert gate.reached.wait(PATIENCE_S)
            operator.operator.order("step")  # while it runs: a pause after this one
            gate.opened.set()
            assert operator.until(in_state("paused")).step == 1
            operator.end()

    assert house.run(autostart=False, beside=[person]).steps == 2


# --- functions -------------------------------------------------------------------------------------------------


def test_the_functions_are_told_in_their_order_with_their_sources(house):
    seen = []
    held(house, lambda operator: seen.extend(operator.edit("functions")["functions"]))
    assert [(f["name"], f["line"], f["direction"], f["reads"], f["writes"]) for f in seen] == [
        ("back", 13, "body to brain", ["body.joints.echo"], ["brain.back"]),
        ("pulse", 4, "body to brain", [], ["brain.drive"]),
        ("forth", 8, "brain to body", ["brain.sinks.drive"], ["body.excitation"]),
    ]
    assert seen[1]["source"] == '@transfer(writes="brain.drive")\ndef pulse(step):\n    return float(step)\n'
    assert all(f["active"] and f["problem"] is None and f["priority"] == 0 for f in seen)


def test_another_source_acts_from_the_next_evaluation_on(house):
    def talk(operator):
        operator.step(3)
        operator.edit("replace_function", name="forth", source=TENFOLD)
        assert operator.functions()["forth"]["source"] == TENFOLD

    held(house, talk)
    # Before step n the brain was driven with n, of which `forth` hears a step later.
    assert house.simulators["body"].seen("excitation") == {0: 0, 1: 0, 2: 2, 3: 4, 4: 30, 5: 40, 6: 50, 7: 60}


def test_a_broken_source_is_kept_with_its_line_and_the_others_go_on(house):
    def talk(operator):
        operator.step(3)
        result = operator.edit("replace_function", name="forth", source=BROKEN)
        forth = next(f for f in result["functions"] if f["name"] == "forth")
        assert forth["source"] == BROKEN
        assert forth["problem"] == {
            "type": "compile",
            "text": "invalid syntax",
            "line": 3,
            "column": 16,
            "line_text": "return 10 *",
            "since_s": 0.06,
        }
        message = operator.until(lambda frame: isinstance(frame, Message))
        assert (message.type, message.function, message.line, message.severity) == ("compile", "forth", 3, "error")
        operator.step(2)
        operator.edit("replace_function", name="forth", source=TENFOLD)
        assert operator.functions()["forth"]["problem"] is None

    stop = held(house, talk)
    assert house.simulators["body"].seen("excitation") == {0: 0, 1: 0, 2: 2, 3: 4, 4: 4, 5: 4, 6: 50, 7: 60}
    assert house.simulators["brain"].seen("drive")[7] == 7.0
    assert stop.outcome == "finished"


def test_a_function_can_be_added_deleted_switched_and_reordered(house):
    def talk(operator):
        operator.edit("add_function", source=NEW)
        assert list(operator.functions()) == ["back", "pulse", "forth", "fifth"]
        operator.edit("order_functions", names=["fifth", "forth"])
        assert list(operator.functions()) == ["back", "pulse", "fifth", "forth"]
        operator.step(2)
        operator.edit("switch_function", name="forth", on=False)
        operator.step()
        operator.edit("delete_function", name="fifth")
        assert list(operator.functions()) == ["back", "pulse", "forth"]
        operator.edit("set_priority", name="pulse", priority=3)
        assert list(operator.functions()) == ["pulse", "back", "forth"]

    stop = held(house, talk)
    assert house.simulators["body"].seen("excitation") == {0: 0, 1: 0, 2: 2, **dict.fromkeys(range(3, 8), 3)}
    assert stop.facts["switched_off"] == ["forth"]


def test_what_cannot_be_is_refused_in_one_sentence_and_changes_nothing(house):
    caught = []

    def talk(operator):
        before = operator.edit("functions")
        for what, arguments in (
            ("replace_function", {"name": "forht", "source": TENFOLD}),
            ("add_function", {"source": TENFOLD}),
            ("replace_function", {"name": "back", "source": TENFOLD}),
            ("add_function", {"source": "1 +"}),
            ("add_function", {"source": 5}),
            ("add_function", {"text": NEW}),
            ("switch_function", {"name": "forth", "on": 1}),
            ("order_functions", {"names": ["forth", "forth"]}),
            ("ad_function", {}),
        ):
            with pytest.raises((BadExperiment, ScriptError)) as refused:
                operator.edit(what, **arguments)
            caught.append(refused.value.text)
        assert operator.edit("functions") == before

    held(house, talk)
    assert caught[0] == "there is no transfer function 'forht' (did you mean 'forth'?)"
    assert (
        caught[1] == caught[2] == ("there is a transfer function 'forth' already: choose another name, or replace it")
    )
    assert caught[3].startswith("line 1: invalid syntax; a transfer function is written @transfer")
    assert caught[4] == "the edit 'add_function': source: expected a text, found 5"
    assert caught[5].startswith("the edit 'add_function': text: expected one of the keys source")
    assert caught[6] == "the edit 'switch_function': on: expected true or false, found 1"
    assert "named twice" in caught[7]
    assert caught[8].startswith("the engine has no edit 'ad_function' (did you mean 'add_function'?)")


def test_a_port_that_is_read_only_from_now_on_rides_in_the_answers_from_now_on(house):
    def talk(operator):
        operator.step(2)
        operator.edit("add_function", source=NEW)

    held(house, talk)
    assert house.simulators["body"].seen("excitation")[7] == 7.0  # the brain's count, which nobody read before


def test_a_function_that_fails_is_told_and_can_be_switched_on_again(house):
    house.write(FUNCTIONS.replace("return echo", "return 1 / (echo - 4)"), steps=8)

    def talk(operator):
        operator.step(4)
        back = operator.functions()["back"]
        assert (back["active"], back["problem"]["type"], back["problem"]["line"]) == (False, "runtime", 3)
        assert back["problem"]["text"].startswith("ZeroDivisionError: ")
        assert back["problem"]["since_s"] == pytest.approx(0.08)
        operator.edit("switch_function", name="back", on=True)
        assert operator.functions()["back"]["problem"] is None
        operator.step()
        assert operator.functions()["back"]["active"]

    held(house, talk)
    assert house.simulators["brain"].seen("back")[7] == 1 / (10 - 4)


def test_what_is_decorated_outside_of_the_function_may_not_take_for_ever(house):
    def talk(operator):
        source = "while True:\n    pass\n" + TENFOLD
        result = operator.edit("replace_function", name="forth", source=source)
        problem = next(f for f in result["functions"] if f["name"] == "forth")["problem"]
        assert problem["type"] == "timeout"
        assert "within 0.2 s" in problem["text"]

    house.write(FUNCTIONS, steps=3)
    file = house.folder / "experiment.toml"
    file.write_text(file.read_text().replace("step_timeout_s", "transfer_timeout_s = 0.2\nstep_timeout_s"))
    assert held(house, talk).outcome == "finished"


# --- recording ---------------------------------------------------------------------------------------------------


def test_functions_values_messages_and_changes_are_recorded(house):
    house.write(FUNCTIONS.replace("return echo", "print('echo', echo)\n    return echo"), steps=4, record=True)

    def talk(operator):
        operator.step(2)
        operator.edit("functions")
        operator.edit("replace_function", name="forth", source=TENFOLD)

    held(house, talk, record=True)
    assert verify(Run(house.folder / "run")).differing == ()
    values = of(house, "engine/values")
    assert all(isinstance(frame, Values) for frame in values)
    assert [frame.step for frame in values] == [-1, 0, 1, 2, 3]
    assert values[2].values == {"back": 0.0, "pulse": 2.0, "forth": 2.0, "forth.calls": 3.0}
    notes = of(house, "engine/functions")
    assert [(note.step, len(note.functions)) for note in notes] == [(0, 3), (2, 3)]
    assert all(isinstance(note, FunctionsNote) for note in notes)
    assert [(m.text, m.step, m.severity) for m in of(house, "engine/log")] == [
        ("echo 0.0", 0, "info"),
        ("echo 0.0", 1, "info"),
        ("echo 0.0", 2, "info"),
        ("echo 2.0", 3, "info"),
        ("echo 20.0", 4, "info"),
    ]
    (change,) = of(house, "engine/edits")
    assert (change.step, change.to, change.what, change.by) == (2, "engine", "replace_function", "console")
    assert change.result == {}


def test_the_person_for_whom_an_operator_asks_is_named(house):
    house.write(FUNCTIONS, steps=4)
    changes = []

    async def talk():
        operator = AioOperator(house.config("gateway"))
        ready = asyncio.Event()

        async def listen():
            async for frame in operator.frames():
                if isinstance(frame, StateNote) and frame.state == "ready":
                    ready.set()
                if isinstance(frame, Bye):
                    return

        listening = asyncio.create_task(listen())
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        with Monitor(house.addresses.bus_out, ("engine/state", "engine/edits")) as monitor:
            while monitor.next(Deadline.after_s(0.05)) is None:  # until the subscription is live
                await operator.order("pause")  # is answered on the bus, too
            result = await operator.edit("engine", "set_priority", {"name": "back", "priority": 2}, by="ada")
            assert [f["name"] for f in result["functions"]][:1] == ["back"]
            await operator.edit("body", "reset", by="ben")
            heard = (received.frame for received in monitor.frames(Deadline.after_s(PATIENCE_S)))
            changes.extend(itertools.islice((frame for frame in heard if isinstance(frame, Change)), 2))
        await operator.order("start")
        await asyncio.wait_for(listening, PATIENCE_S)
        operator.close()

    house.run(autostart=False, beside=[lambda: asyncio.run(talk())])
    assert [(c.by, c.to, c.what) for c in changes] == [
        ("ada", "engine", "set_priority"),
        ("ben", "body", "reset"),
    ]


# --- parameters ----------------------------------------------------------------------------------------------------


PARAMETERS = """
@transfer(writes="brain.drive")
def pulse(params):
    return params.gain
"""


def with_parameters(house, **more):
    house.write(PARAMETERS, **more)
    file = house.folder / "experiment.toml"
    file.write_text(file.read_text() + '\n[parameters]\ngain = 2.0\nlabel = "a"\n')


def test_parameters_can_be_changed_and_hold_for_the_next_run_too(house):
    with_parameters(house, steps=4, record=True)
    seen = []

    def talk(operator):
        seen.append(operator.edit("get_parameters")["parameters"])
        operator.step(2)
        seen.append(operator.edit("set_parameters", parameters={"gain": 7})["parameters"])
        for wrong in ({"gian": 1.0}, {"gain": "much"}, {"label": 1}):
            with pytest.raises(BadExperiment) as refused:
                operator.edit("set_parameters", parameters=wrong)
            seen.append(refused.value.text)
        operator.step(1)
        operator.operator.reset("full")
        seen.append(operator.edit("get_parameters")["parameters"])

    held(house, talk, record=True)
    assert seen[:2] == [{"gain": 2.0, "label": "a"}, {"gain": 7, "label": "a"}]
    assert seen[2] == "there is no parameter 'gian' (did you mean 'gain'?): the experiment has gain, label"
    assert seen[3] == "the parameter 'gain' is a number, it cannot become the text 'much'"
    assert seen[4] == "the parameter 'label' is a text, it cannot become 1"
    assert seen[5] == {"gain": 7, "label": "a"}
    assert house.simulators["brain"].seen("drive") == dict.fromkeys(range(4), 7.0)
    (start,) = of(house, "run/start", "run-2")
    assert start.parameters == {"gain": 7, "label": "a"}


# --- resets -----------------------------------------------------------------------------------------------------------


def test_edited_functions_survive_a_full_reset_and_begin_with_fresh_variables(house):
    counting = FUNCTIONS + '\n@transfer(reads="brain.sinks.count")\ndef odd(n, state):\n    state.n = n\n'
    house.write(counting, steps=4, record=True)
    tenfold = TENFOLD.replace("(drive)", "(drive, state)").replace(
        "    return", '    state.calls = getattr(state, "calls", 0) + 1\n    return'
    )

    def talk(operator):
        operator.step(1)
        operator.edit("replace_function", name="forth", source=BROKEN)
        operator.edit("replace_function", name="forth", source=tenfold)
        operator.edit("delete_function", name="odd")
        operator.edit("switch_function", name="back", on=False)
        operator.step(2)
        operator.operator.reset("full")
        functions = operator.functions()
        assert set(functions) == {"back", "pulse", "forth"}
        assert functions["forth"]["source"] == tenfold
        assert not functions["back"]["active"]

    held(house, talk, record=True)
    assert house.simulators["body"].seen("excitation") == {0: 0, 1: 0, 2: 10, 3: 20}
    assert [frame.values["forth.calls"] for frame in of(house, "engine/values", "run-2")] == [1, 2, 3, 4, 5]
    (note,) = of(house, "engine/functions", "run-2")
    assert [f["name"] for f in note.functions] == ["back", "pulse", "forth"]


def test_what_is_scheduled_for_the_engine_is_made_anew_in_each_run(house):
    house.write(FUNCTIONS, steps=6)
    with (house.folder / "experiment.toml").open("a") as file:
        file.write("\n[parameters]\nx = 1\n")
        for at_s, what, arguments in (
            (0.06, "replace_function", f"name = 'forth', source = {TENFOLD!r}".replace("'@", '"""@')),
            (0.08, "set_limit", "extend_s = 0.04"),
        ):
            arguments = arguments.replace("\\n'", '\\n"""')
            file.write(f'[[schedule]]\nat_s = {at_s}\nto = "engine"\nwhat = "{what}"\narguments = {{ {arguments} }}\n')
    runs = []

    def talk(operator):
        operator.step(5)
        assert operator.functions()["forth"]["source"] == TENFOLD
        operator.operator.reset("full")
        assert operator.functions()["forth"]["source"] != TENFOLD
        runs.append(operator.operator.welcome.run)

    stop = held(house, talk)
    assert stop.steps == 8
    assert house.simulators["body"].seen("excitation") == {0: 0, 1: 0, 2: 2, 3: 4, 4: 30, 5: 40, 6: 50, 7: 60}


def test_a_scheduled_edit_of_the_engine_that_is_refused_ends_the_run(house):
    with (house.folder / "experiment.toml").open("a") as file:
        file.write('\n[[schedule]]\nat_s = 0.04\nto = "engine"\nwhat = "delete_function"\n')
        file.write('arguments = { name = "sixth" }\n')
    stop = house.run()
    assert (stop.outcome, stop.code, stop.steps) == ("fault", "bad_experiment", 2)
    assert "scheduled for 0.04 s was refused: there is no transfer function 'sixth'" in stop.text


# --- limits -----------------------------------------------------------------------------------------------------------


def test_the_limit_can_be_set_and_extended_while_it_is_paused(house):
    said = []

    def talk(operator):
        said.append(operator.step(3))
        said.append(operator.edit("set_limit", simulated_s=0.06)["limit"])
        said.append(operator.edit("set_limit", extend_s=0.04)["limit"])
        said.append(operator.order("pause"))

    stop = held(house, talk)
    assert said[0].facts["limit"] == {"kind": "simulated", "s": 0.16, "left_s": pytest.approx(0.1)}
    assert said[1] == {"kind": "simulated", "s": 0.06, "left_s": 0.0}
    assert said[2] == {"kind": "simulated", "s": 0.1, "left_s": 0.04}
    assert said[3].steps == 5
    assert (stop.outcome, stop.steps) == ("finished", 5)


def test_a_limit_in_the_past_or_between_two_steps_is_refused(house):
    caught = []

    def talk(operator):
        operator.step(3)
        for arguments in (
            {"simulated_s": 0.04},
            {"simulated_s": 0.07},
            {"simulated_s": float("inf")},
            {"simulated_s": float("nan")},
            {"simulated_s": 1e300},
            {"extend_s": 0.0},
            {"real_s": 1e-9},
            {"real_s": float("nan")},
            {"real_s": 5.0, "extend_s": 1.0},
            {},
        ):
            with pytest.raises(BadExperiment) as refused:
                operator.edit("set_limit", **arguments)
            caught.append(refused.value.text)

    assert held(house, talk).steps == 8
    assert caught[0] == "the run is at 0.06 s already: it cannot end at 0.04 s"
    assert caught[1] == "simulated_s: expected a multiple of the step of 0.02 s, and more than 0, found 0.07"
    assert caught[2].endswith("found inf")
    assert caught[3].endswith("found nan")
    assert caught[4].endswith("found 1e+300")
    assert caught[5].startswith("extend_s: expected a multiple")
    assert caught[6].startswith("the run has been running for 0.")
    assert caught[7] == "real_s: expected a number of seconds of more than 0, found nan"
    assert caught[8] == caught[9] == ("a limit is one of simulated_s, real_s and extend_s: name exactly one of them")


def test_a_run_of_a_real_time_ends_in_order_when_that_is_over(house):
    file = house.folder / "experiment.toml"
    file.write_text(file.read_text().replace("steps = 8", "steps = 0\nreal_limit_s = 0.5\npace = 1.0"))
    notes = []

    def talk(operator):
        notes.append(operator.step())
        time.sleep(0.7)  # it does not run meanwhile
        notes.append(operator.order("pause"))

    stop = held(house, talk)
    assert stop.outcome == "finished"
    assert 1 <= stop.steps <= 27
    assert stop.code == ""
    assert notes[0].facts["real_ns"] == notes[1].facts["real_ns"]
    limit = notes[0].facts["limit"]
    assert (limit["kind"], limit["s"], notes[0].steps) == ("real", 0.5, 0)
    assert limit["left_s"] == pytest.approx(0.5 - notes[0].facts["real_ns"] / 1e9)


def test_a_real_time_can_be_set_in_place_of_a_number_of_steps(house):
    def talk(operator):
        limit = operator.edit("set_limit", real_s=1.0)["limit"]
        assert (limit["kind"], limit["s"]) == ("real", 1.0)

    stop = held(house, talk)
    assert stop.outcome == "finished"
    assert stop.steps > 8


def test_a_limit_that_was_set_by_hand_holds_after_a_reset(house):
    house.write(FUNCTIONS, steps=8, record=True)

    def talk(operator):
        operator.step(1)
        operator.edit("set_limit", simulated_s=0.06)
        operator.operator.reset("full")
        assert operator.order("pause").steps == 3

    assert held(house, talk, record=True).steps == 3
    (start,) = of(house, "run/start", "run-2")
    assert start.steps == 3


def test_a_run_that_is_limited_while_its_time_is_over_begins_anew_after_a_reset(house):
    gate = Gate(0)
    house.simulators["body"] = Echo(gate)
    file = house.folder / "experiment.toml"
    file.write_text(file.read_text().replace("steps = 8", "steps = 40\nreal_limit_s = 0.1\npace = 1.0"))

    def person():
        with Steerer(house) as operator:
            assert gate.reached.wait(PATIENCE_S)
            surely(operator, "reset", "full")
            time.sleep(0.2)  # now the real time is over, too
            gate.opened.set()
            assert operator.until(lambda frame: isinstance(frame, RunStop)).outcome == "reset"
            operator.until(in_state("ready"))
            assert operator.end().outcome == "finished"

    house.run(beside=[person])
    assert house.loop.exit_status == 0


# --- where the time goes -------------------------------------------------------------------------------------------


def test_the_state_tells_where_the_time_goes(house):
    house.write(FUNCTIONS.replace("return echo", "import time; time.sleep(0.02); return echo"), steps=8)
    notes = []
    held(house, lambda operator: notes.append(operator.step(4)))
    facts = notes[0].facts
    assert set(facts["spent_ns"]) == {"brain", "body", "transfer", "exchange", "wait"}
    assert set(facts["function_ns"]) == {"pulse", "forth", "back"}
    assert facts["function_ns"]["back"] >= 5 * 20_000_000  # before the first step, and after each
    assert facts["function_ns"]["forth"] < 20_000_000
    assert facts["spent_ns"]["transfer"] >= 4 * 20_000_000
    assert facts["spent_ns"]["brain"] == 4 * 1000  # what this one says of itself
    assert facts["real_ns"] >= facts["spent_ns"]["transfer"]


# --- what functions say --------------------------------------------------------------------------------------------


def test_operators_hear_what_functions_say_and_the_last_document_does_not(house):
    house.write(FUNCTIONS.replace("return echo", "log.warning('hot', echo=echo)\n    return echo"), steps=3)
    text = (house.folder / "transfer.py").read_text().replace("def back(echo)", "def back(echo, log)")
    (house.folder / "transfer.py").write_text(text)
    heard = []

    def talk(operator):
        operator.step(2)
        heard.extend(frame for frame in operator.heard if isinstance(frame, Message))

    stop = held(house, talk)
    assert [(m.severity, m.text, m.function, m.line, m.step) for m in heard] == [
        ("warning", f"hot echo={echo}", "back", 15, step) for echo, step in ((0.0, 0), (0.0, 1), (0.0, 2))
    ]
    assert stop.messages == ()


# --- at the beginning ----------------------------------------------------------------------------------------------


def test_an_edit_that_is_scheduled_for_the_beginning_is_made_before_the_first_step(house):
    with_parameters(house, steps=3)
    with (house.folder / "experiment.toml").open("a") as file:
        file.write('\n[[schedule]]\nat_s = 0\nto = "engine"\nwhat = "set_parameters"\n')
        file.write("arguments = { parameters = { gain = 5.0 } }\n")
    assert house.run().outcome == "finished"
    # The first inputs are those of the functions at rest.
    assert house.simulators["brain"].seen("drive") == {0: 2.0, 1: 5.0, 2: 5.0}


def test_an_engine_without_functions_gets_its_first_one(tmp_path):
    house = House(tmp_path)
    house.write("", steps=4)

    def talk(operator):
        assert operator.edit("functions") == {"functions": []}
        operator.step()
        operator.edit("add_function", source='@transfer(writes="body.excitation")\ndef f(t):\n    return t\n')

    held(house, talk)
    assert house.simulators["body"].seen("excitation") == {0: 0, 1: 0, 2: 0.04, 3: 0.06}


def test_a_run_after_a_reset_has_the_digest_of_the_one_before(house):
    house.write(FUNCTIONS, steps=6)
    with (house.folder / "experiment.toml").open("a") as file:
        file.write('\n[[schedule]]\nat_s = 0.04\nto = "engine"\nwhat = "replace_function"\n')
        file.write(f'arguments = {{ name = "forth", source = """{TENFOLD}""" }}\n')

    def talk(operator):
        operator.step()
        operator.edit("switch_function", name="pulse", on=False)
        operator.operator.reset("full")

    digests = [house.run().digest, held(house, talk).digest]
    house.write(FUNCTIONS.replace('writes="brain.drive"', 'writes="brain.drive", active=False'), steps=6)
    with (house.folder / "experiment.toml").open("a") as file:
        file.write('\n[[schedule]]\nat_s = 0.04\nto = "engine"\nwhat = "replace_function"\n')
        file.write(f'arguments = {{ name = "forth", source = """{TENFOLD}""" }}\n')
    digests.append(house.run().digest)
    assert digests[0] != digests[1] == digests[2]
    assert all(digests)


def test_an_operator_of_an_older_protocol_hears_warnings_but_no_chatter(house):
    text = FUNCTIONS.replace("return echo", "print(echo)\n    log.error('hot')\n    return echo")
    house.write(text.replace("def back(echo)", "def back(echo, log)"), steps=3)
    heard = []

    def person():
        with Wires() as wires:
            peer = StepPeer(wires, house.addresses.step, Sender("old"))
            waiting = Waiting(peer)
            peer.send(Hello(name="old", role="operator", highest=(1, 1)))
            deadline = Deadline.after_s(PATIENCE_S)
            while not any(isinstance(frame, Bye) for frame in heard) and not deadline.passed():
                waiting.until(deadline.left_ms())
                for parts in peer.receive():
                    heard.append(codec.decode(parts).frame)
                    if isinstance(heard[-1], StateNote) and heard[-1].state == "ready":
                        peer.send(Order(what="start"))

    house.run(autostart=False, beside=[person])
    assert [m.severity for m in heard if isinstance(m, Message)] == ["error"] * 4
