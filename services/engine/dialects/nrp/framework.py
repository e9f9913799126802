"""`hbp_nrp_cle.tf_framework`: the decorators of published functions.

Each decorator takes a function, or what another decorator has made of it, so that their order does not matter.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.engine.script import Flaw

from . import kinds, selections
from .devices import Device
from .drafts import MONITOR, RETURN, Draft
from .house import Group, House
from .kinds import KINDS, Kind
from .parts import DeviceMapping, FileMapping, Mapped, TopicMapping, VariableMapping
from .refusals import Shim
from .selections import Brain
from .topics import Direction, type_name

GLOBAL, LOCAL = "global_scope", "transfer_function_scope"

Decorator = Callable[[Any], Draft]
Late = Callable[[Draft], Mapped]
"""Makes a mapping once the function is known."""

_NOT_HERE = {
    "MapRetina": "retina models are not to be had; take the picture of the camera",
    "MapRobotServiceProxy": "there are no ROS services; what a body takes are topics",
    "MapTransferFunction": "functions share values by @nrp.MapVariable(..., scope=nrp.GLOBAL)",
    "raw_signal": "it is a device of another brain simulator; there is nrp.poisson and nrp.leaky_integrator_alpha",
    "set_nest_adapter": "brain and body are those of the experiment",
    "set_robot_adapter": "brain and body are those of the experiment",
    "set_transfer_function": "functions are edited by a client, while the simulation runs",
    "delete_transfer_function": "functions are edited by a client, while the simulation runs",
    "start_new_tf_manager": "there is one for each run",
    "initialize": "the experiment does this",
}


@dataclass(frozen=True, slots=True)
class Topic:
    """A ROS topic and the type of its messages, a class or its name."""

    name: str
    topic_type: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.startswith("/"):
            raise TypeError(f"the name of a topic begins with '/', as '/husky/camera': {self.name!r} does not")
        type_name(self.topic_type)


def module(house: House, drafts: list[Draft]) -> Shim:
    """The module, for files that are run with this house; `drafts` takes each function that is decorated."""
    brain = Brain()
    config = selections.root(brain)
    made = _Decorators(house, drafts)
    names: dict[str, Any] = {
        "Robot2Neuron": made.robot_to_neuron,
        "Neuron2Robot": made.neuron_to_robot,
        "NeuronMonitor": made.neuron_monitor,
        "MapSpikeSource": made.map_spike_source,
        "MapSpikeSink": made.map_spike_sink,
        "MapSpikeRecorder": made.map_spike_recorder,
        "MapRobotSubscriber": made.map_robot_subscriber,
        "MapRobotPublisher": made.map_robot_publisher,
        "MapVariable": made.map_variable,
        "MapCSVRecorder": made.map_csv_recorder,
        "GLOBAL": GLOBAL,
        "TRANSFER_FUNCTION_LOCAL": LOCAL,
        "Topic": Topic,
        "brain": brain,
        "config": config,
        "map_neurons": selections.map_neurons,
        "chain_neurons": selections.chain_neurons,
        "nrange": selections.nrange,
        "resolve": lambda select: select(),
        **{kind.name: kind for kind in KINDS},
    }
    return Shim("hbp_nrp_cle.tf_framework", names, _NOT_HERE)


class _Decorators:
    """The decorators, for one house."""

    def __init__(self, house: House, drafts: list[Draft]) -> None:
        self._house, self._drafts = house, drafts

    # --- directions ---------------------------------------------------------------------------------------

    def robot_to_neuron(self, triggers: Any = None, throttling_rate: Any = None) -> Decorator:
        line = _line()
        return lambda target: self._direct(target, True, triggers, throttling_rate, line)

    def neuron_to_robot(self, robot_topic: Any = None, triggers: Any = None, throttling_rate: Any = None) -> Decorator:
        line = _line()
        topic = None if robot_topic is None else _topic(RETURN, robot_topic, "in", line)

        def decorate(target: Any) -> Draft:
            draft = self._direct(target, False, triggers, throttling_rate, line)
            if topic is not None:
                draft.mappings.append(topic)
            return draft

        return decorate

    def neuron_monitor(self, neurons: Any, monitor_type: Any) -> Decorator:
        line = _line()
        given = {"use_ids": False} if monitor_type == _kind("spike_recorder") else {}
        device = self._device(MONITOR, neurons, monitor_type, given, "sinks", line)

        def decorate(target: Any) -> Draft:
            draft = self._direct(target, False, None, None, line)
            draft.mappings.append(device(draft))
            return draft

        return decorate

    # --- mappings -----------------------------------------------------------------------------------------

    def map_spike_source(self, key: str, value: Any, device_type: Any, **parameters: Any) -> Decorator:
        return self._mapping(self._device(key, value, device_type, parameters, "sources", _line()), to_brain=True)

    def map_spike_sink(self, key: str, value: Any, device_type: Any, **parameters: Any) -> Decorator:
        return self._mapping(self._device(key, value, device_type, parameters, "sinks", _line()), to_brain=False)

    def map_spike_recorder(self, key: str, value: Any, device_type: Any = None, **parameters: Any) -> Decorator:
        kind = _kind("spike_recorder") if device_type is None else device_type
        return self._mapping(self._device(key, value, kind, parameters, "sinks", _line()), to_brain=False)

    def map_robot_subscriber(self, key: str, value: Any, **more: Any) -> Decorator:
        _nothing_more("MapRobotSubscriber", more)
        mapping = _topic(key, value, "out", _line())
        return self._mapping(lambda draft: mapping, to_brain=True)

    def map_robot_publisher(self, key: str, value: Any, **more: Any) -> Decorator:
        _nothing_more("MapRobotPublisher", more)
        mapping = _topic(key, value, "in", _line())
        return self._mapping(lambda draft: mapping, to_brain=True)

    def map_variable(
        self, parameter_name: str, global_key: str | None = None, initial_value: Any = None, scope: str = LOCAL
    ) -> Decorator:
        if scope not in (GLOBAL, LOCAL):
            raise ValueError(f"scope is nrp.GLOBAL or nrp.TRANSFER_FUNCTION_LOCAL, not {scope!r}")
        if isinstance(initial_value, (selections.Neurons, Brain)):
            raise TypeError("neurons cannot be the value of a variable: there is no brain in this process")
        everywhere = scope == GLOBAL
        mapping = VariableMapping(parameter_name, _line(), global_key or parameter_name, initial_value, everywhere)
        if everywhere and self._house.variables.get(mapping.key) is None:
            self._house.variables[mapping.key] = initial_value
        return self._mapping(lambda draft: mapping, to_brain=True)

    def map_csv_recorder(
        self, parameter_name: str, filename: str, headers: Any, erase_on_reset: bool = False
    ) -> Decorator:
        file = self._house.csv.file(filename, [str(header) for header in headers], bool(erase_on_reset))
        mapping = FileMapping(parameter_name, _line(), file)
        return self._mapping(lambda draft: mapping, to_brain=False)

    # --- within -------------------------------------------------------------------------------------------

    def _draft(self, target: Any) -> Draft:
        if isinstance(target, Draft):
            return target
        if not callable(target):
            raise TypeError(f"expected a function below the decorator, found {target!r:.60}")
        draft = Draft(target)
        self._drafts.append(draft)
        return draft

    def _direct(self, target: Any, to_brain: bool, triggers: Any, throttling_rate: Any, line: int) -> Draft:
        draft = self._draft(target)
        if draft.to_brain is not None:
            raise Flaw("loading", f"{draft.name} has two directions: leave one of the decorators out", line)
        draft.to_brain = to_brain
        if triggers is not None:
            draft.triggers = (triggers,) if isinstance(triggers, str) else tuple(triggers)
        if throttling_rate is not None:
            if not isinstance(throttling_rate, (int, float)) or not throttling_rate > 0:
                raise Flaw("loading", f"throttling_rate is calls per second, more than 0: {throttling_rate!r}", line)
            draft.least_s = 1.0 / throttling_rate
        return draft

    def _mapping(self, late: Late, *, to_brain: bool) -> Decorator:
        def decorate(target: Any) -> Draft:
            draft = self._draft(target)
            draft.mappings.append(late(draft))
            # Of a function without a direction the mapping nearest to it tells one.
            if len(draft.mappings) == 1:
                draft.default_to_brain = to_brain
            return draft

        return decorate

    def _device(self, key: str, neurons: Any, device_type: Any, given: Mapping[str, Any], role: str, line: int) -> Late:
        if not isinstance(device_type, Kind) or device_type.role != role:
            known = ", ".join(f"nrp.{kind.name}" for kind in KINDS if kind.role == role)
            raise TypeError(f"{device_type!r:.60} is none of the spike {role}: there is {known}")
        each, grouped = selections.chosen(neurons)
        expressions = tuple(one.expression for one in each)
        table = kinds.table(device_type, list(expressions), given, self._house.unit)

        def late(draft: Draft) -> Mapped:
            argument = "monitor" if key == MONITOR else key
            group = self._house.groups.name(draft.name, argument, Group(role, table))
            by_id = bool(table.get("global_ids", True))
            return DeviceMapping(key, line, Device(device_type, group, expressions, grouped, self._house.unit, by_id))

        return late


def _topic(key: str, topic: Any, direction: Direction, line: int) -> TopicMapping:
    if isinstance(topic, str):
        topic = Topic(topic)
    if not isinstance(topic, Topic):
        raise TypeError(f"expected a topic such as Topic('/husky/camera', sensor_msgs.msg.Image), not {topic!r:.60}")
    return TopicMapping(key, line, topic.name, type_name(topic.topic_type), direction)


def _kind(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


def _nothing_more(decorator: str, more: Mapping[str, Any]) -> None:
    if more:
        raise TypeError(f"{decorator} takes a name and a topic, and no {', '.join(more)}")


def _line() -> int:
    """The line of the file from which a decorator is called."""
    return sys._getframe(2).f_lineno
