"""What the processes of one brain do together. A brain in one process is together with nobody."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from reafference.frames import Array


@dataclass(slots=True)
class Stage:
    """A part of the work at whose end all ranks meet. There each tells three numbers of its own, whatever they mean.

    `told` has those of all ranks once the stage is over, shape (size, 3).
    """

    tells: tuple[int, int, int] = (0, 0, 0)
    told: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((1, 3), np.int64))


class Together(Protocol):
    """The ranks of one job. Every method is called on all of them, in the same order."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def stage(self) -> AbstractContextManager[Stage]:
        """A part of the work in which a rank may fail. At its end all ranks meet; if one has failed, all raise.

        The error is the same everywhere and names the rank. Whatever can fail belongs into a stage: a rank that
        leaves the common path elsewhere leaves the others waiting.
        """
        ...

    def holds_after(self, error: BaseException) -> bool:
        """Whether all ranks have raised this error, and so are at the same place still."""
        ...

    def total(self, value: int) -> int:
        """The sum of the ranks' values."""
        ...

    def each(self, value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The plain maps of all ranks, in their order, on every rank."""
        ...

    def home(
        self, values: Mapping[str, npt.NDArray[np.float64]], rows: Sequence[Array], counts: npt.NDArray[np.int64]
    ) -> tuple[dict[str, Array], list[Array]]:
        """What each rank has of a step, on rank 0; nothing elsewhere.

        `values` are arrays of the same names and shapes on each rank, where what lives on another rank is 0: their
        sum. `rows` are columns (int64) of `counts` rows on each rank: one below the other.
        """
        ...


class Alone:
    """A brain in one process."""

    rank = 0
    size = 1

    @contextmanager
    def stage(self) -> Iterator[Stage]:
        stage = Stage()
        yield stage
        stage.told = np.array([stage.tells], np.int64)

    def holds_after(self, error: BaseException) -> bool:
        return True

    def total(self, value: int) -> int:
        return value

    def each(self, value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [value]

    def home(
        self, values: Mapping[str, npt.NDArray[np.float64]], rows: Sequence[Array], counts: npt.NDArray[np.int64]
    ) -> tuple[dict[str, Array], list[Array]]:
        return dict(values), list(rows)
