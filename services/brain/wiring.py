"""Connects one device with the neurons of a selection."""

from dataclasses import dataclass
from typing import Any, Protocol

from services.brain.device_kinds import Receptor, port_of, signed
from services.brain.kernel import nest
from services.brain.network import collection
from services.brain.selection import Ids
from services.brain.settings import bad


class Wired(Protocol):
    """The options of a device that concern its synapses."""

    @property
    def delay_ms(self) -> float | None: ...
    @property
    def receptor(self) -> Receptor: ...
    @property
    def synapse_model(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Wire:
    """The synapses between a device and its neurons. `key`: the device's place in the `[brain]` table."""

    weight: float
    delay_ms: float
    port: int
    synapse_model: str
    key: str

    @classmethod
    def of(cls, spec: Wired, weight: float, shortest_ms: float, key: str) -> "Wire":
        """`shortest_ms` is the delay where the device gives none."""
        return cls(
            weight=signed(weight, spec.receptor),
            delay_ms=shortest_ms if spec.delay_ms is None else spec.delay_ms,
            port=port_of(spec.receptor),
            synapse_model=spec.synapse_model,
            key=key,
        )

    def synapse(self) -> dict[str, Any]:
        """As NEST wants it."""
        return {
            "synapse_model": self.synapse_model,
            "weight": self.weight,
            "delay": self.delay_ms,
            "receptor_type": self.port,
        }


def connect(source: Any, target_ids: Ids, wire: Wire) -> None:
    """One synapse from the device to each neuron. Raises BadExperiment where NEST refuses."""
    _connect(source, collection(target_ids), wire)


def listen(target: Any, source_ids: Ids, wire: Wire) -> None:
    """One synapse from each neuron to the device. Raises BadExperiment where NEST refuses."""
    _connect(collection(source_ids), target, wire)


def _connect(source: Any, target: Any, wire: Wire) -> None:
    try:
        nest.Connect(source, target, "all_to_all", wire.synapse())
    except nest.NESTError as error:
        raise bad(
            f"brain.{wire.key}",
            f"NEST refuses the connection ({error}): check delay_ms, receptor and synapse_model, "
            "and that the selected nodes are neurons",
        ) from None
