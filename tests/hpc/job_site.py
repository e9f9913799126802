"""A site for tests: `reaf serve` with a cluster, in a process of its own."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from jobs import CROWDED, PYTHON, wait
from minicluster import NET, Cluster
from ssh_server import SshServer

from reafference import client

START_S = 60
PORTS = range(23700, 23710)
SETTINGS = """\
[cluster]
title = "Small"
scheduler = "slurm"
folder = "{folder}"
python = "{python}"
setup = {setup}
reach = "{reach}"
stop_s = 20
poll_s = 0.5
"""
TUNNEL = """
[cluster.tunnel]
to = "root@{host}"
port = {port}
key = "{key}"
known_hosts = "{known_hosts}"
ports = "{first}-{last}"
"""


class Site:
    """The server, a client of it as `session`, and plain requests as `http`."""

    def __init__(self, home: Path, jobs: Path, cluster: Cluster, tunnel: SshServer | None = None) -> None:
        home.mkdir()
        self.home, self.jobs, self._cluster = home, jobs, cluster
        reach = "tunnel" if tunnel else "direct"
        text = SETTINGS.format(folder=jobs, python=PYTHON, setup=json.dumps(list(CROWDED)), reach=reach)
        if tunnel:
            known = tunnel.known_hosts(tunnel.port)
            text += TUNNEL.format(
                host=tunnel.host, port=tunnel.port, key=tunnel.key, known_hosts=known, first=PORTS[0], last=PORTS[-1]
            )
        (home / "cluster.toml").write_text(text)
        self.token = ""

    def __enter__(self) -> "Site":
        command = [PYTHON, "-m", "services.gateway", "--serve", "--home", str(self.home), "--port", "0"]
        environment = {**os.environ, **self._cluster.environment, "REAF_PARENT_PID": str(os.getpid())}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], START_S)
        assert readable, "the server says nothing"
        line = json.loads(self.process.stdout.readline())
        self.url, self.token = line["url"].rstrip("/"), line["token"] or self.token
        self.session = client.connect(self.url, token=self.token)
        head = {"Authorization": f"Bearer {self.token}"}
        self.http = httpx.Client(base_url=f"{self.url}/api", headers=head, timeout=60)
        return self

    def __exit__(self, *exception: object) -> None:
        self.session.close()
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(START_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def submit(self, **wanted: object) -> str:
        """A job of one brain node, as far as nothing else is wanted; its id."""
        usual = {"nodes": 1, "ranks_per_node": 1, "threads_per_rank": 1, "time_s": 600}
        answer = self.http.post("/jobs", json=usual | wanted)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def job(self, id: str) -> dict[str, object]:
        found: dict[str, object] = self.http.get(f"/jobs/{id}").json()
        return found

    def log(self, id: str) -> str:
        return self.http.get(f"/jobs/{id}/log").text

    def until(self, id: str, *states: str, seconds: float = 90.0) -> dict[str, object]:
        """The job as soon as it is in one of these states."""
        over = (*states, "ended", "failed", "aborted")
        wait(lambda: self.job(id)["state"] in over, seconds, lambda: f"{self.job(id)}\n{self.log(id)}")
        job = self.job(id)
        assert job["state"] in states, f"{job}\n{self.log(id)}"
        return job

    def serves(self, id: str) -> str:
        """The server that a job is, once simulations can be launched on it."""
        server = str(self.until(id, "serving")["server"])
        wait(lambda: self.ready(server), 60.0, lambda: self.http.get("/servers").text)
        return server

    def ready(self, server: str) -> bool:
        return any(one["id"] == server and one["ready"] for one in self.http.get("/servers").json())

    def recordings(self, experiment: str) -> dict[str, dict[str, object]]:
        """Those that are here, by id."""
        return {one["id"]: one for one in self.http.get(f"/experiments/{experiment}/recordings").json()}

    def end_jobs(self) -> None:
        for job in self.http.get("/jobs").json():
            if job["state"] not in ("ended", "failed", "aborted"):
                self.http.delete(f"/jobs/{job['id']}")
                self.until(job["id"], "ended", "failed", "aborted")


@contextmanager
def site(home: Path, jobs: Path, cluster: Cluster, tunnel: SshServer | None = None) -> Iterator[Site]:
    """A site whose jobs are ended with it."""
    with Site(home, jobs, cluster, tunnel) as opened:
        try:
            yield opened
        finally:
            opened.end_jobs()


HOST = f"{NET}.1"
"""This machine, as the nodes see it."""
