"""`python -m services.brain`: the brain as a participant, until the engine says bye.

Under mpiexec (`mpiexec -n 2 python -m mpi4py -m services.brain`) rank 0 is the participant, and the others do as it
says. With --about it prints one line of JSON about the simulator and ends.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reafference import logs, participant
from reafference.config import ServiceConfig
from reafference.process import die_with, wake_promptly
from reafference.pulse import PulseEcho


def _about() -> int:
    from . import nest_module
    from .kernel import nest

    build = nest.build_info
    keys = ("version", "have_mpi", "have_threads", "have_gsl")
    print(json.dumps({**{key: build[key] for key in keys}, "extension_module": nest_module.compiled() is not None}))
    return 0


def _serve() -> int:
    config = ServiceConfig.load("brain", os.environ)
    if _processes(os.environ) > 1:
        return _serve_on_ranks(config)
    # A process alone would start a daemon of Open MPI, which nobody needs and which outlives it by a moment.
    os.environ.setdefault("OMPI_MCA_ess_singleton_isolated", "1")
    from .nest_brain import NestBrain

    return participant.run(NestBrain(), config)


def _processes(environ: Mapping[str, str]) -> int:
    """How many of us were started as one job, by mpiexec, or by srun with PMIx."""
    told = [environ.get("OMPI_COMM_WORLD_SIZE"), environ.get("PMI_SIZE")]
    if "PMIX_RANK" in environ:
        told.append(environ.get("SLURM_STEP_NUM_TASKS"))
    return next((int(number) for number in told if number), 1)


def _serve_on_ranks(config: ServiceConfig) -> int:
    # Whoever started this process ends it; who started the job is somebody else.
    config = replace(config, parent_pid=os.getppid())
    from .ranks import Ranks

    ranks = Ranks()
    # Wires that are sockets in a folder of rank 0's machine cannot be reached from another one.
    at_doors = config.addresses.pulse_echo.startswith("tcp://")
    here = [rank for rank in range(1, ranks.size) if at_doors or ranks.hosts[rank] == ranks.hosts[0]]
    if ranks.rank == 0:
        from .front import Front

        front = Front(ranks)
        status = participant.run(front, replace(config, ranks=tuple(here)))
        front.quit()
    else:
        status = _follow(ranks, config, with_pulse=ranks.rank in here)
    ranks.leave()
    return status


def _follow(ranks: Any, config: ServiceConfig, *, with_pulse: bool) -> int:
    """The life of every rank but the first."""
    die_with(config.parent_pid, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wake_promptly()
    logs.configure(f"{config.name}.{ranks.rank}", config.log_level)
    # The engine expects it as soon as rank 0 has come, and to load NEST can take longer here than there.
    pulse = _pulse_of_rank(ranks.rank, config) if with_pulse else None
    from .front import Follower
    from .ranks import follow

    follow(ranks, Follower(ranks).act)
    if pulse:
        pulse.close()
    return 0


def _pulse_of_rank(rank: int, config: ServiceConfig) -> PulseEcho:
    where, name = config.addresses, f"{config.name}.{rank}"
    return PulseEcho(where.pulse_beat, where.pulse_echo, name, insecure=config.insecure, keys=config.ring(name))


if __name__ == "__main__":
    status = _about() if "--about" in sys.argv else _serve()
    sys.stdout.flush()
    sys.stderr.flush()
    # Taking a large network apart piece by piece takes seconds; the system does it at once.
    os._exit(status)
