"""The bytes of released frames stay what they are."""

import pytest

from reafference import codec, plain
from reafference.frames import KINDS, LOWEST, PROTOCOL, Packed
from tests.proto import golden

SAMPLES = golden.samples()
RELEASED = sorted(golden.HOME.glob("*/*.parts"))
VERSIONS = sorted({tuple(map(int, path.parent.name.split("."))) for path in RELEASED})


def test_every_kind_has_a_sample_and_every_sample_a_file():
    assert set(SAMPLES) == set(KINDS)
    assert {path.stem for path in golden.folder().iterdir()} == set(KINDS)


def test_the_present_version_and_all_before_it_are_kept():
    assert [(PROTOCOL[0], minor) for minor in range(PROTOCOL[1] + 1)] == VERSIONS
    assert VERSIONS[0] == LOWEST


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_frame_is_encoded_byte_by_byte_as_it_was_released(kind):
    parts = [bytes(part) for part in golden.encoded(SAMPLES[kind]).parts()]
    assert parts == golden.read(golden.folder() / f"{kind}.parts")


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_released_frame_can_be_read(path):
    received = codec.decode(golden.read(path))
    version = tuple(map(int, path.parent.name.split(".")))
    assert plain.dump(received.frame) == plain.dump(golden.samples(version)[path.stem])
    assert received.envelope == codec.Envelope(golden.RUN, "brain", 41, golden.SENT_NS, version)
    assert received.topic == (b"7f3a90c2/brain/sinks/" if path.stem == "stream" else path.stem.encode())


def test_a_released_file_is_never_overwritten(tmp_path):
    path = tmp_path / "bye.parts"
    golden.write(path, golden.encoded(SAMPLES["bye"]))
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        golden.write(path, Packed(b"other", b"bytes"))
    assert path.read_bytes() == before
