"""A server that ends takes its simulations with it, however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from .runs import PATIENCE_S, Run, uploaded

ROOT = Path(__file__).parents[2]


def started(home):
    command = [sys.executable, "-m", "services.gateway", "--serve", "--home", str(home), "--port", "0", "--no-tokens"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    url = json.loads(process.stdout.readline())["url"]
    return process, httpx.Client(base_url=f"{url}api", timeout=PATIENCE_S)


def descendants(pid):
    """The processes that were started by this one, or by those."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def alive(pids):
    """Those of them that still run; one that only waits to be reaped does not."""
    found = set()
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.add(pid)
        except OSError:
            continue
    return found


def until_gone(pids):
    """Wait until none of them runs, for a short time only."""
    deadline = time.monotonic() + 20
    while left := alive(pids):
        assert time.monotonic() < deadline, [Path(f"/proc/{pid}/cmdline").read_text() for pid in left]
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_no_process_of_a_simulation_outlives_the_server(tmp_path, how):
    process, client = started(tmp_path)
    try:
        run = Run(client, uploaded(client), start=True)
        run.built()
        pids = descendants(process.pid)
        assert len(pids) >= 4  # launcher, engine, body, recorder
        process.send_signal(how)
        process.wait(PATIENCE_S)
        until_gone(pids)
        assert process.returncode == (0 if how == signal.SIGTERM else process.returncode)
    finally:
        client.close()
        if process.poll() is None:
            process.kill()
            process.wait()


def test_a_simulation_that_is_being_built_ends_with_the_server(tmp_path):
    process, client = started(tmp_path)
    try:
        experiment = client.post("/experiments", json={"source": "braitenberg_husky"}).json()["id"]
        run = Run(client, experiment)
        run.until(lambda now: now["state"] in ("initialised", "paused"))  # or it is built before we look
        pids = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        until_gone(pids)
    finally:
        client.close()
        if process.poll() is None:
            process.kill()
            process.wait()


def test_simulations_do_not_inherit_the_patience_of_the_server(tmp_path):
    process, client = started(tmp_path)
    try:
        run = Run(client, uploaded(client))
        run.built()
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        niceness = {}
        for pid in descendants(process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            niceness[words[2].decode()] = os.getpriority(os.PRIO_PROCESS, pid)
        assert niceness["services.engine"] == niceness["services.body"] == mine
        assert os.getpriority(os.PRIO_PROCESS, process.pid) > mine or mine >= 5
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        client.close()
