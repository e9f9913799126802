"""Starts the launcher of a run, here or at a stand, and sees that nothing of it is left behind."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

MODULE = "services.engine.launch_bare"

_LONGEST_LINE = 1 << 20
_NICE = 5


class Starter:
    """Starts processes from a thread of its own, which keeps the priority that this process began with.

    What it starts asks the kernel to be ended with the thread that started it, so it lives as long as the server.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "starter")
        self._thread.submit(int).result()

    def give_way(self) -> None:
        """Let the calling thread, and those it starts, have less of the cores than the simulations."""
        # On Linux every thread has a niceness of its own.
        os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))

    async def start(self, command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """A process with a pipe as its standard output, in a group of its own."""

        def popen() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                process_group=0,
            )

        return await asyncio.get_running_loop().run_in_executor(self._thread, popen)

    def close(self) -> None:
        """End the thread; call it when nothing that it started is alive."""
        self._thread.shutdown(wait=False)


class Launched(Protocol):
    """A launcher that runs, and what it tells. `kept`: it goes on when this server ends, and can be found again."""

    kept: bool

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """What the launcher says, until it says nothing any more."""
        ...

    async def wait(self, seconds: float | None = None) -> int | None:
        """The exit status of the launcher; None if it has not ended within so many seconds."""
        ...

    def terminate(self) -> None:
        """Ask the launcher to end the run."""
        ...

    def kill(self) -> None:
        """End everything at once."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class LocalLaunched:
    """A launcher that is our child, and the services it has told of. It never outlives us."""

    kept = False

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._handles: dict[int, int] = {}
        self._pidfd = os.pidfd_open(process.pid)
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pidfd, self._ended.set)

    @classmethod
    async def launch(cls, starter: Starter, arguments: Sequence[str]) -> "LocalLaunched":
        """Start a launcher with these arguments; it leaves the bus to us."""
        environment = {**os.environ, "REAF_PARENT_PID": str(os.getpid())}
        return cls(await starter.start([sys.executable, "-m", MODULE, *arguments], environment))

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """What the launcher says, line by line, until it says nothing any more."""
        loop, pipe = asyncio.get_running_loop(), self._process.stdout
        reader = asyncio.StreamReader(limit=_LONGEST_LINE)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            while line := await reader.readline():
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict):
                        self._note(event)
                        yield event
        finally:
            transport.close()

    def _note(self, event: Mapping[str, Any]) -> None:
        """Keep a handle of each service: a number could belong to another process by the time it is needed."""
        match event:
            case {"event": "started", "pid": int(pid)}:
                with contextlib.suppress(OSError):
                    self._handles[pid] = os.pidfd_open(pid)

    async def wait(self, seconds: float | None = None) -> int | None:
        """The exit status of the launcher; None if it has not ended within so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
            return self._process.wait()
        return None

    def terminate(self) -> None:
        """Ask the launcher to end the run."""
        self._send(self._pidfd, signal.SIGTERM)

    def kill(self) -> None:
        """End everything at once."""
        for handle in (self._pidfd, *self._handles.values()):
            self._send(handle, signal.SIGKILL)

    def close(self) -> None:
        """Let go of all handles, the launcher having ended; services it has left behind are killed."""
        asyncio.get_running_loop().remove_reader(self._pidfd)
        for handle in self._handles.values():
            self._send(handle, signal.SIGKILL)
        for handle in (self._pidfd, *self._handles.values()):
            os.close(handle)
        self._handles.clear()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @staticmethod
    def _send(handle: int, number: signal.Signals) -> None:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(handle, number)


def folder_of(event: Mapping[str, Any]) -> tuple[Path, str] | None:
    """The folder of the wires, and the address of its doors or nothing, if the event tells of them."""
    match event:
        case {"event": "wires", "folder": str(folder)}:
            return Path(folder), str(event.get("doors", ""))
    return None
