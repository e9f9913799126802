"""The table `[body]` of an experiment as frozen dataclasses, read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reafference.clock import NS_PER_MS, ns_from_ms, steps_per
from reafference.errors import BadExperiment
from reafference.plain import Misfit, load, nearest

FILE = "experiment.toml"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BodySettings:
    """`model` names a body of `services.body.models`, `parameters` are what that body lets one choose.

    `step_ms` is the engine's business: how often brain and body meet. `substep_ms` is the step of the physics.
    """

    model: str
    substep_ms: float = 1.0
    step_ms: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def substep_ns(self, dt_ns: int) -> int:
        """The physics step; raises Misfit unless it divides a step of `dt_ns`."""
        try:
            substep_ns = ns_from_ms(self.substep_ms)
            steps_per(dt_ns, substep_ns)
        except ValueError:
            expected = f"a part of the step of {dt_ns / NS_PER_MS:g} ms, such as {dt_ns / 20 / NS_PER_MS:g}"
            raise Misfit("substep_ms", expected, repr(self.substep_ms)) from None
        return substep_ns


def load_settings(
    settings: Mapping[str, Any], models: Mapping[str, str], own: Mapping[str, type[BodySettings]] | None = None
) -> BodySettings:
    """`[body]` itself; raises Misfit. `models` has the bodies by name, `own` the tables of those that take more."""
    table = load((own or {}).get(str(settings.get("model")), BodySettings), settings)
    if table.model not in models:
        known = " or ".join(repr(name) for name in sorted(models))
        raise Misfit("model", known, repr(table.model), nearest(table.model, models))
    return table


def load_parameters(cls: type[T], settings: BodySettings) -> T:
    """`[body.parameters]` as the dataclass of one body; raises Misfit with the key from `[body]` on."""
    try:
        return load(cls, settings.parameters)
    except Misfit as misfit:
        key = f"parameters.{misfit.key}" if misfit.key else "parameters"
        raise Misfit(key, misfit.expected, misfit.found, misfit.hint) from None


def complaint(misfit: Misfit) -> BadExperiment:
    """A misfit in `[body]` as the error a user reads."""
    key = f"body.{misfit.key}" if misfit.key else "body"
    text = f"{key}: expected {misfit.expected}, found {misfit.found}{misfit.hint}"
    return BadExperiment(text, detail={"file": FILE, "key": key})
