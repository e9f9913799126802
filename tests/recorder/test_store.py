"""services.recorder.store and mend: one file, readable whatever happened to its recorder."""

import io
import json
import random
import struct

import pytest
from mcap.reader import NonSeekingReader, make_reader

from reafference import codec
from reafference.errors import BadExperiment
from reafference.frames import Clock, RunStart
from services.recorder import mend, store
from services.recorder.store import RECORDING, Recording
from tests.recorder.tape import RUN, Tape, copied, record

MAGIC = b"\x89MCAP0\r\n"
CHUNK = 6


def messages(path_or_bytes):
    """Everything in a file as the stock reader gives it, checksums checked."""
    data = path_or_bytes if isinstance(path_or_bytes, bytes) else path_or_bytes.read_bytes()
    reader = make_reader(io.BytesIO(data), validate_crcs=True)
    return [
        (channel.topic, message.sequence, message.log_time, message.data)
        for _, channel, message in reader.iter_messages(log_time_order=False)
    ]


def chunk_ends(data):
    """Where each chunk of a file ends, by the framing of its records alone."""
    ends, at = [], len(MAGIC)
    while at + 9 <= len(data) - len(MAGIC):
        opcode, length = struct.unpack_from("<BQ", data, at)
        at += 9 + length
        if opcode == CHUNK:
            ends.append(at)
    return ends


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a finished recording with many small chunks, and the messages of each chunk."""
    folder = tmp_path_factory.mktemp("whole")
    record(folder, 60, flush_every=2, camera=False)
    data = (folder / RECORDING).read_bytes()
    counts = []
    for _, _, end in (m for m in [(0, 0, e) for e in chunk_ends(data)]):
        reader = NonSeekingReader(io.BytesIO(data[:end]))
        counts.append(len(list(so_far(reader))))
    return data, counts


def so_far(reader):
    """Messages of a file that ends abruptly."""
    try:
        yield from reader.iter_messages(log_time_order=False)
    except Exception:
        return


# --- recording ----------------------------------------------------------------------------------------------


def test_a_recording_is_an_mcap_file_with_a_channel_per_topic(tmp_path):
    record(tmp_path, 7)
    with (tmp_path / RECORDING).open("rb") as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        assert reader.get_header().profile == "reafference"
    assert {channel.topic for channel in summary.channels.values()} == {
        "run/start",
        "run/stop",
        "engine/clock",
        "engine/profile",
        "engine/inputs/body",
        "brain/sinks",
        "brain/spikes",
        "brain/timing",
        "body/joints",
        "body/pose",
        "body/camera/eye",
    }
    assert {channel.message_encoding for channel in summary.channels.values()} == {"msgpack"}
    (schema,) = summary.schemas.values()
    assert (schema.name, schema.encoding) == ("reafference.Frame", "jsonschema")
    assert json.loads(schema.data)["type"] == "object"


def test_a_message_is_the_frame_as_it_was_on_the_wire(tmp_path):
    tape = Tape()
    recording = Recording(tmp_path)
    sent = [tape.start(), *tape.step()]
    for packed in sent:
        recording.add(packed, seq=3, t_ns=20, sent_ns=30)
    recording.finish()
    for packed, (topic, sequence, log_time, data) in zip(sent, messages(tmp_path / RECORDING), strict=True):
        assert (sequence, log_time) == (3, 20)
        assert packed.topic == f"{RUN}/{topic}/".encode()
        assert data == b"".join(copied(packed)[1:])
        assert copied(codec.split(packed.topic, data)) == copied(packed)


def test_frames_read_back_in_the_order_of_writing(tmp_path):
    record(tmp_path, 5)
    found = [(topic, codec.decode(packed.parts()).frame) for topic, packed in store.read(tmp_path / RECORDING)]
    assert {topic for topic, frame in found if isinstance(frame, RunStart)} == {"run/start"}
    steps = [(frame.step, isinstance(frame, Clock)) for _, frame in found if frame.kind in ("stream", "clock")]
    assert steps == sorted(steps)  # step by step, the mark last


def test_nothing_is_left_behind_but_the_recording_and_its_summary(tmp_path):
    record(tmp_path, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECORDING, store.SUMMARY]


def test_what_is_flushed_is_in_the_file(tmp_path):
    tape, recording = Tape(), Recording(tmp_path)
    recording.add(tape.start(), 0, 0, 0)
    before = recording.bytes_written
    recording.flush()
    assert recording.bytes_written == (tmp_path / RECORDING).stat().st_size > before
    recording.finish()


def test_flushing_nothing_writes_nothing(tmp_path):
    recording = Recording(tmp_path)
    recording.flush()
    assert (tmp_path / RECORDING).stat().st_size == 0
    recording.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_never_written_over(tmp_path):
    record(tmp_path, 3)
    before = (tmp_path / RECORDING).read_bytes()
    with pytest.raises(BadExperiment, match=r"no recording can be made in .* \(File exists\): name another folder"):
        Recording(tmp_path)
    assert (tmp_path / RECORDING).read_bytes() == before


def test_a_folder_that_is_none_is_said_to_be_none(tmp_path):
    with pytest.raises(BadExperiment, match="no recording can be made in"):
        Recording(tmp_path / "nowhere")


def test_the_reserve_grows_with_the_index_it_is_kept_for(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_RESERVE_BYTES", 2000)
    tape, recording = Tape(camera=False), Recording(tmp_path)
    recording.add(tape.start(), 0, 0, 0)
    for _ in range(20):
        for packed in tape.step():
            recording.add(packed, 0, 0, 0)
        recording.flush()
    assert (tmp_path / ".reserve").stat().st_size >= 20 * 400
    recording.finish()
    assert not (tmp_path / ".reserve").exists()


def test_a_summary_is_put_in_place_whole(tmp_path):
    store.write_summary(tmp_path, {"steps": 3})
    assert store.read_summary(tmp_path) == {"steps": 3}
    assert [path.name for path in tmp_path.iterdir()] == [store.SUMMARY]
    (tmp_path / store.SUMMARY).write_text("[1]")
    assert store.read_summary(tmp_path) == {}
    assert store.read_summary(tmp_path / "nowhere") == {}


def test_a_folder_without_recording_is_refused(tmp_path):
    with pytest.raises(BadExperiment, match=r"has no recording: name a folder that holds recording\.mcap"):
        store.recording_of(tmp_path)


# --- mending ------------------------------------------------------------------------------------------------------


def test_what_was_whole_before_the_cut_is_readable_afterwards_wherever_it_was(whole, tmp_path):
    data, counts = whole
    ends, everything = chunk_ends(data), messages(data)
    assert len(ends) >= 30
    dice = random.Random(42)
    cuts = {dice.randrange(len(MAGIC), len(data)) for _ in range(280)}
    cuts |= {len(MAGIC), *ends[:6], *(end - 1 for end in ends[:6]), *(end + 1 for end in ends[:6]), len(data) - 1}
    path = tmp_path / "cut.mcap"
    for cut in sorted(cuts):
        path.write_bytes(data[:cut])
        assert mend.mend(path), cut
        kept = sum(end <= cut for end in ends)
        expected = everything[: counts[kept - 1] if kept else 0]
        mended = path.read_bytes()
        assert messages(mended) == expected, cut
        assert not mend.mend(path)
        assert path.read_bytes() == mended


def test_the_index_made_anew_is_complete_and_its_statistics_are_right(whole, tmp_path):
    data, counts = whole
    ends, everything = chunk_ends(data), messages(data)
    path = tmp_path / "cut.mcap"
    for kept in (1, 7, len(ends) - 1, len(ends)):
        path.write_bytes(data[: ends[kept - 1] + 3])
        mend.mend(path)
        expected = everything[: counts[kept - 1]]
        with path.open("rb") as file:
            reader = make_reader(file, validate_crcs=True)
            summary = reader.get_summary()
            statistics = summary.statistics
            assert (statistics.message_count, statistics.chunk_count) == (len(expected), kept)
            assert statistics.channel_count == len(summary.channels) == len({topic for topic, *_ in expected})
            assert statistics.schema_count == len(summary.schemas) == 1
            assert statistics.message_start_time == min(time for _, _, time, _ in expected)
            assert statistics.message_end_time == max(time for _, _, time, _ in expected)
            topics = {channel.id: channel.topic for channel in summary.channels.values()}
            per_topic = {topics[number]: count for number, count in statistics.channel_message_counts.items()}
            assert per_topic == {t: sum(topic == t for topic, *_ in expected) for t in {t for t, *_ in expected}}
            assert len(summary.chunk_indexes) == kept
            # By the index: one topic only, in the order of time, part of the time.
            found = [m.sequence for _, _, m in reader.iter_messages(topics=["brain/sinks"], starting_at=60_000_000)]
            assert found == [seq for topic, seq, time, _ in expected if topic == "brain/sinks" and time >= 60_000_000]


def test_a_mended_file_reads_forward_too(whole, tmp_path):
    data, counts = whole
    path = tmp_path / "cut.mcap"
    path.write_bytes(data[: chunk_ends(data)[4] + 100])
    mend.mend(path)
    with path.open("rb") as file:
        found = list(NonSeekingReader(file, validate_crcs=True).iter_messages(log_time_order=False))
    assert len(found) == counts[4]


def test_a_recording_cut_before_its_first_chunk_is_empty(whole, tmp_path):
    data, _ = whole
    path = tmp_path / "cut.mcap"
    for cut in (len(MAGIC), len(MAGIC) + 5, chunk_ends(data)[0] - 1):
        path.write_bytes(data[:cut])
        assert mend.mend(path)
        assert messages(path) == []


def test_a_whole_recording_is_left_as_it_is(whole, tmp_path):
    path = tmp_path / "whole.mcap"
    path.write_bytes(whole[0])
    assert not mend.mend(path)
    assert path.read_bytes() == whole[0]


def test_a_recording_with_large_arrays_is_mended_too(tmp_path):
    record(tmp_path, 8, flush_every=2, camera=True)
    data = (tmp_path / RECORDING).read_bytes()
    end = chunk_ends(data)[2]
    (tmp_path / RECORDING).write_bytes(data[: end + 1000])
    frames = [codec.decode(packed.parts()).frame for _, packed in store.read(tmp_path / RECORDING)]
    assert sum(frame.kind == "stream" and "image" in frame.arrays for frame in frames) >= 1


def test_a_damaged_chunk_ends_what_is_kept(whole, tmp_path):
    data, counts = whole
    ends = chunk_ends(data)
    for place in (ends[4] - 20, (ends[3] + ends[4]) // 2):
        broken = bytearray(data[: ends[8]])
        broken[place] ^= 0xFF
        (tmp_path / "broken.mcap").write_bytes(broken)
        assert mend.mend(tmp_path / "broken.mcap")
        assert messages(tmp_path / "broken.mcap") == messages(data)[: counts[3]]


def test_whatever_is_damaged_mending_ends_in_a_file_or_a_sentence(whole, tmp_path):
    data, _ = whole
    dice, path = random.Random(7), tmp_path / "broken.mcap"
    beginning = data.index(struct.pack("<B", CHUNK), len(MAGIC) + 9)  # what stands before the chunks has no checksum
    for _ in range(150):
        broken = bytearray(data[: dice.randrange(beginning + 100, len(data))])
        for _ in range(dice.randrange(1, 5)):
            broken[dice.randrange(beginning, len(broken))] = dice.randrange(256)
        path.write_bytes(broken)
        try:
            mend.mend(path)
        except BadExperiment:
            continue
        messages(path)


def test_a_file_that_is_being_recorded_is_left_alone(tmp_path):
    tape, recording = Tape(), Recording(tmp_path)
    for packed in [tape.start(), *tape.step()]:
        recording.add(packed, 0, 0, 0)
    recording.flush()
    before = (tmp_path / RECORDING).read_bytes()
    with pytest.raises(BadExperiment, match="is being recorded: wait until its run has ended"):
        mend.mend(tmp_path / RECORDING)
    assert (tmp_path / RECORDING).read_bytes() == before
    recording.finish()
    assert not mend.mend(tmp_path / RECORDING)


@pytest.mark.parametrize("content", [b"", b"\x89MCAP", b"step,t_s\n0,0.02\n" * 10, bytes(1000)])
def test_what_is_no_recording_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(BadExperiment, match="is not a recording: it does not begin as an MCAP file does"):
        mend.mend(path)
    assert path.read_bytes() == content


def test_a_recording_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadExperiment, match="cannot be read: No such file or directory"):
        mend.mend(tmp_path / "nowhere.mcap")
