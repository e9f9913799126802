"""experiment.toml → Experiment: read once, checked, then a value.

Every complaint names the file, the key and what was expected there.
"""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from reafference import plain
from reafference.clock import NS_PER_S, ns_from_ms, steps_per
from reafference.errors import BadExperiment
from reafference.topics import is_name

from .limit import ENDLESS, Limit
from .nrp_core import configuration

PARTICIPANTS = ("brain", "body")
ENGINE = "engine"
FILE = "experiment.toml"
RESERVED = (*PARTICIPANTS, ENGINE, "recorder", "gateway", "launcher", "server", "console", "run")
"""Names that no simulator of [simulators] may have."""
KINDS: Mapping[str, str] = {
    "python_json": "services.engine.nrp_core",
    "python_grpc": "services.engine.nrp_core",
    "nest_json": "services.brain.nrp_core",
    "nest_server": "services.brain.nrp_core",
}
"""What the simulators of [simulators] can be, and the module that each kind runs in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class General:
    """The table [experiment].

    `step_ms` is the CLE step. The run is finished after so many `steps`, or when it has been running for `real_limit_s`
    of wall time (0 for no such limit; where there is one, `steps` may be 0 for no limit of its own). `on_error` says
    what a failing transfer function means: "continue" switches it off, "halt" ends the run. `pace` is 0 for as fast as
    possible, 1 for real time, 0.5 for half of it.
    """

    name: str
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    steps: int
    step_ms: float = 20.0
    seed: int = 1
    on_error: Literal["continue", "halt"] = "continue"
    pace: float = 0.0
    real_limit_s: float = 0.0
    transfer_timeout_s: float = 5.0
    step_timeout_s: float = 120.0
    prepare_timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise plain.Misfit("name", "a name of letters, digits, '_', '-' and '.'", f"the text {self.name!r}")
        _at_least("real_limit_s", self.real_limit_s, 0)
        _less_than("real_limit_s", self.real_limit_s, 1e9)
        _at_least("steps", self.steps, 0 if self.real_limit_s else 1)
        _less_than("steps", self.steps, ENDLESS)
        if not 0 <= self.seed < 2**63:
            raise plain.Misfit("seed", "a whole number from 0 to 2^63 - 1", str(self.seed))
        _at_least("pace", self.pace, 0)
        for key in ("transfer_timeout_s", "step_timeout_s", "prepare_timeout_s"):
            _more_than(key, getattr(self, key), 0)
        _more_than("step_ms", self.step_ms, 0)
        _nanoseconds("step_ms", self.step_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The table [record]. `window_steps` is how far the run may be ahead of what is safely written.

    `figures` are drawn into the run folder at the end. Rates and spectra leave out what comes before `settled_s`;
    `spectra` names groups of recorded populations, wildcards allowed, whose common rate is looked at for rhythms.
    """

    enabled: bool = True
    window_steps: int = 64
    figures: tuple[Literal["overview", "resting_state"], ...] = ("overview",)
    settled_s: float = 0.0
    spectra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _at_least("window_steps", self.window_steps, 1)
        _at_least("settled_s", self.settled_s, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferFiles:
    """The table [transfer].

    Our own dialect has one `file`. Those of other platforms have `files`, with one function in each: `inactive` are
    those that begin switched off, `priorities` those that run before or after others. `weight_unit` is that of weights
    and currents in the files: "nest" for nS and pA, "pynn" for uS and nA. `topics` are ROS topics beside those of the
    body, or other ones, by a name of one's own.
    """

    dialect: Literal["reafference", "nrp", "nrp_core"] = "reafference"
    file: str = "transfer.py"
    files: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    priorities: Mapping[str, int] = field(default_factory=dict)
    weight_unit: Literal["nest", "pynn"] = "nest"
    topics: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        own = self.dialect == "reafference"
        if own and self.files:
            raise plain.Misfit("files", f"none, since the dialect {self.dialect!r} has one file", "some")
        if not own and self.file != "transfer.py":
            raise plain.Misfit("file", f"none, since the dialect {self.dialect!r} has files", repr(self.file))
        for key in ("inactive", "priorities"):
            for name in getattr(self, key):
                if name not in self.files:
                    hint = plain.nearest(name, self.files)
                    raise plain.Misfit(key, "names of files that stand in transfer.files", repr(name), hint)
        for name in self.files:
            if self.files.count(name) > 1:
                raise plain.Misfit("files", "each file once", f"{name!r} twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One entry of [measures]: a number taken from the run.

    `reads` is an address as in a transfer function. `at_s` takes the value at that simulated time, else `over`
    reduces the values at the end of all steps. The result is `scale` times that.
    """

    reads: str
    at_s: float | None = None
    over: Literal["last", "mean", "min", "max", "range"] = "last"
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One entry of [[schedule]]: an edit that the engine makes itself, before the step that begins at `at_s`.

    `to` is the participant or the engine, `what` and `arguments` are its own, `timeout_s` is how long it may take (0:
    the usual).
    """

    at_s: float
    to: str
    what: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 0.0

    def __post_init__(self) -> None:
        _at_least("at_s", self.at_s, 0)
        _at_least("timeout_s", self.timeout_s, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The whole file. The tables [brain], [body] and [simulators.NAME] belong to those who build them; each may name a
    `step_ms` of its own, a multiple of the CLE step."""

    experiment: General
    parameters: Mapping[str, Any] = field(default_factory=dict)
    brain: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    simulators: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    transfer: TransferFiles | None = None
    measures: Mapping[str, Measure] = field(default_factory=dict)
    schedule: tuple[Planned, ...] = ()
    record: Record = field(default_factory=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mpi:
    """How mpiexec starts the brain: `[brain.mpi]`.

    `hostfile` is that of Open MPI, relative to where the run is started; `arguments` go to mpiexec as they are.
    """

    hostfile: str = ""
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment as it will run: its document after overrides, and the text of every file it names."""

    path: Path
    folder: Path
    document: Document
    settings: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def general(self) -> General:
        return self.document.experiment

    @property
    def dt_ns(self) -> int:
        return ns_from_ms(self.general.step_ms)

    @property
    def participants(self) -> dict[str, Mapping[str, Any]]:
        """The settings of each simulator, by name."""
        return _tables_of(self.document)

    @property
    def threads(self) -> int:
        """Threads the brain asks for."""
        return int((self.document.brain or {}).get("threads", 1))

    @property
    def ranks(self) -> int:
        """Processes the brain is spread over."""
        return int((self.document.brain or {}).get("ranks", 1))

    @property
    def mpi(self) -> Mpi:
        """How the brain's processes are started, where there are several."""
        return plain.load(Mpi, (self.document.brain or {}).get("mpi", {}))

    @property
    def limit(self) -> Limit:
        """When the run is finished."""
        return Limit(self.dt_ns, self.general.steps, int(self.general.real_limit_s * NS_PER_S))

    def every(self, participant: str) -> int:
        """How many CLE steps make one step of this participant."""
        step_ms = self.participants[participant].get("step_ms", self.general.step_ms)
        return steps_per(ns_from_ms(step_ms), self.dt_ns)

    def border(self, planned: Planned) -> int:
        """The step before which a planned edit is made."""
        return _steps_at(planned.at_s, self.dt_ns) if planned.at_s else 0

    def never_made(self) -> list[str]:
        """What there is to say of planned edits for which the run is too short."""
        if not self.general.steps:
            return []
        end_s = self.general.steps * self.dt_ns / 1e9
        return [
            f"the edit {planned.what!r} is scheduled for {planned.at_s:g} s, but the run ends at {end_s:g} s"
            for planned in self.document.schedule
            if self.border(planned) >= self.general.steps
        ]

    def never_run(self) -> list[str]:
        """What there is to say of files of the experiment that a run takes no notice of."""
        machines = sorted(self.folder.glob("state_machines/*.py"))
        names = ", ".join(path.relative_to(self.folder).as_posix() for path in machines)
        return [f"state machines are kept and can be edited, but they are not run: {names}"] if machines else []

    def transfer_file(self) -> tuple[str, str] | None:
        """Name and text of the file of transfer functions, if there is one."""
        return next(iter(self.transfer_files()), None)

    def transfer_files(self) -> list[tuple[str, str]]:
        """Names and texts of all files of transfer functions, in the order of the experiment file."""
        table = self.document.transfer
        return [] if table is None else [(name, self.files[name]) for name in _files_of(table)]


def load(where: Path, overrides: Sequence[tuple[str, Any]] = ()) -> Experiment:
    """The experiment in the folder (or file) `where`, with `overrides` as (key, value) put over it.

    Raises BadExperiment; nothing is written anywhere.
    """
    path = where / FILE if where.is_dir() else where
    text = _text_of(path)
    if path.suffix == ".json":
        settings, overrides = configuration.settings_of(path, text, overrides)
    else:
        settings = _parsed(path, text)
    for key, value in overrides:
        _override(settings, key, value, path)
    try:
        document = plain.load(Document, settings)
    except plain.Misfit as misfit:
        raise _complaint(path, misfit) from None
    experiment = Experiment(
        path=path,
        folder=path.parent.resolve(),
        document=document,
        settings=settings,
        files={path.name if path.suffix == ".json" else FILE: text} | dict(_named_files(path, document)),
    )
    _check_participants(experiment)
    _check_measures(experiment)
    _check_schedule(experiment)
    return experiment


def parse_override(text: str) -> tuple[str, Any]:
    """`key=value` from a command line; the value is read as TOML, or as plain text if that fails.

    Raises BadExperiment when there is no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadExperiment(f"--set {text!r}: write it as key=value, for instance --set drive_hz=0")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        hint = _nearby(path)
        raise BadExperiment(f"{path}: there is no such file{hint}", detail={"file": str(path)}) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadExperiment(f"{path}: cannot be read ({error})", detail={"file": str(path)}) from None


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        detail = {"file": str(path)} | ({"line": int(place[1])} if place else {})
        raise BadExperiment(f"{path}: this is not TOML: {error}", detail=detail) from None


def _nearby(path: Path) -> str:
    """Other experiments beside a path that leads nowhere."""
    home = path.parent.parent if path.name == FILE else path.parent
    if not home.is_dir():
        return ""
    if path.name == FILE and any(path.parent.glob("*.exc")):
        return f", but an experiment in the published form: `reaf import {path.parent}` makes it run"
    known = [entry.name for entry in home.iterdir() if (entry / FILE).is_file()]
    return plain.nearest(path.parent.name if path.name == FILE else path.name, known)


def _override(settings: dict[str, Any], key: str, value: Any, path: Path) -> None:
    places = [key] if "." in key or key in settings else list(_places_of(settings, key))
    if len(places) != 1:
        known = [place.rsplit(".", 1)[-1] for place in _all_keys(settings)]
        found = f"it could be {' or '.join(places)}" if places else "there is no such key"
        hint = "" if places else plain.nearest(key, known)
        raise BadExperiment(
            f"{path}: --set {key}: {found}{hint}; name a key of the file with its table, "
            "for instance parameters.drive_hz"
        )
    *tables, last = places[0].split(".")
    table: Any = settings
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise BadExperiment(f"{path}: --set {key}: {name} is not a table")
    if tables == ["parameters"] and last not in table:
        hint = plain.nearest(last, table)
        raise BadExperiment(f"{path}: --set {key}: [parameters] has no key {last!r}{hint}")
    table[last] = value


_OPEN_TABLES = (
    "parameters",
    "brain.parameters",
    "body.parameters",
    "experiment",
    "brain",
    "body",
    "record",
)

_OPTIONAL_KEYS = {"experiment": General.__slots__, "record": Record.__slots__, "brain": ("threads", "ranks")}


def _places_of(settings: Mapping[str, Any], key: str) -> Iterator[str]:
    """Where a key without a table may stand: the parameters first, then the general tables."""
    for name in _OPEN_TABLES:
        table: Any = settings
        for part in name.split("."):
            table = table.get(part, {}) if isinstance(table, Mapping) else {}
        # A brain is not made by asking for threads.
        optional = _OPTIONAL_KEYS.get(name, ()) if name in settings or name != "brain" else ()
        if isinstance(table, Mapping) and (key in table or key in optional):
            yield f"{name}.{key}"


def _all_keys(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in settings.items():
        yield prefix + key
        if isinstance(value, Mapping):
            yield from _all_keys(value, f"{prefix}{key}.")


_FILE_KEYS = {"brain": ("script",), "body": ("file", "environment")}


def _named_files(path: Path, document: Document) -> Iterator[tuple[str, str]]:
    """The text of each script, and of each description of a robot or its surroundings, that the document names."""
    wanted: list[tuple[str, Any]] = []
    if document.transfer is not None:
        key = "transfer.files" if document.transfer.files else "transfer.file"
        wanted += [(key, name) for name in _files_of(document.transfer)]
    for name in PARTICIPANTS:
        table = getattr(document, name) or {}
        wanted += [(f"{name}.{key}", table[key]) for key in _FILE_KEYS[name] if key in table]
    wanted += [(f"simulators.{name}.script", table.get("script")) for name, table in document.simulators.items()]
    for key, name in wanted:
        if not isinstance(name, str):
            raise _complaint(path, plain.Misfit(key, "a file name", plain.describe(name)))
        file = path.parent / name
        try:
            yield name, file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            misfit = plain.Misfit(key, "a file that can be read", f"{name!r}: {reason}")
            raise _complaint(path, misfit) from None


def _tables_of(document: Document) -> dict[str, Mapping[str, Any]]:
    """The table of each simulator, by its name as a participant."""
    named = {name: getattr(document, name) for name in PARTICIPANTS}
    return {**{name: table for name, table in named.items() if table is not None}, **document.simulators}


def _files_of(table: TransferFiles) -> tuple[str, ...]:
    return (table.file,) if table.dialect == "reafference" else table.files


def _check_measures(experiment: Experiment) -> None:
    """A time at which no step ends would silently measure nothing."""
    for name, measure in experiment.document.measures.items():
        if measure.at_s is None:
            continue
        try:
            _steps_at(measure.at_s, experiment.dt_ns)
        except (ValueError, ArithmeticError):
            expected = f"the end of a step: a multiple of {experiment.general.step_ms / 1000:g} s"
            misfit = plain.Misfit(f"measures.{name}.at_s", expected, plain.describe(measure.at_s))
            raise _complaint(experiment.path, misfit) from None


def _steps_at(at_s: float, dt_ns: int) -> int:
    """How many CLE steps end at this time. Raises ValueError or ArithmeticError where none does."""
    return steps_per(ns_from_ms(Decimal(str(at_s)) * 1000), dt_ns)


def _check_schedule(experiment: Experiment) -> None:
    """An edit is made between two steps of its participant, so there must be such a place at that time."""
    for number, planned in enumerate(experiment.document.schedule):
        key = f"schedule[{number}]"
        if planned.to not in (*experiment.participants, ENGINE):
            expected, found = " or ".join(map(repr, (*experiment.participants, ENGINE))), plain.describe(planned.to)
            raise _complaint(experiment.path, plain.Misfit(f"{key}.to", expected, found))
        step_ns = experiment.dt_ns * (1 if planned.to == ENGINE else experiment.every(planned.to))
        try:
            if planned.at_s:
                _steps_at(planned.at_s, step_ns)
        except (ValueError, ArithmeticError):
            expected = f"the beginning of a step of the {planned.to}: a multiple of {step_ns / 1e9:g} s"
            misfit = plain.Misfit(f"{key}.at_s", expected, plain.describe(planned.at_s))
            raise _complaint(experiment.path, misfit) from None


def _check_participants(experiment: Experiment) -> None:
    if not experiment.participants:
        raise _complaint(experiment.path, plain.Misfit("brain", "a table [brain] or [body]", "neither of them"))
    for name, table in experiment.document.simulators.items():
        _check_simulator(experiment.path, name, table)
    for name, table in experiment.participants.items():
        try:
            experiment.every(name)
        except (ValueError, TypeError, ArithmeticError):
            expected = f"a multiple of the CLE step of {experiment.general.step_ms:g} ms"
            misfit = plain.Misfit(f"{name}.step_ms", expected, plain.describe(table["step_ms"]))
            raise _complaint(experiment.path, misfit) from None
    for key in ("threads", "ranks"):
        number = (experiment.document.brain or {}).get(key, 1)
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            misfit = plain.Misfit(f"brain.{key}", "a whole number, 1 or more", plain.describe(number))
            raise _complaint(experiment.path, misfit)
    try:
        _ = experiment.mpi
    except plain.Misfit as misfit:
        misfit.key = f"brain.mpi.{misfit.key}" if misfit.key else "brain.mpi"
        raise _complaint(experiment.path, misfit) from None


def _check_simulator(path: Path, name: str, table: Mapping[str, Any]) -> None:
    if not is_name(name) or "." in name or name in RESERVED:
        expected = f"a name of letters, digits, '_' and '-', and none of {', '.join(RESERVED)}"
        raise _complaint(path, plain.Misfit(f"simulators.{name}", expected, repr(name)))
    if table.get("kind") not in KINDS:
        found = plain.describe(table["kind"]) if "kind" in table else "nothing"
        raise _complaint(path, plain.Misfit(f"simulators.{name}.kind", " or ".join(map(repr, KINDS)), found))


def _complaint(path: Path, misfit: plain.Misfit) -> BadExperiment:
    return BadExperiment(f"{path}: {misfit}", detail={"file": str(path), "key": misfit.key})


def _at_least(key: str, value: float, least: float) -> None:
    if not value >= least:
        raise plain.Misfit(key, f"{least:g} or more", f"{value:g}")


def _less_than(key: str, value: float, most: float) -> None:
    if not value < most:
        raise plain.Misfit(key, f"less than {most:g}", f"{value:g}")


def _more_than(key: str, value: float, least: float) -> None:
    if not least < value < math.inf:
        raise plain.Misfit(key, f"a finite number of more than {least:g}", f"{value:g}")


def _nanoseconds(key: str, milliseconds: float) -> None:
    try:
        ns_from_ms(milliseconds)
    except (ValueError, ArithmeticError):
        raise plain.Misfit(key, "a whole number of nanoseconds", f"{milliseconds} ms") from None
