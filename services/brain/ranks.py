"""The ranks of one brain: rank 0 commands, all act, all meet. Knows MPI, not ZeroMQ.

A rank that fails while the others are inside a collective call of MPI, or of NEST, would leave them there for
ever. So every act consists of stages, at whose ends all ranks meet and tell each other whether they failed; a
rank that has failed and finds nobody at the meeting says its last words and ends the job.
"""

import json
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from reafference.errors import ReafferenceError, SimulatorFailed, StepCancelled, from_code
from reafference.frames import Array

_PATIENCE_S = 3.0
"""How long a rank that has failed waits for the others. They may be in the middle of a long call, or never come."""

_NAP_S = 50e-6
_PAUSES = ((0.02, 50e-6), (1.0, 200e-6), (float("inf"), 5e-3))
"""Until so many seconds after the last command, a waiting rank sleeps for so long between two looks."""

_COMMAND = 5
"""A command is int64: op, step, t_ns, dt_ns, n_bytes of the payload."""


class Op(IntEnum):
    """What all ranks are to do."""

    PREPARE = 1
    ADVANCE = 2
    AFTERWARDS = 3
    EDIT = 4
    CLOSE = 5
    QUIT = 6


class Command:
    """A command as it arrived: `payload` is bytes of the op's own form."""

    __slots__ = ("dt_ns", "op", "payload", "step", "t_ns")

    def __init__(self, numbers: Sequence[int], payload: bytes) -> None:
        op, self.step, self.t_ns, self.dt_ns, _ = numbers
        self.op = Op(op)
        self.payload = payload


class Ranks:
    """This process among the ranks of its job; see `together.Together` for what they do together."""

    def __init__(self, world: Any = None) -> None:
        # A communicator of our own, so that our messages and NEST's cannot meet.
        self._comm = (MPI.COMM_WORLD if world is None else world).Dup()
        self.rank: int = self._comm.rank
        self.size: int = self._comm.size
        self.hosts: list[str] = self._comm.allgather(MPI.Get_processor_name())
        self._meeting = np.zeros(2, np.int64)
        self._met = np.zeros(2, np.int64)
        self._cache: dict[int, tuple[bytes, Any]] = {}

    # --- command and obey -----------------------------------------------------------------------------

    def command(self, op: Op, payload: bytes = b"", *, step: int = 0, t_ns: int = 0, dt_ns: int = 0) -> None:
        """Rank 0: tell all others what to do next."""
        numbers = np.array([op, step, t_ns, dt_ns, len(payload)], np.int64)
        self._complete(self._comm.Ibcast(numbers, 0))
        if payload:
            self._complete(self._comm.Ibcast(bytearray(payload), 0))

    def obey(self) -> Command:
        """The others: the next command. While none comes this rank sleeps, so an idle job burns no cores."""
        numbers = np.zeros(_COMMAND, np.int64)
        request = self._comm.Ibcast(numbers, 0)
        began = time.perf_counter()
        while not request.Test():
            waited = time.perf_counter() - began
            time.sleep(next(pause for until, pause in _PAUSES if waited < until))
        payload = bytearray(int(numbers[-1]))
        if payload:
            self._complete(self._comm.Ibcast(payload, 0))
        return Command(numbers.tolist(), bytes(payload))

    # --- meet -------------------------------------------------------------------------------------------

    @contextmanager
    def stage(self) -> Iterator[None]:
        problem: Exception | None = None
        try:
            yield
        except Exception as error:
            problem = error
        self._meet(problem)

    def most(self, value: int) -> int:
        return self._allreduce(value, MPI.MAX)

    def total(self, value: int) -> int:
        return self._allreduce(value, MPI.SUM)

    def each(self, value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        own = pickle.dumps(dict(value))
        return [pickle.loads(text) for text in self._all_bytes(own)]

    def sums(self, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Array]:
        if not arrays:
            return {}
        own = np.concatenate([np.ravel(array) for array in arrays.values()], dtype=np.float64)
        # Each value lives on one rank and is 0 on the others, so the sum is exact in any order.
        found = np.empty_like(own) if self.rank == 0 else None
        self._complete(self._comm.Ireduce(own, found, MPI.SUM, 0))
        if found is None:
            return {}
        parts = np.split(found, np.cumsum([array.size for array in arrays.values()])[:-1])
        return {name: part.reshape(array.shape) for (name, array), part in zip(arrays.items(), parts, strict=True)}

    def rows(self, columns: Sequence[Array]) -> list[Array]:
        own = np.ascontiguousarray(np.stack([np.asarray(column, np.int64) for column in columns], axis=1))
        size = np.array([own.size], np.int64)
        sizes = np.zeros(self.size, np.int64)
        self._complete(self._comm.Igather(size, sizes if self.rank == 0 else None, 0))
        if self.rank:
            self._complete(self._comm.Igatherv(own, None, 0))
            return []
        found = np.empty(int(sizes.sum()), np.int64)
        self._complete(self._comm.Igatherv(own, [found, sizes, MPI.INT64_T], 0))
        return list(found.reshape(-1, len(columns)).T)

    # --- the end ----------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Leave MPI in order, on all ranks together."""
        MPI.Finalize()

    def abort(self, error: ReafferenceError) -> NoReturn:
        """End the whole job at once; whoever started it finds the reason in the log."""
        last_words(error)
        self._comm.Abort(error.exit_status)
        os._exit(error.exit_status)  # Abort does not return, but may not promise it

    def say(self, problem: Exception) -> ReafferenceError:
        """The problem of this rank alone, as others shall hear of it."""
        if isinstance(problem, ReafferenceError) and "rank" in problem.detail:
            return problem
        return _merged([(self.rank, *_plain(problem))], self.size)

    # --- within -----------------------------------------------------------------------------------------

    def _meet(self, problem: Exception | None) -> None:
        """Raises the same error on every rank if any of them has a problem."""
        self._meeting[0] = problem is not None
        request = self._comm.Iallreduce(self._meeting[:1], self._met[:1], MPI.MAX)
        if problem is None:
            self._complete(request)
        elif not self._complete(request, _PATIENCE_S):
            # The others do not come to hear of it: whoever catches this can only end the job.
            raise self.say(problem) from problem
        if not self._met[0]:
            return
        own = None if problem is None else _plain(problem)
        told = [json.loads(text) for text in self._all_bytes(json.dumps(own).encode())]
        raise _merged(
            [(rank, *tell) for rank, tell in enumerate(told) if tell], self.size, everywhere=True
        ) from problem

    def _allreduce(self, value: int, how: Any) -> int:
        own, found = np.array([value], np.int64), np.zeros(1, np.int64)
        self._complete(self._comm.Iallreduce(own, found, how))
        return int(found[0])

    def _all_bytes(self, own: bytes) -> list[bytes]:
        size, sizes = np.array([len(own)], np.int64), np.zeros(self.size, np.int64)
        self._complete(self._comm.Iallgather(size, sizes))
        found = np.zeros(int(sizes.sum()), np.uint8)
        sent = np.frombuffer(own, np.uint8)
        self._complete(self._comm.Iallgatherv(sent, [found, sizes, MPI.UINT8_T]))
        return [bytes(part) for part in np.split(found, np.cumsum(sizes)[:-1])]

    def _complete(self, request: Any, patience_s: float = float("inf")) -> bool:
        """Whether the request was completed in time. The engine's deadline ends a wait without patience."""
        # MPI's own waiting spins for as long as it takes, which starves others where cores are short.
        began = time.perf_counter()
        while not request.Test():
            waited = time.perf_counter() - began
            if waited > patience_s:
                return False
            if waited > 2 * _NAP_S:
                time.sleep(_NAP_S)
            else:
                os.sched_yield()
        return True


def last_words(error: ReafferenceError) -> None:
    """One line that whoever started this process looks for when it has ended."""
    print(json.dumps({"last_words": {"code": error.code, "text": error.text}}), file=sys.stderr, flush=True)


def follow(ranks: Ranks, act: Callable[[Command], None]) -> None:
    """The life of every rank but the first: obey until told to quit."""
    while (command := ranks.obey()).op is not Op.QUIT:
        try:
            act(command)
        except Exception as error:
            if not known_everywhere(error):
                ranks.abort(ranks.say(error))
            # Otherwise rank 0 answers for all.


def known_everywhere(error: Exception) -> bool:
    """Whether all ranks have raised this error, so that they are together still."""
    return isinstance(error, ReafferenceError) and bool(error.detail.get("everywhere"))


def _plain(problem: Exception) -> tuple[str, str, dict[str, Any]]:
    """Code, text and detail, as they can travel."""
    if isinstance(problem, ReafferenceError):
        return problem.code, problem.text, _travelling(problem.detail)
    text = " ".join(f"{type(problem).__name__}: {problem}".split())
    return SimulatorFailed.code, text, {"trace": "".join(traceback.format_exception(problem))}


def _travelling(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in detail.items() if isinstance(value, str | int | float | bool | None)}


def _merged(
    told: list[tuple[int, str, str, dict[str, Any]]], size: int, *, everywhere: bool = False
) -> ReafferenceError:
    """One error for all that ranks told; it says which rank, and is the first one's."""
    rank, code, text, detail = told[0]
    if code == StepCancelled.code:
        # Only rank 0 hears of it, and it is nobody's fault.
        return from_code(code, text, {"everywhere": everywhere})
    same = [other for other, _, said, _ in told if said == text]
    if len(same) == size:
        text = f"{text} (on all {size} ranks)"
    elif len(same) > 1:
        text = f"ranks {', '.join(map(str, same))}: {text}"
    else:
        text = f"rank {rank}: {text}"
    return from_code(code, text, {**detail, "rank": rank, "everywhere": everywhere})
