"""Dialects of transfer functions: how files that are written for another platform become functions of ours.

A dialect turns each of its functions into a `declare.Declaration`. Order, isolation, time limits, blame, live edits and
recording are then those of any transfer function. What a dialect has to offer is `Written`; our own `script.Script` is
the plainest one. `load` chooses by `[transfer] dialect`.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from reafference.declare import Declaration
from reafference.frames import Array, Ports
from services.engine import script
from services.engine.experiment import Experiment
from services.engine.script import Flaw, Source
from services.engine.stage import Need, Stage

DIALECTS: Mapping[str, str] = {
    "nrp": "services.engine.dialects.nrp",
    "nrp_core": "services.engine.dialects.nrp_core",
}
"""Dialects beside our own, by name: the module whose `load(experiment, former)` gives a `Written`."""


class Written(Protocol):
    """Files of transfer functions that have been run. One object for each run: after a reset they are loaded anew."""

    @property
    def file(self) -> str:
        """What tracebacks call the file of functions that have no `sources` of their own."""
        ...

    @property
    def namespace(self) -> dict[str, Any]:
        """Names in which `print` is put, so that what functions print becomes a message."""
        ...

    @property
    def declarations(self) -> Sequence[Declaration]:
        """What the files declare. `reads` and `writes` may still be anything that `resolve` understands."""
        ...

    @property
    def flaws(self) -> Mapping[str, Flaw]:
        """Functions that cannot be called and are kept with what is wrong; `sources` has their text."""
        ...

    @property
    def keeps_flawed(self) -> bool:
        """Whether a function that names a port which is not there is kept, and the others run; else the run ends."""
        ...

    @property
    def sources(self) -> Mapping[str, Source]:
        """The text of each function, which is what is shown, edited and saved."""
        ...

    def name_in(self, text: str) -> str:
        """The name of the function in a source, without running it; empty if there is none."""
        ...

    def define(self, source: Source) -> Declaration:
        """Run another source, of a live edit; what it declares. Raises Flaw."""
        ...

    def devices(self) -> Mapping[str, Mapping[str, Any]]:
        """`sources` and `sinks` of the brain that the functions need, as in [brain]: asked for once, before the
        brain is prepared."""
        ...

    def begin(self, stage: Stage) -> None:
        """The ports are known, and the functions will be resolved next."""
        ...

    def resolve(self, declaration: Declaration, ports: Mapping[str, Ports]) -> Declaration:
        """The same with addresses of ports in `reads` and `writes`, and a function that takes one value for each.

        Called again whenever the ports have changed. Raises BadExperiment; `line` and `column` in its detail are the
        place in the source, counted from 1.
        """
        ...

    def dropped(self, declaration: Declaration) -> None:
        """The function was deleted or replaced: let what it has at the simulators fall silent."""
        ...

    def needs(self) -> list[Need]:
        """What functions need since this was asked the last time; asked after each change of a function."""
        ...

    def refused(self, need: Need) -> None:
        """This could not be had."""
        ...

    def open(self, folder: Path) -> None:
        """The run begins, and its folder is this one."""
        ...

    def close(self) -> None:
        """The run has ended."""
        ...


@runtime_checkable
class Observing(Protocol):
    """A `Written` with a status function, which says when an episode is done and what there is to see."""

    @property
    def done(self) -> bool:
        """What the status function has said last."""
        ...

    def first(self) -> list[dict[str, str]]:
        """The datapacks that functions ask for, as they were before the first step."""
        ...

    def observed(self, since: int, before: int) -> list[dict[str, Any]]:
        """What the status function gave in these iterations: `iteration`, `done` and `packs`, in plain values."""
        ...

    def give(self, engines: Mapping[str, Sequence[Mapping[str, str]]], iteration: int) -> dict[str, Array]:
        """What somebody outside sends to engines, by the address of the port that it is written to.

        Raises BadExperiment for an engine or a datapack that is not there; nothing has changed then.
        """
        ...


def load(experiment: Experiment, former: Written | None = None) -> Written:
    """The transfer functions of an experiment; `former` are those of the run before a reset.

    Raises ScriptError or BadExperiment.
    """
    table = experiment.document.transfer
    if table is None or table.dialect == "reafference":
        return script.of(experiment.transfer_file(), experiment.folder)
    written: Written = import_module(DIALECTS[table.dialect]).load(experiment, former)
    return written


def owner_of_device(written: Written, key: str) -> str:
    """Which function has asked for the device that a key of [brain] is about, as the end of a sentence; empty if none
    has."""
    place, _, group = key.removeprefix("brain.").partition(".")
    group = group.split(".")[0]
    function, _, argument = group.partition("__")
    if not argument or group not in written.devices().get(place, {}):
        return ""
    return f" (it is the device {argument!r} of the transfer function {function!r})"
