"""Published transfer functions are written back into their own files."""

import io
import tomllib

import pytest

from services.gateway import transfer_file
from services.gateway.people import Person
from services.gateway.problems import Problem
from services.gateway.storage import Storage
from services.gateway.toml_keys import with_keys
from tests.gateway.doors import zip_of

OTTO = Person("otto", "editor")
TOML = """\
# An experiment — with a comment.

[experiment]
name = "x"
steps = 3

[transfer]             # published ones
dialect = "nrp"
files = [
    "functions/eye.py",   # the first
    "wheels.py",
]
inactive = ["wheels.py"]

[transfer.topics.a]
topic = "/a"
type = "std_msgs/Float64"

[body]
model = "mouse_forelimb"
"""
EYE = "import math\n\n\n@nrp.Robot2Neuron()\ndef eye(t):\n    pass\n"
WHEELS = "@nrp.Neuron2Robot()\ndef wheels(t):\n    pass\n"
FILES = {"experiment.toml": TOML, "functions/eye.py": EYE, "wheels.py": WHEELS}


@pytest.fixture
def stored(tmp_path):
    storage = Storage(tmp_path / "home")
    files = {name: text.encode() for name, text in FILES.items()}
    return storage, storage.receive(io.BytesIO(zip_of(files)), OTTO)


def one(name, source, **more):
    return {"name": name, "source": source, "active": True, "priority": 0} | more


def text_of(stored, path):
    storage, id = stored
    return storage.read(id, path).data.decode()


def table(stored):
    return tomllib.loads(text_of(stored, "experiment.toml"))["transfer"]


NOW = [one("eye", EYE), one("wheels", WHEELS, active=False)]


def test_what_has_not_changed_is_not_written(stored):
    storage, id = stored
    assert transfer_file.saved(storage.folder(id), NOW) == {"eye", "wheels"}
    assert transfer_file.save(*stored, NOW) == {"file": "functions/eye.py, wheels.py", "changed": False}
    assert text_of(stored, "experiment.toml") == TOML


def test_a_function_goes_into_its_own_file_with_all_that_stands_around_it(stored):
    storage, id = stored
    other = "import numpy\n\n" + EYE.replace("pass", "return 1")
    functions = [one("eye", other), NOW[1]]
    assert transfer_file.saved(storage.folder(id), functions) == {"wheels"}
    assert transfer_file.save(*stored, functions) == {"file": "functions/eye.py", "changed": True}
    assert text_of(stored, "functions/eye.py") == other
    assert (text_of(stored, "wheels.py"), text_of(stored, "experiment.toml")) == (WHEELS, TOML)
    assert transfer_file.saved(storage.folder(id), functions) == {"eye", "wheels"}


def test_functions_that_come_and_go_are_named_in_the_experiment_file(stored):
    new = "@nrp.Robot2Neuron()\ndef touch(t):\n    pass\n"
    functions = [one("wheels", WHEELS, priority=2), one("touch", new, active=False)]
    answer = transfer_file.save(*stored, functions)
    assert answer == {"file": "touch.py, experiment.toml", "changed": True}
    assert text_of(stored, "touch.py") == new
    assert text_of(stored, "functions/eye.py") == EYE
    expected = {"files": ["wheels.py", "touch.py"], "inactive": ["touch.py"], "priorities": {"wheels.py": 2}}
    assert table(stored) == {
        "dialect": "nrp",
        "topics": {"a": {"topic": "/a", "type": "std_msgs/Float64"}},
        **expected,
    }
    text = text_of(stored, "experiment.toml")
    assert text.startswith(TOML[: TOML.index("dialect")].rstrip("\n"))
    assert text.endswith(TOML[TOML.index("[transfer.topics.a]") :])


def test_what_is_not_said_of_a_function_stays(stored):
    transfer_file.save(*stored, [{"name": one["name"], "source": one["source"]} for one in NOW])
    assert text_of(stored, "experiment.toml") == TOML


def test_a_new_file_takes_no_others_place(stored):
    storage, id = stored
    storage.write(id, "touch.py", b"# notes\n")
    transfer_file.save(*stored, [*NOW, one("touch", "@nrp.Robot2Neuron()\ndef touch(t):\n    pass\n")])
    assert table(stored)["files"][-1] == "touch_2.py"
    assert text_of(stored, "touch.py") == "# notes\n"


def test_what_python_cannot_read_is_refused_and_nothing_is_written(stored):
    functions = [one("eye", EYE.replace("pass", "1")), one("wheels", "@nrp.Neuron2Robot()\ndef wheels(t:\n")]
    with pytest.raises(Problem) as caught:
        transfer_file.save(*stored, functions)
    assert (caught.value.status, caught.value.extra["line"]) == (422, 2)
    assert text_of(stored, "functions/eye.py") == EYE


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("[a]\nx = 1\n", {"f": ["b"]}, '[a]\nf = ["b"]\nx = 1\n'),
        ("[a]\nf = [\n  'b', # [no]\n]\nx = 1\n", {"f": ["c"]}, '[a]\nf = ["c"]\nx = 1\n'),
        ("[a]\r\nf = ['b']\r\n", {"f": []}, "[a]\r\n"),
        ("[a]", {"p": {"x.py": 2}}, '[a]\np = { "x.py" = 2 }\n'),
        ("[a]\nf = [\n['b']\n]\n[c]\nf = 3\n", {"f": ["d"]}, '[a]\nf = ["d"]\n[c]\nf = 3\n'),
    ],
)
def test_a_key_gets_another_value_and_the_rest_stays(text, values, expected):
    assert with_keys(text, "a", values) == expected


@pytest.mark.parametrize("text", ["a.x = 1\n", "a = { x = 1 }\n", "[b]\nx = 1\n"])
def test_a_file_that_is_written_otherwise_is_left_alone(text):
    with pytest.raises(Problem, match="by hand"):
        with_keys(text, "a", {"f": ["c"]})
