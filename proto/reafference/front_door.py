"""`reaf serve`: starts the gateway for people, says where it is, and ends with it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

from rich.console import Console
from rich.text import Text

_END_S = 60.0


def serve(arguments: Sequence[str], console: Console, *, as_json: bool, door: str = "--serve") -> int:
    """Run the server until it ends, by Ctrl-C for instance; its exit status. `door` says which of the gateway's.

    With `as_json` the first line on standard output is what the server says of itself: url, token, home.
    """
    command = [sys.executable, "-m", "services.gateway", door, *arguments]
    server = subprocess.Popen(
        command,
        env={**os.environ, "REAF_PARENT_PID": str(os.getpid())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        process_group=0,  # a Ctrl-C reaches it through us, once
    )
    before = {number: signal.signal(number, _pass_on(server)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if line and as_json:
            print(line.decode("utf-8").strip(), flush=True)
        if line:
            _welcome(json.loads(line), console)
        return server.wait()
    finally:
        _end(server)
        for number, handler in before.items():
            signal.signal(number, handler)


def _welcome(told: dict[str, Any], console: Console) -> None:
    console.print(Text("reafference  ", style="bold") + Text(told["url"], style="underline"), soft_wrap=True)
    if "home" in told:
        console.print(Text("home         ", style="dim") + Text(told["home"]), soft_wrap=True)
    if told["token"]:
        words = "  this is your token; it is shown only now, keep it"
        console.print(Text("token        ", style="bold") + Text(told["token"], style="bold green"), soft_wrap=True)
        console.print(Text(words, style="dim"))
    console.print(Text("Ctrl-C ends it, and every simulation with it", style="dim"))


def _pass_on(server: subprocess.Popen[bytes]) -> Any:
    def handler(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(signal.SIGTERM)

    return handler


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_END_S)
    if server.poll() is None:
        server.kill()
        server.wait()
