"""What brain scripts of NRP-core import: `nrp_core.engines.nest_json`, by which they name what can be read and set."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from services.brain.kernel import nest

_NEVER = {"V_th": 1e300, "C_m": 1000.0, "E_L": 0.0, "V_reset": 0.0, "V_m": 0.0, "t_ref": 0.1, "I_e": 0.0}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A device of `brain_devices`: a model of NEST, and how it is connected to neurons unless the script says so."""

    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    synapse: Mapping[str, Any] = field(default_factory=dict)
    reads: bool = False


_STATIC = {"synapse_model": "static_synapse"}
_DEVICES = {
    "PoissonSpikeGenerator": _Kind("poisson_generator", synapse={**_STATIC, "weight": 0.15, "delay": 0.1}),
    "DCSource": _Kind("dc_generator"),
    "ACSource": _Kind("ac_generator"),
    "NCSource": _Kind("noise_generator"),
    "LeakyIntegratorAlpha": _Kind(
        "iaf_psc_alpha",
        # Their voltage is not read below 0, as it is published.
        {**_NEVER, "V_min": 0.0, "tau_m": 10.0, "tau_syn_ex": 2.0, "tau_syn_in": 2.0},
        {**_STATIC, "weight": 10.0, "delay": 0.1},
        reads=True,
    ),
    "LeakyIntegratorExp": _Kind(
        "iaf_psc_exp",
        {**_NEVER, "tau_m": 20.0, "tau_syn_ex": 0.5, "tau_syn_in": 0.5},
        {**_STATIC, "weight": 10.0, "delay": nest.random.uniform(0.1, 2.0)},
        reads=True,
    ),
    "SpikeRecorder": _Kind("spike_recorder", reads=True),
}


class Registry:
    """What a script has registered: nodes by the name of their datapack."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}

    def register(self, name: str, nodes: Any) -> None:
        """`RegisterDataPack`. Raises ValueError for a name that has been taken, or for no nodes."""
        if name in self.nodes:
            raise ValueError(f"the datapack {name!r} has been registered already")
        if not isinstance(nodes, nest.NodeCollection):
            nodes = nest.NodeCollection(nodes)
        if not len(nodes):
            raise ValueError(f"the datapack {name!r} has no nodes")
        self.nodes[name] = nodes

    def create(self, name: str, model: str, n: int = 1, params: Mapping[str, Any] | None = None) -> Any:
        """`CreateDataPack`: nodes, registered at once."""
        nodes = nest.Create(model, n, dict(params) if params else None)
        self.register(name, nodes)
        return nodes

    def modules(self) -> dict[str, ModuleType]:
        """The modules for such a script, parents first."""
        exported = {"RegisterDataPack": self.register, "CreateDataPack": self.create}
        devices = {name: self._device(kind) for name, kind in _DEVICES.items()}
        found = {name: ModuleType(name) for name in ("nrp_core", "nrp_core.engines")}
        for module in found.values():
            module.__path__ = []
        json_engine = ModuleType("nrp_core.engines.nest_json")
        json_engine.__path__ = []
        brain_devices = ModuleType("nrp_core.engines.nest_json.brain_devices")
        json_engine.__dict__.update(exported, __all__=list(exported), brain_devices=brain_devices)
        brain_devices.__dict__.update(devices, __all__=list(devices))
        return found | {json_engine.__name__: json_engine, brain_devices.__name__: brain_devices}

    def _device(self, kind: _Kind) -> Any:
        def make(nest_: Any, name: str, neurons: Any, n: int = 1, conn_spec: Any = "all_to_all") -> Any:
            nodes = self.create(name, kind.model, n, kind.parameters)
            ends = (neurons, nodes) if kind.reads else (nodes, neurons)
            nest.Connect(*ends, conn_spec, dict(kind.synapse) or None)
            return nodes

        return make


def install(registry: Registry) -> None:
    """Let scripts in this process import these modules, from now on with this registry."""
    for name, module in registry.modules().items():
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
