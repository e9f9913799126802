"""services.recorder.verify, and the tools on the command line."""

import subprocess
import sys
from pathlib import Path

import msgpack
import numpy as np
import pytest

from reafference import codec
from reafference.frames import Packed
from services.recorder import store, tools
from services.recorder.reader import Run
from services.recorder.store import RECORDING, Recording
from services.recorder.verify import verify
from tests.recorder.tape import RUN, record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "run"
    made.mkdir()
    record(made, 8)
    return made


def rewritten(folder, change):
    """A recording like that in `folder`, each frame of which went through `change(topic, step, arrays)`."""
    other = folder.parent / "rewritten"
    other.mkdir()
    recording = Recording(other)
    for topic, packed in store.read(folder / RECORDING):
        received = codec.decode(packed.parts())
        if received.frame.kind == "stream":
            header = msgpack.unpackb(packed.header)
            arrays = {name: np.array(array) for name, array in received.frame.arrays.items()}
            if change(topic, received.frame.step, arrays) is False:
                continue
            large = [arrays[name].tobytes() for name, _, _, where in header["arrays"] if isinstance(where, int)]
            header["arrays"] = [
                [name, dtype, shape, where if isinstance(where, int) else arrays[name].tobytes()]
                for name, dtype, shape, where in header["arrays"]
            ]
            packed = Packed(f"{RUN}/{topic}/".encode(), msgpack.packb(header), tuple(large))
        recording.add(packed, received.envelope.seq, 0, 0)
    recording.finish()
    return verify(Run(other))


def flip(topic, step, name, byte=0):
    """Change one byte of one array of one step."""

    def change(found_topic, found_step, arrays):
        if (found_topic, found_step) == (topic, step):
            arrays[name].reshape(-1).view(np.uint8)[byte] ^= 1

    return change


def test_a_recording_as_it_was_written_is_good(folder):
    verdict = verify(Run(folder))
    assert verdict.good
    assert (verdict.steps, verdict.differing, verdict.broke_off) == (8, (), False)


def test_a_recording_written_again_as_it_was_is_good(folder):
    assert rewritten(folder, lambda *_: None).good


@pytest.mark.parametrize(
    ("topic", "step", "name", "who"),
    [
        ("brain/sinks", 0, "voltage", "brain"),
        ("brain/sinks", 7, "active", "brain"),
        ("body/joints", 3, "velocity", "body"),
        ("body/pose", 7, "turn", "body"),
    ],
)
def test_one_flipped_bit_is_found(folder, topic, step, name, who):
    verdict = rewritten(folder, flip(topic, step, name))
    assert verdict.differing == (who,)
    assert not verdict.good


def test_a_missing_frame_is_found(folder):
    assert rewritten(folder, lambda topic, step, _: (topic, step) != ("body/joints", 4)).differing == ("body",)


@pytest.mark.parametrize(("topic", "name"), [("brain/timing", "run"), ("body/camera/eye", "image")])
def test_what_may_differ_between_equal_runs_is_not_looked_at(folder, topic, name):
    assert rewritten(folder, flip(topic, 0, name)).good


def test_a_run_that_broke_off_cannot_be_verified(tmp_path):
    record(tmp_path, 8, flush_every=2)
    path = tmp_path / RECORDING
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    verdict = verify(Run(tmp_path))
    assert verdict.broke_off
    assert not verdict.good
    assert 0 < verdict.steps < 8


# --- on the command line ------------------------------------------------------------------------------------------


def test_verify_says_what_it_found(folder, capsys):
    assert tools.main(["verify", str(folder)]) == 0
    assert "all 8 steps are recorded exactly as they were simulated" in capsys.readouterr().out
    rewritten(folder, flip("brain/sinks", 2, "voltage"))
    assert tools.main(["verify", str(folder.parent / "rewritten")]) == 1
    assert "what is recorded of brain is not what was simulated" in capsys.readouterr().out


def test_mend_says_what_it_did_and_writes_a_summary(folder, capsys):
    assert tools.main(["mend", str(folder)]) == 0
    assert "nothing to mend" in capsys.readouterr().out
    path = folder / RECORDING
    path.write_bytes(path.read_bytes()[: path.stat().st_size - 100])
    (folder / "summary.json").unlink()
    assert tools.main(["mend", str(folder)]) == 0
    assert "the index was made anew" in capsys.readouterr().out
    assert store.read_summary(folder)["steps"] == 8
    assert tools.main(["verify", str(folder)]) == 0


def test_export_names_what_it_made(folder, capsys):
    assert tools.main(["export", str(folder), "--out", str(folder / "there")]) == 0
    made = capsys.readouterr().out.splitlines()
    assert str(folder / "there" / "run.h5") in made
    assert all(Path(path).is_file() for path in made)


def test_a_run_that_is_not_there_is_a_sentence_and_a_status(tmp_path):
    command = [sys.executable, "-m", "services.recorder", "verify", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"reaf: {tmp_path} has no recording: name a folder that holds recording.mcap\n"


def test_a_recorder_that_is_not_told_where_the_wires_are_says_so(monkeypatch):
    monkeypatch.delenv("REAF_WIRES", raising=False)
    command = [sys.executable, "-m", "services.recorder"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "set REAF_STEP, or REAF_WIRES" in done.stderr
    assert "Traceback" not in done.stderr
