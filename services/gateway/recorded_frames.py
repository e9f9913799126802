"""The frames of a recording, from the recorder's own tool, step by step and from any moment on."""

import asyncio
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reafference import codec
from reafference.errors import BadFrame

from .problems import Problem
from .reading import Reading

Parts = list[bytes]

_ANSWER_S = 60.0
_LENGTH = struct.Struct(">I")
_LONGEST = 512 * 1024 * 1024
_BUFFER = 1024 * 1024
_KEPT_MARK = 0


class RecordedFrames:
    """The tool, and how far it was read. `kept` are the frames that came first; the last commit mark leads them."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._mark = _KEPT_MARK
        self._over = False
        self.kept: list[Parts] = []

    @classmethod
    async def open(cls, recording: Path) -> "RecordedFrames":
        """Raises Problem with the recorder's sentence if there is nothing to play."""
        opened = cls(await Reading.open(["frames", str(recording)], limit=_BUFFER))
        try:
            while (batch := await opened.step()) is not None:
                opened.kept += batch
        except BaseException:
            await opened.close()
            raise
        return opened

    def seek(self, since_ns: int) -> None:
        """From now on `step` gives the steps that end after this time."""
        self._mark += 1
        self._over = False
        line = json.dumps({"mark": self._mark, "since_ns": since_ns})
        self._reading.write(line.encode() + b"\n")

    async def step(self) -> list[Parts] | None:
        """The frames of the next step; None when there is none any more. Raises Problem if they cannot be had."""
        while not self._over:
            mark, frames = await self._batch()
            if mark != self._mark:
                continue  # it was on its way before `seek`
            if frames:
                return frames
            self._over = True
        return None

    async def close(self) -> None:
        """End the tool."""
        await self._reading.close()

    async def _batch(self) -> tuple[int, list[Parts]]:
        output = self._reading.output
        try:
            async with asyncio.timeout(_ANSWER_S):
                (length,) = _LENGTH.unpack(await output.readexactly(_LENGTH.size))
                if length > _LONGEST:
                    raise Problem(500, "internal", f"a step of the recording has {length} bytes: too many to play")
                return codec.open_batch(await output.readexactly(length))
        except TimeoutError:
            raise Problem(504, "peer_late", "the recording could not be read in time") from None
        except asyncio.IncompleteReadError:
            raise Problem(409, "bad_experiment", await self._reading.last_words("the recording broke off")) from None
        except BadFrame as error:
            raise Problem(500, "internal", error.text) from None


class Playing:
    """How many recordings are played at the same time: each one is read by a process of its own."""

    def __init__(self, most: int = 8) -> None:
        self._most, self._count = most, 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one of them. Raises Problem 503 if there is none."""
        if self._count >= self._most:
            raise Problem(
                503,
                "busy",
                f"no more than {self._most} recordings can be played at a time: close one, or come back later",
            )
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
