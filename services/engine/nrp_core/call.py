"""One function of NRP-core, called with the arrays of ports and calling with datapacks."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from reafference.frames import Array

from .board import Board, Pack
from .functions import DataPackIdentifier, Marks, Now
from .packs import JsonDataPack, ProtoDataPack


class Call:
    """A function with these `marks`, which asks engines for the datapacks `asked`."""

    def __init__(
        self,
        board: Board,
        function: Callable[..., Any],
        marks: Marks,
        asked: Sequence[DataPackIdentifier],
    ) -> None:
        self._board, self._function, self._marks, self._asked = board, function, marks, asked

    def as_function(self) -> Callable[..., Any]:
        """With one parameter for each datapack that it asks for, and the number of the step."""

        def call(*arrays: Array, step: int) -> Any:
            return self(arrays, step)

        positional = inspect.Parameter.POSITIONAL_ONLY
        parameters = [inspect.Parameter(f"pack{number}", positional) for number, _ in enumerate(self._asked)]
        parameters.append(inspect.Parameter("step", inspect.Parameter.KEYWORD_ONLY))
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return call

    def __call__(self, arrays: Sequence[Array], iteration: int) -> Any:
        marks = self._marks
        self._board.begin_iteration(iteration)
        if marks.kind != "status" and not self._board.due(marks.engine, iteration):
            return None
        result = self._function(**self._arguments(arrays, iteration))
        if marks.kind == "status":
            self._board.observe(*self._status(result), iteration)
            return None
        packs = self._packs(result)
        self._board.keep(packs)
        return self._board.send(packs, iteration) if marks.kind == "transceiver" else None

    def _arguments(self, arrays: Sequence[Array], iteration: int) -> dict[str, Any]:
        known = {one: self._board.pack(one, array, iteration) for one, array in zip(self._asked, arrays, strict=True)}
        given: dict[str, Any] = {}
        for request in self._marks.requests:
            pack = self._board.made(request.id) if request.preprocessed else known[request.id]
            if request.group:
                given.setdefault(request.keyword, {})[request.id.name] = pack
            else:
                given[request.keyword] = pack
        if self._marks.time:
            given[self._marks.time] = Now.time_ns
        if self._marks.iteration:
            given[self._marks.iteration] = Now.iteration
        return given

    def _status(self, result: Any) -> tuple[bool, list[Pack]]:
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"a status function returns whether it is done and a list of datapacks, not {result!r:.80}")
        return bool(result[0]), self._packs(result[1])

    def _packs(self, result: Any) -> list[Pack]:
        if not isinstance(result, (list, tuple)) or not all(
            isinstance(one, (JsonDataPack, ProtoDataPack)) for one in result
        ):
            raise TypeError(f"the function returns a list of datapacks, not {result!r:.80}")
        return list(result)
