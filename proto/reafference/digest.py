"""The fingerprint of a run: a hash over everything deterministic that a simulator put out.

The same rule serves the participant that computes it and whoever checks a recording against it. For each array
there is one SHA-256 over `<step>:` and the array's bytes, step after step; the fingerprint of a participant is the
SHA-256 over `<stream>.<array>=<hex>;` in the order of names, that of a run the one over `<participant>=<hex>;`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .frames import Array, Port


class Digest:
    """The fingerprint of one participant's output; ports declared with `digest=False` do not count."""

    def __init__(self, outputs: Iterable[Port]) -> None:
        self._hashes: dict[str, Any] = {}
        self.expect(outputs)

    def expect(self, outputs: Iterable[Port]) -> None:
        """Take these ports in as well; those that are known go on, whatever their form is now."""
        for port in outputs:
            if port.digest and port.name not in self._hashes:
                self._hashes[port.name] = hashlib.sha256()

    def update(self, stream: str, step: int, arrays: Mapping[str, Array]) -> None:
        """Add one stream of one step; the steps of a stream must come in order."""
        for name, array in arrays.items():
            known = self._hashes.get(f"{stream}.{name}")
            if known is not None:
                known.update(b"%d:" % step)
                known.update(np.ascontiguousarray(array).data)

    def hexdigest(self) -> str:
        return _joined({name: known.hexdigest() for name, known in self._hashes.items()})


def of_run(digests: Mapping[str, str]) -> str:
    """The digest of a whole run from those of its participants."""
    return _joined(digests)


def _joined(digests: Mapping[str, str]) -> str:
    text = "".join(f"{name}={digests[name]};" for name in sorted(digests))
    return hashlib.sha256(text.encode()).hexdigest()
