"""services.engine.profile: where each step's time went."""

import csv

import numpy as np
import pytest

from services.engine import profile
from services.engine.profile import PARTS, PORT, Profile, Row

MS = 1_000_000


def rows(*cle_steps_ms, **more):
    made = Profile()
    for step, cle_step_ms in enumerate(cle_steps_ms):
        made.add(Row(step, cle_step=int(cle_step_ms * MS), **more))
    return made


def test_an_empty_profile_has_no_numbers():
    empty = Profile()
    assert (len(empty), empty.last_step_ns, empty.mean_step_ns(), empty.first_step_ms()) == (0, 0, 0, 0.0)
    assert (empty.summary(), empty.real_time_factor(20 * MS)) == ({}, 0.0)


def test_the_first_step_is_left_out_of_the_statistics():
    made = rows(1000, 10, 20, 60)
    assert made.summary()["step_ms"] == {"median": 20.0, "p99": pytest.approx(59.2), "mean": 30.0}
    assert made.mean_step_ns() == 30 * MS
    assert made.first_step_ms() == 1000.0
    assert made.last_step_ns == 60 * MS
    assert made.real_time_factor(15 * MS) == 0.5


def test_a_run_of_one_step_has_only_the_first():
    made = rows(40)
    assert made.summary()["step_ms"]["mean"] == 40.0
    assert (made.mean_step_ns(), made.real_time_factor(20 * MS)) == (40 * MS, 0.5)


def test_parts_come_from_what_the_participants_say_of_themselves():
    row = Row(0)
    row.take("brain", {"run": np.array(5), "write": np.array(2), "readout": np.array(1)})
    row.take("body", {"run": np.array(7)})
    row.take("somebody", {"run": np.array(9)})
    assert (row.brain_step, row.brain_refresh, row.robot_step) == (5, 8, 7)


def test_what_nobody_says_is_zero():
    row = Row(0)
    row.take("brain", {})
    assert (row.brain_step, row.brain_refresh) == (0, 0)


def test_the_overhead_is_the_step_less_the_longer_of_brain_and_body_and_less_the_pace():
    made = rows(100, 100, brain_step=30 * MS, brain_refresh=35 * MS, robot_step=50 * MS, pace_wait=20 * MS)
    summary = made.summary()
    assert summary["overhead_ms"]["mean"] == 30.0
    assert summary["brain_run_ms"]["mean"] == 30.0
    assert summary["brain_readout_ms"]["mean"] == 5.0
    assert summary["body_ms"]["mean"] == 50.0
    assert summary["pace_wait_ms"]["mean"] == 20.0


def test_what_is_published_is_described():
    parts = Profile().add(Row(3, cle_step=7, send=2))
    assert parts.dtype.str == PORT.dtype
    assert parts.shape == PORT.shape
    assert dict(zip(PORT.labels, parts, strict=True)) == dict.fromkeys(PARTS, 0) | {"cle_step": 7, "send": 2}
    assert not PORT.digest


def test_the_file_has_a_row_per_step_with_times_in_seconds(tmp_path):
    made = rows(40.5, 20, transfer=3)
    made.write_csv(tmp_path / "profile.csv", 20 * MS)
    with (tmp_path / "profile.csv").open() as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["step", "t_s", *PARTS]
    assert [(row["step"], row["t_s"], row["cle_step"]) for row in table] == [
        ("0", "0.02", "0.040500000"),
        ("1", "0.04", "0.020000000"),
    ]
    assert table[0]["transfer"] == "0.000000003"


def test_the_columns_of_the_published_profile_keep_their_names():
    assert {"robot_step", "brain_step", "brain_refresh", "cle_step"} <= set(PARTS)
    assert all(hasattr(Row(0), name) for name in PARTS)
    assert profile.PORT.unit == "ns"
