"""Where the brain's processes will run, and whether it fits there: our own machine, or that of the brain's stand."""

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from reafference import stand_client
from reafference.errors import BadExperiment
from reafference.process import usable_cores
from reafference.stand_client import Stands

from .experiment import Experiment

LAYOUT = "REAF_LAYOUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainPlace:
    """The place. `cores` is 0 where nobody here can know; `missing` is what several processes would need there;
    `whose` names it in sentences, `stand` is the socket to ask at."""

    cores: int
    missing: tuple[str, ...] = ()
    whose: str = "this machine"
    stand: Path | None = None

    @classmethod
    def find(cls, stands: Stands) -> Self:
        """Look, and ask the brain's stand if it has one. Raises PeerLost if that does not answer."""
        path = stands.of("brain")
        if path is None:
            return cls(cores=usable_cores(), missing=tuple(_missing_here()))
        health = stand_client.health(path)
        missing = () if health.mpiexec else ("mpiexec",)
        return cls(cores=health.cores, missing=missing, whose="the machine of the brain's stand", stand=path)

    def check(self, wanted: Experiment) -> None:
        """Raises BadExperiment if the brain shall be several processes and they cannot be started there."""
        if wanted.ranks == 1:
            return
        if wanted.mpi.hostfile and self.stand is None and not Path(wanted.mpi.hostfile).is_file():
            raise BadExperiment(f"brain.mpi.hostfile: there is no file {wanted.mpi.hostfile!r}")
        if self.missing:
            raise BadExperiment(
                f"brain.ranks: a brain of {wanted.ranks} processes needs {' and '.join(self.missing)}, and NEST with "
                "MPI (make nest-mpi); without them use threads (--ranks 1 --threads N)"
            )

    def crowded(self, wanted: Experiment) -> bool:
        """Whether more threads want to run there than there are cores."""
        return bool(self.cores) and wanted.ranks * wanted.threads + 1 > self.cores

    def warnings(self, wanted: Experiment) -> list[str]:
        """What a person should know of cores before such a run."""
        cores, ranks, threads = self.cores, wanted.ranks, wanted.threads
        if not cores or ranks * threads <= cores or wanted.mpi.hostfile:
            return []
        asked = f"{threads} threads" if ranks == 1 else f"{ranks} ranks of {threads} thread{'s' if threads > 1 else ''}"
        fitting = f"--ranks {min(ranks, cores)} --threads {max(1, cores // ranks)}"
        better = f"--threads {cores}" if ranks == 1 else fitting
        return [
            f"the brain asks for {asked}, but {self.whose} has {cores} core{'s' if cores > 1 else ''}: its threads "
            f"take turns and wait without spinning, so steps will be slower than with {better}"
        ]


def layout(environ: Mapping[str, str]) -> list[str]:
    """Arguments that put ranks and threads over those of the experiment: REAF_LAYOUT, which a cluster job sets.

    Raises BadExperiment.
    """
    text = environ.get(LAYOUT, "")
    if not text:
        return []
    ranks, colon, threads = text.partition(":")
    if not colon or not all(word.isascii() and word.isdigit() and int(word) > 0 for word in (ranks, threads)):
        raise BadExperiment(f"{LAYOUT} is {text!r}, but must be RANKS:THREADS, for instance 4:8")
    return [f"--ranks={int(ranks)}", f"--threads={int(threads)}"]


def _missing_here() -> list[str]:
    return [
        *(["mpiexec (Debian: apt install openmpi-bin)"] if shutil.which("mpiexec") is None else []),
        *(["the package mpi4py (make venv)"] if importlib.util.find_spec("mpi4py") is None else []),
    ]
