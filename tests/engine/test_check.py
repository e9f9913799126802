"""What keeps an experiment from being run, found without running it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.engine.check import problems

ROOT = Path(__file__).parents[2]
GOOD = '[experiment]\nname = "x"\nsteps = 3\n\n[body]\nmodel = "mouse_forelimb"\n'


def found(folder, toml=GOOD, **scripts):
    (folder / "experiment.toml").write_text(toml)
    for name, text in scripts.items():
        (folder / f"{name}.py").write_bytes(text)
    return list(problems(folder))


@pytest.mark.parametrize(
    "folder", sorted(p.parent for p in ROOT.glob("experiments/*/experiment.toml")), ids=lambda p: p.name
)
def test_nothing_is_wrong_with_what_is_shipped(folder):
    assert list(problems(folder)) == []


def test_a_mistake_in_the_toml_has_its_line_and_column(tmp_path):
    (one,) = found(tmp_path, GOOD.replace("steps = 3", "steps = = 3"))
    assert (one["file"], one["line"], one["column"]) == ("experiment.toml", 3, 9)
    assert str(tmp_path) not in one["text"]


def test_a_wrong_value_has_its_key(tmp_path):
    (one,) = found(tmp_path, GOOD.replace("steps = 3", 'steps = "three"'))
    assert one["key"] == "experiment.steps"
    assert "three" in one["text"]


def test_every_script_that_is_no_python_has_its_place(tmp_path):
    first, second = found(tmp_path, a=b"x = 1\ndef f(:\n", b=b"if True:\n\tx = 1\n        y = 2\n", c=b"ok = 1\n")
    assert (first["file"], first["line"], first["column"], first["line_text"]) == ("a.py", 2, 7, "def f(:")
    assert (second["file"], second["line"]) == ("b.py", 3)
    assert "TabError" in second["text"] or "IndentationError" in second["text"]


@pytest.mark.parametrize(
    "text", [b"\xff", b"x = 1\0", b"(" * 5000, b"-" * 200_000 + b"1"], ids=["bytes", "zero", "brackets", "minus"]
)
def test_what_cannot_be_read_as_python_is_said_so(tmp_path, text):
    command = [sys.executable, "-m", "services.engine.check", str(tmp_path)]
    (tmp_path / "experiment.toml").write_text(GOOD)
    (tmp_path / "a.py").write_bytes(text)
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    (one,) = json.loads(told.stdout)
    assert one["file"] == "a.py"


def test_nothing_of_the_users_is_run(tmp_path):
    script = f"open({str(tmp_path / 'ran')!r}, 'w').close()\nraise SystemExit\n".encode()
    toml = GOOD + '\n[transfer]\nfile = "transfer.py"\n'
    assert found(tmp_path, toml, transfer=script, json=b"raise RuntimeError\n") == []
    assert not (tmp_path / "ran").exists()


def test_recordings_and_hidden_folders_are_left_out(tmp_path):
    for name in ("recordings", ".git", "__pycache__"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("(")
    assert found(tmp_path) == []


def test_a_topic_of_the_experiment_that_is_none_has_its_key(tmp_path):
    table = '\n[transfer]\ndialect = "nrp"\n[transfer.topics.a]\ntopic = "/a"\ntype = "std_msgs/Flaot64"\n'
    (one,) = found(tmp_path, GOOD + table)
    assert one["key"] == "transfer.topics.a.type"
    assert "did you mean 'std_msgs/Float64'?" in one["text"]
