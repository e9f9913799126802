"""services.recorder.reader: a recorded run, read back."""

import numpy as np
import pytest

from reafference import codec
from reafference.errors import BadExperiment
from reafference.frames import RunStop
from services.recorder import store
from services.recorder.reader import Run
from services.recorder.sink import Sink
from services.recorder.store import RECORDING, Recording
from tests.recorder.tape import BRAIN, DT_NS, Tape, give, record


@pytest.fixture
def broken_off(tmp_path):
    """Three complete steps, and frames of a fourth that has no mark."""
    tape, sink = Tape(), Sink(tmp_path, 4)
    give(sink, [tape.start()])
    for _ in range(3):
        give(sink, tape.step())
    give(sink, tape.streams())
    sink.finish()
    return tmp_path


def test_the_documents_are_read_back(tmp_path):
    tape = record(tmp_path, 4)
    run = Run(tmp_path)
    assert (run.start.experiment, run.start.ports["brain"]) == ("tape", BRAIN)
    assert isinstance(run.stop, RunStop)
    assert run.stop.digests["brain"] == tape.digests["brain"].hexdigest()
    assert run.steps == 4
    assert run.folder == tmp_path


def test_the_file_itself_can_be_named(tmp_path):
    record(tmp_path, 2)
    assert Run(tmp_path / RECORDING).steps == 2


def test_streams_come_in_the_order_of_steps_with_their_times(tmp_path):
    record(tmp_path, 4)
    samples = list(Run(tmp_path).samples(["brain/sinks"]))
    assert [(s.topic, s.step, s.t_ns) for s in samples] == [("brain/sinks", n, (n + 1) * DT_NS) for n in range(4)]
    assert set(samples[0].arrays) == {"voltage", "active"}


def test_all_declared_streams_come_if_none_is_named(tmp_path):
    record(tmp_path, 4)
    run = Run(tmp_path)
    topics = [sample.topic for sample in run.samples()]
    assert set(topics) == set(run.ports)
    assert topics.count("body/camera/eye") == 2
    assert run.ports["engine/inputs/body"]["drive"].labels == ("a", "b")


def test_a_series_is_one_array_over_all_steps(tmp_path):
    record(tmp_path, 5)
    times, values = Run(tmp_path).series("brain/sinks", "voltage")
    assert list(times) == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert values.shape == (5, 3)
    times, images = Run(tmp_path).series("body/camera/eye", "image")
    assert list(times) == pytest.approx([0.02, 0.08])
    assert images.dtype == np.uint8


def test_frames_without_a_commit_mark_are_left_out(broken_off):
    run = Run(broken_off)
    assert run.steps == 3
    assert {sample.step for sample in run.samples()} == {0, 1, 2}
    in_file = [codec.decode(packed.parts()).frame for _, packed in store.read(broken_off / RECORDING)]
    assert any(frame.kind == "stream" and frame.step == 3 for frame in in_file)


def test_a_run_that_broke_off_has_no_last_document(broken_off):
    assert Run(broken_off).stop is None


def test_a_recording_that_was_cut_is_mended_on_the_way(tmp_path):
    record(tmp_path, 12, flush_every=2)
    path = tmp_path / RECORDING
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run = Run(tmp_path)
    assert 0 < run.steps < 12
    assert run.series("brain/sinks", "voltage")[1].shape == (run.steps, 3)


def test_a_recording_without_a_first_document_is_said_to_have_none(tmp_path):
    tape, recording = Tape(), Recording(tmp_path)
    recording.add(tape.streams()[0], 0, 0, 0)
    recording.finish()
    with pytest.raises(BadExperiment, match="has no first document: nothing of its run was recorded"):
        Run(tmp_path).start  # noqa: B018


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(BadExperiment, match="has no recording"):
        Run(tmp_path)
    (tmp_path / RECORDING).write_text("no MCAP at all")
    with pytest.raises(BadExperiment, match="is not a recording"):
        Run(tmp_path)
