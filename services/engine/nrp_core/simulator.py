"""A simulator that is a user's script, an NRP-core engine of the type python_json or python_grpc."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reafference import datapacks
from reafference.errors import BadExperiment, ScriptError, SimulatorFailed
from reafference.frames import Array, Plan, Ports, Step
from reafference.simulator import Changed, Report
from reafference.user_script import UserScript

from .engines import EngineScript
from .names import install

_CLASS = "Script"


class ScriptSimulator:
    """Lives in steps of its script's `runLoop`; its ports are the datapacks which the script has registered.

    Another run of the same experiment is the script's `reset`, as its author expects: what it has learnt stays.
    """

    def __init__(self) -> None:
        self._file: UserScript | None = None
        self._script: EngineScript | None = None
        self._heard = -1

    def prepare(self, plan: Plan, report: Report) -> Ports:
        """Load and initialize the script, or reset it. Raises ScriptError with the place in the file."""
        self._heard = -1
        if self._file is None or self._script is None:
            self._load(plan)
        else:
            self._script._time_ns = plan.t_ns
            with self._file.blamed("reset"):
                self._script.reset()
        assert self._script is not None
        outputs = tuple(datapacks.output(name, value) for name, value in self._script._contents().items())
        return Ports(inputs=(datapacks.given_port(),), outputs=outputs)

    def advance(self, step: Step) -> dict[str, Array]:
        """Give the script what has come for it, and let it make its step."""
        script, file = self._script, self._file
        assert script is not None
        assert file is not None
        iteration, packs = datapacks.decode_given(step.inputs[datapacks.GIVEN])
        with file.blamed(f"step {step.number}", SimulatorFailed):
            # What is held from an earlier step has been given already.
            if iteration > self._heard:
                self._heard = iteration
                self._take(script, packs)
            script._advanceTime(step.dt_ns)
            script.runLoop(step.dt_ns)
        contents = script._contents()
        return {f"{datapacks.STREAM}.{name}": datapacks.encode(value, name) for name, value in contents.items()}

    def edit(self, what: str, arguments: Mapping[str, Any], report: Report) -> Changed:
        """`set_datapacks`: give the script these before its next step. Raises BadExperiment."""
        if what != datapacks.SET:
            raise BadExperiment(f"a script engine has no edit {what!r}: it has {datapacks.SET}, and can be reset")
        assert self._script is not None
        try:
            self._take(self._script, datapacks.from_maps(arguments))
        except (ValueError, TypeError) as error:
            raise BadExperiment(str(error)) from None
        return Changed()

    def close(self) -> None:
        """Let the script shut down; what goes wrong there is printed, for nothing waits for it any more."""
        script, self._script = self._script, None
        if script is not None:
            try:
                script.shutdown()
            except Exception:
                traceback.print_exc()

    def _take(self, script: EngineScript, packs: list[datapacks.Datapack]) -> None:
        """All of them, or none. Raises ValueError and TypeError."""
        usable = [(pack.name, script._usable(pack.name, pack.value)) for pack in packs]
        for name, value in usable:
            script._datapacks[name] = value

    def _load(self, plan: Plan) -> None:
        name, config = str(plan.settings["script"]), dict(plan.settings.get("config", {}))
        self._file = file = UserScript(Path(plan.folder), name, plan.files[name])
        install()
        file.enter_folder()
        file.take_environment(config.get("EngineEnvParams", ()))
        cls = getattr(file.run(), _CLASS, None)
        if not isinstance(cls, type) or not issubclass(cls, EngineScript):
            raise ScriptError(
                f"{file.file}: it must define `class {_CLASS}(EngineScript)`, with EngineScript from "
                "nrp_core.engines.python_json (or GrpcEngineScript from nrp_core.engines.python_grpc)",
                detail={"file": file.file},
            )
        with file.blamed("initialize"):
            script = cls()
            script._name, script._config, script._time_ns = plan.name, config, plan.t_ns
            script.initialize()
        self._script = script
