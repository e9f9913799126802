"""Runs a user's brain script: a Python file whose `build(**parameters)` makes the network.

    import nest

    def build(cells=100):
        neurons = nest.Create("iaf_cond_alpha", cells)
        return {"all": neurons, "control": neurons[:10]}

Published scripts have no such function: they build while they are read, and each name at their top that holds nodes
(of NEST, or a population of PyNN) is a population.

    circuit = nest.Create("iaf_cond_alpha", 8)

The map of `build` may have one more entry, `positions`: by population, where its neurons are in mm, as (n, 2) or (n, 3)
numbers, for those who draw the brain. Neurons that NEST itself has placed in space need none.

An error in it becomes a ScriptError that names the user's file and line.
"""

import importlib
import inspect
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

from reafference.errors import ReafferenceError, ScriptError
from reafference.plain import nearest
from services.brain import pynn
from services.brain.kernel import KernelSetup, nest
from services.brain.network import Network, NotPopulations, holds_nodes, is_of_pynn, populations_of
from services.brain.selection import Population
from services.brain.settings import bad

_MODULE = "brain_script"
_TAKEN_FOR_GRANTED = {"nest": nest, "xrange": range, "unicode": str, "long": int, "basestring": str}
"""Names that published scripts use without importing them, or that Python 3 has another word for."""
_PYTHON_2_SYNTAX = ("Missing parentheses in call to", "multiple exception types must be parenthesized", "leading zeros")


@dataclass(frozen=True, slots=True)
class Script:
    """A script as the experiment names it; `text` is what runs, whatever lies on the disk by now."""

    name: str
    text: str
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / self.name

    def build(
        self,
        parameters: Mapping[str, Any],
        setup: KernelSetup,
        *,
        limit: str = "all there is",
        selections: Collection[str] = (),
    ) -> tuple[Network, dict[str, Population]]:
        """The network the script makes, and its populations. `limit` says how much memory it may take, `selections`
        are names that the experiment gives: what a script without `build` calls so is none of its populations.

        `nest.ResetKernel()` is tolerated: the set-up is applied again at once. Raises ScriptError for an
        error in the script or a result that is not populations, BadExperiment for a parameter it does
        not take, or when it changes threads, resolution or seed, or simulates.
        """
        module = ModuleType(_MODULE)
        module.__file__ = str(self.path)
        with (
            _modules_beside(self.path.parent),
            setup.survives_reset(),
            pynn.for_script(self.name, module, setup),
            self._errors(limit),
        ):
            result = self._run(module, parameters, selections)
        setup.verify(self.name)
        return self._network(result)

    def _run(self, module: ModuleType, parameters: Mapping[str, Any], selections: Collection[str]) -> Any:
        """What `build` returns, or the nodes that the script has named while it was read."""
        # A module of its own, because dataclasses and pickles look their module up.
        sys.modules[_MODULE] = module
        code = compile(self.text, str(self.path), "exec")
        vars(module).update({} if "build" in code.co_names else _TAKEN_FOR_GRANTED)
        exec(code, vars(module))
        build = getattr(module, "build", None)
        if callable(build):
            self._check(parameters, inspect.signature(build))
            return build(**parameters)
        for name in parameters:
            raise bad(f"brain.parameters.{name}", f"{self.name} has no function build() that could take it")
        return {name: held for name, held in self._named_nodes(vars(module)).items() if name not in selections}

    def _named_nodes(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """The populations that a script without `build` has named; devices of NEST are none."""
        devices = {id for kind in ("stimulator", "recorder") for id in nest.GetNodes({"element_type": kind}).tolist()}
        names = {**names, **_in_map(names.get("circuit")), **_in_map(names.get("populations"))}
        nodes = {name: held for name, held in names.items() if not name.startswith("_") and holds_nodes(held)}
        found = {name: held for name, held in nodes.items() if _first(held) not in devices}
        if not found:
            self._refuse(
                "defines no function build(), and names no neurons at its top: either build() makes the network and "
                'returns its populations, or the script says circuit = nest.Create("iaf_cond_alpha", 8)'
            )
        return found

    def _check(self, parameters: Mapping[str, Any], signature: inspect.Signature) -> None:
        takes = signature.parameters.values()
        known = [p.name for p in takes if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        if not any(p.kind == p.VAR_KEYWORD for p in takes):
            for name in parameters:
                if name not in known:
                    hint = nearest(name, known) or f" (it takes {', '.join(known) or 'none'})"
                    raise bad(f"brain.parameters.{name}", f"build() of {self.name} has no such parameter{hint}")
        for p in takes:
            if p.kind == p.POSITIONAL_ONLY:
                self._refuse(f"takes {p.name!r} by position only: build() is called with keyword arguments")
            if p.name in known and p.default is p.empty and p.name not in parameters:
                raise bad(f"brain.parameters.{p.name}", f"missing: build() of {self.name} has no default for it")

    def _network(self, result: Any) -> tuple[Network, dict[str, Population]]:
        if not isinstance(result, Network):
            if not isinstance(result, Mapping):
                kind = "nothing" if result is None else f"a {type(result).__name__}"
                self._refuse(f"returns {kind} from build(): return a map from population names to nodes")
            places = result.get("positions")
            if isinstance(places, Mapping):
                populations = {name: nodes for name, nodes in result.items() if name != "positions"}
                result = Network(populations=populations, positions={k: _in_space(v) for k, v in places.items()})
            else:
                result = Network(populations=result)
        try:
            return result, populations_of(result)
        except NotPopulations as error:
            self._refuse(f"returns populations that cannot be read: {error}")

    def _refuse(self, text: str) -> NoReturn:
        raise ScriptError(f"{self.name} {text}", detail={"file": self.name, "message": text})

    @contextmanager
    def _errors(self, limit: str) -> Iterator[None]:
        try:
            yield
        except SyntaxError as error:
            raise _syntax_error(self._shown(error.filename or ""), error) from error
        except ReafferenceError:
            raise
        except (Exception, SystemExit) as error:
            place = self._place(error)
            if place is None:
                raise
            raise self._error(error, place, limit) from error

    def _place(self, error: BaseException) -> traceback.FrameSummary | None:
        """The innermost frame that lies in the user's folder."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if self._is_own(Path(f.filename))]
        return own[-1] if own else None

    def _is_own(self, path: Path) -> bool:
        # An environment may lie in the user's folder; what is installed there is not the user's.
        return path == self.path or (self.folder in path.parents and "site-packages" not in path.parts)

    def _error(self, error: BaseException, place: traceback.FrameSummary, limit: str) -> ScriptError:
        name, line = self._shown(place.filename), place.lineno or 0
        line_text = self._line(line) if name == self.name else place.line or ""
        message = f"{type(error).__name__}: {error}"
        if isinstance(error, MemoryError) or "bad_alloc" in str(error):
            message = f"out of memory: the limit for this process is {limit} (brain.memory_limit_gb sets another)"
        detail = {
            "file": name,
            "line": line,
            "column": (place.colno or 0) + 1,
            "line_text": line_text,
            "function": place.name,
            "message": message,
        }
        return ScriptError(f"{name}, line {line}: {message} in `{line_text.strip()}`", detail=detail)

    def _line(self, number: int) -> str:
        lines = self.text.splitlines()
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def _shown(self, filename: str) -> str:
        path = Path(filename)
        return str(path.relative_to(self.folder)) if self.folder in path.parents else filename


def check_syntax(name: str, text: str) -> None:
    """Raises ScriptError where `text` is not Python; it is not run."""
    try:
        compile(text, name, "exec")
    except SyntaxError as error:
        raise _syntax_error(name, error) from error
    except ValueError as error:  # a null byte
        raise ScriptError(f"{name} is no text: {error}", detail={"file": name, "message": str(error)}) from error


def _syntax_error(name: str, error: SyntaxError) -> ScriptError:
    line_text = (error.text or "").rstrip("\n")
    message = f"{type(error).__name__}: {error.msg}"
    if (error.msg or "").startswith(_PYTHON_2_SYNTAX):
        message += " (this is Python 2: change the line to Python 3)"
    detail = {
        "file": name,
        "line": error.lineno or 0,
        "column": error.offset or 0,
        "line_text": line_text,
        "message": message,
    }
    return ScriptError(f"{name}, line {error.lineno}: {message} in `{line_text.strip()}`", detail=detail)


def _in_map(held: Any) -> dict[str, Any]:
    """What a script has put into a map, by the labels that PyNN knows, else by its keys."""
    if not isinstance(held, Mapping):
        return {}
    return {str((is_of_pynn(nodes) and nodes.label) or key): nodes for key, nodes in held.items()}


def _first(nodes: Any) -> int:
    """The id of the first of some nodes, of NEST or of PyNN."""
    return int(nodes[0].global_id if isinstance(nodes, nest.NodeCollection) else nodes.all_cells[0])


def _in_space(places: Any) -> Any:
    """Places in a plane are those at height 0; whether they make sense is asked later."""
    array = np.asarray(places)
    flat = array.ndim == 2 and array.shape[1] == 2
    return np.column_stack([array, np.zeros(len(array))]) if flat else places


@contextmanager
def _modules_beside(folder: Path) -> Iterator[None]:
    """Modules beside the script can be imported, and are read anew the next time."""
    before, writes_none = set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    # Compiled files are told apart by the second and the size, which is too coarse for someone who edits.
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_none
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and folder in Path(file).parents:
                del sys.modules[name]
