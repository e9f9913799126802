"""A tool of the recorder whose output is read piece by piece: a child of ours, or a process at the recorder's stand."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from reafference.errors import PeerLost
from reafference.stand_client import AtStand, Request, Stands

from .problems import Problem

MODULE = "services.recorder"

_MOST_WORDS = 2000
_WORDS_S = 60.0


class Reading:
    """The tool, and its three streams."""

    def __init__(self, process: "subprocess.Popen[bytes] | AtStand", ends: Sequence[int]) -> None:
        self._process = process
        self._ends = ends

    @classmethod
    async def open(cls, arguments: Sequence[str], limit: int = 1 << 16) -> "Reading":
        """Start `python -m services.recorder ARGUMENTS`. Raises Problem 503 if its stand does not."""
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        errors_read, errors_write = os.pipe()
        theirs = (in_read, out_write, errors_write)
        try:
            process = await _started(list(arguments), theirs)
        except PeerLost as error:
            _close(in_write, out_read, errors_read)
            raise Problem(503, "peer_lost", error.text) from None
        except BaseException:
            _close(in_write, out_read, errors_read)
            raise
        finally:
            _close(*theirs)
        reading = cls(process, (in_write, out_read, errors_read))
        await reading._connect(limit)
        return reading

    async def _connect(self, limit: int) -> None:
        loop = asyncio.get_running_loop()
        in_write, out_read, errors_read = self._ends
        self._transports: list[asyncio.BaseTransport] = []
        self._input, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(in_write, "wb", 0))
        self.output = asyncio.StreamReader(limit=limit)
        self._errors = asyncio.StreamReader()
        self._transports.append(self._input)
        for reader, end in ((self.output, out_read), (self._errors, errors_read)):
            transport, _ = await loop.connect_read_pipe(
                lambda reader=reader: asyncio.StreamReaderProtocol(reader),  # type: ignore[misc]
                os.fdopen(end, "rb", 0),
            )
            self._transports.append(transport)

    def write(self, data: bytes) -> None:
        """Say something to its standard input."""
        self._input.write(data)

    async def last_words(self, otherwise: str) -> str:
        """The sentence with which it failed."""
        with contextlib.suppress(TimeoutError):
            words = await asyncio.wait_for(self._errors.read(_MOST_WORDS), _WORDS_S)
            lines = words.decode("utf-8", errors="replace").strip().splitlines()
            if lines:
                return lines[-1].removeprefix("reaf: ")
        return otherwise

    async def close(self) -> None:
        """End it, and let go of its streams."""
        for transport in self._transports:
            # One whose reader has ended is closed already, and cannot be aborted.
            if isinstance(transport, asyncio.WriteTransport) and not transport.is_closing():
                transport.abort()
            else:
                transport.close()
        if isinstance(self._process, AtStand):
            self._process.signal(signal.SIGKILL)
            self._process.close()
            return
        self._process.kill()
        await asyncio.to_thread(self._process.wait)


async def _started(arguments: list[str], ends: tuple[int, int, int]) -> "subprocess.Popen[bytes] | AtStand":
    stand = Stands.load(os.environ).of_module(MODULE)
    if stand is not None:
        request = Request(module=MODULE, arguments=arguments, output="descriptors")
        return await asyncio.to_thread(AtStand.start, stand, request, ends)
    # Not in another thread: a child asks to be ended together with the thread that has started it.
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, *arguments],
        env={**os.environ, "REAF_PARENT_PID": str(os.getpid())},
        stdin=ends[0],
        stdout=ends[1],
        stderr=ends[2],
    )


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
