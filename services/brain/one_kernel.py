"""The kernels of all ranks seen as one.

Each rank of NEST knows the state of its own nodes, the part of a recorder that lies on it, and the connections onto
its nodes. While `seen_as_one` holds, what NEST tells is put together from all ranks at the place where it is read, so
that a script computes with the same values on every rank, and any rank's result is the result. All ranks have to make
the same calls in the same order; scripts that ask for their rank are told 0 on each.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from services.brain.kernel import (
    clear_buffers,
    empty_kernel,
    enter_context,
    nest,
    nestkernel_api,
    silent_ids,
    silent_nodes,
)
from services.brain.together import Together

SUMMED = ("num_connections", "local_spike_counter", "memory_size")
"""What of the kernel's status each rank has its share of."""

Call = Callable[..., Any]


@contextmanager
def seen_as_one(together: Together, after_reset: Callable[[], None]) -> Iterator[None]:
    """While inside, NEST answers for all ranks. `after_reset` sets up a kernel that has been emptied."""
    eyes = _Eyes(together, after_reset)
    namespace: dict[str, Any] = vars(nest)
    with _in_place(vars(nestkernel_api), eyes.of_kernel()), _in_place(namespace, eyes.of_module()):
        yield


@contextmanager
def _in_place(namespace: dict[str, Any], others: Mapping[str, Call]) -> Iterator[None]:
    before = {name: namespace[name] for name in others}
    namespace.update(others)
    try:
        yield
    finally:
        namespace.update(before)


class _Eyes:
    """NEST's own functions by name, and what stands in their place."""

    def __init__(self, together: Together, after_reset: Callable[[], None]) -> None:
        self._together, self._after_reset = together, after_reset
        self._own: dict[str, Call] = dict(vars(nestkernel_api))
        self._reset: Call = vars(nest)["ResetKernel"]
        self._synapses = _synapses_of(together)

    def of_kernel(self) -> dict[str, Call]:
        return {
            "llapi_get_nc_status": self._nodes,
            "llapi_get_position": self._positions,
            "llapi_get_connection_status": self._connections,
            "llapi_get_connections": self._found,
            "llapi_set_connection_status": self._set_connections,
            "llapi_get_nodes": self._all_nodes,
            "llapi_get_kernel_status": self._status,
            "llapi_simulate": self._simulate,
            "llapi_prepare": self._prepare,
        }

    def of_module(self) -> dict[str, Call]:
        return {"ResetKernel": _in_disguise(self._empty, self._reset)}

    # --- nodes ----------------------------------------------------------------------------------------------

    def _nodes(self, datum: Any, *key: Any) -> Any:
        read = self._own["llapi_get_nc_status"]
        told: dict[str, Any] = {"local": _tuple(read(datum, "local"))}
        problem: Exception | None = None
        try:
            told["value"] = read(datum, *key)
        except Exception as error:
            problem = error
        parts = [part for part in self._together.each(told) if "value" in part]
        if not parts:
            assert problem is not None
            raise problem
        local = [part["local"] for part in parts]
        values = [part["value"] for part in parts]
        if not key:
            return _merged_status(values, local)
        return _merged(str(key[0]), values, local)

    def _all_nodes(self, *arguments: Any) -> Any:
        """The nodes that fit, without the silent ones that we have put there."""
        found, ours = self._own["llapi_get_nodes"](*arguments), silent_ids()
        return nest.NodeCollection([node for node in found.tolist() if node not in ours]) if ours else found

    def _positions(self, datum: Any) -> Any:
        """Where nodes are; NEST tells it of those that are on this rank."""
        read = self._own["llapi_get_position"]
        nodes = nest.NodeCollection(datum)
        if nodes.spatial is None:
            return read(datum)
        local = _tuple(self._own["llapi_get_nc_status"](datum, "local"))
        here = {place: read(nodes[place]._datum) for place, lives in enumerate(local) if lives}
        found = {place: where for part in self._together.each({"here": here}) for place, where in part["here"].items()}
        return tuple(found[place] for place in range(len(local))) if len(local) > 1 else found[0]

    # --- connections ----------------------------------------------------------------------------------------

    def _found(self, *arguments: Any) -> Any:
        wanted = dict(arguments[0]) if arguments else {}
        if silent_ids() and not wanted.keys() & {"source", "target"}:
            wanted["target"] = self._all_nodes({}, False)
        return self._synapses(self._own["llapi_get_connections"](wanted)._datum)

    def _connections(self, datum: Any) -> list[Any]:
        own = self._own["llapi_get_connection_status"](datum) if datum else []
        return [row for part in self._together.each({"rows": list(own)}) for row in part["rows"]]

    def _set_connections(self, datum: Any, *rest: Any) -> Any:
        return self._own["llapi_set_connection_status"](datum, *rest) if datum else None

    # --- the kernel -----------------------------------------------------------------------------------------

    def _status(self) -> dict[str, Any]:
        status = dict(self._own["llapi_get_kernel_status"]())
        nodes, synapses = silent_nodes()
        status["network_size"] -= nodes
        status["num_connections"] -= synapses
        own = {name: status[name] for name in SUMMED if name in status}
        parts = self._together.each(own)
        status |= {name: sum(part[name] for part in parts) for name in own}
        status["mpi_rank"] = 0
        return status

    def _prepare(self) -> None:
        with _in_place(vars(nestkernel_api), {"llapi_prepare": self._own["llapi_prepare"]}):
            enter_context(wired=nest.network_size > 0)

    def _simulate(self, *arguments: Any) -> Any:
        # Not by Prepare and Cleanup: before the first run NEST then forgets, on a rank without synapses, the
        # shortest delay of the others, and they wait for each other for ever.
        with _in_place(vars(nestkernel_api), {"llapi_prepare": self._own["llapi_prepare"]}):
            if nest.network_size > 0:
                clear_buffers()
        return self._own["llapi_simulate"](*arguments)

    def _empty(self) -> None:
        verbosity = nest.verbosity
        with _in_place(vars(nestkernel_api), {"llapi_prepare": self._own["llapi_prepare"]}):
            empty_kernel(self._reset)
        nest.verbosity = verbosity
        self._after_reset()


def _synapses_of(together: Together) -> type[Any]:
    """NEST's class of connections, for those of all ranks: one rank's after the other's."""
    base: Any = nest.SynapseCollection

    class Synapses(base):  # type: ignore[misc]
        def __init__(self, data: Any) -> None:
            super().__init__(data or None)
            own = 0 if not data else len(self._datum)
            sizes = [int(part["size"]) for part in together.each({"size": own})]
            object.__setattr__(self, "_sizes", sizes)
            object.__setattr__(self, "_first", sum(sizes[: together.rank]))

        def __len__(self) -> int:
            return sum(self._sizes)

        def __getitem__(self, key: Any) -> Any:
            places = range(len(self))[key]
            chosen = places if isinstance(key, slice) else [places]
            own = len(self._datum or ())
            here = [place - self._first for place in chosen if 0 <= place - self._first < own]
            return Synapses([self._datum[place] for place in here])

        def __iter__(self) -> Iterator[Any]:
            return (self[place] for place in range(len(self)))

    return Synapses


def _in_disguise(call: Call, original: Call) -> Call:
    """Whoever inspects it shall find what NEST says of its own."""

    @functools.wraps(original)
    def disguised(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return disguised


# --- putting together -----------------------------------------------------------------------------------------


def _merged_status(found: Sequence[Mapping[str, Any]], local: Sequence[tuple[bool, ...]]) -> dict[str, Any]:
    """The status by key; what a rank does not know of nodes that are not its own is not in its map."""
    merged = {}
    for key in sorted({key for status in found for key in status}):
        knowing = [n for n, status in enumerate(found) if key in status]
        rows = [_row(found[n][key], len(local[n])) for n in knowing]
        merged[key] = _merged_rows(key, rows, [local[n] for n in knowing])
    return merged


def _merged(key: str, values: Sequence[Any], local: Sequence[tuple[bool, ...]]) -> Any:
    """The values of one key as NEST gives them: a row with one for each node, or the value itself of a single node."""
    n = len(local[0])
    if n > 1:
        return _merged_rows(key, [_row(value, n) for value in values], local)
    return _of_one(key, list(values), [flags[0] for flags in local])


def _merged_rows(key: str, rows: Sequence[Sequence[Any]], local: Sequence[tuple[bool, ...]]) -> tuple[Any, ...]:
    """One value of each node, from the rank where it lives; of a device, which is on all of them, put together."""
    return tuple(
        _of_one(key, [row[place] for row in rows], [flags[place] for flags in local]) for place in range(len(local[0]))
    )


def _of_one(key: str, values: list[Any], local: list[bool]) -> Any:
    here = [value for value, lives in zip(values, local, strict=True) if lives and value is not None]
    if not here:
        return next((value for value in values if value is not None), None)
    if len(here) == 1:
        return here[0]
    match key:
        case "events":
            return joined_events(here)
        case "n_events":
            return sum(here)
        case "filenames":
            return tuple(name for names in here for name in names)
    return here[0]


def joined_events(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What recorders on several ranks have recorded, in the order of time, then of the senders."""
    whole = {key: np.concatenate([np.asarray(part[key]) for part in parts]) for key in parts[0]}
    keys = [whole[name] for name in ("senders", "times") if name in whole]
    if not keys:
        return whole
    order = np.lexsort(keys)
    return {key: values[order] for key, values in whole.items()}


def _row(value: Any, n: int) -> Sequence[Any]:
    """A value for each of `n` nodes, where NEST gives a single one if all are the same."""
    return value if isinstance(value, (tuple, list)) and len(value) == n else (value,) * n


def _tuple(value: Any) -> tuple[bool, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (bool(value),)
