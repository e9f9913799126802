"""What a job that serves must tell of itself, so that simulations can be launched and seen there from here."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingJob:
    """The gateway of a job, as it is reached from here.

    `id` is that of the server too, and simulations there have ids that begin with it: `j4-s1`. `url` is the address on
    this machine's end of the tunnel, or of the node itself. `token` is the secret of an administrator's token of that
    gateway. `certificate` is that gateway's own (PEM), and no other is believed there; "" for one that speaks plain
    HTTP. `folder` is the job's folder where it can be read from here, and `shown` how that place is called for people:
    its `home` is the home folder of the gateway.
    """

    id: str
    title: str
    url: str
    token: str = field(repr=False)
    certificate: str = field(default="", repr=False)
    places: int = 1
    folder: Path | None = None
    shown: str = ""
