"""The body as a Simulator: bones, wheels and rooms in PyBullet, muscles in compiled code."""

from importlib import import_module
from typing import Protocol

from reafference.frames import Array, Plan, Ports, Step
from reafference.plain import Misfit
from reafference.simulator import Report

from .settings import BodySettings, complaint, load_settings

MODELS = {
    "mouse_forelimb": "services.body.models.mouse_forelimb.body",
    "husky_room": "services.body.models.husky_room.body",
}
"""The bodies shipped with us, by the name in `body.model`: the module whose `build` makes one."""


class Body(Protocol):
    """One built body, at rest before step 0; `build(settings, substep_ns, report)` of its module makes it."""

    @property
    def ports(self) -> Ports: ...

    def advance(self, step: Step) -> dict[str, Array]: ...

    def close(self) -> None: ...


class BulletBody:
    """A body from `plan.settings`, the table [body]: see BodySettings and the parameters of each body.

    Runs in this process, without display. Equal plans give equal runs, to the last bit.
    """

    def __init__(self) -> None:
        self._body: Body | None = None

    def prepare(self, plan: Plan, report: Report = lambda *_args, **_kwargs: None) -> Ports:
        """Build the body at rest. Raises BadExperiment naming the key that does not fit."""
        self.close()
        try:
            settings = load_settings(plan.settings, MODELS)
            self._body = _build(settings, settings.substep_ns(plan.dt_ns), report)
        except Misfit as misfit:
            raise complaint(misfit) from None
        return self._body.ports

    def advance(self, step: Step) -> dict[str, Array]:
        """Move through `step` in substeps; see the ports of the body for what comes back."""
        assert self._body is not None, "prepare comes before advance"
        return self._body.advance(step)

    def close(self) -> None:
        """Free the world of the body; safe to call twice."""
        if self._body is not None:
            self._body.close()
            self._body = None


def _build(settings: BodySettings, substep_ns: int, report: Report) -> Body:
    # Imported here because muscles are compiled on their first import, which takes seconds once in a lifetime.
    report("body", detail=f"load {settings.model}")
    body: Body = import_module(MODELS[settings.model]).build(settings, substep_ns, report)
    report("body", 1, 1, detail=settings.model)
    return body
