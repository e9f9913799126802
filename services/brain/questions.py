"""What can be asked of a running brain without changing anything: what it is, where its neurons are, how it does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reafference.errors import BadExperiment
from reafference.frames import Plan
from reafference.plain import describe
from services.brain import facts
from services.brain.devices import Devices
from services.brain.network import Network
from services.brain.positions import MOST, positions
from services.brain.selection import Population
from services.brain.shipped import about
from services.brain.together import Together

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A brain between two steps, as the answers need it."""

    plan: Plan
    network: Network
    populations: Mapping[str, Population]
    devices: Devices


def ask(what: str, arguments: Mapping[str, Any], brain: Asked, together: Together) -> Result:
    """The answer to one of KNOWN; all ranks ask together. Raises BadExperiment for arguments that make no sense."""
    return _ANSWERS[what](arguments, brain, together)


def _positions(arguments: Mapping[str, Any], brain: Asked, together: Together) -> Result:
    """`most` (60,000) neurons at most: by population their `ids` and `positions_mm`; see positions.py."""
    most = arguments.get("most", MOST)
    with together.stage():
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise BadExperiment(f"most: expected a number of neurons, 1 or more, found {describe(most)}")
    return {"populations": positions(brain.network, brain.populations, most, together)}


def _kernel_status(arguments: Mapping[str, Any], brain: Asked, together: Together) -> Result:
    return facts.of_running_kernel(together)


def _populations(arguments: Mapping[str, Any], brain: Asked, together: Together) -> Result:
    """`populations` as in the facts of the ports, and the further `selections` of the experiment with their size."""
    selections = {name: {"size": len(selection)} for name, selection in brain.devices.selections.items()}
    return {"populations": facts.of_populations(brain.populations), "selections": selections}


def _source(arguments: Mapping[str, Any], brain: Asked, together: Together) -> Result:
    """What the brain is built from: `model` or `script`, the text of that, its parameters, and its devices."""
    settings = brain.plan.settings
    model, script = settings.get("model"), settings.get("script")
    return {
        "model": model,
        "script": script,
        "source": brain.plan.files.get(script, "") if script else "",
        "about": about(model) if model else "",
        **{key: dict(settings.get(key, {})) for key in ("parameters", "populations", "sources", "sinks")},
    }


_ANSWERS: dict[str, Callable[[Mapping[str, Any], Asked, Together], Result]] = {
    "positions": _positions,
    "kernel_status": _kernel_status,
    "populations": _populations,
    "source": _source,
}

KNOWN = tuple(_ANSWERS)
