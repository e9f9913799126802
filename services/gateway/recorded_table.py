"""A stream of a recording as CSV, from the recorder's own tool, in pieces as they are read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from .problems import Problem
from .reading import Reading

_FIRST_S = 60.0
_NEXT_S = 60.0
_CHUNK = 64 * 1024


class Table:
    """The rows, and the tool that reads them."""

    def __init__(self, reading: Reading, first: bytes) -> None:
        self._reading, self._first = reading, first

    @classmethod
    async def open(cls, recording: Path, stream: str, since_s: float) -> "Table":
        """Raises Problem 404 with the recorder's sentence if there is no such stream."""
        reading = await Reading.open(["stream", str(recording), f"--topic={stream}", f"--since={since_s!r}"])
        try:
            first = await asyncio.wait_for(reading.output.read(_CHUNK), _FIRST_S)
            if not first:
                raise Problem(404, "not_found", await reading.last_words("nothing has been recorded"))
        except TimeoutError:
            await reading.close()
            raise Problem(504, "peer_late", f"the recording of {stream} could not be read in time") from None
        except BaseException:
            await reading.close()
            raise
        return cls(reading, first)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The text in pieces."""
        try:
            piece = self._first
            while piece:
                yield piece
                piece = await asyncio.wait_for(self._reading.output.read(_CHUNK), _NEXT_S)
        finally:
            await self._reading.close()
