"""Any robot from a URDF or SDF file behind the ports of a simulator; ROBOT.md tells people."""

import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reafference.clock import NS_PER_MS, NS_PER_S, steps_per
from reafference.errors import SimulatorFailed
from reafference.frames import Array, Plan, Ports, Step
from reafference.plain import Misfit
from reafference.simulator import Report

from ...disturbances import Disturbances, Reach
from ...inputs import finite
from ...physics import Physics
from ...ports import output_ports
from ...settings import BodySettings
from . import plugins, scene, sdf, topics, urdf, wheels, world
from .drives import KINDS
from .files import Files
from .machine import Machine, is_fixed
from .markup import parse
from .ports import inputs, meaning
from .pose import Pose
from .senses import Senses
from .settings import RobotSettings
from .tree import Model

if TYPE_CHECKING:
    from .pull import Pull

SOLVER_ITERATIONS = 50
CONTACT_ERP = 0.2
GROUND_SIZES = 20.0
"""How much ground viewers see, in sizes of the robot."""
MOST_REMARKS = 20


def build(settings: BodySettings, substep_ns: int, report: Report, plan: Plan) -> "RobotBody":
    """The robot that `settings` describe, at its start; raises Misfit, or BadExperiment for what is in its files."""
    assert isinstance(settings, RobotSettings)
    files = Files(Path(plan.folder), plan.files)
    report("body", detail=f"read {settings.file}")
    try:
        return RobotBody(settings, files, substep_ns)
    finally:
        files.close()


def read(settings: RobotSettings, files: Files) -> Model:
    """The model in the file that the settings name, by the name that they give it."""
    text = files.text(settings.file, "body.file")
    root = parse(text, settings.file)
    if root.tag not in ("robot", "sdf", "gazebo"):
        raise root.wrong(f"<{root.tag}> is neither URDF (<robot>) nor SDF (<sdf>)")
    reader = urdf.read if root.tag == "robot" else sdf.read
    model = reader(text, settings.file, files)
    return replace(model, name=settings.name or model.name)


class RobotBody:
    """A robot in its surroundings."""

    def __init__(self, settings: RobotSettings, files: Files, substep_ns: int) -> None:
        self._substep_ns, self._files = substep_ns, files
        self._model = model = read(settings, files)
        self._remarks = list(plugins.left_out(model, settings.file))
        around = (
            world.read(files.text(settings.environment, "body.environment"), settings.environment, files)
            if settings.environment
            else world.plain_world()
        )
        self._world = around
        self._drive = wheels.drive_of(model, settings.file)
        start = settings.pose(model.pose)
        fixed = settings.base == "fixed" or (settings.base == "" and is_fixed(model))
        if settings.base == "free" and is_fixed(model):
            raise Misfit("base", "'fixed': the file fastens the robot to the world", "'free'")
        gravity = settings.gravity or around.gravity
        self._physics = Physics(substep_ns=substep_ns, gravity=gravity, iterations=SOLVER_ITERATIONS, erp=CONTACT_ERP)
        try:
            self._build(start, fixed=fixed)
            self._senses = Senses(self._machine, self._physics.client, gravity, self._drive)
            self.ports = self._finish(start, fixed=fixed)
        except Exception:
            self._physics.close()
            raise

    def _finish(self, start: Pose, *, fixed: bool) -> Ports:
        model, files, around = self._model, self._files, self._world
        size_m = scene.size(model, files)
        self._scene: dict[str, Any] = {
            "model": "robot",
            "links": scene.links(model, files),
            "muscles": self._pull.describe() if self._pull else [],
            "joints": scene.joints(self._machine.joints),
            "room": world.describe(around.things, files, GROUND_SIZES * size_m),
            "display": scene.display(model, files, start.position),
        }
        reach = _reach(self._machine, fixed=fixed, size_m=size_m)
        self.disturbances = Disturbances(reach)
        return self._declare(self._substep_ns)

    def advance(self, step: Step) -> dict[str, Array]:
        """Move through `step` under constant commands; see the ports."""
        if self._drive:
            linear, angular = (float(value) for value in finite("velocity", step))
            self._machine.spin(self._wheels, self._drive.speeds(linear, angular), self._drive.torque_Nm)
        if self._driven:
            self._machine.command(self._commands(step))
        if self._pull:
            self._pull.excite(finite("excitation", step))
        started_ns = time.perf_counter_ns()
        self._machine.prepare_step()
        for _ in range(steps_per(step.dt_ns, self._substep_ns)):
            self._disturb()
            if self._pull:
                self._pull.act()
            self._machine.substep(self._loads())
            if self._pull:
                self._pull.follow()
        moved_ns = time.perf_counter_ns()
        outputs = self._senses.read(step.t_ns + step.dt_ns, step.dt_ns)
        if self._pull:
            outputs |= self._pull.read()
        outputs["timing.run"] = np.array(moved_ns - started_ns)
        outputs["timing.readout"] = np.array(time.perf_counter_ns() - moved_ns)
        self._check(outputs, step)
        return outputs

    def scene(self) -> dict[str, Any]:
        return self._scene

    def reset_world(self) -> None:
        """Nothing around the robot ever moves."""

    def close(self) -> None:
        self._physics.close()

    def _build(self, start: Pose, *, fixed: bool) -> None:
        world.build(self._physics.client, self._world.things, self._files)
        self._machine = Machine(
            self._physics,
            self._model,
            start,
            fixed=fixed,
            substep_ns=self._substep_ns,
            wheels=self._drive.radii if self._drive else {},
            find=lambda name: str(self._files.mesh(name)),
        )
        self._pull = self._muscles()
        names = [joint.name for joint in self._machine.joints]
        self._wheels = [names.index(name) for name in self._drive.joints] if self._drive else []
        self._driven = [number for number in range(len(names)) if number not in self._wheels]

    def _muscles(self) -> "Pull | None":
        """The muscles that the model names, attached to its links."""
        if not self._model.muscles:
            return None
        # Imported here because muscles are compiled on their first import, and most robots have none.
        from .osim import read
        from .pull import Pull

        file = self._model.muscles
        muscles = read(self._files.text(file, "<muscles>"), file, self._machine.links, self._remarks)
        return Pull(self._machine, muscles, self._substep_ns / NS_PER_S)

    def _commands(self, step: Step) -> Array:
        """What was written to every joint, (3, n); NaN for what never was. Raises SimulatorFailed for infinities."""
        commands = np.full((len(KINDS), len(self._machine.joints)), np.nan)
        for row, kind in enumerate(KINDS):
            value = step.inputs[f"command.{kind}"]
            if np.isinf(value).any():
                raise SimulatorFailed(
                    f"body.command.{kind} is {value.tolist()} in step {step.number}, but must be finite: check what "
                    "writes to it"
                )
            commands[row, self._driven] = value
        return commands

    def _disturb(self) -> None:
        if self.disturbances.pushing:
            for push in self.disturbances.forces(self._substep_ns):
                self._machine.push(push.link, push.at_m, push.force_N)

    def _loads(self) -> Array | None:
        if not self.disturbances.loading:
            return None
        return np.array([self.disturbances.loads[joint.name] for joint in self._machine.joints])

    def _check(self, outputs: Mapping[str, Array], step: Step) -> None:
        """A world that has blown up says so, rather than sending numbers that are none."""
        if not np.isfinite(outputs["links.position"]).all():
            raise SimulatorFailed(
                f"the robot flew apart in step {step.number}: make body.substep_ms smaller, or look at the masses and "
                "inertias in its file"
            )

    def _declare(self, substep_ns: int) -> Ports:
        machine, model = self._machine, self._model
        rest = self._senses.rest()
        muscles = self._scene["muscles"]
        if self._pull:
            rest |= self._pull.read()
        driven = [machine.joints[number] for number in self._driven]
        labels = {
            "joints": tuple(joint.name for joint in machine.joints),
            "base.position": ("x", "y", "z"),
            "base.orientation": ("w", "x", "y", "z"),
            "base.velocity": ("vx", "vy", "vz", "wx", "wy", "wz"),
            "drive": ("linear", "angular"),
            "links": machine.links,
            "muscles": tuple(muscle["name"] for muscle in muscles),
            "muscle_points": topics.point_labels(muscles),
            "contacts": machine.links,
        }
        for name in rest:
            if name.startswith("imu/"):
                labels[name] = ("w", "x", "y", "z") if name.endswith("orientation") else ("x", "y", "z")
        return Ports(
            inputs=inputs(driven, muscles, wheeled=self._drive is not None),
            outputs=output_ports(rest, {name: meaning(name) for name in rest}, labels),
            facts={
                **self.scene(),
                **self.disturbances.reach.facts(),
                "substep_ms": substep_ns / NS_PER_MS,
                "pybullet": version("pybullet"),
                "counts": {"links": len(machine.links), "joints": len(machine.joints), "muscles": len(muscles)},
                "topics": topics.table(model, driven, machine.joints, self._drive, muscles),
                "files": dict(self._files.digests),
                "warnings": _shortened([*model.remarks, *self._world.remarks, *self._remarks]),
            },
        )


def _shortened(remarks: list[str]) -> list[str]:
    """The first of many remarks; a model whose meshes are all missing has hundreds."""
    more = len(remarks) - MOST_REMARKS
    return remarks if more <= 0 else [*remarks[:MOST_REMARKS], f"and {more} more like these"]


def _reach(machine: Machine, *, fixed: bool, size_m: float) -> Reach:
    """Every link that moves can be pushed, every joint loaded; both up to what is far above the robot's weight."""
    model = machine.model
    still = {model.root} if fixed else set()
    for joint in model.joints:
        if joint.parent in still and not joint.moves:
            still.add(joint.child)
    weight_N = 9.81 * sum(link.mass_kg or 0.0 for link in model.links)
    most_N = 20.0 * max(weight_N, 0.01)
    centers = {link.name: tuple(link.center.position.tolist()) for link in model.links}
    return Reach(
        links={name: (at[0], at[1], at[2]) for name, at in centers.items() if name not in still},
        joints=tuple(joint.name for joint in machine.joints),
        most_N=most_N,
        most_Nm=most_N * size_m,
        most_m=10.0 * size_m,
        fixed=tuple(name for name in centers if name in still),
    )
