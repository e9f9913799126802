"""The transfer functions of a simulation, as a mapping from names to functions."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .door import Door, loaded
from .refusals import Flawed, NotFound
from .resources import TransferFunction

_DEFINED = re.compile(r"^def\s+(\w+)", re.MULTILINE)


class TransferFunctions(Mapping[str, TransferFunction]):
    """List, read and change them while the simulation runs; a change acts between two steps.

        print(list(sim.transfer_functions))
        source = sim.transfer_functions["motor_drive"].source
        sim.transfer_functions.edit("motor_drive", source.replace("0.5", "1.0"))

    A source that cannot run is kept by the server, marked as flawed, and not called, while the others go on; then
    Flawed is raised, with the line. Nothing is written into the experiment until `save`.
    """

    def __init__(self, door: Door, simulation: str) -> None:
        self._door = door
        self._path = ("simulations", simulation, "transfer-functions")

    def __iter__(self) -> Iterator[str]:
        """Their names, in the order in which they are called."""
        return iter([function.name for function in self.list()])

    def __len__(self) -> int:
        return len(self.list())

    def __getitem__(self, name: str) -> TransferFunction:
        """Raises KeyError."""
        try:
            return loaded(TransferFunction, self._door.get(*self._path, name))
        except NotFound as error:
            raise KeyError(error.text) from None

    def list(self) -> tuple[TransferFunction, ...]:
        """All of them, in the order in which they are called."""
        return _all(self._door.get(*self._path))

    def add(self, source: str) -> TransferFunction:
        """One more; its name is that of its definition. Raises Flawed, and Invalid for a name that there is."""
        before = set(self)
        after = _all(self._door.post(*self._path, body={"source": source}))
        return _sound(next(function for function in after if function.name not in before))

    def edit(self, name: str, source: str) -> TransferFunction:
        """Another source for this one; another name in the definition renames it. Raises Flawed."""
        after = {function.name: function for function in self._put(name, body={"source": source})}
        defined = _DEFINED.search(source)
        return _sound(after[name] if name in after else after[defined[1] if defined else name])

    def delete(self, name: str) -> None:
        self._door.delete(*self._path, name)

    def switch(self, name: str, on: bool) -> TransferFunction:
        """Call it from now on, or call it no more. One that had failed gets another chance."""
        return _named(self._put(name, "active", body={"active": on}), name)

    def set_priority(self, name: str, priority: int) -> TransferFunction:
        """Higher runs earlier, among those of its direction."""
        return _named(self._put(name, "priority", body={"priority": priority}), name)

    def order(self, names: Sequence[str]) -> tuple[TransferFunction, ...]:
        """Call them in this order, within their direction. They get priorities that make it so."""
        return self._put("order", body={"names": [*names]})

    def save(self) -> None:
        """Write them, as they are now, into the file of the experiment."""
        self._door.post(*self._path, "save")

    def _put(self, *path: str, body: Mapping[str, Any]) -> tuple[TransferFunction, ...]:
        return _all(self._door.put(*self._path, *path, body=body))


def _all(answer: Iterable[Any]) -> tuple[TransferFunction, ...]:
    return tuple(loaded(TransferFunction, function) for function in answer)


def _named(functions: Iterable[TransferFunction], name: str) -> TransferFunction:
    return next(function for function in functions if function.name == name)


def _sound(function: TransferFunction) -> TransferFunction:
    """The function, unless it cannot run."""
    if function.problem:
        text = f"{function.name} does not run: {function.problem.get('text', 'it is flawed')}"
        raise Flawed(text, status=200, code="script_error", detail={**function.problem, "file": function.name})
    return function
