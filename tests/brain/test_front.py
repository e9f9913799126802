"""The front of a brain over several ranks: what is refused on all of them, and what fails on one."""

import json
from pathlib import Path

import numpy as np
import pytest

from reafference.frames import Port, Step
from services.brain.front import StepForm
from services.brain.ranks import Command, Op
from tests import mpiexec

JOB = Path(__file__).with_name("front_job.py")
RANKS = pytest.mark.parametrize("ranks", [2, 4])


@mpiexec.ranks_wanted()
@RANKS
def test_a_value_that_a_device_refuses_on_all_ranks_leaves_them_together(ranks):
    job = mpiexec.run(ranks, JOB, "all", limit_s=60)
    assert job.returncode == 0, job.stdout
    said = [json.loads(line) for line in job.stdout.splitlines() if line.startswith("{")]
    refused = [line for line in said if "code" in line]
    assert [line["step"] for line in refused] == [2]
    assert refused[0]["code"] == "bad_experiment"
    assert "rate of inf Hz" in refused[0]["text"]
    assert f"(on all {ranks} ranks)" in refused[0]["text"]
    assert [line["step"] for line in said if "rate" in line] == [0, 1, 2]


@mpiexec.ranks_wanted()
@RANKS
def test_a_device_that_fails_on_one_rank_ends_the_job_with_its_name(ranks):
    job = mpiexec.run(ranks, JOB, "one", limit_s=60)
    assert job.returncode == 5, job.stdout
    words = [json.loads(line)["last_words"] for line in job.stdout.splitlines() if line.startswith('{"last_words"')]
    assert words == [{"code": "simulator_failed", "text": "rank 1: RuntimeError: the device is broken"}]


def test_a_step_travels_between_ranks_as_it_is():
    inputs = (
        Port(name="rates", shape=(3,), dtype="float64", unit="Hz"),
        Port(name="on", shape=(2,), dtype="uint8", unit=""),
        Port(name="gain", shape=(), dtype="float32", unit=""),
        Port(name="moments", shape=(2, 4), dtype="float64", unit="s"),
        Port(name="any", shape=(-1, 2), dtype="int64", unit=""),
    )
    outputs = tuple(Port(name=name, shape=(1,), dtype="float64", unit="") for name in ("sinks.a", "sinks.b", "sinks.c"))
    form = StepForm(inputs, outputs)
    step = Step(
        number=7,
        t_ns=140_000_000,
        dt_ns=20_000_000,
        inputs={
            "rates": np.array([1.0, np.inf, -3.5]),
            "on": np.array([1, 0], np.uint8),
            "gain": np.array(0.5, np.float32),
            "moments": np.arange(8.0).reshape(2, 4),
            "any": np.arange(6).reshape(3, 2),
        },
        want=("sinks.c", "sinks.a"),
    )
    payload = form.written(step)
    read = form.read(Command([Op.ADVANCE, 7, step.t_ns, step.dt_ns, len(payload)], payload))
    assert (read.number, read.t_ns, read.dt_ns, read.want) == (7, step.t_ns, step.dt_ns, step.want)
    assert read.inputs.keys() == step.inputs.keys()
    for name, value in step.inputs.items():
        assert read.inputs[name].dtype == value.dtype
        np.testing.assert_array_equal(read.inputs[name], value)
