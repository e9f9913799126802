"""How the brain is started as a job of several processes: the command line of mpiexec and its environment.

Values in, values out; nothing is started here.
"""

import json
import re
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from reafference import stand

from .experiment import Mpi

# What mpiexec says when one of its processes was killed. Open MPI 4.
_KILLED = re.compile(r"process rank (?P<rank>\d+) with PID \d+ on node (?P<host>\S+) exited on signal (?P<signal>\d+)")
_ENDED = re.compile(r"Process name: \[\[\d+,\d+\],(?P<rank>\d+)\]\s+Exit code:\s+(?P<status>\d+)")

# What srun says of a task of its step, and of a node. Slurm 22 to 24.
_TASK = re.compile(r"srun: error: (?P<host>\S+): tasks? (?P<rank>\d+)[\d,-]*: (?P<how>[^\n]+)")
_NODE = re.compile(r"srun: error: Node failure on (?P<host>\S+)")
_STATUS = re.compile(r"Exited with exit code (?P<status>\d+)")


def command(module: str, *, ranks: int, threads: int, cores: int, mpi: Mpi, environment: Iterable[str]) -> list[str]:
    """mpiexec with `ranks` processes that run `module`: see stand.job_command, which a stand uses as well."""
    return stand.job_command([sys.executable], module, ranks, threads, cores, mpi.hostfile, mpi.arguments, environment)


def environment(folder: Path, *, crowded: bool) -> dict[str, str]:
    """Settings of Open MPI for such a job; what the user has set already is theirs."""
    return stand.job_environment(str(folder), crowded)


def how_it_ended(log: str) -> tuple[str, str]:
    """What the log of such a job says about its end: how, in words that name the rank, and the code of an error.

    Both are empty where it says nothing. A rank's own last words tell more than what mpiexec saw of it.
    """
    for line in log.splitlines():
        if words := _last_words(line):
            return words
    if killed := _KILLED.search(log):
        number = int(killed["signal"])
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        return f"its rank {killed['rank']} (on {killed['host']}) was killed by {name}", ""
    if ended := _ENDED.search(log):
        return f"its rank {ended['rank']} ended with status {ended['status']}", ""
    if node := _NODE.search(log):
        return f"the node {node['host']} was lost", ""
    if task := _TASK.search(log):
        return _of_task(task["rank"], task["host"], task["how"]), ""
    return "", ""


def _of_task(rank: str, host: str, how: str) -> str:
    """srun has the words of the system for a signal, and its own for a status."""
    if status := _STATUS.search(how):
        return f"its rank {rank} (on {host}) ended with status {status['status']}"
    for number in signal.Signals:
        if how.startswith(signal.strsignal(number) or "?"):
            return f"its rank {rank} (on {host}) was killed by {number.name}"
    return f"its rank {rank} (on {host}) ended: {how}"


def _last_words(line: str) -> tuple[str, str] | None:
    if '"last_words"' not in line:
        return None
    try:
        said: Mapping[str, str] = json.loads(line[line.index("{") :])["last_words"]
        return said["text"], said["code"]
    except (ValueError, KeyError, TypeError):
        return None
