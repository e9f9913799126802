"""Files of published transfer functions that have been run: the dialect of the Neurorobotics Platform 3."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from reafference import declare
from reafference.errors import BadExperiment, ScriptError
from reafference.frames import Ports
from reafference.published import unindented
from services.engine import blame, script
from services.engine.experiment import TransferFiles
from services.engine.script import Flaw, Source
from services.engine.stage import Need, Stage

from . import framework
from .drafts import Draft
from .house import House
from .imports import Imports, NotInstalled
from .parts import DeviceMapping
from .topics import Topics, check

_UNITS = {"nest": 1.0, "pynn": 1000.0}
_PYTHON_2 = (
    ("Missing parentheses in call to 'print'", "write print(...)"),
    ("Missing parentheses in call to 'exec'", "write exec(...)"),
    ("multiple exception types must be parenthesized", "write `except Kind as error:`"),
    ("leading zeros in decimal integer literals", "write 0o before an octal number"),
)


class Published:
    """The functions of a run; see `services.engine.dialects.Written`."""

    keeps_flawed = True

    def __init__(self, folder: Path, table: TransferFiles, former: "Published | None" = None) -> None:
        """`former` are the functions of the run before a reset. Raises BadExperiment for topics that are none."""
        check(table.topics)
        self.file = str(folder / "transfer functions")
        self.namespace: dict[str, Any] = {}
        self.declarations: list[declare.Declaration] = []
        self.flaws: dict[str, Flaw] = {}
        self.sources: dict[str, Source] = {}
        self._folder, self._table = folder, table
        self._house = House(folder, _UNITS[table.weight_unit], table.topics)
        if former is not None:
            self._house.csv.follow(former._house.csv)
        self._drafts: list[Draft] = []
        self._framework = framework.module(self._house, self._drafts)
        self._imports = Imports(self._house, self._framework)
        self._topics: tuple[Mapping[str, Ports], Topics] | None = None

    def load(self, name: str, text: str) -> None:
        """Run a file; a function that cannot be is kept with its flaw. Raises ScriptError where two have one name."""
        # Some editors begin a file with a mark that Python takes for a mistake in a text.
        source = Source(text.removeprefix("\ufeff"), str(self._folder / name))
        active, priority = name not in self._table.inactive, self._table.priorities.get(name, 0)
        own = self.name_in(text) or Path(name).stem
        try:
            declaration = self._defined(source, active=active, priority=priority)
            own = declaration.name
        except Flaw as flaw:
            declaration = None
            self.flaws[own] = flaw
        if own in self.sources:
            known = Path(self.sources[own].file).name
            raise ScriptError(f"{known} and {name} both have a transfer function {own!r}: rename one of them")
        self.sources[own] = source
        if declaration is not None:
            self.declarations.append(declaration)

    def name_in(self, text: str) -> str:
        return script.name_in(text)

    def define(self, source: Source) -> declare.Declaration:
        return self._defined(source, active=True, priority=0)

    def devices(self) -> Mapping[str, Mapping[str, Any]]:
        return self._house.groups.before_building()

    def begin(self, stage: Stage) -> None:
        self._house.stage = stage

    def resolve(self, declaration: declare.Declaration, ports: Mapping[str, Ports]) -> declare.Declaration:
        draft = declaration.function
        if not isinstance(draft, Draft):
            return declaration
        resolved = draft.resolved(declaration, self._house, ports, self._topics_of(ports))
        for group in _groups(draft) & self._house.groups.silent:
            self._switch(group, 1)
        return resolved

    def dropped(self, declaration: declare.Declaration) -> None:
        draft = declaration.function
        if not isinstance(draft, Draft):
            return
        self._house.subscribers.pop(draft.name, None)
        for group in _groups(draft):
            self._switch(group, 0)

    def needs(self) -> list[Need]:
        return self._house.groups.needs()

    def refused(self, need: Need) -> None:
        self._house.groups.forget(need.arguments["group"])

    def open(self, folder: Path) -> None:
        try:
            self._house.csv.open(folder)
        except OSError as error:
            raise BadExperiment(f"the folder {folder / 'csv'} cannot be written: {error.strerror}") from None

    def close(self) -> None:
        self._house.csv.close()

    def _defined(self, source: Source, *, active: bool, priority: int) -> declare.Declaration:
        script.remember(source.file, source.text)
        try:
            code = script.code_of(Source(unindented(source.text), source.file, source.line))
        except Flaw as flaw:
            raise Flaw(flaw.kind, flaw.text + _hint(flaw.text), flaw.line, flaw.column) from None
        self._drafts.clear()
        with declare.collecting() as own:
            try:
                exec(code, self._names(source))
            except Flaw:
                raise
            except (Exception, SystemExit) as error:
                known = blame.places(error.__traceback__, source.file)
                raise Flaw("loading", blame.phrase(error), *(known[-1] if known else (0, 0))) from None
        if len(own) == 1 and not self._drafts:
            return replace(own[0], active=own[0].active and active, priority=own[0].priority or priority)
        if own:
            names = " and ".join(repr(name) for name in (*(d.name for d in own), *(d.name for d in self._drafts)))
            raise Flaw("loading", f"{names} are decorated: a source holds one transfer function", 1)
        return self._only(self._drafts).declaration(active=active, priority=priority)

    def _only(self, drafts: Sequence[Draft]) -> Draft:
        if len(drafts) == 1:
            return drafts[0]
        names = " and ".join(repr(draft.name) for draft in drafts)
        what = f"{names} are decorated" if drafts else "nothing in it is decorated with @nrp.Robot2Neuron or the like"
        raise Flaw("loading", f"{what}: a source holds one transfer function", drafts[1].line if drafts else 1)

    def _names(self, source: Source) -> dict[str, Any]:
        """What a published file finds without importing it."""
        known, get = self._framework.__dict__, self._imports.get
        names = {name: value for name, value in known.items() if not name.startswith("_")}
        modules = ("hbp_nrp_cle", "std_msgs", "geometry_msgs", "sensor_msgs", "gazebo_msgs", "cle_ros_msgs")
        geometry, standard = get("geometry_msgs.msg"), get("std_msgs.msg")
        return names | {
            "__name__": Path(source.file).stem.strip("<>"),
            "__file__": source.file,
            "__builtins__": self._imports.builtins | {"print": self._print},
            "nrp": self._framework,
            "transfer": declare.transfer,
            "clientLogger": get("hbp_nrp_excontrol.logs").clientLogger,
            **{name: get(name) for name in modules},
            **{name: getattr(geometry, name) for name in ("Point", "Pose", "Quaternion")},
            **{name: getattr(standard, name) for name in ("Float32", "Int32", "String")},
            "CvBridge": get("cv_bridge").CvBridge,
            "np": np,
            "cv2": _cv2(),
            # Names of Python 2 whose meaning is the same.
            "xrange": range,
            "unicode": str,
            "basestring": str,
            "long": int,
            "unichr": chr,
            "raw_input": _no_input,
        }

    def _print(
        self, *values: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, **more: Any
    ) -> None:
        """What a function prints is told like what it logs."""
        if file is not None or self._house.log is None:
            print(*values, sep=sep, end=end, file=file, **more)
            return
        text = (" " if sep is None else sep).join(map(str, values))
        if text.strip():
            self._house.log.info(text)

    def _topics_of(self, ports: Mapping[str, Ports]) -> Topics:
        if self._topics is None or self._topics[0] is not ports:
            self._topics = (ports, Topics(self._table.topics, ports))
        return self._topics[1]

    def _switch(self, group: str, on: int) -> None:
        """Let devices act, or fall silent; what they were given stays."""
        silent, stage = self._house.groups.silent, self._house.stage
        (silent.discard if on else silent.add)(group)
        inputs = stage.inputs.get("brain", {}) if stage is not None else {}
        if f"{group}_on" in inputs:
            inputs[f"{group}_on"] = np.full_like(inputs[f"{group}_on"], on)


def _groups(draft: Draft) -> set[str]:
    return {mapping.device.group for mapping in draft.mappings if isinstance(mapping, DeviceMapping)}


def _hint(text: str) -> str:
    hint = next((hint for begins, hint in _PYTHON_2 if begins in text), "")
    return f"; this is Python 2: {hint}" if hint else ""


def _cv2() -> Any:
    try:
        return import_module("cv2")
    except ImportError:
        return NotInstalled("cv2", "opencv-python-headless")


def _no_input(*_: Any) -> None:
    raise RuntimeError("a transfer function cannot ask: nobody sits before it")
