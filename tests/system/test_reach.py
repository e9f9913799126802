"""The whole loop with real NEST, PyBullet and ZeroMQ: does the cortex move the arm?"""

import pytest
import reaf

SECOND = ("--steps", "50")
# A small cortex under the drive of the published files: quick, and it saturates the muscles for certain.
STRONG = ("--set", "area_mm2=0.03", "--set", "drive_hz=50000", *SECOND)


def push_mm(result):
    """How far forward (-y) the tip went between 0.5 and 1.0 s."""
    measures = result.summary["measures"]
    return measures["tip_y_mm_at_0.5_s"] - measures["tip_y_mm_at_1.0_s"]


def test_the_drive_pushes_the_stick_forward_in_the_experiment_as_it_is_shipped(tmp_path):
    result = reaf.run(tmp_path, reaf.MOUSE)
    assert result.status == 0, result.said
    assert push_mm(result) >= 3.0
    assert {"recording.mcap", "summary.json", "profile.csv"} <= {f.name for f in result.folder.iterdir()}


def test_without_drive_the_stick_is_held(tmp_path):
    result = reaf.run(tmp_path, reaf.MOUSE, "--set", "drive_hz=0")
    assert result.status == 0, result.said
    assert abs(push_mm(result)) < 2.0


def test_a_small_cortex_pushes_too(tmp_path):
    assert push_mm(reaf.run(tmp_path, reaf.MOUSE, *STRONG)) >= 3.0


CUTS = {
    "source": [("experiment.toml", "weight = 0.15 ", "weight = 0.0  ")],
    "sink": [("experiment.toml", "weight = 10.0 ", "weight = 1e-9 ")],
    "transfer function": [("transfer.py", "return min(max(scale", "return 0 * min(max(scale")],
    # The muscles keep the base activation, whatever the brain says.
    "muscle": [
        ("transfer.py", "priority=1", "priority=-1"),
        ("transfer.py", "BASE_EXCITATION if step < params.base_steps else None", "BASE_EXCITATION"),
    ],
}


@pytest.mark.parametrize("joint", CUTS)
def test_the_push_is_gone_when_the_loop_is_cut(tmp_path, joint):
    experiment = reaf.copy_of(reaf.MOUSE, tmp_path, CUTS[joint])
    result = reaf.run(tmp_path, experiment, *STRONG)
    assert result.status == 0, result.said
    assert push_mm(result) < 2.0
