"""services.engine.experiment: what a user writes, and what they are told about it."""

import os

import pytest

from reafference.errors import BadExperiment
from services.engine import experiment
from services.engine.experiment import Experiment, Measure, Record, load, parse_override

GOOD = """
[experiment]
name = "reach"
title = "A reach"
steps = 50
step_ms = 20
seed = 7

[parameters]
drive_hz = 5000.0
scale = "half"

[brain]
model = "cbct"
script = "brain.py"
threads = 2
step_ms = 40

[brain.parameters]
area_mm2 = 0.1

[body]
model = "forelimb"

[body.parameters]
mass_kg = 0.02

[transfer]
file = "transfer.py"

[measures]
tip_mm = { reads = "body.tip.position.y", at_s = 0.5, scale = 1000 }
work = { reads = "body.work", over = "range" }
"""

GENERAL = '[experiment]\nname = "x"\nsteps = 1\n'
MINIMAL = GENERAL + "[body]\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "transfer.py").write_text("# transfer\n")
    (tmp_path / "brain.py").write_text("# brain\n")
    return tmp_path


@pytest.fixture
def read(folder):
    """Load an experiment file with this text."""

    def load_text(text, *overrides) -> Experiment:
        (folder / "experiment.toml").write_text(text)
        return load(folder, [parse_override(text) for text in overrides])

    return load_text


def refused(read, text, *overrides):
    with pytest.raises(BadExperiment) as caught:
        read(text, *overrides)
    return caught.value


# --- what is good ---------------------------------------------------------------------------------------------


def test_a_whole_experiment_is_read(read, folder):
    found = read(GOOD)
    assert (found.general.name, found.general.title, found.general.seed) == ("reach", "A reach", 7)
    assert found.dt_ns == 20_000_000
    assert found.folder == folder.resolve()
    assert found.document.parameters == {"drive_hz": 5000.0, "scale": "half"}
    assert (found.every("brain"), found.every("body")) == (2, 1)
    assert found.threads == 2
    assert found.participants["body"] == {"model": "forelimb", "parameters": {"mass_kg": 0.02}}
    assert found.transfer_file() == ("transfer.py", "# transfer\n")
    assert found.files == {"experiment.toml": GOOD, "transfer.py": "# transfer\n", "brain.py": "# brain\n"}
    assert found.document.measures["tip_mm"] == Measure(reads="body.tip.position.y", at_s=0.5, scale=1000.0)
    assert found.document.measures["work"].over == "range"


def test_very_little_is_enough(read):
    found = read(MINIMAL)
    assert found.dt_ns == 20_000_000
    assert found.document.record == Record(enabled=True, window_steps=64)
    assert (found.general.pace, found.general.on_error, found.general.seed) == (0.0, "continue", 1)
    assert (found.threads, found.transfer_file(), found.document.measures) == (1, None, {})


def test_the_file_itself_can_be_named(read, folder):
    read(MINIMAL)
    assert load(folder / "experiment.toml").general.name == "x"


# --- what is not ------------------------------------------------------------------------------------------------

BAD = [
    # the text, the key, what must be said
    (GENERAL, "brain", "expected a table [brain] or [body], found neither of them"),
    ("[body]\n", "experiment", "expected a table, found nothing: the key is missing"),
    ('[experiment]\nname = "x"\n[body]\n', "experiment.steps", "expected a whole number, found nothing: the key"),
    ("[experiment]\nsteps = 1\n[body]\n", "experiment.name", "expected a text, found nothing: the key is missing"),
    (MINIMAL + "[experimnet]\n", "experimnet", "found the key 'experimnet' (did you mean 'experiment'?)"),
    (GENERAL + "sed = 4\n[body]\n", "experiment.sed", "found the key 'sed' (did you mean 'seed'?)"),
    (
        MINIMAL + "[record]\nwindow = 4\n",
        "record.window",
        "one of the keys enabled, figures, settled_s, spectra, window_steps",
    ),
    (MINIMAL + "[record]\nfigures = ['raster']\n", "record.figures[0]", "'overview' or 'resting_state'"),
    (GENERAL + "title = 3\n[body]\n", "experiment.title", "expected a text, found 3"),
    (MINIMAL.replace("= 1", '= "1"'), "experiment.steps", "expected a whole number, found the text '1'"),
    (MINIMAL.replace("= 1", "= 1.0"), "experiment.steps", "expected a whole number, found 1.0"),
    (MINIMAL.replace("= 1", "= true"), "experiment.steps", "expected a whole number, found True"),
    (MINIMAL.replace("= 1", "= 0"), "experiment.steps", "expected 1 or more, found 0"),
    (MINIMAL.replace('"x"', '"a b"'), "experiment.name", "expected a name of letters, digits"),
    (MINIMAL.replace('"x"', '""'), "experiment.name", "expected a name of letters, digits"),
    (GENERAL + "seed = -1\n[body]\n", "experiment.seed", "expected a whole number from 0 to 2^63 - 1, found -1"),
    (GENERAL + f"seed = {2**63}\n[body]\n", "experiment.seed", "expected a whole number from 0 to 2^63 - 1"),
    (GENERAL + "pace = -0.5\n[body]\n", "experiment.pace", "expected 0 or more, found -0.5"),
    (GENERAL + "pace = nan\n[body]\n", "experiment.pace", "expected 0 or more, found nan"),
    (GENERAL + "step_ms = 0\n[body]\n", "experiment.step_ms", "expected a finite number of more than 0, found 0"),
    (GENERAL + "step_ms = inf\n[body]\n", "experiment.step_ms", "expected a finite number"),
    (GENERAL + "step_ms = 1e-7\n[body]\n", "experiment.step_ms", "expected a whole number of nanoseconds"),
    (
        GENERAL + "step_timeout_s = inf\n[body]\n",
        "experiment.step_timeout_s",
        "expected a finite number of more than 0",
    ),
    (GENERAL + "transfer_timeout_s = 0\n[body]\n", "experiment.transfer_timeout_s", "expected a finite number"),
    (
        GENERAL + 'on_error = "stop"\n[body]\n',
        "experiment.on_error",
        "expected 'continue' or 'halt', found the text 'stop'",
    ),
    (MINIMAL + "step_ms = 30\n", "body.step_ms", "expected a multiple of the CLE step of 20 ms, found 30"),
    (MINIMAL + "step_ms = 10\n", "body.step_ms", "expected a multiple of the CLE step of 20 ms, found 10"),
    (MINIMAL + 'step_ms = "long"\n', "body.step_ms", "expected a multiple of the CLE step"),
    (MINIMAL + "step_ms = true\n", "body.step_ms", "expected a multiple of the CLE step"),
    (MINIMAL + "step_ms = -20\n", "body.step_ms", "expected a multiple of the CLE step"),
    (GENERAL + "[brain]\nthreads = 0\n", "brain.threads", "expected a whole number, 1 or more, found 0"),
    (GENERAL + "[brain]\nthreads = true\n", "brain.threads", "expected a whole number, 1 or more, found True"),
    (GENERAL + "brain = 3\n", "experiment.brain", "one of the keys"),
    ("brain = 3\n" + GENERAL, "brain", "expected a table, found 3"),
    (MINIMAL + "[parameters]\nborn = 2020-01-01\n", "parameters.born", "expected a number, a text, a list or a table"),
    (MINIMAL + f"[parameters]\nbig = {2**70}\n", "parameters.big", "expected a whole number of at most 64 bits"),
    (MINIMAL + "[record]\nwindow_steps = 0\n", "record.window_steps", "expected 1 or more, found 0"),
    (MINIMAL + "[record]\nenabled = 1\n", "record.enabled", "expected true or false, found 1"),
    (MINIMAL + '[measures]\nx = "body.y"\n', "measures.x", "expected a table, found the text 'body.y'"),
    (MINIMAL + "[measures]\nx = {}\n", "measures.x.reads", "expected a text, found nothing"),
    (
        MINIMAL + '[measures]\nx = { reads = "b.y", over = "median" }\n',
        "measures.x.over",
        "expected 'last' or 'mean' or 'min' or 'max' or 'range', found the text 'median'",
    ),
    (MINIMAL + '[transfer]\nfiel = "x"\n', "transfer.fiel", "(did you mean 'file'?)"),
    (
        MINIMAL + '[transfer]\nfile = "no.py"\n',
        "transfer.file",
        "expected a file that can be read, found 'no.py': No such",
    ),
    (MINIMAL + '[transfer]\nfile = "folder"\n', "transfer.file", "'folder': Is a directory"),
    (MINIMAL + '[transfer]\nfile = "latin.py"\n', "transfer.file", "'latin.py': it is not text in UTF-8"),
    (GENERAL + '[brain]\nscript = "no.py"\n', "brain.script", "expected a file that can be read, found 'no.py'"),
    (GENERAL + "[brain]\nscript = 3\n", "brain.script", "expected a file name, found 3"),
]


@pytest.mark.parametrize(("text", "key", "words"), BAD, ids=[f"{key}-{n}" for n, (_, key, _) in enumerate(BAD)])
def test_a_bad_file_is_refused_with_its_key_and_what_was_expected(read, folder, text, key, words):
    (folder / "folder").mkdir()
    (folder / "latin.py").write_bytes("# größer".encode("latin-1"))
    error = refused(read, text)
    assert error.text.startswith(f"{folder}/experiment.toml: {key}: ")
    assert words in error.text
    assert error.detail == {"file": str(folder / "experiment.toml"), "key": key}


def test_what_is_not_toml_is_refused_with_its_line(read, folder):
    error = refused(read, "[experiment]\nname = reach\n")
    assert error.text.startswith(f"{folder}/experiment.toml: this is not TOML: Invalid value (at line 2")
    assert error.detail["line"] == 2


def test_a_missing_file_is_named_with_what_is_near(tmp_path):
    (tmp_path / "mouse_reach").mkdir()
    (tmp_path / "mouse_reach" / "experiment.toml").write_text(MINIMAL)
    with pytest.raises(BadExperiment, match=r"mouse_raech: there is no such file \(did you mean 'mouse_reach'\?\)"):
        load(tmp_path / "mouse_raech")
    (tmp_path / "mouse_rech").mkdir()
    with pytest.raises(BadExperiment, match=r"mouse_rech/experiment.toml: there is no .*mean 'mouse_reach'"):
        load(tmp_path / "mouse_rech")
    with pytest.raises(BadExperiment, match=r"there is no such file$"):
        load(tmp_path / "no" / "such" / "place")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "experiment.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadExperiment, match="cannot be read"):
        load(tmp_path)


# --- overrides ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drive_hz=0", ("drive_hz", 0)),
        ("a.b = 1.5", ("a.b", 1.5)),
        ("scale=clip", ("scale", "clip")),
        ('scale="half"', ("scale", "half")),
        ("flag=true", ("flag", True)),
        ('regions=["M1", "S1"]', ("regions", ["M1", "S1"])),
        ("text=", ("text", "")),
        ("formula=a=b", ("formula", "a=b")),
    ],
)
def test_a_value_is_read_as_toml_or_else_as_text(text, expected):
    assert parse_override(text) == expected


@pytest.mark.parametrize("text", ["drive_hz", "", "=3", " =3"])
def test_an_override_without_key_or_equals_sign_is_refused(text):
    with pytest.raises(BadExperiment, match="write it as key=value, for instance --set drive_hz=0"):
        parse_override(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("drive_hz=0", lambda e: e.document.parameters["drive_hz"] == 0),
        ("parameters.drive_hz=0", lambda e: e.document.parameters["drive_hz"] == 0),
        ("area_mm2=0.5", lambda e: e.document.brain["parameters"]["area_mm2"] == 0.5),
        ("mass_kg=1", lambda e: e.document.body["parameters"]["mass_kg"] == 1),
        ("threads=4", lambda e: e.threads == 4),
        ("steps=9", lambda e: e.general.steps == 9),
        ("pace=1", lambda e: e.general.pace == 1.0),
        ("real_limit_s=60", lambda e: e.limit.real_ns == 60_000_000_000),
        ("window_steps=3", lambda e: e.document.record.window_steps == 3),
        ("enabled=false", lambda e: not e.document.record.enabled),
        ("brain.parameters.area_mm2=0.5", lambda e: e.document.brain["parameters"]["area_mm2"] == 0.5),
        ("brain.parameters.quick=true", lambda e: e.document.brain["parameters"]["quick"] is True),
        ("brain.sinks.readout.weight=3", lambda e: e.document.brain["sinks"] == {"readout": {"weight": 3}}),
        ("measures.work.over=mean", lambda e: e.document.measures["work"].over == "mean"),
        ("experiment.title=Another", lambda e: e.general.title == "Another"),
    ],
)
def test_an_override_finds_its_place(read, text, what):
    assert what(read(GOOD, text))


def test_what_will_run_is_what_is_remembered(read):
    found = read(GOOD, "drive_hz=0", "steps=3")
    assert found.settings["parameters"]["drive_hz"] == 0
    assert found.settings["experiment"]["steps"] == 3
    assert found.files["experiment.toml"] == GOOD


def test_later_overrides_win(read):
    assert read(GOOD, "steps=3", "steps=4").general.steps == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("drive=0", "there is no such key (did you mean 'drive_hz'?); name a key of the file with its table"),
        ("quite_else=0", "there is no such key; name a key of the file with its table"),
        ("step_ms=10", "it could be experiment.step_ms or brain.step_ms"),
        ("model=x", "it could be brain.model or body.model"),
        ("parameters.drive=0", "[parameters] has no key 'drive' (did you mean 'drive_hz'?)"),
        ("parameters.new=0", "[parameters] has no key 'new'"),
        ("experiment.stepps=1", "experiment.stepps: expected one of the keys"),
        ("experiment.steps=many", "experiment.steps: expected a whole number, found the text 'many'"),
        ("experiment.name.first=x", "experiment.name.first: name is not a table"),
        ("brain=3", "brain: expected a table, found 3"),
        ("steps=0", "experiment.steps: expected 1 or more, found 0"),
    ],
)
def test_an_override_that_fits_nowhere_is_refused(read, folder, text, words):
    error = refused(read, GOOD, text)
    assert error.text.startswith(f"{folder}/experiment.toml: ")
    assert words in error.text


def test_an_override_of_a_table_that_is_none_is_refused(read):
    assert "parameters is not a table" in refused(read, "parameters = 5\n" + MINIMAL, "parameters.x=1").text


def test_reading_writes_nothing(read, folder):
    before = sorted(os.listdir(folder))
    read(GOOD)
    assert sorted(os.listdir(folder)) == sorted({*before, "experiment.toml"})


def test_every_participant_that_can_be_named_is_a_table_of_the_document():
    assert set(experiment.PARTICIPANTS) <= set(experiment.Document.__slots__)


def test_a_measure_at_a_time_where_no_step_ends_is_refused(tmp_path):
    text = '[experiment]\nname = "x"\nsteps = 50\n[body]\n[measures]\nm = { reads = "body.a", at_s = %s }\n'
    (tmp_path / "experiment.toml").write_text(text % 0.51)
    with pytest.raises(BadExperiment, match=r"measures\.m\.at_s: expected the end of a step: a multiple of 0\.02 s"):
        experiment.load(tmp_path)
    (tmp_path / "experiment.toml").write_text(text % 0.52)
    assert experiment.load(tmp_path).document.measures["m"].at_s == 0.52


SCHEDULED = GENERAL + '[brain]\nstep_ms = 40\n[body]\n[[schedule]]\nat_s = %s\nto = "%s"\nwhat = "silence"\n'


@pytest.mark.parametrize(("at_s", "step"), [("0", 0), ("0.0", 0), ("0.04", 2), ("1.2", 60)])
def test_a_scheduled_edit_stands_before_the_step_that_begins_at_its_time(read, at_s, step):
    found = read(SCHEDULED % (at_s, "brain"))
    (planned,) = found.document.schedule
    assert (planned.to, planned.what, planned.arguments, planned.timeout_s) == ("brain", "silence", {}, 0.0)
    assert found.border(planned) == step


@pytest.mark.parametrize(
    ("at_s", "to", "words"),
    [
        ("0.02", "brain", "schedule[0].at_s: expected the beginning of a step of the brain: a multiple of 0.04 s"),
        ("0.01", "body", "schedule[0].at_s: expected the beginning of a step of the body: a multiple of 0.02 s"),
        ("-1", "brain", "schedule[0].at_s: expected 0 or more, found -1"),
        ("nan", "brain", "schedule[0].at_s: expected 0 or more, found nan"),
        ("inf", "brain", "schedule[0].at_s: expected the beginning of a step"),
        ("0.04", "recorder", "schedule[0].to: expected 'brain' or 'body' or 'engine', found the text 'recorder'"),
    ],
)
def test_a_scheduled_edit_that_finds_no_border_is_refused(read, at_s, to, words):
    assert words in refused(read, SCHEDULED % (at_s, to)).text


def test_threads_without_a_brain_are_refused(tmp_path):
    (tmp_path / "experiment.toml").write_text('[experiment]\nname = "x"\nsteps = 5\n[body]\n')
    with pytest.raises(BadExperiment, match="threads"):
        experiment.load(tmp_path, [("threads", 2)])
