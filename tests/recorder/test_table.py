"""services.recorder.table: one stream of a recording as CSV, also while it is being written."""

import io
import shutil
import subprocess
import sys

import pytest

from reafference.errors import BadExperiment
from reafference.frames import Values
from services.recorder import table
from services.recorder.export import export
from services.recorder.reader import Run
from services.recorder.sink import Sink
from services.recorder.store import RECORDING
from tests.recorder.tape import Tape, give, record

STEPS = 12


def rows(run, topic, since_s=0.0):
    out = io.StringIO(newline="")
    table.write(run, topic, since_s, out)
    return out.getvalue().splitlines()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    record(folder, STEPS)
    return folder


@pytest.mark.parametrize(
    ("topic", "file"),
    [
        ("brain/sinks", "sinks.csv"),
        ("body/pose", "pose.csv"),
        ("brain/spikes", "spikes.csv"),
        ("engine/profile", "profile.csv"),
        ("engine/inputs/body", "inputs_body.csv"),
    ],
)
def test_it_has_the_rows_of_the_export(recorded, tmp_path, topic, file):
    export(Run(recorded), tmp_path)
    assert rows(recorded, topic) == (tmp_path / file).read_text(encoding="utf-8").splitlines()


def test_rows_begin_where_they_are_wanted(recorded):
    every, late = rows(recorded, "body/joints"), rows(recorded, "body/joints", 0.1)
    assert len(every) == STEPS + 1
    assert late == [every[0], *every[5:]]


def test_a_recording_in_the_making_is_read_to_its_last_whole_chunk(recorded, tmp_path):
    tape, sink = Tape(), Sink(tmp_path, window_steps=4)
    give(sink, [tape.start(STEPS)])
    for _ in range(STEPS):
        give(sink, tape.step())
        sink.credit()
    found = rows(tmp_path, "body/joints")
    assert STEPS - 4 <= len(found) - 1 <= STEPS
    assert found == rows(recorded, "body/joints")[: len(found)]
    for cut in (1, 100, 3000):
        copy = tmp_path / f"cut-{cut}"
        copy.mkdir()
        shutil.copy(tmp_path / RECORDING, copy / RECORDING)
        with (copy / RECORDING).open("r+b") as file:
            file.truncate(file.seek(0, 2) - cut)
        shorter = rows(copy, "body/joints")
        assert shorter == found[: len(shorter)]
        assert len(shorter) > 1
    sink.finish()


def test_values_of_functions_have_a_column_each(tmp_path):
    tape, sink = Tape(), Sink(tmp_path, window_steps=4)
    give(sink, [tape.start(STEPS)])
    for step in range(4):
        values = {"gain": step / 2} | ({"drive.count": 3.0} if step > 1 else {})
        noted = tape.frame("engine/values", Values(step=step, t_ns=(step + 1) * 20_000_000, values=values))
        give(sink, [*tape.streams(), noted, tape.mark()])
        sink.credit()
    give(sink, [tape.stop()])
    sink.finish()
    assert rows(tmp_path, "engine/values") == [
        "step,t_s,gain,drive.count",
        "0,0.02,0.0,",
        "1,0.04,0.5,",
        "2,0.06,1.0,3.0",
        "3,0.08,1.5,3.0",
    ]


def test_an_unknown_stream_is_told_with_the_known_ones(recorded):
    with pytest.raises(BadExperiment, match=r"no stream 'body/joins' \(did you mean 'body/joints'\?\)"):
        rows(recorded, "body/joins")
    with pytest.raises(BadExperiment, match="no form as a table"):
        rows(recorded, "body/camera/eye")
    with pytest.raises(BadExperiment, match="no values"):
        rows(recorded, "engine/values")


def test_it_is_a_tool(recorded):
    command = [sys.executable, "-m", "services.recorder", "stream", str(recorded)]
    done = subprocess.run([*command, "--topic=body/joints"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == rows(recorded, "body/joints")
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (failed.returncode, "--topic" in failed.stderr) == (2, True)
