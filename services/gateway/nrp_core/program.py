"""The program NRPCoreSim: serve a client until it goes, or run an experiment to its end."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import structlog

from reafference import logs
from reafference.errors import BadExperiment, ReafferenceError

from ..launching import Starter
from .arguments import Wish, read
from .overrides import engine_arguments

_LAST_ANSWER_S = 0.5


def main(arguments: Sequence[str]) -> int:
    """Run the program; returns the exit status."""
    parent = os.getppid()
    try:
        wish = read(arguments)
        if wish.log_file is not None:
            _write_to(wish)
        logs.configure("nrp-core", wish.log_level)
        return asyncio.run(_run(wish, parent))
    except ReafferenceError as error:
        print(f"NRPCoreSim: {error.text}", file=sys.stderr, flush=True)
        return error.exit_status


def _write_to(wish: Wish) -> None:
    """From now on everything goes to the log file that was asked for."""
    assert wish.log_file is not None
    try:
        wish.log_file.parent.mkdir(parents=True, exist_ok=True)
        with wish.log_file.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    except OSError as error:
        raise BadExperiment(f"--logfilename {wish.log_file}: it cannot be written ({error.strerror})") from None


async def _run(wish: Wish, parent: int) -> int:
    try:
        from .run import NrpCoreRun
        from .server import Service, open_server
    except ImportError as error:
        raise BadExperiment(
            f"NRPCoreSim needs {error.name}, which is not installed: pip install 'reafference[nrp-core]'"
        ) from None
    leave = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave.set)
    run = NrpCoreRun(wish, Starter(), engine_arguments(wish), published=wish.config.suffix == ".json")
    try:
        with _ending_with(parent if wish.slave else 0, leave):
            if wish.mode == "standalone":
                return await _standalone(run, leave)
            server = await open_server(Service(run, leave.set, remote=wish.remote), wish.address)
            structlog.get_logger().info("serving", address=wish.address, config=str(wish.config))
            await leave.wait()
            await server.stop(_LAST_ANSWER_S)
            return 0
    finally:
        await run.close()


async def _standalone(run: Any, leave: asyncio.Event) -> int:
    """From the beginning to the end; the exit status."""
    whole = asyncio.create_task(_whole(run))
    left = asyncio.create_task(leave.wait())
    await asyncio.wait({whole, left}, return_when=asyncio.FIRST_COMPLETED)
    left.cancel()
    if not whole.done():
        whole.cancel()
        return 128 + signal.SIGTERM
    return whole.result()


async def _whole(run: Any) -> int:
    answer = await run.initialize()
    if answer.state != "Failed":
        answer = await run.run_until_timeout()
    if answer.state == "Failed":
        print(f"NRPCoreSim: {answer.error}", file=sys.stderr, flush=True)
        return 1
    return 0


@contextlib.contextmanager
def _ending_with(parent: int, leave: asyncio.Event) -> Iterator[None]:
    """While it lasts, `leave` is set when the process `parent` ends; 0 for nobody.

    Not by the kernel's own signal, which comes when the thread ends that started us: that is not yet the end of it.
    """
    if not parent:
        yield
        return
    try:
        handle = os.pidfd_open(parent)
    except OSError:
        leave.set()
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(handle, leave.set)
    if os.getppid() != parent:
        leave.set()
    try:
        yield
    finally:
        loop.remove_reader(handle)
        os.close(handle)
