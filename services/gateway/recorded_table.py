"""A stream of a recording as CSV, from the recorder's own tool, in pieces as they are read."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from .problems import Problem

_FIRST_S = 60.0
_NEXT_S = 60.0
_CHUNK = 64 * 1024
_MOST_WORDS = 2000


class Table:
    """The rows, and the process that reads them."""

    def __init__(self, process: asyncio.subprocess.Process, first: bytes) -> None:
        self._process, self._first = process, first

    @classmethod
    async def open(cls, recording: Path, stream: str, since_s: float) -> "Table":
        """Raises Problem 404 with the recorder's sentence if there is no such stream."""
        command = [sys.executable, "-m", "services.recorder", "stream", str(recording)]
        process = await asyncio.create_subprocess_exec(
            *command,
            f"--topic={stream}",
            f"--since={since_s!r}",
            env={**os.environ, "REAF_PARENT_PID": str(os.getpid())},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            first = await asyncio.wait_for(process.stdout.read(_CHUNK), _FIRST_S)
            if not first:
                raise Problem(404, "not_found", await _last_words(process))
        except TimeoutError:
            await _end(process)
            raise Problem(504, "peer_late", f"the recording of {stream} could not be read in time") from None
        except BaseException:
            await _end(process)
            raise
        return cls(process, first)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The text in pieces."""
        assert self._process.stdout is not None
        try:
            piece = self._first
            while piece:
                yield piece
                piece = await asyncio.wait_for(self._process.stdout.read(_CHUNK), _NEXT_S)
        finally:
            await _end(self._process)


async def _last_words(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    words = await asyncio.wait_for(process.stderr.read(_MOST_WORDS), _FIRST_S)
    lines = words.decode("utf-8", errors="replace").strip().splitlines() or ["nothing has been recorded"]
    return lines[-1].removeprefix("reaf: ")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
