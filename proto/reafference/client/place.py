"""A server of one's own in the background, for a notebook or a script."""

import atexit
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from . import tokens
from .refusals import ServerError, Unauthorized

_SERVER = (sys.executable, "-m", "services.gateway", "--serve")
_START_S = 60.0
_STOP_S = 30.0
_TOKEN_FILE = "client-token"
"""Tokens are shown once; this one is kept beside what it opens, for the owner only."""


class Place:
    """The server in a process of its own, on a free port of this machine; it ends with `close`, or with us."""

    def __init__(self, home: Path | None, places: int = 1) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="reafference-") if home is None else None
        self.home = Path(self._temporary.name) if self._temporary else Path(home or "").expanduser()
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._log = (self.home / "client-server.log").open("ab")
        self._process = subprocess.Popen(
            [*_SERVER, "--home", str(self.home), "--port", "0", "--places", str(places)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "REAF_PARENT_PID": str(os.getpid())},
            start_new_session=True,  # Ctrl-C in a terminal or a notebook is for the script
        )
        atexit.register(self.close)
        try:
            said = self._first_words()
            self.url, self.token = str(said["url"]), self._token(said)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the server and all that it runs; a temporary home is deleted. Once is enough, twice does no harm."""
        atexit.unregister(self.close)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()
        if self._temporary:
            self._temporary.cleanup()

    def _first_words(self) -> Mapping[str, Any]:
        assert self._process.stdout is not None
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read_lines, args=(self._process.stdout, lines), daemon=True).start()
        try:
            line = lines.get(timeout=_START_S)
            said = json.loads(line)
        except (queue.Empty, ValueError):
            self._log.flush()
            words = (self.home / "client-server.log").read_text(encoding="utf-8", errors="replace").splitlines()
            last = words[-1] if words else "it said nothing"
            raise ServerError(f"the server could not be started: {last}", code="unavailable") from None
        if not isinstance(said, Mapping) or "url" not in said:
            raise ServerError(f"the server said {line.strip()!r:.80} instead of its address", code="unavailable")
        return said

    def _token(self, said: Mapping[str, Any]) -> str:
        path = self.home / _TOKEN_FILE
        if said.get("token"):
            tokens.write(path, str(said["token"]))
            return str(said["token"])
        if path.is_file():
            return path.read_text(encoding="utf-8").strip()
        found = tokens.find(os.environ)
        if not found:
            raise Unauthorized(
                f"the server in {self.home} was set up before: put one of its tokens into {tokens.VARIABLE}"
            )
        return found


def _read_lines(stream: IO[str], lines: "queue.SimpleQueue[str]") -> None:
    """Read on to the end, so that the server never waits for us."""
    try:
        for line in stream:
            lines.put(line)
    except ValueError:
        pass  # closed
    lines.put("")
