"""Names of streams, and how they stand on the wire.

A topic is `<run>/<service>/<stream>/`. The closing slash keeps prefix matching from mistaking
`brain/rate` for `brain/rates`; MQTT uses the same names without it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from .errors import BadFrame

_PART = re.compile(r"[A-Za-z0-9_.\-]+\Z")


def is_name(text: str) -> bool:
    """Whether `text` can be one level of a topic: letters, digits, underscore, dot, hyphen."""
    return _PART.match(text) is not None


@dataclass(frozen=True, slots=True)
class Topic:
    """One stream of one service in one run; `stream` may have several levels (`camera/eye`)."""

    run: str
    service: str
    stream: str

    def __post_init__(self) -> None:
        for part in (self.run, self.service, *self.stream.split("/")):
            if not is_name(part):
                raise BadFrame(f"{part!r} cannot be part of a topic: use letters, digits, '_', '.' and '-'")

    @property
    def name(self) -> str:
        """The topic without the run, as it stands in documents and tables: `brain/spikes`."""
        return f"{self.service}/{self.stream}"

    def wire(self) -> bytes:
        return f"{self.run}/{self.service}/{self.stream}/".encode("ascii")

    @classmethod
    def parse(cls, wire: bytes) -> "Topic":
        """Raises BadFrame if the bytes are not a topic."""
        try:
            run, service, stream = wire.decode("ascii").rstrip("/").split("/", 2)
        except ValueError:
            raise BadFrame(f"{wire[:60]!r} is not a topic of the form run/service/stream/") from None
        return cls(run, service, stream)


@lru_cache(maxsize=4096)
def parsed(wire: bytes) -> Topic:
    """`Topic.parse`, remembered: the same few topics come with every step."""
    return Topic.parse(wire)
