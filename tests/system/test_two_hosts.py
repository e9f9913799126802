"""A brain over two hosts, one rank on each: the same run as on one."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import reaf
from hosts import two_hosts

from tests import mpiexec

LIMIT_S = 120
MAY = bool(os.environ.get("CI")) or (os.geteuid() == 0 and shutil.which("ip") is not None)
pytestmark = [mpiexec.ranks_wanted(), pytest.mark.skipif(not MAY, reason="network namespaces take root and iproute2")]
SHORT = (reaf.MOUSE, *reaf.SMALL, "--steps", "10", "--ranks", "2")


@pytest.fixture
def hosts(tmp_path):
    with two_hosts(tmp_path) as made:
        yield made


def start(session, hosts, *arguments):
    """`reaf run` on the first host."""
    more = ("--hostfile", hosts.hostfile, "--mpi-args", hosts.mpi_arguments(), "--out", "out", "--no-overview")
    session.start("run", *arguments, *more, prefix=(hosts.enter, hosts.names[0]))


def test_two_hosts_give_the_digest_of_one(session, hosts, tmp_path):
    (tmp_path / "one").mkdir()
    one = reaf.run(tmp_path / "one", *SHORT)
    assert one.status == 0, one.said
    start(session, hosts, *SHORT)
    two = session.finish(timeout_s=LIMIT_S)
    assert two.status == 0, two.said
    assert two.summary["digests"] == one.summary["digests"]


def test_a_rank_that_dies_on_the_other_host_is_named(session, hosts):
    start(session, hosts, reaf.MOUSE, *reaf.SMALL, "--steps", "100000", "--ranks", "2")
    until = time.monotonic() + 60
    while not (far := ranks_on(session, 1)) and time.monotonic() < until:
        time.sleep(0.1)
    assert far, "rank 1 did not appear"
    time.sleep(3.0)
    os.kill(far[0], signal.SIGKILL)
    struck = time.monotonic()
    result = session.finish(timeout_s=LIMIT_S)
    assert time.monotonic() - struck < 15.0
    assert result.status == 5, result.said
    assert f"its rank 1 (on {hosts.names[1]}) was killed by SIGKILL" in " ".join(result.said.split())


def ranks_on(session, rank):
    wanted = f"OMPI_COMM_WORLD_RANK={rank}".encode()
    return [pid for pid in session.processes() if wanted in environment(pid)]


def environment(pid):
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
