"""What the table [brain] says wrongly, found without NEST."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.brain.check import problems

ROOT = Path(__file__).parents[2]


def found(folder, table):
    (folder / "experiment.toml").write_text(table)
    return list(problems(folder))


@pytest.mark.parametrize(
    "folder", sorted(p.parent for p in ROOT.glob("experiments/*/experiment.toml")), ids=lambda p: p.name
)
def test_nothing_is_wrong_with_what_is_shipped(folder):
    assert list(problems(folder)) == []


def test_an_option_that_a_device_has_not_is_named(tmp_path):
    table = '[brain]\nmodel = "cbct"\n[brain.sources.drive]\nkind = "poisson"\ntargets = ["a"]\nwieght = 1.0\n'
    (one,) = found(tmp_path, table)
    assert one["key"] == "brain.sources.drive.wieght"
    assert "weight" in one["text"]


def test_a_model_that_is_not_shipped_is_named_with_one_that_is(tmp_path):
    (one,) = found(tmp_path, '[brain]\nmodel = "cbtc"\n')
    assert one["key"] == "brain.model"
    assert "cbct" in one["text"]


@pytest.mark.parametrize("text", ["", "[body]\n", "[brain", 'brain = "x"\n', '[brain]\nscript = "b.py"\nranks = 2\n'])
def test_what_is_not_its_business_is_left_alone(tmp_path, text):
    assert found(tmp_path, text) == []


def test_it_does_not_load_nest():
    code = "import sys, services.brain.check; sys.exit('nest' in sys.modules or 'mpi4py' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
