"""NEST run by a script of NRP-core: each datapack is the status of nodes, read whole and set in part.

It runs as the published engine does, with `Simulate` for each step: then every setting acts in the next one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reafference import datapacks
from reafference.clock import NS_PER_MS
from reafference.errors import BadExperiment, SimulatorFailed
from reafference.frames import Array, Plan, Ports, Step
from reafference.simulator import Changed, Report
from reafference.user_script import UserScript
from services.brain.kernel import KernelSetup, nest, nestkernel_api

from .names import Registry, install

_RESOLUTION_NS = 100_000
_POPULATIONS = "populations"


class NestScriptSimulator:
    """A NEST kernel that a script has filled. Its ports are the datapacks that the script has registered.

    Another run begins with an empty kernel and the script again.
    """

    def __init__(self) -> None:
        self._file: UserScript | None = None
        self._nodes: dict[str, Any] = {}
        self._heard = -1

    def prepare(self, plan: Plan, report: Report) -> Ports:
        """Run the script in an empty kernel. Raises ScriptError with the place in the file."""
        name = str(plan.settings["script"])
        if self._file is None:
            self._file = UserScript(Path(plan.folder), name, plan.files[name])
            self._file.enter_folder()
            self._file.take_environment(dict(plan.settings.get("config", {})).get("EngineEnvParams", ()))
        self._heard = -1
        registry = Registry()
        install(registry)
        setup = KernelSetup(resolution_ns=_RESOLUTION_NS, seed=max(plan.seed, 1), threads=plan.threads)
        setup.apply()
        report("building the brain")
        with setup.survives_reset():
            module = self._file.run()
        with self._file.blamed(_POPULATIONS):
            for key, nodes in dict(getattr(module, _POPULATIONS, {})).items():
                if key not in registry.nodes:
                    registry.register(str(key), nodes)
        self._nodes = registry.nodes
        if not self._nodes:
            text = "it registers no datapack: say RegisterDataPack(name, nodes), or populations = {name: nodes}"
            raise BadExperiment(f"{self._file.file}: {text}", detail={"file": self._file.file})
        outputs = tuple(datapacks.output(name, _status(nodes)) for name, nodes in self._nodes.items())
        facts = {"neurons": int(nest.network_size), "synapses": int(nest.num_connections)}
        return Ports(inputs=(datapacks.given_port(),), outputs=outputs, facts=facts)

    def advance(self, step: Step) -> dict[str, Array]:
        """Set what has come, simulate, and read what somebody asks for."""
        assert self._file is not None
        iteration, packs = datapacks.decode_given(step.inputs[datapacks.GIVEN])
        with self._file.blamed(f"step {step.number}", SimulatorFailed):
            if iteration > self._heard:
                self._heard = iteration
                self._set(packs)
            nest.Simulate(step.dt_ns / NS_PER_MS)
            wanted = {port.removeprefix(f"{datapacks.STREAM}.") for port in step.want}
            return {
                f"{datapacks.STREAM}.{name}": datapacks.encode(_status(nodes), name)
                for name, nodes in self._nodes.items()
                if name in wanted
            }

    def edit(self, what: str, arguments: Mapping[str, Any], report: Report) -> Changed:
        """`set_datapacks`: set these before the next step. Raises BadExperiment."""
        if what != datapacks.SET:
            raise BadExperiment(f"a NEST engine of NRP-core has no edit {what!r}: it has {datapacks.SET}")
        packs = datapacks.from_maps(arguments)
        try:
            self._set(packs)
        except (ValueError, TypeError, nest.NESTError) as error:
            raise BadExperiment(f"NEST does not take the datapack: {error}") from None
        return Changed()

    def close(self) -> None:
        """The process ends, and the kernel with it."""

    def _set(self, packs: Sequence[datapacks.Datapack]) -> None:
        for pack in packs:
            if pack.name not in self._nodes:
                known = ", ".join(self._nodes)
                raise ValueError(f"the brain script has registered no datapack {pack.name!r}; it has {known}")
            if isinstance(pack.value, datapacks.Message) or not isinstance(pack.value, (dict, list)):
                raise TypeError(f"the datapack {pack.name!r} must be a map of parameters, or one for each node")
        for pack in packs:
            self._nodes[pack.name].set(pack.value)


def _status(nodes: Any) -> list[dict[str, Any]]:
    """The status of each node in values that JSON has; keys that it does not have are left out."""
    # NEST's own GetStatus takes three times as long, and warns of its end.
    columns = nestkernel_api.llapi_get_nc_status(nodes._datum)
    return [
        {str(key): _plain(column[row]) for key, column in columns.items() if column[row] is not None}
        for row in range(len(nodes))
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
