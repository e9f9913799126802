"""The run folder: one MCAP file, readable whatever happened to its recorder, and the summary beside it.

What was flushed is with the operating system before anyone is told of it. A full disk leaves every chunk that was
flushed, and the index finds room in a reserve that is kept for it.
"""

import contextlib
import errno
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

from reafference import __version__, codec, jsontext
from reafference.errors import BadExperiment, DiskFull
from reafference.frames import Packed
from reafference.topics import Topic

from . import mend

RECORDING = "recording.mcap"
SUMMARY = "summary.json"
_RESERVE = ".reserve"
_RESERVE_BYTES = 1024 * 1024
_BYTES_PER_INDEXED_CHUNK = 400
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NEVER = 1 << 62
_SCHEMA = json.dumps(
    {
        "title": "Reafference frame",
        "description": "a msgpack map as PROTOCOL.md describes it, then the raw bytes of its large arrays",
        "type": "object",
        "properties": {
            "kind": {"type": "string"},
            "src": {"type": "string"},
            "seq": {"type": "integer"},
            "step": {"type": "integer"},
            "t_ns": {"type": "integer"},
            "body": {"type": "object"},
            "arrays": {"type": "array"},
        },
    }
).encode()


class _Growing:
    """A file that only grows: `write` writes everything, or raises DiskFull and has written nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("xb", buffering=0)
        mend.lock(self._file)
        self._size = 0

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        written = 0
        try:
            while written < len(view):
                written += self._file.write(view[written:]) or 0
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            self._file.truncate(self._size)
            self._file.seek(self._size)
            raise DiskFull(f"there is no space left for {self._path}") from None
        self._size += written
        return written

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        self._file.close()


class Recording:
    """A recording being written: frames in, chunks out.

    Raises BadExperiment if it cannot be begun, DiskFull when it cannot grow; then call `salvage`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / RECORDING
        self._reserve = 0
        try:
            self._file = _Growing(self.path)
            self._set_aside(_RESERVE_BYTES)
        except OSError as error:
            raise BadExperiment(
                f"no recording can be made in {folder} ({error.strerror}): name another folder with --out"
            ) from None
        # Chunks end when we say so, for a chunk is what can be acknowledged.
        self._writer = Writer(self._file, chunk_size=_NEVER, compression=CompressionType.ZSTD)  # type: ignore[arg-type]
        self._schema: int | None = None
        self._channels: dict[bytes, int] = {}
        self._chunks = self.messages = 0

    @property
    def bytes_written(self) -> int:
        return self._file.tell()

    def add(self, packed: Packed, seq: int, t_ns: int, sent_ns: int) -> None:
        """Take one frame; it is safe after the next `flush`."""
        if self._schema is None:
            self._writer.start(profile="reafference", library=f"reafference {__version__}")
            self._schema = self._writer.register_schema("reafference.Frame", "jsonschema", _SCHEMA)
        channel = self._channels.get(packed.topic)
        if channel is None:
            name = Topic.parse(packed.topic).name
            channel = self._writer.register_channel(name, "msgpack", self._schema)
            self._channels[packed.topic] = channel
        self._writer.add_message(
            channel_id=channel,
            log_time=t_ns,
            publish_time=sent_ns,
            sequence=seq & 0xFFFFFFFF,
            data=codec.join(packed),
        )
        self.messages += 1

    def flush(self) -> None:
        """Write out what has been taken, as one chunk."""
        if self._schema is None:
            return
        self._writer.flush()
        self._chunks += 1
        if self._chunks * _BYTES_PER_INDEXED_CHUNK > self._reserve / 2:
            with contextlib.suppress(OSError):  # a smaller reserve is better than none
                self._set_aside(2 * self._reserve)

    def finish(self) -> None:
        """Write the index and close."""
        self._writer.finish()
        self._file.close()
        self._give_back()

    def discard(self) -> None:
        """Close and remove the file: nothing was recorded."""
        self._file.close()
        self.path.unlink(missing_ok=True)
        self._give_back()

    def salvage(self) -> None:
        """Close a file that cannot grow any more, with everything that was flushed."""
        self._file.close()
        self._give_back()
        mend.mend(self.path)

    def _set_aside(self, size: int) -> None:
        """Keep room for the index, which has to be written even when the disk is full."""
        with (self.folder / _RESERVE).open("wb") as file:
            file.write(bytes(size))
        self._reserve = size

    def _give_back(self) -> None:
        (self.folder / _RESERVE).unlink(missing_ok=True)


def recording_of(run: Path) -> Path:
    """The recording in a run folder (or the file itself).

    Raises BadExperiment when there is none.
    """
    path = run / RECORDING if run.is_dir() else run
    if not path.is_file():
        raise BadExperiment(f"{run} has no recording: name a folder that holds {RECORDING}")
    return path


def read(path: Path) -> Iterator[tuple[str, Packed]]:
    """Every frame of a recording in the order of writing, as (topic without run, frame).

    A file that was cut is mended first. Raises BadExperiment if it is no recording.
    """
    mend.mend(path)
    with path.open("rb") as file:
        for _, channel, message in make_reader(file).iter_messages(log_time_order=False):
            yield channel.topic, codec.split(f"-/{channel.topic}/".encode("ascii"), message.data)


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Put summary.json in place, whole or not at all. Raises OSError."""
    part = folder / f"{SUMMARY}.part"
    part.write_text(jsontext.dumps(summary, indent=2) + "\n", encoding="utf-8")
    part.rename(folder / SUMMARY)


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a run; empty if it has none."""
    with contextlib.suppress(OSError, ValueError):
        found = jsontext.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}
