"""A published experiment as one of ours: the text of `experiment.toml`, and further files that go beside it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..client import tomltext
from ..errors import BadExperiment
from . import bibi, brain_script, exd, robots
from .bibi import BrainModel, Coupling, TransferFunction
from .exd import ExperimentConfiguration
from .files import Files
from .populations import CIRCUIT
from .python_text import unindented

FILE = "experiment.toml"
MOST_STEPS = 2**40 - 1
USUAL_STEP_MS = 20.0
"""The step of the published platform where nobody says another."""
_CONFIGURATION = "experiment_configuration.exc"
_VEHICLE = '''\
"""The eight neurons of the published vehicle, from the model that is shipped."""

from services.brain.models import braitenberg

circuit = braitenberg.build({}, seed=1, resolution_ms=0.1, report=lambda *_, **__: None).populations["neurons"]
'''
_IDLE = '''\
"""A brain that does nothing, for experiments that need none."""

import nest

circuit = nest.Create("parrot_neuron", 1)
'''
_SHIPPED_BRAINS = {
    "braitenberg.py": ("the shipped model of the same vehicle", _VEHICLE, True),
    "braitenberg_directnest.py": ("the shipped model of the same vehicle", _VEHICLE, False),
    "idle_brain.py": ("a brain of one silent neuron", _IDLE, True),
}
"""Scripts of the published library by file name: what stands for them, its script, whether the original was PyNN."""
_OTHER_SIMULATORS = re.compile(r"nengo|spinnaker|music", re.IGNORECASE)
_MARK = "# - "


@dataclass(frozen=True, slots=True)
class TakenOver:
    """`files` are to be written beside the published ones, by path; `remarks` say what is other than it was there."""

    name: str
    files: Mapping[str, bytes]
    remarks: tuple[str, ...]


def is_published(folder: Path) -> bool:
    """Whether a folder holds an experiment in the published form, and none in ours."""
    return not (folder / FILE).is_file() and bool(Files(folder).named(".exc") or Files(folder).named(".bibi"))


def take_over(folder: Path) -> TakenOver:
    """Read the published experiment in a folder; nothing is written.

    Raises BadExperiment with file and line for what cannot be understood, or is missing.
    """
    files = Files(folder)
    name = _configuration(files)
    configuration = exd.read(files.read(name), name)
    coupled = files.find(configuration.bibi, name)
    if coupled is None:
        configuration.bibi_place.refuse(f"the file {configuration.bibi!r} is not in the experiment's folder")
    return _Reading(files, name, configuration, coupled, bibi.read(files.read(coupled), coupled)).result()


def remarks_in(text: str) -> list[str]:
    """The remarks at the top of an `experiment.toml` that has been made here; none in another."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if line.startswith(_MARK):
            lines.append(line.removeprefix(_MARK))
    return lines


def _configuration(files: Files) -> str:
    """The configuration of the experiment, by its path."""
    found = files.named(".exc")
    usual = [path for path in found if path.rsplit("/", 1)[-1] == _CONFIGURATION]
    if len(found) == 1 or usual:
        return (usual or found)[0]
    if found:
        raise BadExperiment(f"there are several experiments in one: {', '.join(found[:5])}; leave one .exc file in it")
    raise BadExperiment(
        "there is a .bibi file, but no experiment configuration (.exc): write one that names it, "
        '<ExD><name>…</name><bibiConf src="….bibi"/></ExD>'
    )


class _Reading:
    """One experiment on its way; what has to be said about it is collected."""

    def __init__(
        self, files: Files, name: str, configuration: ExperimentConfiguration, coupled: str, coupling: Coupling
    ) -> None:
        self._files, self._name, self._conf = files, name, configuration
        self._coupled, self._coupling = coupled, coupling
        self._remarks = [*configuration.remarks, *coupling.remarks]
        self._made: dict[str, bytes] = {}
        self._seed: int | None = None
        self._pynn = False
        self._step_ms = coupling.step_ms or configuration.step_ms or USUAL_STEP_MS

    def result(self) -> TakenOver:
        name = _as_name(self._conf.name) or _as_name(Path(self._coupled).stem) or "experiment"
        tables: dict[str, Any] = {}
        if (brain := self._brain()) is not None:
            tables["brain"] = brain
        if (body := self._body()) is not None:
            tables["body"] = body
        if not tables:
            raise BadExperiment(f"{self._coupled} names neither a brain nor a robot: there is nothing to simulate")
        if self._coupling.functions:
            tables["transfer"] = self._transfer()
        self._state_machines()
        self._picture()
        document = {"experiment": self._general(name), **tables}
        text = self._header() + tomltext.dumps(document).lstrip("\n")
        return TakenOver(name, {FILE: text.encode(), **self._made}, tuple(self._remarks))

    def _general(self, name: str) -> dict[str, Any]:
        conf, step_ms = self._conf, self._step_ms
        table: dict[str, Any] = {
            "name": name,
            "title": conf.name[:200],
            "description": conf.description,
            "tags": list(conf.tags),
            "step_ms": step_ms,
        }
        if conf.timeout_s is None:
            table["steps"] = round(840_000 / step_ms)
            self._remarks.append("no timeout is given: the run ends after 840 simulated seconds")
        elif conf.timeout_kind == "simulated":
            table["steps"] = min(max(1, round(conf.timeout_s * 1000 / step_ms)), MOST_STEPS)
        else:
            # The published clock of wall time knows no end of its own; ours stops below 30 years.
            table |= {"steps": 0, "real_limit_s": min(conf.timeout_s, 999_999_999.0)}
        seed = conf.seed or self._seed
        if seed is not None:
            table["seed"] = seed
        return table

    # --- the brain ---------------------------------------------------------------------------------

    def _brain(self) -> dict[str, Any] | None:
        model = self._coupling.brain
        if model is None:
            return None
        if _OTHER_SIMULATORS.search(self._coupling.mode):
            self._remarks.append(f"<mode>: the brain runs on NEST, where the experiment says {self._coupling.mode}")
        within = f"{model.model}/{model.file}"
        found = within if within in self._files.paths else self._files.find(model.file, self._coupled)
        if found is None:
            return self._shipped_brain(model)
        if not found.lower().endswith(".py"):
            model.place.refuse(f"{model.file} is no Python script: only brains in Python can be taken over")
        return self._script(model, found)

    def _shipped_brain(self, model: BrainModel) -> dict[str, Any]:
        shipped = _SHIPPED_BRAINS.get(model.file.rsplit("/", 1)[-1])
        if shipped is None:
            model.place.refuse(f"the brain script {model.file!r} is not in the experiment's folder: put it there")
        words, text, self._pynn = shipped
        self._remarks.append(f"{model.file} is not in the folder: {words} stands for it")
        path = model.file.rsplit("/", 1)[-1]
        self._made[path] = text.encode()
        delays = dict(zip(("min_delay_ms", "max_delay_ms"), brain_script.USUAL_DELAYS_MS, strict=True))
        return {"script": path, **delays, **self._ranks(), **self._populations(model)}

    def _script(self, model: BrainModel, found: str) -> dict[str, Any]:
        about = brain_script.about(_text(self._files, found))
        self._pynn, self._seed = about.pynn, about.seed
        kernel = about.settings(self._step_ms, self._delays_of_devices())
        table: dict[str, Any] = {"script": found, **kernel, **self._ranks()}
        known = about.builds or about.names is None or CIRCUIT in about.names
        if model.described and not known:
            _, _, place = model.described[0]
            place.refuse(
                f"populations are counted within {CIRCUIT!r}, but {found} has no such name at its top: "
                f"name the population that holds all neurons {CIRCUIT}"
            )
        return table | self._populations(model)

    def _populations(self, model: BrainModel) -> dict[str, Any]:
        """Those that are described; what is called circuit is so already."""
        meant = {key: text for key, text, _ in model.described if key != CIRCUIT}
        return {"populations": meant} if meant else {}

    def _delays_of_devices(self) -> list[float]:
        """What the transfer functions call delays; those that cannot be read are told about later."""
        texts = [one.text for one in self._coupling.functions if not one.src]
        for one in self._coupling.functions:
            if one.src and (found := self._files.find(one.src, self._coupled)):
                texts.append(self._files.read(found).decode("utf-8", "replace"))
        return [delay for text in texts for delay in brain_script.delays_in(unindented(text))]

    def _ranks(self) -> dict[str, int]:
        return {"ranks": self._conf.processes} if self._conf.processes > 1 else {}

    # --- body and functions -------------------------------------------------------------------------

    def _body(self) -> dict[str, Any] | None:
        made = robots.body(self._coupling.bodies, self._conf.poses, self._conf.environment, self._files, self._coupled)
        if made is None:
            return None
        self._remarks += made.remarks
        return made.table

    def _transfer(self) -> dict[str, Any]:
        functions = [(self._function(one), one) for one in self._coupling.functions]
        for number, (path, one) in enumerate(functions):
            if path in (other for other, _ in functions[:number]):
                one.place.refuse(f"the transfer function {path} is named a second time")
        table: dict[str, Any] = {"dialect": "nrp", "files": [path for path, _ in functions]}
        inactive = [path for path, one in functions if not one.active]
        if inactive:
            table["inactive"] = inactive
        priorities = {path: one.priority for path, one in functions if one.priority}
        if priorities:
            table["priorities"] = priorities
        table["weight_unit"] = "pynn" if self._in_pynn_units() else "nest"
        return table

    def _in_pynn_units(self) -> bool:
        """Weights of devices are in uS and nA where PyNN made them, which it did unless the mode says NEST directly."""
        return self._pynn and "direct" not in self._coupling.mode.casefold()

    def _function(self, one: TransferFunction) -> str:
        if one.src:
            found = self._files.find(one.src, self._coupled)
            if found is None:
                one.place.refuse(f"the transfer function {one.src!r} is not in the experiment's folder: put it there")
            _text(self._files, found)
            return found
        path = f"transfer_functions/{one.name}.py"
        if path in self._made or path in self._files.paths:
            one.place.refuse(f"there is a second function of the name {one.name!r}")
        self._made[path] = one.text.encode()
        return path

    # --- what goes beside ----------------------------------------------------------------------------

    def _state_machines(self) -> None:
        kept = []
        for number, machine in enumerate(self._conf.state_machines):
            found = self._files.find(machine.src, self._name)
            if found is None:
                self._remarks.append(f"the state machine {machine.src!r} is not in the folder")
                continue
            stem = re.sub(r"\W+", "_", machine.name or Path(found).stem).strip("_") or f"state_machine_{number + 1}"
            path = f"state_machines/{stem}.py"
            if path not in self._files.paths:
                self._made[path] = _text(self._files, found).encode()
            kept.append(path)
        if kept:
            self._remarks.append(f"state machines are kept, and not run: {', '.join(kept)}")

    def _picture(self) -> None:
        """The thumbnail as the picture of the experiment, where it is one that the page can show."""
        found = self._files.find(self._conf.thumbnail, self._name) if self._conf.thumbnail else None
        if found and found.lower().endswith(".png") and "picture.png" not in self._files.paths:
            self._made["picture.png"] = self._files.read(found)

    def _header(self) -> str:
        return "".join(f"{line}\n" for line in map(_as_comment, self._lines()))

    def _lines(self) -> Iterator[str]:
        yield f"# Taken over from {self._name} and {self._coupled}, which stay as they are and are not read again."
        if self._remarks:
            yield "# What is other than there:"
            yield from (f"{_MARK}{remark}" for remark in self._remarks)
        yield ""


def _as_name(words: str) -> str:
    """What can name an experiment; empty where nothing is left of it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", words).strip("_.-")[:60].rstrip("_.-")


def _as_comment(line: str) -> str:
    """In one line, and without signs that cannot be seen, which TOML does not take."""
    return "".join(sign if sign.isprintable() else " " for sign in line)


def _text(files: Files, path: str) -> str:
    """A script as text; raises BadExperiment for one in another encoding than UTF-8."""
    try:
        return files.read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = files.read(path).count(b"\n", 0, error.start) + 1
        text = f"{path}, line {line}: it must be text in UTF-8: save it in that encoding"
        raise BadExperiment(text, detail={"file": path, "line": line}) from None
