"""The tunnel of a job: a real sshd on the loopback, the job's own script, and a gateway as a job starts it."""

import contextlib
import getpass
import os
import signal
import socket
import subprocess
import sys

import pytest
from ssh_server import SshServer, answers, free_port, until
from websockets.exceptions import ConnectionClosed

from tests.gateway.job_gateway import ROOT, JobGateway, Site, Wire
from tests.gateway.runs import Run, uploaded
from tests.gateway.watching import Listener

pytestmark = pytest.mark.cluster

SCRIPT = ROOT / "services/gateway/jobs/tunnel.sh"


class Tunnel:
    """The script with which a job keeps its tunnel open."""

    def __init__(self, folder, server, gateway, ssh_port):
        self.state, self._folder = folder / "state", folder
        far = gateway.url.rsplit(":", 1)[1]
        self._command = ["bash", SCRIPT, self.state, server.listen, "127.0.0.1", far]
        self._command += [f"{getpass.getuser()}@127.0.0.1", ssh_port, server.key, server.known_hosts(ssh_port)]

    def __enter__(self):
        self._log = (self._folder / "tunnel.log").open("wb")
        self.process = subprocess.Popen(list(map(str, self._command)), stdout=self._log, stderr=self._log)
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait(20)
        self._log.close()
        until(lambda: not self.ssh(), 20)

    def ssh(self):
        """The ssh processes that the script has."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid), "-x", "ssh"], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def stands(self):
        return self.state.exists() and self.state.read_text().strip() == "open"


@pytest.fixture
def gateway(tmp_path):
    with JobGateway(tmp_path / "job") as gateway:
        yield gateway


@pytest.fixture
def server(tmp_path):
    (tmp_path / "ssh").mkdir()
    with SshServer(tmp_path / "ssh") as server:
        yield server


@pytest.fixture
def wire(server):
    with Wire(f"http://127.0.0.1:{server.port}") as wire:
        yield wire


@pytest.fixture
def opened(tmp_path, server, gateway, wire):
    (tmp_path / "tunnel").mkdir()
    with Tunnel(tmp_path / "tunnel", server, gateway, wire.port) as opened:
        until(lambda: answers(server.listen))
        yield opened


@pytest.fixture
def site(tmp_path, gateway, server, opened):
    with Site(tmp_path / "home", [gateway.job(f"https://127.0.0.1:{server.listen}")]) as site:
        site.ready()
        yield site


@contextlib.contextmanager
def running(site):
    """A run on the job, and a listener who sees it go on."""
    with Run(site.otto, uploaded(site.otto), server="j4") as run:
        run.built().put("/state", state="started")
        with Listener(site.url, run.id, site.secrets["otto"]).subscribe("body/joints") as heard:
            heard.until(lambda: heard.of("body/joints"))
            yield run, heard


def lost(heard, seconds=60):
    """Wait until a listener is sent away; the code with which it is."""
    with pytest.raises(ConnectionClosed) as closed:
        heard.listen(seconds)
    return closed.value.rcvd.code


def goes_on(site, run, step):
    """Whether a listener who comes again sees the same run further on."""
    with Listener(site.url, run.id, site.secrets["otto"]).subscribe("body/joints") as heard:
        heard.until(lambda: heard.of("body/joints") and heard.simulation)
    now = run.get()
    assert (now["state"], now["problem"]) == ("started", None)
    return now["step"] > step


def test_the_whole_way_leads_through_the_tunnel(site, server):
    with running(site) as (run, heard):
        assert heard.simulation["server"] == "j4"
    site.until(lambda: site.otto.get(f"/experiments/{run.experiment}/recordings").json())


def test_a_run_goes_on_while_ssh_is_killed_and_started_again(site, opened):
    with running(site) as (run, heard):
        step = heard.simulation["step"]
        before = opened.ssh()
        os.kill(before[0], signal.SIGKILL)
        assert lost(heard) == 1013
        until(lambda: opened.ssh() not in ([], before))
        site.ready()
        assert goes_on(site, run, step)


def test_a_run_goes_on_while_the_way_carries_nothing(site, opened, wire):
    with running(site) as (run, heard):
        step = heard.simulation["step"]
        wire.silence()
        assert lost(heard) == 1013
        refused = run.request("GET")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert "interrupted since" in site.server()["text"]
        # Long enough that ssh itself gives the connection up.
        until(lambda: not opened.stands())
        wire.speak()
        site.ready()
        assert goes_on(site, run, step)


def ssh(server, *options):
    base = ["ssh", "-F", "none", "-i", server.key, "-p", server.port, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
    base += ["-o", f"UserKnownHostsFile={server.known_hosts(server.port)}", "-o", "ExitOnForwardFailure=yes"]
    words = [*base, *options, f"{getpass.getuser()}@127.0.0.1"]
    return list(map(str, words))


def test_the_key_opens_the_tunnel_and_nothing_else(server, tmp_path):
    told = subprocess.run([*ssh(server), "echo in"], capture_output=True, text=True, timeout=30)
    assert told.returncode != 0
    assert "in" not in told.stdout
    other = free_port()
    told = subprocess.run(ssh(server, "-N", "-R", f"127.0.0.1:{other}:127.0.0.1:9"), capture_output=True, timeout=30)
    assert b"remote port forwarding failed" in told.stderr
    told = subprocess.run(
        ssh(server, "-N", "-R", f"0.0.0.0:{server.listen}:127.0.0.1:9"), capture_output=True, timeout=30
    )
    assert b"remote port forwarding failed" in told.stderr
    # A way from here to somewhere here: the connection is refused by the server.
    inward = free_port()
    with subprocess.Popen(ssh(server, "-N", "-L", f"127.0.0.1:{inward}:127.0.0.1:{server.port}")) as process:
        try:
            until(lambda: answers(inward))
            with socket.create_connection(("127.0.0.1", inward), 10) as through:
                through.settimeout(10)
                with contextlib.suppress(ConnectionError):
                    assert through.recv(100) == b""
        finally:
            process.terminate()


def test_the_line_of_a_key_is_printed(tmp_path):
    command = [sys.executable, "-m", "reafference.cli", "tunnel-key", str(tmp_path / "key")]
    told = subprocess.run([*command, "--ports", "23300-23301"], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    options, kind, _, comment = told.stdout.split()
    assert (kind, comment) == ("ssh-ed25519", "reafference-jobs")
    assert 'permitlisten="127.0.0.1:23300",permitlisten="127.0.0.1:23301"' in options
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    wrong = subprocess.run([*command, "--ports", "all"], capture_output=True, text=True, timeout=60)
    assert (wrong.returncode, wrong.stderr.strip()) == (2, "reaf: --ports is 'all', but must be like 23300-23399")
