"""NEST servers in tests: the stock one, ours, and who asks both."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-for-tests"
START_S = 180.0
CALL_S = 120.0
_STOCK = "import sys; from nest.server import app; app.run(host='127.0.0.1', port=int(sys.argv[1]), threaded=False)"


class Client:
    """Somebody who asks a NEST server."""

    def __init__(self, url, token=TOKEN):
        self.url = url
        self.http = httpx.Client(base_url=url, headers={"NESTServerAuth": token} if token else {}, timeout=CALL_S)

    def get(self, path, **params):
        return self.http.get(path, params=params or None)

    def post(self, path, json=None, **more):
        return self.http.post(path, json=json, **more) if json is not None else self.http.post(path, **more)

    def call(self, name, *args, **kwargs):
        """What a call answers; it has to succeed."""
        answer = self.post(f"/api/{name}", json={"args": list(args), **kwargs})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def run(self, source, wanted="response"):
        """What a script answers; it has to succeed."""
        answer = self.post("/exec", json={"source": source, "return": wanted})
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextlib.contextmanager
def stock(*, restricted=True):
    """The server that comes with NEST, on one rank."""
    port = free_port()
    environment = {
        **os.environ,
        "NEST_SERVER_ACCESS_TOKEN": TOKEN,
        "NEST_SERVER_ENABLE_EXEC_CALL": "true",
        "NEST_SERVER_DISABLE_RESTRICTION": "false" if restricted else "true",
        "PYNEST_QUIET": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _STOCK, str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        client = Client(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(httpx.TransportError):
                client.get("/")
                break
            assert time.monotonic() < deadline, "the stock server does not answer"
            assert process.poll() is None, "the stock server has ended"
            time.sleep(0.1)
        yield client
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def ours(*arguments, token=TOKEN, ends=0):
    """`reaf nest-server` on a free port, and a client with its token; it ends when asked to, with nothing left."""
    environment = {**os.environ, "NEST_SERVER_ACCESS_TOKEN": token} if token else dict(os.environ)
    process = subprocess.Popen(
        [sys.executable, "-m", "reafference.cli", "nest-server", "--port=0", "--json", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        told = json.loads(_first_line(process))
        client = Client(told["url"], told["token"])
        client.process = process
        yield client
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_S)
        assert process.returncode in (0, -signal.SIGTERM, ends)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _first_line(process):
    ready, _, _ = select.select([process.stdout], [], [], START_S)
    line = process.stdout.readline() if ready else ""
    assert line, f"nest-server has said nothing: {process.stderr.read() if process.poll() is not None else ''}"
    return line


def children_of(pid):
    """The processes that a process has started, and theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            rest = path.read_text().rsplit(")", 1)[1].split()
            if int(rest[1]) == pid:
                number = int(path.parent.name)
                found += [number, *children_of(number)]
    return found


def brains_of(pid):
    """Those of them that hold a kernel."""
    found = []
    for number in children_of(pid):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
            if b"services.brain" in words and b"mpiexec" not in words[0]:
                found.append(number)
    return found
