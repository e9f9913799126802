"""Whether a network fits into memory; decided alike on all processes that build it."""

import math

from services.brain.kernel import nest
from services.brain.memory import free_bytes, in_words


def room_bytes() -> int | None:
    """Memory that a network may take in all, over all processes of this brain; None if unknown.

    Every process holds the same share, so the machine with the least room for each of its processes decides. To be
    called on all of them: one that refuses while the others build would leave them waiting.
    """
    free = free_bytes()
    if nest.num_processes == 1:
        return free
    from mpi4py import MPI

    here = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
    share = math.inf if free is None else free / here.size
    here.Free()
    least = float(MPI.COMM_WORLD.allreduce(share, MPI.MIN))
    return None if math.isinf(least) else int(least * nest.num_processes)


def lack_of_room(needed_bytes: float) -> str:
    """Why a network of this size does not fit, as `12.3 GB, and 8.1 GB are free`; empty if it does."""
    room = room_bytes()
    if room is None or needed_bytes <= room:
        return ""
    return f"{in_words(needed_bytes)} of memory, and {in_words(room)} are free"
