"""What ranks do together, case by case: python -m mpi4py ranks_job.py CASE

Each rank says its part in a line of JSON; a case that ends badly ends the job.
"""

import json
import sys
import time

import numpy as np

from reafference.errors import BadExperiment, ReafferenceError
from services.brain.ranks import Op, Ranks, follow, known_everywhere


def say(**found):
    # In one write, since the lines of all ranks come out of one pipe.
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def failing(ranks, on):
    """A stage in which the ranks of `on` fail."""
    try:
        with ranks.stage():
            if ranks.rank in on:
                raise BadExperiment(f"no good: {'same' if len(on) > 1 else ranks.rank}", detail={"key": "brain.x"})
    except ReafferenceError as error:
        say(rank=ranks.rank, code=error.code, text=error.text, key=error.detail["key"], known=known_everywhere(error))
    # They are together still: the next meeting is as good as any.
    with ranks.stage() as stage:
        stage.tells = (ranks.rank, 7, 0)
    say(rank=ranks.rank, told=stage.told.tolist())


def home(ranks):
    """What each rank has, on rank 0: a value that lives on one rank, and as many rows as the rank's number."""
    values = {"a": np.zeros(ranks.size), "b": np.zeros((2, 1))}
    values["a"][ranks.rank] = ranks.rank + 0.1
    values["b"][0, 0] = 1e300 if ranks.rank == ranks.size - 1 else 0.0
    rows = [np.full(ranks.rank, ranks.rank), np.arange(ranks.rank)]
    with ranks.stage() as stage:
        stage.tells = (0, ranks.rank, 0)
    sums, columns = ranks.home(values, rows, stage.told[:, 1])
    say(rank=ranks.rank, sums={k: v.tolist() for k, v in sums.items()}, columns=[c.tolist() for c in columns])


def nothing(ranks):
    """No rank has anything to bring home, or values only, or rows only."""
    with ranks.stage() as stage:
        stage.tells = (0, 1, 0)
    values, rows = {"a": np.array([1.5])}, [np.array([ranks.rank])]
    for some in ({}, values):
        for columns in ([], rows):
            sums, found = ranks.home(some, columns, stage.told[:, 1] if columns else 0 * stage.told[:, 1])
            say(
                rank=ranks.rank,
                sums=sum(float(value.sum()) for value in sums.values()),
                columns=[c.tolist() for c in found],
            )


def lonely(ranks):
    """Rank 1 fails while the others are in a call that they cannot leave."""
    if ranks.rank == 0:
        ranks.command(Op.ADVANCE)
        time.sleep(60)
    follow(ranks, lambda command: fail_alone(ranks))


def fail_alone(ranks):
    with ranks.stage():
        if ranks.rank == 1:
            raise ValueError("nobody comes")
        time.sleep(60)


def commands(ranks):
    """Commands arrive as they were given; quit ends the life of a follower."""
    if ranks.rank == 0:
        ranks.command(Op.ADVANCE, b"some bytes", step=3, t_ns=2**62, dt_ns=20_000_000)
        ranks.command(Op.CLOSE)
        ranks.command(Op.QUIT)
    else:
        follow(
            ranks,
            lambda c: say(op=c.op.name, step=c.step, t_ns=c.t_ns, dt_ns=c.dt_ns, payload=c.payload.decode()),
        )


def main(case):
    ranks = Ranks()
    match case:
        case "one":
            failing(ranks, {ranks.size - 1})
        case "all":
            failing(ranks, set(range(ranks.size)))
        case "home":
            home(ranks)
        case "nothing":
            nothing(ranks)
        case "lonely":
            lonely(ranks)
        case "commands":
            commands(ranks)
        case "sums":
            say(total=ranks.total(ranks.rank + 1), each=[one["n"] for one in ranks.each({"n": ranks.rank})])
    ranks.leave()


if __name__ == "__main__":
    main(sys.argv[1])
