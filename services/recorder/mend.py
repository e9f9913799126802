"""Gives a recording that was cut its index again.

A file ends early when its recorder was killed or the disk was full. Every chunk that was written whole is kept,
whatever follows the last of them is dropped, and the summary section is made anew from the chunks.
"""

import fcntl
import io
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    McapRecord,
    Message,
    MessageIndex,
    Schema,
    Statistics,
)
from mcap.stream_reader import breakup_chunk
from mcap.writer import MCAP0_MAGIC
from zstandard import ZstdError

from reafference.errors import BadExperiment

_RECORD_HEAD = struct.Struct("<BQ")


def mend(path: Path) -> bool:
    """Mend the file if it needs it; whether it did.

    Raises BadExperiment if it is no recording, cannot be written, or is being recorded this very moment.
    """
    try:
        with path.open("rb") as file:
            if _is_whole(file):
                return False
        with path.open("r+b") as cut, _alone(cut, path):
            found = _survey(cut, path)
            cut.truncate(found.end)
            cut.seek(found.end)
            cut.write(_tail(found))
    except OSError as error:
        raise BadExperiment(f"the recording {path} cannot be read: {error.strerror}") from None
    return True


def lock(file: BinaryIO) -> None:
    """Claim a recording as long as `file` is open; the claim ends with the process, however it ends."""
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _alone(file: BinaryIO, path: Path) -> Iterator[None]:
    try:
        lock(file)
    except BlockingIOError:
        raise BadExperiment(f"{path} is being recorded: wait until its run has ended") from None
    yield


def _is_whole(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) < 2 * len(MCAP0_MAGIC):
        return False
    file.seek(-len(MCAP0_MAGIC), os.SEEK_END)
    return file.read() == MCAP0_MAGIC


@dataclass(slots=True)
class _Survey:
    """What a cut file holds up to `end`; `last_index` is the message index that belongs behind the last chunk."""

    end: int = len(MCAP0_MAGIC)
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[ChunkIndex] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    last_index: bytes = b""


def _survey(file: BinaryIO, path: Path) -> _Survey:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
        raise BadExperiment(f"{path} is not a recording: it does not begin as an MCAP file does")
    found = _Survey()
    offset = found.end
    while offset + _RECORD_HEAD.size <= size:
        file.seek(offset)
        opcode, length = _RECORD_HEAD.unpack(file.read(_RECORD_HEAD.size))
        after = offset + _RECORD_HEAD.size + length
        if after > size or opcode in (Opcode.DATA_END, Opcode.FOOTER):
            break
        if opcode == Opcode.CHUNK:
            content = _content(file.read(length))
            if content is None:
                break
            _note(found, *content, offset, after)
        if opcode in (Opcode.CHUNK, Opcode.HEADER):
            found.end = after
        offset = after
    return found


def _content(raw: bytes) -> tuple[Chunk, list[McapRecord]] | None:
    """A chunk and what is in it; None if it is damaged, as the end of a file can be after a power cut."""
    try:
        chunk = Chunk.read(ReadDataStream(io.BytesIO(raw)))
        return chunk, breakup_chunk(chunk, validate_crc=True)
    except (McapError, ZstdError, ValueError, OverflowError, MemoryError, struct.error):
        return None


def _note(found: _Survey, chunk: Chunk, records: list[McapRecord], start: int, end: int) -> None:
    """Take a chunk into the survey, with a message index made from its content."""
    indices: dict[int, MessageIndex] = {}
    content = RecordBuilder()
    for record in records:
        match record:
            case Schema():
                found.schemas[record.id] = record
            case Channel():
                found.channels[record.id] = record
            case Message():
                index = indices.setdefault(record.channel_id, MessageIndex(record.channel_id, []))
                index.records.append((record.log_time, content.count))
                found.counts[record.channel_id] = found.counts.get(record.channel_id, 0) + 1
        record.write(content)
    builder = RecordBuilder()
    offsets = {}
    for channel, index in indices.items():
        offsets[channel] = end + builder.count
        index.write(builder)
    found.last_index = builder.end()
    found.chunks.append(
        ChunkIndex(
            message_start_time=chunk.message_start_time,
            message_end_time=chunk.message_end_time,
            chunk_start_offset=start,
            chunk_length=end - start,
            message_index_offsets=offsets,
            message_index_length=len(found.last_index),
            compression=chunk.compression,
            compressed_size=len(chunk.data),
            uncompressed_size=chunk.uncompressed_size,
        )
    )


def _tail(found: _Survey) -> bytes:
    """Everything behind the last chunk: its message index, the summary section, the footer."""
    builder = RecordBuilder()
    DataEnd(0).write(builder)
    before = found.last_index + builder.end()
    for record in (*found.schemas.values(), *found.channels.values()):
        record.write(builder)
    Statistics(
        message_count=sum(found.counts.values()),
        schema_count=len(found.schemas),
        channel_count=len(found.channels),
        attachment_count=0,
        metadata_count=0,
        chunk_count=len(found.chunks),
        message_start_time=min((chunk.message_start_time for chunk in found.chunks), default=0),
        message_end_time=max((chunk.message_end_time for chunk in found.chunks), default=0),
        channel_message_counts=found.counts,
    ).write(builder)
    for chunk_index in found.chunks:
        chunk_index.write(builder)
    summary = builder.end()
    summary_start = found.end + len(before)
    # The checksum covers the footer up to itself.
    head = struct.pack("<BQQQ", Opcode.FOOTER, 8 + 8 + 4, summary_start, 0)
    Footer(
        summary_start=summary_start,
        summary_offset_start=0,
        summary_crc=zlib.crc32(head, zlib.crc32(summary)),
    ).write(builder)
    return before + summary + builder.end() + MCAP0_MAGIC
