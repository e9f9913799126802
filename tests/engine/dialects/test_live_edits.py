"""Published functions that are changed while they run."""

import pytest

from reafference.errors import BadExperiment, ScriptError

DRIVE = """
@nrp.MapSpikeSource("source", nrp.brain.relays[0], nrp.poisson, weight=1.0)
@nrp.MapVariable("calls", initial_value=0)
@nrp.Robot2Neuron()
def drive(t, source, calls):
    calls.value += 1
    source.rate = 400.0
"""
COUNT = """
@nrp.MapSpikeSink("sink", nrp.brain.relays[0], nrp.spike_recorder)
@nrp.MapVariable("counts", initial_value=None, scope=nrp.GLOBAL)
@nrp.Neuron2Robot()
def count(t, sink, counts):
    counts.value = (counts.value or []) + [len(sink.times)]
"""
FILES = {"drive.py": DRIVE, "count.py": COUNT}


def spikes(stand, steps):
    """Spikes in each of the next steps."""
    before = len(stand.global_("counts"))
    stand.run(steps)
    return stand.global_("counts")[before:]


def test_the_text_of_a_function_is_its_whole_file(stand):
    made = stand({"drive.py": "import math\n\nFACTOR = 2\n" + DRIVE})
    assert made.function("drive")["source"].startswith("import math\n\nFACTOR = 2\n")
    assert made.function("drive")["line"] == 1


def test_a_function_is_replaced_with_its_imports_and_keeps_its_variables(stand):
    made = stand(FILES).run(3)
    made.edit("replace", "drive", "import math\n" + DRIVE.replace("400.0", "math.floor(0.5)"))
    assert sum(spikes(made, 3)[1:]) == 0
    assert made.state("drive") == {"calls": 7}
    assert made.texts() == []


def test_a_function_brings_a_device_that_the_brain_has_not_yet(stand):
    made = stand({"count.py": COUNT}).run(2)
    made.edit("add", DRIVE)
    assert made.function("drive")["problem"] is None
    assert "not in the brain yet" in made.messages[0].text
    assert sum(spikes(made, 5)) > 10


OWN = """
from reafference import transfer

GAIN = 0.25

@transfer(writes="body.Foot2", priority=3)
def ours(state):
    state.calls = getattr(state, "calls", 0) + 1
    return GAIN
"""


def test_a_function_of_our_own_stands_beside_published_ones(stand):
    made = stand({**FILES, "ours.py": OWN}).run(3)
    assert (made.texts(), made.state("ours")) == ([], {"calls": 4})
    assert made.function("ours")["writes"] == ["body.excitation.Foot2"]
    made.edit("replace", "ours", OWN.replace("0.25", "0.75")).run(1)
    assert 0.75 in made.transfer.inputs["body"]["excitation"]
    made.edit("switch", "ours", False).edit("delete", "ours").run(1)
    made.edit("add", OWN).run(1)
    assert (made.texts(), made.state("ours")) == ([], {"calls": 1})
    assert sum(spikes(made, 3)) > 5


def test_one_source_holds_one_function_of_either_kind(stand):
    made = stand({"both.py": OWN + DRIVE})
    assert "are decorated: a source holds one transfer function" in made.messages[0].text


def test_the_same_device_is_not_made_twice(stand):
    made = stand(FILES).run(2)
    before = [port.name for port in made.ports["brain"].inputs]
    made.edit("replace", "drive", DRIVE.replace("400.0", "100.0")).run(1)
    assert [port.name for port in made.ports["brain"].inputs] == before


def test_another_device_takes_the_place_of_the_former_one_which_falls_silent(stand):
    made = stand(FILES).run(5)
    made.edit("replace", "drive", DRIVE.replace("relays[0]", "relays[1]"))
    assert made.function("drive")["writes"][0] == "brain.drive__source__2"
    assert sum(spikes(made, 5)[1:]) == 0
    made.edit("replace", "drive", DRIVE)
    assert made.function("drive")["writes"][0] == "brain.drive__source"
    assert sum(spikes(made, 5)[1:]) > 10


def test_a_function_that_is_deleted_leaves_its_device_silent(stand):
    made = stand(FILES).run(5)
    made.edit("delete", "drive")
    assert sum(spikes(made, 5)[1:]) == 0
    made.edit("add", DRIVE)
    assert sum(spikes(made, 5)[1:]) > 10


def test_a_function_is_switched_off_and_on(stand):
    made = stand(FILES).run(5)
    made.edit("switch", "drive", False).run(3)
    assert made.state("drive") == {"calls": 6}
    made.edit("switch", "drive", True).run(3)
    assert made.state("drive") == {"calls": 9}


def test_a_function_that_fails_is_mended(stand):
    made = stand(FILES | {"drive.py": DRIVE.replace("400.0", "rats")})
    assert "name 'rats' is not defined" in made.texts()[0]
    assert made.messages[0].line == 6
    made.edit("replace", "drive", DRIVE).run(2)
    assert made.function("drive")["problem"] is None
    assert made.state("drive")["calls"] == 3


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("@nrp.Robot2Neuron()\ndef drive(t):\n    print 'x'\n", "this is Python 2: write print(...)", 3),
        ("try:\n    pass\nexcept KeyError, e:\n    pass\n", "this is Python 2: write `except Kind as error:`", 3),
        ("def drive(t):\n    pass\n", "nothing in it is decorated", 1),
        ("@nrp.Robot2Neuron()\ndef drive(x):\n    pass\n", "the first argument of drive is 't'", 1),
        ("@nrp.Robot2Neuron()\ndef drive(t, x):\n    pass\n", "the argument 'x' of drive is not mapped", 1),
        (
            '@nrp.Robot2Neuron()\n@nrp.MapVariable("y")\ndef drive(t, x):\n    pass\n',
            "drive has no argument 'y': it has t, x",
            2,
        ),
        ("@nrp.Robot2Neuron()\n@nrp.Neuron2Robot()\ndef drive(t):\n    pass\n", "drive has two directions", 1),
        (
            '@nrp.MapSpikeSource("x",\n    nrp.brain.a, nrp.poison)\n@nrp.Robot2Neuron()\ndef drive(t, x):\n    pass\n',
            "hbp_nrp_cle.tf_framework.poison is not to be had here (did you mean 'poisson'?)",
            2,
        ),
        (
            '@nrp.MapSpikeSource("x", nrp.brain.a, nrp.poisson, wieght=3)\n@nrp.Robot2Neuron()\ndef drive(t, x): 1\n',
            "nrp.poisson has no parameter 'wieght' (did you mean 'weight'?)",
            1,
        ),
        (
            '@nrp.MapSpikeSink("x", nrp.brain.a, nrp.poisson)\n@nrp.Robot2Neuron()\ndef drive(t, x):\n    pass\n',
            "nrp.poisson is none of the spike sinks",
            1,
        ),
        ('@nrp.MapRetina("x", 1)\n@nrp.Robot2Neuron()\ndef drive(t, x):\n    pass\n', "retina models are not to be", 1),
        (
            '@nrp.MapRobotSubscriber("x", Topic("camera"))\n@nrp.Robot2Neuron()\ndef drive(t, x):\n    pass\n',
            "the name of a topic begins with '/'",
            1,
        ),
        ("@nrp.Robot2Neuron()\ndef a(t):\n    pass\n@nrp.Robot2Neuron()\ndef b(t):\n    pass\n", "'a' and 'b' are", 4),
    ],
)
def test_what_cannot_be_loaded_is_kept_with_its_flaw_and_the_others_run(stand, text, words, line):
    made = stand({"count.py": COUNT, "drive.py": text}).run(2)
    name = "a" if "def a" in text else "drive"
    problem = made.function(name)["problem"]
    assert words in problem["text"]
    assert problem["line"] == line
    assert problem["line_text"] == text.split("\n")[line - 1].strip()
    assert len(made.global_("counts")) == 3
    # The same of a live edit; and then it is mended.
    made.edit("replace", name, text)
    assert words in made.function(name)["problem"]["text"]
    made.edit("replace", name, DRIVE).run(1)
    assert made.function("drive")["problem"] is None


def test_a_device_that_the_brain_refuses_is_told_as_the_functions_flaw(stand):
    made = stand({"count.py": COUNT})
    made.messages += made.transfer.add(DRIVE.replace("relays[0]", "nobody"))
    (need,) = made.transfer.needs()
    with pytest.raises(BadExperiment) as refusal:
        made.brain.edit(need.what, need.arguments, lambda *_, **__: None)
    made.transfer.refused(need, refusal.value.text)
    assert "the name of a population" in made.function("drive")["problem"]["text"]
    # Nothing is left of it: with the right name it is asked for again.
    made.edit("replace", "drive", DRIVE).run(3)
    assert sum(made.global_("counts")) > 5


def test_marks_and_line_ends_of_other_editors_are_taken(stand):
    made = stand(
        {"count.py": COUNT, "drive.py": "\ufeff# -*- coding: utf-8 -*-\r\n" + DRIVE.replace("\n", "\r\n")}
    ).run(5)
    assert made.texts() == []
    assert sum(made.global_("counts")) > 10


def test_two_files_with_one_function_are_refused(stand):
    with pytest.raises(ScriptError, match=r"a\.py and b\.py both have a transfer function 'drive'"):
        stand({"a.py": DRIVE, "b.py": DRIVE})


def test_resetting_the_brain_keeps_functions_and_their_devices(stand):
    made = stand(FILES).run(3)
    made.edit("add", DRIVE.replace("def drive", "def more").replace("relays[0]", "relays[2]")).run(2)
    changed = made.brain.edit("reset", {}, lambda *_, **__: None)
    made.ports = {**made.ports, "brain": changed.ports}
    assert made.transfer.rewire("brain", made.ports, made.steps, made.steps * 20_000_000) == []
    assert sum(spikes(made, 5)) > 10
    assert made.texts()[1:] == []
