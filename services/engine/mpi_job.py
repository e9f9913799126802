"""How the brain is started as a job of several processes: the command line of mpiexec and its environment.

Values in, values out; nothing is started here.
"""

import json
import os
import re
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from .experiment import Mpi

_PLACING = ("--map-by", "--bind-to", "-map-by", "-bind-to", "--rankfile", "-rf", "--cpu-set")

# What mpiexec says when one of its processes was killed. Open MPI 4.
_KILLED = re.compile(r"process rank (?P<rank>\d+) with PID \d+ on node (?P<host>\S+) exited on signal (?P<signal>\d+)")
_ENDED = re.compile(r"Process name: \[\[\d+,\d+\],(?P<rank>\d+)\]\s+Exit code:\s+(?P<status>\d+)")


def command(module: str, *, ranks: int, threads: int, cores: int, mpi: Mpi, environment: Iterable[str]) -> list[str]:
    """mpiexec with `ranks` processes that run `module`.

    Each is pinned to `threads` cores of its own where there are enough: mpiexec would otherwise pin a process to one
    core, on which its threads take turns. With arguments of the user's own about places we add none.
    `environment` names the variables that go with the processes to other hosts.
    """
    made = ["mpiexec", "-n", str(ranks)]
    if mpi.hostfile:
        made += ["--hostfile", mpi.hostfile]
        for name in environment:
            made += ["-x", name]
    if not any(argument.split("=")[0] in _PLACING for argument in mpi.arguments):
        enough = bool(mpi.hostfile) or ranks * threads <= cores
        made += ["--map-by", f"slot:PE={threads}"] if enough else ["--oversubscribe", "--bind-to", "none"]
    # Under mpi4py's own runner what nobody caught ends the job, not one process of it.
    return [*made, *mpi.arguments, sys.executable, "-m", "mpi4py", "-m", module]


def environment(folder: Path, *, crowded: bool) -> dict[str, str]:
    """Settings of Open MPI for such a job; what the user has set already is theirs.

    `crowded`: more threads want to run than there are cores, so whoever waits has to let go of its core.
    """
    wanted = {
        "MPI4PY_RC_THREAD_LEVEL": "funneled",  # NEST calls MPI from its main thread, and so do we
        "OMPI_MCA_orte_tmpdir_base": str(folder),  # so that nothing is left behind when the job is killed
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",  # containers forbid the other ways
        **({"OMPI_MCA_mpi_yield_when_idle": "1"} if crowded else {}),
    }
    if os.geteuid() == 0:
        wanted |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return {name: value for name, value in wanted.items() if name not in os.environ}


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
    return "", ""


def _last_words(line: str) -> tuple[str, str] | None:
    if '"last_words"' not in line:
        return None
    try:
        said: Mapping[str, str] = json.loads(line[line.index("{") :])["last_words"]
        return said["text"], said["code"]
    except (ValueError, KeyError, TypeError):
        return None
