"""The script of a job on a cluster, written from a request.

The script is `body.sh` with the request's values in front of it, so that an administrator can read what runs.
"""

import math
import shlex
from pathlib import Path

from .container_runtime import RUNTIMES
from .request import Request

_BODY = Path(__file__).with_name("body.sh")
_LOG = "log"
_READY_S = 120
_LEAST_CLOSE_S = 5
_MIB = 2**20
_WIDTH = 110
_PARENT = '    local parent; parent=$(dirname "$folder")'
_OWN_PYTHON = "    unset PYTHONPATH PYTHONHOME # settings of a Python of this site's own, which an image would follow"


def render(request: Request) -> str:
    """The whole script, for sbatch. The same request gives the same text."""
    parts = [_options(request), _setup(request), _values(request), _command_lines(request)]
    return "\n\n".join(part for part in parts if part) + "\n\n" + _BODY.read_text(encoding="utf-8")


def _options(request: Request) -> str:
    """What sbatch reads: node 1 for the services, then those of the brain, all of the same size."""
    memory = request.memory_gb_per_node
    wanted = [
        f"--job-name=reaf-{request.id}",
        f"--nodes={request.nodes + 1}",
        f"--ntasks-per-node={request.ranks_per_node}",
        f"--cpus-per-task={request.threads_per_rank}",
        f"--time={_duration(request.time_s)}",
        *([f"--mem={math.ceil(memory * 1e9 / _MIB)}M"] if memory is not None else []),
        *([f"--partition={request.partition}"] if request.partition else []),
        *([f"--account={request.account}"] if request.account else []),
        *(["--exclusive"] if request.exclusive else []),
        *request.options,
        *([f"--chdir={request.folder}", f"--output={request.folder}/{_LOG}"] if request.folder else []),
        "--open-mode=append",
        # B: to this script, not to the ranks. Slurm may send it up to a minute early.
        f"--signal=B:USR1@{request.stop_s}",
        "--no-requeue",
        # The script says which node was lost, and ends the job itself.
        "--no-kill",
    ]
    head = "#!/bin/bash\n" + "\n".join(f"#SBATCH {option}" for option in wanted)
    title = f" ({request.title})" if request.title else ""
    return f"{head}\n# Reafference, job {request.id}{title}"


def _setup(request: Request) -> str:
    if not request.setup:
        return ""
    return "# What this site wants first.\n" + "\n".join(request.setup)


def _values(request: Request) -> str:
    tunnel = request.tunnel
    values: dict[str, object] = {
        "job_id": request.id,
        "nodes": request.nodes,
        "ranks_per_node": request.ranks_per_node,
        "layout": f"{request.ranks}:{request.threads_per_rank}",
        "time_s": request.time_s,
        "stop_s": request.stop_s,
        "close_s": max(_LEAST_CLOSE_S, request.stop_s // 2),
        "ready_s": _READY_S,
        "host_python": request.host_python,
        "interface": request.interface,
        "mpi": request.mpi,
        "pin": "yes" if request.pin else "no",
        "reach": request.reach,
        "tunnel_to": tunnel.to if tunnel else "",
        "tunnel_port": tunnel.listen if tunnel else 0,
        "tunnel_ssh_port": tunnel.port if tunnel else 0,
        "tunnel_patience": tunnel.patience_s if tunnel else 0,
    }
    folder = shlex.quote(request.folder) if request.folder else '"$PWD"'
    lines = [f"folder={folder}", *(f"{name}={shlex.quote(str(value))}" for name, value in values.items())]
    return "# The values of this job.\n" + "\n".join(lines)


def _command_lines(request: Request) -> str:
    """How programs are started: on node 1, as ranks of the brain, and as a trial on each of the brain's nodes."""
    runtime = RUNTIMES[request.runtime]
    python = [request.python_in_image if runtime.contains else request.python]
    # Our images have a command that brings what was compiled in them to where it can be written.
    starter = ["start", *python] if runtime.contains else python
    # A place of its own for each job's folder cannot have been foreseen in an image.
    shared = ["$folder" if runtime.makes_places else "$parent", *request.binds]
    in_image = runtime.command(request.image, starter, [*shared, "$private"])
    in_brain = runtime.command(request.brain_image or request.image, python, [*shared, "$spool"])
    each = [f"--ntasks={request.nodes}", "--ntasks-per-node=1", "--cpus-per-task=1"]
    trial = ["srun", "--job-name=trial", *_brain_nodes(request), *each, *in_brain]
    places = [*_places(request), "--kill-on-bad-exit=1"]
    ranks = ["srun", "--job-name=brain", *_brain_nodes(request), "--mpi=pmix", "--export=$environment", *places]
    by_mpiexec = ["mpiexec", "-n", str(request.ranks), "--host", "$brain_hosts", *_mpiexec_places(request)]
    return "\n".join(
        (
            "# How programs are started there; called once it is known where things are.",
            "command_lines() {",
            *([_OWN_PYTHON] if runtime.contains else []),
            *([] if runtime.makes_places else [_PARENT]),
            _array("services", in_image),
            _array("trial", trial),
            '    if [ "$mpi" = pmix ]; then',
            _array("ranks", [*ranks, *in_brain], 8),
            "    else",
            _array("ranks", [*by_mpiexec, *in_brain], 8),
            "    fi",
            "}",
        )
    )


def _brain_nodes(request: Request) -> list[str]:
    """The nodes after the first. Steps may overlap: one that is on its way out must not keep the next one waiting."""
    return ["--relative=1", f"--nodes={request.nodes}", "--overlap", "--input=none"]


def _places(request: Request) -> list[str]:
    """Where ranks go, for srun."""
    return [
        f"--ntasks={request.ranks}",
        f"--ntasks-per-node={request.ranks_per_node}",
        *(["--ntasks-per-socket=1"] if _socket_each(request) else []),
        f"--cpus-per-task={request.threads_per_rank}",
        f"--cpu-bind={'cores' if request.pin else 'none'}",
    ]


def _mpiexec_places(request: Request) -> list[str]:
    """The same for mpiexec, which starts its daemons with srun itself."""
    places = "ppr:1:socket" if _socket_each(request) else f"ppr:{request.ranks_per_node}:node"
    if not request.pin:
        return ["--map-by", places, "--bind-to", "none"]
    return ["--map-by", f"{places}:PE={request.threads_per_rank}", "--bind-to", "core"]


def _socket_each(request: Request) -> bool:
    return request.pin and request.ranks_per_node == request.sockets_per_node


def _array(name: str, words: list[str], indent: int = 4) -> str:
    """An array of the shell, in lines that can be read."""
    margin = " " * (indent + 4)
    lines = [margin]
    for word in (_word(word) for word in words):
        if len(lines[-1]) + len(word) > _WIDTH and lines[-1].strip():
            lines.append(margin)
        lines[-1] += f"{word} "
    inner = "\n".join(line.rstrip() for line in lines)
    return f"{' ' * indent}{name}=(\n{inner}\n{' ' * indent})"


def _word(word: str) -> str:
    """A word for the shell; what begins with $ in it is filled in by the script."""
    return f'"{word}"' if "$" in word else shlex.quote(word)


def _duration(seconds: int) -> str:
    """As sbatch reads it; it knows whole minutes only and rounds up."""
    days, rest = divmod(seconds, 24 * 3600)
    hours, rest = divmod(rest, 3600)
    return f"{days}-{hours:02}:{rest // 60:02}:{rest % 60:02}"
