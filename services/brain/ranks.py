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
from services.brain.together import Stage

_PATIENCE_S = 3.0
"""How long a rank that has failed waits for the others. They may be in the middle of a long call, or never come."""

_AWAKE_S, _NAP_S = 1e-3, 50e-6
"""The ranks come to a meeting at nearly the same time: who waits for it gives its core away only where another one
wants it, and sleeps only when the wait is a long one."""

_PAUSES = ((0.02, 50e-6), (1.0, 200e-6), (float("inf"), 5e-3))
"""Until so many seconds after the last command, a waiting rank sleeps for so long between two looks."""

_COMMAND = 5
"""A command is int64: op, step, t_ns, dt_ns, n_bytes of the payload."""


_TELLS = 4
"""At a meeting each rank tells whether it has failed, and three numbers (`together.Stage`)."""


class Op(IntEnum):
    """What all ranks are to do."""

    PREPARE = 1
    ADVANCE = 2
    EDIT = 3
    CLOSE = 4
    QUIT = 5


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
        self._tells = np.zeros(_TELLS, np.int64)
        self._told = np.zeros((self.size, _TELLS), np.int64)

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
    def stage(self) -> Iterator[Stage]:
        problem: Exception | None = None
        stage = Stage()
        try:
            yield stage
        except Exception as error:
            problem = error
        stage.told = self._meet(problem, stage.tells)

    def holds_after(self, error: BaseException) -> bool:
        return known_everywhere(error)

    def total(self, value: int) -> int:
        own, found = np.array([value], np.int64), np.zeros(1, np.int64)
        self._complete(self._comm.Iallreduce(own, found, MPI.SUM))
        return int(found[0])

    def each(self, value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        own = pickle.dumps(dict(value))
        return [pickle.loads(text) for text in self._all_bytes(own)]

    def home(
        self, values: Mapping[str, npt.NDArray[np.float64]], rows: Sequence[Array], counts: npt.NDArray[np.int64]
    ) -> tuple[dict[str, Array], list[Array]]:
        if not values and not rows:  # a brain without sinks, and so on every rank
            return {}, []
        # Everything in one message: on a machine short of cores each meeting costs more than the bytes it moves.
        floats = [np.ravel(array) for array in values.values()]
        n_values = sum(array.size for array in floats)
        own = np.concatenate([*(array.view(np.int64) for array in floats), *rows], dtype=np.int64)
        if self.rank:
            self._complete(self._comm.Igatherv(own, None, 0))
            return {}, []
        sizes = n_values + len(rows) * counts
        found = np.empty(int(sizes.sum()), np.int64)
        self._complete(self._comm.Igatherv(own, [found, sizes, MPI.INT64_T], 0))
        parts = np.split(found, np.cumsum(sizes)[:-1])
        # Each value lives on one rank and is 0 on the others, so the sum is exact.
        total = np.sum([part[:n_values].view(np.float64) for part in parts], axis=0)
        ends = np.cumsum([array.size for array in floats], dtype=int).tolist()
        summed = {
            name: total[end - array.size : end].reshape(array.shape)
            for (name, array), end in zip(values.items(), ends, strict=True)
        }
        if not rows:
            return summed, []
        columns = [part[n_values:].reshape(len(rows), -1) for part in parts]
        return summed, list(np.concatenate(columns, axis=1))

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

    def _meet(self, problem: Exception | None, tells: tuple[int, int, int]) -> npt.NDArray[np.int64]:
        """What all tell; raises the same error on every rank if any of them has a problem."""
        self._tells[:] = (problem is not None, *tells)
        request = self._comm.Iallgather(self._tells, self._told)
        if problem is None:
            self._complete(request)
        elif not self._complete(request, _PATIENCE_S):
            # The others do not come to hear of it: whoever catches this can only end the job.
            raise self.say(problem) from problem
        if not self._told[:, 0].any():
            return self._told[:, 1:].copy()
        own = None if problem is None else _plain(problem)
        said = [json.loads(text) for text in self._all_bytes(json.dumps(own).encode())]
        problems = [(rank, *one) for rank, one in enumerate(said) if one]
        raise _merged(problems, self.size, everywhere=True) from problem

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
            if waited > _AWAKE_S:
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


def known_everywhere(error: BaseException) -> bool:
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
