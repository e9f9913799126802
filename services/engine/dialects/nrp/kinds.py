"""The published device kinds: their parameters as the tables of DEVICES.md, and what functions may set and read.

Parameters are those of both published sets of adapters: names of NEST (`C_m`, `V_th`, pA, pF) and of PyNN (`cm`,
`v_thresh`, nA, nF).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from reafference import plain

Role = Literal["sources", "sinks"]

_UNIT = "unit"
"""Stands for the factor from the unit of the experiment's weights and currents to nS and pA."""

_MOST_INJECTED = 20
"""Spikes of one injector within one step."""

INJECTOR_PORT = ""
"""What follows on the group's name in the port that takes the moments of an injector's spikes."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a function sets: the port is that of the group with `suffix`, `in_unit` says that it is a current."""

    suffix: str = ""
    low: float = -math.inf
    in_unit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of device: `nrp.<name>`.

    `options` says of each parameter which of ours it is, and by what it is multiplied. `sets` are attributes that
    functions write, `reads` those that they read, with the stream of the port. `synapses` says whether weight and delay
    may be given, `clips` whether what is too high is taken down to the most there is, `injects` whether it has the call
    `inject_spikes`.
    """

    name: str
    role: Role
    ours: str
    options: Mapping[str, tuple[str, float | str]]
    sets: Mapping[str, Quantity] = field(default_factory=dict)
    reads: Mapping[str, str] = field(default_factory=dict)
    synapses: bool = True
    clips: bool = False
    injects: bool = False

    def __repr__(self) -> str:
        return f"nrp.{self.name}"

    @property
    def parameters(self) -> list[str]:
        """All names that may be given."""
        further = [*_SYNAPSE, *_WITHOUT_EFFECT] if self.synapses else list(_WITHOUT_EFFECT)
        return sorted({*self.options, *further, *(_PERIOD if "start" in self.options else ())})


_INTEGRATOR = {
    "V_th": ("V_th_mV", 1.0),
    "v_thresh": ("V_th_mV", 1.0),
    "C_m": ("C_m_pF", 1.0),
    "cm": ("C_m_pF", 1000.0),
    "tau_m": ("tau_m_ms", 1.0),
    "tau_syn_ex": ("tau_syn_ex_ms", 1.0),
    "tau_syn_E": ("tau_syn_ex_ms", 1.0),
    "tau_syn_in": ("tau_syn_in_ms", 1.0),
    "tau_syn_I": ("tau_syn_in_ms", 1.0),
    "E_L": ("E_L_mV", 1.0),
    "v_rest": ("E_L_mV", 1.0),
    "V_reset": ("V_reset_mV", 1.0),
    "v_reset": ("V_reset_mV", 1.0),
    "t_ref": ("t_ref_ms", 1.0),
    "tau_refrac": ("t_ref_ms", 1.0),
    "I_e": ("I_e_pA", 1.0),
    "i_offset": ("I_e_pA", 1000.0),
}
_WINDOW = {"start": ("start_ms", 1.0), "stop": ("stop_ms", 1.0)}
_PERIOD = ("duration",)
_SYNAPSE = ("weight", "delay", "receptor_type", "target", "synapse_type", "connector", "rule")
_WITHOUT_EFFECT = ("label", "source", "rng", "updates", "synapse_dynamics")

KINDS = (
    Kind(
        name="poisson",
        role="sources",
        ours="poisson",
        options={"rate": ("rate_hz", 1.0), "n": ("n", 1.0), **_WINDOW},
        sets={"rate": Quantity(low=0.0)},
    ),
    Kind(
        name="fixed_frequency",
        role="sources",
        ours="fixed_frequency",
        options={
            "rate": ("rate_hz", 1.0),
            "initial_rate": ("rate_hz", 1.0),
            **{name: to for name, to in _INTEGRATOR.items() if "tau_syn" not in to[0] and to[0] != "I_e_pA"},
        },
        sets={"rate": Quantity(low=0.0)},
        clips=True,
    ),
    Kind(
        name="dc_source",
        role="sources",
        ours="dc",
        options={"amplitude": ("amplitude_pA", _UNIT), **_WINDOW},
        sets={"amplitude": Quantity(in_unit=True)},
        synapses=False,
    ),
    Kind(
        name="ac_source",
        role="sources",
        ours="ac",
        options={
            "amplitude": ("amplitude_pA", _UNIT),
            "offset": ("offset_pA", _UNIT),
            "frequency": ("frequency_hz", 1.0),
            "phase": ("phase_deg", 1.0),
            **_WINDOW,
        },
        sets={
            "amplitude": Quantity(in_unit=True),
            "offset": Quantity("_offset", in_unit=True),
            "frequency": Quantity("_frequency", low=0.0),
            "phase": Quantity("_phase"),
        },
        synapses=False,
    ),
    Kind(
        name="nc_source",
        role="sources",
        ours="noise_current",
        options={
            "mean": ("mean_pA", _UNIT),
            "std": ("std_pA", _UNIT),
            "stdev": ("std_pA", _UNIT),
            "dt": ("interval_ms", 1.0),
            **_WINDOW,
        },
        sets={
            "mean": Quantity(in_unit=True),
            "stdev": Quantity("_std", low=0.0, in_unit=True),
            "std": Quantity("_std", low=0.0, in_unit=True),
        },
        synapses=False,
    ),
    Kind(name="injector", role="sources", ours="spike_injector", options={"n": ("n", 1.0)}, injects=True),
    Kind(
        name="leaky_integrator_alpha",
        role="sinks",
        ours="leaky_integrator_alpha",
        options=_INTEGRATOR,
        reads={"voltage": "sinks"},
    ),
    Kind(
        name="leaky_integrator_exp",
        role="sinks",
        ours="leaky_integrator_exp",
        options=_INTEGRATOR,
        reads={"voltage": "sinks"},
    ),
    Kind(
        name="population_rate",
        role="sinks",
        ours="population_rate",
        options={"tau_rise": ("tau_rise_ms", 1.0), "tau_fall": ("tau_fall_ms", 1.0)},
        reads={"rate": "sinks"},
        synapses=False,
    ),
    Kind(
        name="spike_recorder",
        role="sinks",
        ours="spike_recorder",
        options={"use_ids": ("global_ids", 1.0)},
        reads={"spiked": "spiked", "times": "times"},
        synapses=False,
    ),
)

_RULES = {
    "AllToAll": "all_to_all",
    "AllToAllConnector": "all_to_all",
    "all_to_all": "all_to_all",
    "OneToOne": "one_to_one",
    "OneToOneConnector": "one_to_one",
    "one_to_one": "one_to_one",
}


def table(kind: Kind, selections: list[str], given: Mapping[str, Any], unit: float) -> dict[str, Any]:
    """The group of devices as in [brain]; `unit` turns weights and currents into nS and pA.

    Raises TypeError for a parameter that the kind has not, ValueError for one that cannot be had.
    """
    made: dict[str, Any] = {"kind": kind.ours, "switchable": True}
    made["targets" if kind.role == "sources" else "sources"] = selections
    for name, value in given.items():
        if name not in kind.parameters:
            hint = plain.nearest(name, kind.parameters)
            raise TypeError(f"{kind!r} has no parameter {name!r}{hint}: it has {', '.join(kind.parameters)}")
        if name in kind.options and value is not None:
            option, factor = kind.options[name]
            made[option] = _scaled(name, _one(name, value), unit if factor == _UNIT else float(factor))
    if given.get("duration") is not None and math.isfinite(_number("duration", given["duration"])):
        made["stop_ms"] = made.get("start_ms", 0.0) + _number("duration", given["duration"])
    if kind.synapses:
        made |= _synapses(kind, given, unit)
    return made | _peculiar(kind, made)


def _peculiar(kind: Kind, made: dict[str, Any]) -> dict[str, Any]:
    """What some kinds are always given."""
    if kind.name == "spike_recorder":
        return {"spiked": True, "times": True, "global_ids": bool(made.get("global_ids", True))}
    if kind.name == "population_rate":
        return {"reduce": "sum"}
    if kind.name == "injector":
        # So many injectors on the same neurons send at the same time: one of so many times the weight.
        times = made.pop("n", 1.0)
        return {"times": _MOST_INJECTED, "weight": made.get("weight", 0.15) * times}
    if "n" in made:
        return {"n": int(made["n"])}
    return {}


def _synapses(kind: Kind, given: Mapping[str, Any], unit: float) -> dict[str, Any]:
    connector = given.get("connector") or {}
    if isinstance(connector, str):
        connector = {"mode": connector}
    if not isinstance(connector, Mapping):
        raise ValueError("connector is a table such as {'mode': 'AllToAll', 'weight': 0.5, 'delay': 1.0}")
    made: dict[str, Any] = {}
    rule = connector.get("mode", given.get("rule"))
    if rule is not None:
        if rule not in _RULES:
            known = ", ".join(_RULES)
            raise ValueError(f"the connection rule {rule!r} is not to be had for {kind!r}: it has {known}")
        made["rule"] = _RULES[rule]
    weight = _first(given.get("weight"), connector.get("weight"))
    receptor = _first(given.get("receptor_type"), given.get("target"))
    if weight is not None:
        made["weight"] = _scaled("weight", _one("weight", weight), unit)
    if receptor is not None:
        made["receptor"] = _one("receptor_type", receptor)
    if made.get("weight", 0.0) < 0 and isinstance(made.get("receptor", "excitatory"), str):
        made |= {"receptor": "inhibitory", "weight": -made["weight"]}
    delay = _first(given.get("delay"), connector.get("delay"))
    if delay is not None:
        made["delay_ms"] = _delay(delay)
    if given.get("synapse_type") is not None:
        made["synapse_model"] = _model(given["synapse_type"])
    return made


def _delay(delay: Any) -> float | list[float]:
    if isinstance(delay, Mapping):
        if delay.get("distribution") != "uniform" or not {"low", "high"} <= set(delay):
            raise ValueError("delay is a number, or {'distribution': 'uniform', 'low': 0.1, 'high': 2.0}")
        return [_number("delay", delay["low"]), _number("delay", delay["high"])]
    return _number("delay", _one("delay", delay))


def _model(synapse_type: Any) -> str:
    name = synapse_type.get("type") if isinstance(synapse_type, Mapping) else synapse_type
    if not isinstance(name, str):
        raise ValueError(f"synapse_type is the name of a model of NEST, not {synapse_type!r:.40}")
    return "static_synapse" if name == "StaticSynapse" else name


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _one(name: str, value: Any) -> Any:
    """The value that all devices of a group have."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return value
    values = np.asarray(value).tolist()
    if not values or any(other != values[0] for other in values):
        raise ValueError(f"{name} has a value for each device: give one that all have, or make several groups")
    return values[0]


def _scaled(name: str, value: Any, factor: float) -> float | bool:
    return value if isinstance(value, bool) else _number(name, value) * factor


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is a number, not {value!r:.40}") from None
