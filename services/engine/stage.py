"""What goes on around the transfer functions of a run, and what they want from the simulators."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reafference.frames import Array


@dataclass(frozen=True, slots=True)
class Stage:
    """The state of a run between its simulators; the maps are always those of the present step.

    `values` are the newest outputs of each participant by port, resting values before it has sent any; `heard` says
    which ports of each have really been sent since it was prepared; `inputs` is what each will be given next.
    """

    values: Mapping[str, dict[str, Array]]
    heard: Mapping[str, set[str]]
    inputs: Mapping[str, dict[str, Array]]


@dataclass(frozen=True, slots=True)
class Need:
    """An edit of a participant that the transfer function of this name needs before it can be called."""

    function: str
    to: str
    what: str
    arguments: Mapping[str, Any]
