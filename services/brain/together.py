"""What the processes of one brain do together. A brain in one process is together with nobody."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import numpy.typing as npt

from reafference.frames import Array


class Together(Protocol):
    """The ranks of one job. Every method is called on all of them, in the same order."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def stage(self) -> AbstractContextManager[None]:
        """A part of the work in which a rank may fail. At its end all ranks meet; if one has failed, all raise.

        The error is the same everywhere and names the rank. Whatever can fail belongs into a stage: a rank that
        leaves the common path elsewhere leaves the others waiting.
        """
        ...

    def most(self, value: int) -> int:
        """The largest of the ranks' values."""
        ...

    def total(self, value: int) -> int:
        """The sum of the ranks' values."""
        ...

    def each(self, value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The plain maps of all ranks, in their order, on every rank."""
        ...

    def sums(self, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Array]:
        """The arrays (float64, the same names and shapes on each rank) added up, on rank 0; nothing elsewhere."""
        ...

    def rows(self, columns: Sequence[Array]) -> list[Array]:
        """The columns (int64) of all ranks one below the other, on rank 0; nothing elsewhere."""
        ...


class Alone:
    """A brain in one process."""

    rank = 0
    size = 1

    @contextmanager
    def stage(self) -> Iterator[None]:
        yield

    def most(self, value: int) -> int:
        return value

    def total(self, value: int) -> int:
        return value

    def each(self, value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [value]

    def sums(self, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Array]:
        return dict(arrays)

    def rows(self, columns: Sequence[Array]) -> list[Array]:
        return list(columns)
