"""The body as a Simulator: bones, wheels and rooms in PyBullet, muscles in compiled code."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, Protocol, TypeVar

import numpy as np

from reafference.clock import NS_PER_S
from reafference.errors import BadExperiment, OutOfOrder, SimulatorFailed
from reafference.frames import Array, Plan, Ports, Step
from reafference.plain import Misfit, load, nearest
from reafference.simulator import Changed, Report

from .disturbances import Disturbances, LoadOrder, PushOrder
from .models.robot.settings import RobotSettings
from .settings import BodySettings, complaint, load_settings

T = TypeVar("T")

MODELS = {
    "mouse_forelimb": "services.body.models.mouse_forelimb.body",
    "husky_room": "services.body.models.husky_room.body",
    "robot": "services.body.models.robot.body",
}
"""The bodies, by the name in `body.model`: the module whose `build` makes one. `robot` is any that has a file."""

SETTINGS = {"robot": RobotSettings}
"""The tables of the bodies that take more than BodySettings."""


EDITS = ("scene", "push", "load", "reset_world", "reset")
"""What can be asked of any body between two steps; EDITS.md tells people."""


class Body(Protocol):
    """One built body, at rest before step 0; `build(settings, substep_ns, report, plan)` of its module makes it."""

    @property
    def ports(self) -> Ports: ...

    @property
    def disturbances(self) -> Disturbances: ...

    def advance(self, step: Step) -> dict[str, Array]: ...

    def scene(self) -> dict[str, Any]:
        """What a viewer needs beside the streams: shapes, muscles, joints, room as it looks now."""
        ...

    def reset_world(self) -> None:
        """Put everything but the body itself back to its start."""
        ...

    def close(self) -> None: ...


class BulletBody:
    """A body from `plan.settings`, the table [body]: see BodySettings and the parameters of each body.

    Runs in this process, without display. Equal plans give equal runs, to the last bit.
    """

    def __init__(self) -> None:
        self._body: Body | None = None
        self._plan: Plan | None = None
        self._t_ns = 0

    def prepare(self, plan: Plan, report: Report = lambda *_args, **_kwargs: None) -> Ports:
        """Build the body at rest. Raises BadExperiment naming the key that does not fit."""
        self.close()
        try:
            settings = load_settings(plan.settings, MODELS, SETTINGS)
            self._body = _build(settings, settings.substep_ns(plan.dt_ns), report, plan)
        except Misfit as misfit:
            raise complaint(misfit) from None
        self._plan, self._t_ns = plan, plan.t_ns
        return self._body.ports

    def advance(self, step: Step) -> dict[str, Array]:
        """Move through `step` in substeps; see the ports of the body for what comes back."""
        assert self._body is not None, "prepare comes before advance"
        outputs = self._body.advance(step)
        self._t_ns = step.t_ns + step.dt_ns
        return outputs

    def edit(self, what: str, arguments: Mapping[str, Any], report: Report) -> Changed:
        """Look at the body, push or load it, put the world or the body back to its start; see EDITS.md.

        Raises BadExperiment for what cannot be done; then nothing has changed.
        """
        if what not in EDITS:
            hint = nearest(what, EDITS) or f" (it has {', '.join(EDITS)})"
            raise BadExperiment(f"the body has no edit {what!r}{hint}")
        if self._body is None or self._plan is None:
            raise OutOfOrder(f"the edit {what!r} came before prepare")
        if what == "reset":
            return Changed(ports=self._reset(self._plan, report))
        return Changed(result=self._act(self._body, what, arguments))

    def _reset(self, plan: Plan, report: Report) -> Ports:
        try:
            return self.prepare(replace(plan, t_ns=self._t_ns), report)
        except BadExperiment as error:  # what there was before is gone
            raise SimulatorFailed(f"the body could not be reset: {error.text}", detail=error.detail) from error

    def _act(self, body: Body, what: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            match what:
                case "push":
                    lasts_ns = body.disturbances.push(_order(PushOrder, arguments))
                    return {"until_s": (self._t_ns + lasts_ns) / NS_PER_S}
                case "load":
                    body.disturbances.load(_order(LoadOrder, arguments))
                    return {"loads": dict(body.disturbances.loads)}
                case "reset_world":
                    body.disturbances.clear()
                    body.reset_world()
                    return {}
        except Misfit as misfit:
            raise BadExperiment(str(misfit), detail={"key": misfit.key}) from None
        return body.scene() | body.disturbances.reach.facts() | body.disturbances.facts()

    def close(self) -> None:
        """Free the world of the body; safe to call twice."""
        if self._body is not None:
            self._body.close()
            self._body = None


def _build(settings: BodySettings, substep_ns: int, report: Report, plan: Plan) -> Body:
    # Imported here because muscles are compiled on their first import, which takes seconds once in a lifetime.
    report("body", detail=f"load {settings.model}")
    body: Body = import_module(MODELS[settings.model]).build(settings, substep_ns, report, plan)
    report("body", 1, 1, detail=settings.model)
    return body


def _order(cls: type[T], arguments: Mapping[str, Any]) -> T:
    """The arguments of an edit as what is ordered; vectors may be lists or arrays. Raises Misfit."""
    plain = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in arguments.items()}
    return load(cls, plain)
