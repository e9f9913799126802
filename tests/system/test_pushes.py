"""A body that is pushed and loaded on schedule: the same run every time, and another one than without."""

import shutil

import pytest
import reaf

SCHEDULE = """
[[schedule]]
at_s = 0.1
to = "body"
what = "push"
arguments = { link = "foot", force_N = [0.1, 0.0, 0.2], duration_s = 0.0504 }

[[schedule]]
at_s = 0.2
to = "body"
what = "load"
arguments = { torque_Nm = { stick_sagittal = 0.003 } }
"""
EXPERIMENT = """
[experiment]
name = "pushed"
steps = 20
step_ms = 20.0
seed = 1

[body]
model = "mouse_forelimb"

[measures]
tip_y_mm = { reads = "body.tip.position.y", scale = 1000.0 }
"""


@pytest.fixture
def run(tmp_path):
    def run(name, schedule):
        folder = tmp_path / name
        (folder / "experiment").mkdir(parents=True)
        (folder / "experiment" / "experiment.toml").write_text(EXPERIMENT + schedule)
        result = reaf.run(folder, folder / "experiment")
        assert result.status == 0, result.said
        summary = result.summary
        shutil.rmtree(folder)
        return summary

    return run


def test_a_run_with_scheduled_pushes_is_the_same_every_time(run):
    alone, first, again = run("alone", ""), run("first", SCHEDULE), run("again", SCHEDULE)
    assert first["digest"] == again["digest"] != alone["digest"]
    moved_mm = first["measures"]["tip_y_mm"] - alone["measures"]["tip_y_mm"]
    assert abs(moved_mm) > 0.1


def test_a_scheduled_push_of_something_unknown_is_said_with_its_reason(tmp_path):
    (tmp_path / "experiment").mkdir()
    schedule = SCHEDULE.replace('"foot"', '"fooot"')
    (tmp_path / "experiment" / "experiment.toml").write_text(EXPERIMENT + schedule)
    result = reaf.run(tmp_path, tmp_path / "experiment")
    assert result.status != 0
    assert "did you mean 'foot'?" in " ".join(result.said.split())
