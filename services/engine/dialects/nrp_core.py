"""Functions of NRP-core in their published form, one in each file: transceiver, preprocessing and status functions.

A function reads the datapacks of its engines as they stood when these ended their last step, runs in the iterations in
which its own engine begins one, and what it returns is given to the engines with their next step. Preprocessing
functions run first, then transceiver functions, each kind in the order of the files, then the status function.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reafference import datapacks
from reafference.declare import Declaration
from reafference.errors import BadExperiment, ScriptError
from reafference.frames import Array, Ports
from services.engine import blame
from services.engine.experiment import Experiment
from services.engine.nrp_core import names
from services.engine.nrp_core.board import Board
from services.engine.nrp_core.call import Call
from services.engine.nrp_core.functions import marks_of
from services.engine.script import Flaw, Source, code_of, importable, remember
from services.engine.stage import Need, Stage

from . import Written

_FIRST = 1_000_000
_LAST = -1_000_000


def load(experiment: Experiment, former: Written | None = None) -> Written:
    """The functions of an experiment. Raises ScriptError."""
    del former
    table = experiment.document.transfer
    assert table is not None
    return NrpCoreFunctions(experiment, frozenset(table.inactive))


class NrpCoreFunctions:
    """The files of one run; see `dialects.Written` and `dialects.Observing`."""

    keeps_flawed = False
    flaws: Mapping[str, Flaw] = {}

    def __init__(self, experiment: Experiment, inactive: frozenset[str]) -> None:
        names.install()
        self._folder = experiment.folder
        self._board = Board({name: experiment.every(name) for name in experiment.document.simulators}, experiment.dt_ns)
        self.file = str(experiment.path)
        self.namespace: dict[str, Any] = {}
        self.sources: dict[str, Source] = {}
        declared = []
        for index, (name, text) in enumerate(experiment.transfer_files()):
            source = Source(text, str(self._folder / name))
            function = _loaded(source, self._run, _name_of(name))
            active = name not in inactive
            declared.append(self._declared(_name_of(name), function, active=active, index=index))
            self.sources[_name_of(name)] = source
        self.declarations: Sequence[Declaration] = tuple(declared)
        _check_one_status(declared)

    # --- loading -------------------------------------------------------------------------------------

    def name_in(self, text: str) -> str:
        """Functions are known by their files here, and keep that name."""
        del text
        return ""

    def define(self, source: Source) -> Declaration:
        """Run another source of a function; it keeps the name of the one before it."""
        function = self._run(source)
        name = source.file.strip("<>") or str(function.__name__)
        known = [one.name for one in self.declarations]
        index = known.index(name) if name in known else len(known)
        return self._declared(name, function, active=True, index=index)

    def _run(self, source: Source) -> Callable[..., Any]:
        """The one function in this source that a decorator has marked. Raises Flaw."""
        remember(source.file, source.text)
        code = code_of(source)
        namespace: dict[str, Any] = {
            "__name__": Path(source.file).stem.strip("<>"),
            "__file__": source.file,
            "print": self._print,
        }
        with importable(self._folder):
            try:
                exec(code, namespace)
            except (Exception, SystemExit) as error:
                known = blame.places(error.__traceback__, source.file)
                raise Flaw("loading", blame.phrase(error), *(known[-1] if known else (0, 0))) from None
        found = {id(one): one for one in namespace.values() if (marks := marks_of(one)) and marks.kind}
        if len(found) != 1:
            what = "none" if not found else str(len(found))
            kinds = "@TransceiverFunction, @PreprocessingFunction or @StatusFunction"
            raise Flaw("loading", f"expected one function with {kinds}, found {what}", 1)
        return next(iter(found.values()))  # type: ignore[no-any-return]

    def _print(self, *values: Any, **more: Any) -> None:
        self.namespace.get("print", print)(*values, **more)

    def _declared(self, name: str, function: Callable[..., Any], *, active: bool, index: int) -> Declaration:
        marks = marks_of(function)
        assert marks is not None
        before = {"preprocessing": _FIRST, "transceiver": 0, "status": _LAST, "": 0}[marks.kind]
        return Declaration(
            name=name,
            function=function,
            reads=(),
            writes=(),
            priority=before - index,
            active=active,
            to_brain=marks.kind == "preprocessing",
        )

    # --- wiring --------------------------------------------------------------------------------------

    def begin(self, stage: Stage) -> None:
        """What engines have registered is known."""
        self._board.begin(stage.values)

    def resolve(self, declaration: Declaration, ports: Mapping[str, Ports]) -> Declaration:
        """With the datapacks it asks for in `reads`, and all engines it may send to in `writes`."""
        function = declaration.function
        marks = marks_of(function)
        assert marks is not None
        if marks.kind != "status":
            self._board.check_engine(marks.engine, f"the function {declaration.name!r} runs with")
        asked = [request.id for request in marks.requests if not request.preprocessed]
        for one in asked:
            self._board.check_engine(one.engine_name, f"the function {declaration.name!r} asks for {one.name!r} of")
            self._board.know(one, ports[one.engine_name])
        sent_to = self._board.engines if marks.kind == "transceiver" else ()
        return Declaration(
            name=declaration.name,
            function=Call(self._board, function, marks, asked).as_function(),
            reads=tuple(f"{one.engine_name}.{datapacks.STREAM}.{one.name}" for one in asked),
            writes=tuple(f"{name}.{datapacks.GIVEN}" for name in sent_to),
            priority=declaration.priority,
            active=declaration.active,
            to_brain=declaration.to_brain,
        )

    # --- for those outside ----------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        return self._board.done

    def first(self) -> list[dict[str, str]]:
        return self._board.first()

    def observed(self, since: int, before: int) -> list[dict[str, Any]]:
        return self._board.observed(since, before)

    def give(self, engines: Mapping[str, Sequence[Mapping[str, str]]], iteration: int) -> dict[str, Array]:
        return self._board.give(engines, iteration)

    # --- what this dialect has no need of --------------------------------------------------------------

    def devices(self) -> Mapping[str, Mapping[str, Any]]:
        return {}

    def dropped(self, declaration: Declaration) -> None:
        """What it has sent last stays with the engines."""

    def needs(self) -> list[Need]:
        return []

    def refused(self, need: Need) -> None:
        """Nothing was needed."""

    def open(self, folder: Path) -> None:
        """Nothing is written there."""

    def close(self) -> None:
        """Nothing is open."""


def _loaded(source: Source, run: Callable[[Source], Callable[..., Any]], name: str) -> Callable[..., Any]:
    """The function in a file. Raises ScriptError where `run` finds a flaw."""
    try:
        return run(source)
    except Flaw as flaw:
        place = f"{source.file}, line {flaw.line}: " if flaw.line else f"{source.file}: "
        line = source.line_text(flaw.line)
        raise ScriptError(
            f"{place}{flaw.text}" + (f"\n    {line}" if line else ""),
            detail={"file": source.file, "line": flaw.line, "function": name},
        ) from None


def _name_of(file: str) -> str:
    """`tf_1` for the file `tf_1.py`."""
    return str(Path(file).with_suffix("")).replace("/", "_")


def _check_one_status(declared: Sequence[Declaration]) -> None:
    several = [one.name for one in declared if (marks := marks_of(one.function)) and marks.kind == "status"]
    if len(several) > 1:
        raise BadExperiment(f"there are {len(several)} status functions, {' and '.join(several)}: there can be one")
