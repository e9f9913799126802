"""Connects the devices of a group with the neurons of their selections, in as few calls as there can be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from services.brain.device_kinds import Delay, Receptor, Rule, port_of, signed
from services.brain.kernel import copied_synapse_model, nest
from services.brain.network import collection
from services.brain.selection import Ids, Selection
from services.brain.settings import bad


class Wired(Protocol):
    """The options of a device that concern its synapses."""

    @property
    def delay_ms(self) -> Delay: ...
    @property
    def receptor(self) -> Receptor: ...
    @property
    def synapse_model(self) -> str: ...
    @property
    def rule(self) -> Rule: ...
    @property
    def p(self) -> float | None: ...
    @property
    def number(self) -> int | None: ...


def reweigh(connections: Any, devices: Any, weights: Sequence[float], spec: Wired, end: str, key: str) -> None:
    """Give the synapses of each of `devices`, which stand at their `end` (source or target), another weight.

    `key` is the place of the group in `[brain]`. Raises BadExperiment where NEST refuses; then they are as before.
    """
    if not len(connections):
        return
    by_device = {
        number: signed(weight, spec.receptor) for number, weight in zip(devices.tolist(), weights, strict=True)
    }
    before = np.atleast_1d(connections.get("weight")).tolist()
    wanted = [by_device[number] for number in np.atleast_1d(connections.get(end)).tolist()]
    try:
        # One after the other: lists of values NEST refuses where there are several processes.
        connections.set([{"weight": weight} for weight in wanted])
    except nest.NESTError as error:
        connections.set([{"weight": weight} for weight in before])
        raise bad(f"brain.{key}.weight", f"NEST refuses to change it ({error})") from None


@dataclass(frozen=True, slots=True)
class Wiring:
    """The synapses of a group of devices: `weights` has one of each device. `key`: its place in `[brain]`.

    `late` says that the network may have run before: then they leave the tables of its synapses alone.
    """

    spec: Wired
    weights: Sequence[float]
    shortest_ms: float
    key: str
    late: bool = False

    def drive(self, devices: Any, selections: Sequence[Selection]) -> None:
        """From each device to the neurons of its selection. Raises BadExperiment where NEST refuses."""
        model = self._model()
        for part, ids, rule, weight in self._calls(selections):
            self._connect(devices[part], collection(ids), rule, self._synapse(model, weight))

    def listen(self, devices: Any, selections: Sequence[Selection]) -> None:
        """From the neurons of each selection to its device. Raises BadExperiment where NEST refuses."""
        model = self._model()
        for part, ids, rule, weight in self._calls(selections):
            self._connect(collection(ids), devices[part], rule, self._synapse(model, weight))

    def _calls(self, selections: Sequence[Selection]) -> Iterator[tuple[slice, Ids, Rule, float]]:
        """The devices, neurons, rule and weight of each call of Connect."""
        if self.spec.rule == "one_to_one" and any(len(s) > 1 for s in selections):
            raise bad(f"brain.{self.key}.rule", "one_to_one is for entries of one neuron, such as 'each NAME'")
        begin = 0
        for end in range(1, len(selections) + 1):
            if end < len(selections) and self._go_together(selections[end - 1], selections[end], end):
                continue
            ids = np.concatenate([s.ids for s in selections[begin:end]])
            yield slice(begin, end), ids, "one_to_one" if end - begin > 1 else self.spec.rule, self.weights[begin]
            begin = end

    def _go_together(self, before: Selection, this: Selection, index: int) -> bool:
        """Whether one call can serve both: NEST pairs a device with a neuron by their order of ids."""
        return (
            self.spec.rule in ("all_to_all", "one_to_one")
            and len(before) == len(this) == 1
            and bool(before.ids[0] < this.ids[0])
            and self.weights[index - 1] == self.weights[index]
        )

    def _model(self) -> str:
        try:
            return copied_synapse_model(self.spec.synapse_model) if self.late else self.spec.synapse_model
        except nest.NESTError as error:
            text = f"NEST refuses to add its synapses ({error}): write the group into experiment.toml"
            raise bad(f"brain.{self.key}", text) from None

    def _connect(self, source: Any, target: Any, rule: Rule, synapse: dict[str, Any]) -> None:
        try:
            nest.Connect(source, target, self._rule(rule), synapse)
        except nest.NESTError as error:
            raise bad(
                f"brain.{self.key}",
                f"NEST refuses the connection ({error}): check delay_ms, receptor and synapse_model, "
                "and that the selected nodes are neurons",
            ) from None

    def _rule(self, rule: Rule) -> dict[str, Any]:
        options: dict[str, dict[str, Any]] = {
            "pairwise_bernoulli": {"p": self.spec.p},
            "fixed_total_number": {"N": self.spec.number},
        }
        return {"rule": rule, **options.get(rule, {})}

    def _synapse(self, model: str, weight: float) -> dict[str, Any]:
        match self.spec.delay_ms:
            case None:
                delay = self.shortest_ms
            case (shortest_ms, longest_ms):
                delay = nest.random.uniform(shortest_ms, longest_ms)
            case delay:
                pass
        return {
            "synapse_model": model,
            "weight": signed(weight, self.spec.receptor),
            "delay": delay,
            "receptor_type": port_of(self.spec.receptor),
        }
