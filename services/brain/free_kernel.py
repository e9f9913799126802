"""A kernel that belongs to its callers: they build, connect and simulate, and no closed loop uses it.

It is the brain of an experiment that says `model = "free"`. It makes no steps; all that happens are the edits
`nest_call`, `nest_names` and `nest_exec`.
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from reafference.errors import BadExperiment
from reafference.plain import Misfit, describe, load
from services.brain import calls
from services.brain.caller_scripts import Scripts, modules_of
from services.brain.kernel import empty_kernel, leave_context, nest
from services.brain.one_kernel import seen_as_one
from services.brain.settings import bad, misfit_in
from services.brain.together import Together

MODEL = "free"
MOST_SYNAPSES = 5_000_000
"""Where a process has more, a simulation is not asked for all of them at once: it would stand still meanwhile."""

KNOWN = ("nest_call", "nest_names", "nest_exec")
"""The edits that bring a call of NEST's own interface."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameters:
    """What stands in [brain.parameters]: which scripts are run, and what they find imported."""

    exec: bool = False
    restricted: bool = True
    modules: str = "import nest"


class FreeKernel:
    """An empty kernel with a number of threads, on all ranks."""

    def __init__(self, parameters: Mapping[str, Any], *, threads: int, together: Together) -> None:
        """Raises BadExperiment for a parameter it does not have."""
        try:
            given = load(_Parameters, parameters)
            self._scripts = Scripts(given.restricted, modules_of(given.modules))
        except Misfit as misfit:
            raise misfit_in(misfit, "parameters") from None
        except (ValueError, ImportError, AttributeError) as error:
            raise bad("brain.parameters.modules", str(error)) from None
        self._exec, self._threads, self._together = given.exec, threads, together
        leave_context()
        empty_kernel(nest.ResetKernel)
        self._set_up()
        # As it is where NEST was just imported.
        nest.verbosity = nest.VerbosityLevel(10)

    def edit(self, what: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """One of KNOWN. Raises BadExperiment with a `detail` for the caller, and for another edit."""
        with self._together.stage():
            if what not in KNOWN:
                raise BadExperiment(f"the kernel belongs to its callers and has no edit {what!r}, only {KNOWN}")
            with self._as_one():
                return answer(self._answer(what, arguments))

    def _answer(self, what: str, arguments: Mapping[str, Any]) -> Any:
        match what:
            case "nest_names":
                return calls.names()
            case "nest_call":
                return called(arguments)
        if not self._exec:
            raise BadExperiment("scripts are not run here", detail={"message": "scripts are not run here"})
        return self._scripts.run(_text(arguments, "source"), _given(arguments, "kwargs", {}))

    @contextmanager
    def _as_one(self) -> Iterator[None]:
        if self._together.size > 1:
            with seen_as_one(self._together, self._set_up):
                yield
            return
        namespace: dict[str, Any] = vars(nest)
        original = namespace["ResetKernel"]
        namespace["ResetKernel"] = self._resetting(original)
        try:
            yield
        finally:
            namespace["ResetKernel"] = original

    def _resetting(self, original: Callable[[], None]) -> Callable[[], None]:
        @functools.wraps(original)
        def reset() -> None:
            original()
            self._set_up()

        return reset

    def _set_up(self) -> None:
        if self._threads > 1:
            nest.local_num_threads = self._threads


def looked_at(what: str, arguments: Mapping[str, Any], together: Together) -> dict[str, Any]:
    """The same edits of a kernel that a closed loop owns: they may look. Raises BadExperiment."""
    with together.stage():
        if what == "nest_exec":
            raise calls.looking_only("a script")
        if what == "nest_names":
            return answer(calls.names())
        name, kwargs = _text(arguments, "name"), _given(arguments, "kwargs", {})
        calls.check_reading(name, kwargs)
        if name == "GetConnections" and nest.num_connections > MOST_SYNAPSES and not _given(arguments, "args", []):
            calls.check_ends(kwargs)
        if together.size == 1:
            return answer(called(arguments))
        with seen_as_one(together, _never_reset):
            return answer(called(arguments))


def called(arguments: Mapping[str, Any]) -> Any:
    """`name`, and as JSON `args` and `kwargs`."""
    return calls.call(_text(arguments, "name"), _given(arguments, "args", []), dict(_given(arguments, "kwargs", {})))


def answer(value: Any) -> dict[str, Any]:
    """The result of such an edit: `json`, uint8, the value as JSON text (with Python's words for infinity)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return {"json": np.frombuffer(text.encode(), np.uint8)}


def _given(arguments: Mapping[str, Any], key: str, otherwise: Any) -> Any:
    if key not in arguments:
        return otherwise
    try:
        found = json.loads(_text(arguments, key))
    except ValueError as error:
        raise BadExperiment(f"{key}: expected JSON ({error})") from None
    if not isinstance(found, type(otherwise)):
        raise BadExperiment(f"{key}: expected {describe(otherwise)}, found {describe(found)}")
    return found


def _text(arguments: Mapping[str, Any], key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str):
        raise BadExperiment(f"{key}: expected text, found {describe(value)}")
    return value


def _never_reset() -> None:
    """Nobody who only looks empties the kernel."""
