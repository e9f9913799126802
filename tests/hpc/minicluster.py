"""A real Slurm on one machine, for as long as a command runs: slurmctld, slurmd for each node, munge.

    python tests/hpc/minicluster.py [--nodes 4] [--cpus 2] [--memory 4000] [--accounting] [--rest] -- COMMAND ...

Every node is a network namespace with a host name and an address of its own, so that what runs on two nodes meets over
TCP, and a cable can be pulled: `ip -n reafc-n3 link set eth0 down`. They share the file system. The command finds
SLURM_CONF in its environment, and with --rest SLURMRESTD_URL. Takes root, Debian's packages slurmctld, slurmd,
slurm-client, munge and iproute2; --accounting takes slurmdbd, slurm-wlm-mysql-plugin and mariadb-server, --rest takes
slurmrestd and slurm-wlm-jwt-plugin. One at a time on a machine.
"""

import argparse
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NET = "10.97.3"
BRIDGE = "reafc0"
HUB = "reafc-hub"
CONTROLLER_PORT, NODE_PORT, DBD_PORT, DB_PORT, REST_PORT = 27817, 27818, 27819, 27806, 27820
PATIENCE_S = 60.0
# Container runtimes show the node's /tmp to what runs in them, and there PMIx has its sockets.
PLACE = Path("/tmp/reaf-minicluster")


class CannotStart(Exception):
    """What is missing, in a sentence."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that stands. `environment` is what Slurm's commands need."""

    nodes: int
    cpus: int
    environment: Mapping[str, str]

    def cut(self, number: int) -> None:
        """Pull the cable of node `number` (from 1)."""
        self._link(number, "down")

    def heal(self, number: int) -> None:
        """Put it in again."""
        self._link(number, "up")

    def ask(self, *words: str) -> str:
        """What a command of Slurm says."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def inside(self, number: int, *words: str) -> list[str]:
        """The command line that runs `words` on node `number`."""
        return ["nsenter", f"--net=/run/netns/{_space(number)}", *words]

    def _link(self, number: int, state: str) -> None:
        run("ip", "-n", _space(number), "link", "set", "eth0", state)


@contextlib.contextmanager
def cluster(
    nodes: int = 4, cpus: int = 2, memory_mb: int = 4000, accounting: bool = False, rest: bool = False
) -> Iterator[Cluster]:
    """A cluster that stands as long as the block. Raises CannotStart with a sentence."""
    check(accounting, rest)
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context(open("/tmp/reaf-minicluster.lock", "w"))
        _take(lock.fileno())
        make_place(accounting)
        stack.callback(shutil.rmtree, PLACE, ignore_errors=True)
        environment = {
            "SLURM_CONF": str(PLACE / "slurm.conf"),
            "REAF_MINICLUSTER": f"{nodes}:{cpus}",
            **({"SLURMRESTD_URL": f"http://127.0.0.1:{REST_PORT}"} if rest else {}),
        }
        (PLACE / "slurm.conf").write_text(slurm_conf(nodes, cpus, memory_mb, accounting))
        stack.callback(end_all)
        stack.callback(tear_down_network, nodes)
        build_network(nodes)
        made = Cluster(nodes, cpus, environment)
        start_munge()
        if accounting:
            start_accounting(made)
        start_slurm(made)
        stack.callback(end_jobs, made)
        if rest:
            start_rest()
        yield made


def running(environ: Mapping[str, str]) -> Cluster:
    """The cluster within which we were started."""
    nodes, cpus = environ["REAF_MINICLUSTER"].split(":")
    known = {name: environ[name] for name in ("SLURM_CONF", "SLURMRESTD_URL") if name in environ}
    return Cluster(int(nodes), int(cpus), known)


# --- what it takes --------------------------------------------------------------------------------------


def check(accounting: bool, rest: bool) -> None:
    wanted = ["slurmctld", "slurmd", "sbatch", "munged", "ip", "nsenter", "setpriv"]
    wanted += ["slurmdbd", "mariadbd"] if accounting else []
    wanted += ["slurmrestd"] if rest else []
    missing = [name for name in wanted if shutil.which(name) is None]
    if os.geteuid() != 0:
        raise CannotStart("a cluster on one machine takes root: it makes network namespaces")
    if missing:
        raise CannotStart(f"there is no {', '.join(missing)}: see the beginning of tests/hpc/minicluster.py")


def _take(lock: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    raise CannotStart("another cluster stands on this machine: wait for it")


def make_place(accounting: bool) -> None:
    """The folder of everything, with an owner for each part."""
    shutil.rmtree(PLACE, ignore_errors=True)
    for name, owner in (("state", "slurm"), ("log", "slurm"), ("run", "slurm"), ("munge", "munge"), ("spool", "root")):
        (PLACE / name).mkdir(parents=True, mode=0o755)
        shutil.chown(PLACE / name, owner)
    for name, owner in (("state/jwt.key", "slurm"), ("munge/key", "munge")):
        (PLACE / name).write_bytes(secrets.token_bytes(1024))
        (PLACE / name).chmod(0o400)
        shutil.chown(PLACE / name, owner)
    if accounting:
        (PLACE / "db").mkdir()
        shutil.chown(PLACE / "db", "mysql")


def slurm_conf(nodes: int, cpus: int, memory_mb: int, accounting: bool) -> str:
    """Each node has as many sockets as cores, so that "a rank per socket" can be seen."""
    accounts = f"""\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={NET}.1
AccountingStoragePort={DBD_PORT}
AccountingStoragePass={PLACE}/munge/sock
"""
    each = "".join(
        f"NodeName=n{i} NodeHostname=n{i} NodeAddr={_address(i)} Port={NODE_PORT} CPUs={cpus} Sockets={cpus} "
        f"CoresPerSocket=1 ThreadsPerCore=1 RealMemory={memory_mb} State=UNKNOWN\n"
        for i in range(1, nodes + 1)
    )
    return f"""\
ClusterName=reafmini
SlurmctldHost={socket.gethostname().split(".")[0]}({NET}.1)
SlurmctldPort={CONTROLLER_PORT}
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={PLACE}/munge/sock
CredType=cred/munge
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={PLACE}/state/jwt.key
StateSaveLocation={PLACE}/state
SlurmdSpoolDir={PLACE}/spool/%n
TmpFS={PLACE}/spool/%n/tmp
SlurmctldPidFile={PLACE}/run/slurmctld.pid
SlurmdPidFile={PLACE}/run/slurmd.%n.pid
SlurmctldLogFile={PLACE}/log/slurmctld.log
SlurmdLogFile={PLACE}/log/slurmd.%n.log
SlurmctldTimeout=30
SlurmdTimeout=20
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=400
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
MpiDefault=none
MailProg=/bin/true
SlurmdParameters=config_overrides
KillWait=10
MinJobAge=600
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0
{accounts if accounting else ""}{each}PartitionName=debug Nodes=ALL Default=YES MaxTime=1:00:00 State=UP
"""


# --- the network ----------------------------------------------------------------------------------------


def build_network(nodes: int) -> None:
    """A bridge in a namespace of its own, where no firewall of this machine looks at what nodes say to each other."""
    run("ip", "netns", "add", HUB)
    run("ip", "-n", HUB, "link", "add", "br0", "type", "bridge")
    run("ip", "-n", HUB, "link", "set", "br0", "up")
    run("ip", "link", "add", BRIDGE, "type", "veth", "peer", "name", "head", "netns", HUB)
    run("ip", "-n", HUB, "link", "set", "head", "master", "br0", "up")
    run("ip", "addr", "add", f"{NET}.1/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    names = [f"127.0.0.1 localhost\n{NET}.1 {socket.gethostname()}\n"]
    for i in range(1, nodes + 1):
        space = _space(i)
        run("ip", "netns", "add", space)
        run("ip", "link", "add", f"n{i}", "netns", HUB, "type", "veth", "peer", "name", "eth0", "netns", space)
        run("ip", "-n", HUB, "link", "set", f"n{i}", "master", "br0", "up")
        run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", space, "addr", "add", f"{_address(i)}/24", "dev", "eth0")
        run("ip", "-n", space, "link", "set", "eth0", "up")
        names.append(f"{_address(i)} n{i}\n")
    (PLACE / "hosts").write_text("".join(names))


def tear_down_network(nodes: int) -> None:
    for space in (*(_space(i) for i in range(1, nodes + 1)), HUB):
        subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)
    subprocess.run(["ip", "link", "del", BRIDGE], check=False, capture_output=True)


def _space(number: int) -> str:
    return f"reafc-n{number}"


def _address(number: int) -> str:
    return f"{NET}.{10 + number}"


# --- the daemons ----------------------------------------------------------------------------------------


def start_munge() -> None:
    """With a key and a socket of its own: a munged of the machine is left alone."""
    place = PLACE / "munge"
    files = [f"--{name}={place}/{name.removesuffix('-file')}" for name in ("key-file", "pid-file", "log-file")]
    seed = [f"--seed-file={place}/seed", f"--socket={place}/sock"]
    as_munge = ["setpriv", "--reuid", "munge", "--regid", "munge", "--clear-groups"]
    run(*as_munge, "munged", "--force", *files, *seed)
    until("munged", lambda: succeeds(["munge", "-n", "-S", str(place / "sock")]))


def start_accounting(made: Cluster) -> None:
    """MariaDB and slurmdbd, for sacct."""
    place, sock = PLACE, PLACE / "db" / "sock"
    run("mariadb-install-db", "--user=mysql", f"--datadir={place}/db/data", "--auth-root-authentication-method=socket")
    daemon(
        "mariadbd",
        [
            *("mariadbd", "--no-defaults", "--user=mysql", f"--datadir={place}/db/data", f"--socket={sock}"),
            *("--bind-address=127.0.0.1", f"--port={DB_PORT}", f"--pid-file={place}/db/pid"),
            *("--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"),
        ],
    )
    sql = ["mariadb", f"--socket={sock}", "-u", "root", "-e"]
    until("MariaDB", lambda: succeeds([*sql, "select 1"]))
    user = "create user slurm@localhost identified by 'slurm'; grant all on acct.* to slurm@localhost"
    run(*sql, f"create database acct; {user}")
    conf = place / "slurmdbd.conf"
    conf.write_text(
        f"AuthType=auth/munge\nAuthInfo=socket={place}/munge/sock\nDbdHost=localhost\nDbdAddr={NET}.1\n"
        f"DbdPort={DBD_PORT}\nSlurmUser=slurm\nPidFile={place}/run/slurmdbd.pid\nLogFile={place}/log/slurmdbd.log\n"
        f"StorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\nStoragePort={DB_PORT}\n"
        "StorageUser=slurm\nStoragePass=slurm\nStorageLoc=acct\n"
    )
    shutil.chown(conf, "slurm")
    conf.chmod(0o600)
    daemon("slurmdbd", ["slurmdbd", "-D"], made.environment)
    manager = ["sacctmgr", "-i"]
    until("slurmdbd", lambda: succeeds([*manager, "list", "cluster"], made.environment))
    for words in (["cluster", "reafmini"], ["account", "sim"], ["user", "root", "Account=sim"]):
        run(*manager, "add", *words, environment=made.environment)


def start_slurm(made: Cluster) -> None:
    daemon("slurmctld", ["slurmctld", "-D"], made.environment)
    until("slurmctld", lambda: succeeds(["scontrol", "ping"], made.environment))
    for i in range(1, made.nodes + 1):
        # PMIx keeps its files here; shared between nodes they would clash.
        (PLACE / "spool" / f"n{i}" / "tmp").mkdir(parents=True)
        # Not `ip netns exec`, which hides the control groups that slurmd looks for.
        there = f"hostname n{i} && mount --bind {PLACE}/hosts /etc/hosts && exec slurmd -D -N n{i}"
        daemon(f"slurmd.n{i}", made.inside(i, "unshare", "--uts", "--mount", "sh", "-c", there), made.environment)
    until("the nodes", lambda: len(made.ask("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split()) == made.nodes)


def start_rest() -> None:
    """It refuses to be root or Slurm's user, and takes tokens only when it is told so."""
    as_nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    environment = {"SLURM_CONF": str(PLACE / "slurm.conf"), "SLURM_JWT": "daemon"}
    daemon("slurmrestd", [*as_nobody, "slurmrestd", "-a", "rest_auth/jwt", f"127.0.0.1:{REST_PORT}"], environment)
    until("slurmrestd", _rest_listens)


def _rest_listens() -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", REST_PORT), 1.0).close()
        return True
    return False


_daemons: list[tuple[str, "subprocess.Popen[bytes]"]] = []


def daemon(name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """A process of ours that is ended with the cluster."""
    with (PLACE / "log" / f"{name}.out").open("wb") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    _daemons.append((name, process))


def end_jobs(made: Cluster) -> None:
    """No job outlives its cluster: slurmd would leave its processes behind."""
    with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired, CannotStart):
        made.ask("scancel", "--state=PENDING,RUNNING,SUSPENDED", "--user=root")
        until("the jobs' end", lambda: not made.ask("squeue", "-h"), 30.0)


def end_all() -> None:
    """The last one first; each is asked, then told."""
    while _daemons:
        _, process = _daemons.pop()
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((PLACE / "munge" / "pid").read_text()), signal.SIGTERM)


# --- small change ---------------------------------------------------------------------------------------


def run(*command: str, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise CannotStart(f"{' '.join(command[:4])} … ended with {done.returncode}: {done.stderr.strip()[-500:]}")


def succeeds(command: Sequence[str], environment: Mapping[str, str] | None = None) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command, env={**os.environ, **(environment or {})}, capture_output=True, timeout=5, check=False
        )
        return done.returncode == 0
    return False


def until(what: str, holds: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not holds():
        for name, process in _daemons:
            if process.poll() is not None:
                raise CannotStart(f"{name} ended: {(PLACE / 'log' / f'{name}.out').read_text()[-500:]}")
        if time.monotonic() > end:
            raise CannotStart(f"{what} did not come within {seconds:g} s")
        time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--memory", type=int, default=4000, help="of each node, in MB")
    parser.add_argument("--accounting", action="store_true")
    parser.add_argument("--rest", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    try:
        with cluster(given.nodes, given.cpus, given.memory, given.accounting, given.rest) as made:
            return subprocess.run(command or ["sinfo", "-N", "-l"], env={**os.environ, **made.environment}).returncode
    except CannotStart as error:
        print(f"minicluster: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
