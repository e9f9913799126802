"""Output ports, described from the sensors' first reading."""

from collections.abc import Mapping

from reafference.frames import Array, Port

REAL = "<f8"
TIME = "<i8"
PICTURE = "|u1"


def output_ports(
    rest: Mapping[str, Array],
    meanings: Mapping[str, tuple[str, str]],
    labels: Mapping[str, tuple[str, ...]],
) -> tuple[Port, ...]:
    """One port for each array of `rest`, and the two times every body takes.

    `meanings` has unit and description of each; `labels` are given for a port, or for all of a stream. Pictures
    are left out of the digest.
    """
    sensors = [
        Port(
            name=name,
            shape=value.shape,
            dtype=value.dtype.str,
            unit=meanings[name][0],
            labels=labels.get(name, labels.get(name.split(".")[0], ())),
            rest=value,
            digest=value.dtype.str != PICTURE,
            description=meanings[name][1],
        )
        for name, value in rest.items()
    ]
    times = [
        Port(name=f"timing.{part}", shape=(), dtype=TIME, unit="ns", digest=False, description=meaning)
        for part, meaning in (("run", "wall time of the substeps"), ("readout", "wall time of the sensors"))
    ]
    return (*sensors, *times)
