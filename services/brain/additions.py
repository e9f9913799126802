"""Groups of devices that come, or change, while a run goes on: what is ordered, as settings of the brain.

The settings go into the plan, so that whatever builds the brain anew builds these too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reafference.errors import BadExperiment
from reafference.plain import describe, dump, nearest
from services.brain.device_kinds import SINK_KINDS, SOURCE_KINDS, Sink, Source, SpikeRecorder
from services.brain.settings import BrainSettings, bad

KNOWN = ("add_device", "set_device")

_ROLES: dict[str, tuple[str, Mapping[str, Any]]] = {"source": ("sources", SOURCE_KINDS), "sink": ("sinks", SINK_KINDS)}
_SETTABLE = {
    "sources": ("weight", "start_ms", "stop_ms"),
    "sinks": (
        "weight",
        "weight_scaled_to_full_size",
        "C_m_pF",
        "tau_m_ms",
        "tau_syn_ex_ms",
        "tau_syn_in_ms",
        "E_L_mV",
        "V_th_mV",
        "V_reset_mV",
        "t_ref_ms",
        "I_e_pA",
        "reduce",
        "tau_rise_ms",
        "tau_fall_ms",
    ),
}
_INSTEAD = "add another group with add_device, and switch this one off"


@dataclass(frozen=True, slots=True)
class Ordered:
    """A group `name` of the table `sources` or `sinks`, and the settings of the brain with it."""

    table: str
    name: str
    settings: Mapping[str, Any]
    loaded: BrainSettings

    @property
    def spec(self) -> Source | Sink:
        return self.loaded.sources[self.name] if self.table == "sources" else self.loaded.sinks[self.name]

    def alone(self) -> BrainSettings:
        """The same settings with no devices but this group."""
        own = {self.name: self.spec}
        return replace(
            self.loaded,
            sources=own if self.table == "sources" else {},  # type: ignore[arg-type]
            sinks=own if self.table == "sinks" else {},  # type: ignore[arg-type]
        )


def added(settings: Mapping[str, Any], arguments: Mapping[str, Any], shortest_ms: float) -> Ordered:
    """What `add_device` orders: `group`, and `table` as in experiment.toml with its `kind`, which tells its role.

    `role` (source or sink) may be said, in the arguments or in the table, and must fit then. `shortest_ms` is the
    shortest delay of the network. Raises BadExperiment.
    """
    name, table = _text(arguments, "group"), dict(_table(arguments))
    role = arguments.get("role", table.pop("role", None))
    place = _place(role, table.get("kind"))
    if name in settings.get(place, {}):
        raise BadExperiment(f"group: the brain has {place} called {name!r} already, choose another name")
    ordered = _with(settings, place, name, table)
    _check_delay(ordered, shortest_ms)
    return ordered


def changed(settings: Mapping[str, Any], arguments: Mapping[str, Any]) -> Ordered:
    """What `set_device` orders: `group`, with `sources.` or `sinks.` before it where both have one of that name, and
    in `table` the options that change. Raises BadExperiment, for an option too that cannot change any more.
    """
    place, name = _found(settings, _text(arguments, "group"))
    table = dict(_table(arguments))
    ordered = _with(settings, place, name, {**settings[place][name], **table})
    _check_settable(ordered, table)
    return ordered


def _place(role: Any, kind: Any) -> str:
    """`sources` or `sinks`."""
    if role is not None and role not in _ROLES:
        raise BadExperiment(f"role: expected 'source' or 'sink', found {describe(role)}")
    for own, (place, known) in _ROLES.items():
        if isinstance(kind, str) and kind in known:
            if role not in (None, own):
                raise BadExperiment(f"role: expected {own!r}, which {kind!r} is, found {role!r}")
            return place
    kinds = [*SOURCE_KINDS, *SINK_KINDS]
    hint = nearest(kind, kinds) if isinstance(kind, str) else ""
    raise BadExperiment(f"table.kind: expected one of {', '.join(kinds)}, found {describe(kind)}{hint}")


def _found(settings: Mapping[str, Any], name: str) -> tuple[str, str]:
    keys = [f"{place}.{group}" for place in _SETTABLE for group in settings.get(place, {})]
    found = [key for key in keys if name in (key, key.split(".")[1])]
    if len(found) != 1:
        hint = "" if found else nearest(name, [key.split(".")[1] for key in keys])
        listed = ", ".join(found or keys) or "none"
        raise BadExperiment(f"group: expected one of the brain's devices, {listed}, found {name!r}{hint}")
    place, _, group = found[0].partition(".")
    return place, group


def _with(settings: Mapping[str, Any], place: str, name: str, table: Mapping[str, Any]) -> Ordered:
    whole = {**settings, place: {**settings.get(place, {}), name: dict(table)}}
    return Ordered(place, name, whole, BrainSettings.load(whole))


def _check_delay(ordered: Ordered, shortest_ms: float) -> None:
    spec = ordered.spec
    if isinstance(spec, SpikeRecorder) or spec.delay_ms is None:
        return
    own = spec.delay_ms[0] if isinstance(spec.delay_ms, tuple) else spec.delay_ms
    if own < shortest_ms:
        # Before the first step NEST would take it, and cut the whole run differently.
        text = f"{own:g} ms is shorter than all delays of the network: give {shortest_ms:g} ms or more, or none"
        raise bad(f"brain.{ordered.table}.{ordered.name}.delay_ms", text)


def _check_settable(ordered: Ordered, table: Mapping[str, Any]) -> None:
    spec, name = ordered.spec, ordered.name
    if isinstance(spec, SpikeRecorder):
        raise BadExperiment(f"{name} is a spike_recorder, of which nothing can be changed: {_INSTEAD}")
    values = dump(spec)
    if not table:
        raise BadExperiment(f"table: expected options of {name} with their new values, found an empty one")
    written = {quantity.option for quantity in spec.quantities} if ordered.table == "sources" else set()  # type: ignore[union-attr]
    for option in table:
        key = f"brain.{ordered.table}.{name}.{option}"
        if option in written:
            text = f"the value that brain.{name} has until somebody writes it: write it in a transfer function"
            raise bad(key, text)
        if option not in _SETTABLE[ordered.table] and option in values:
            raise bad(key, f"it cannot be changed in a brain that has been built: {_INSTEAD}")


def _text(arguments: Mapping[str, Any], key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str):
        raise BadExperiment(f"{key}: expected a text, found {describe(value)}")
    return value


def _table(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    value = arguments.get("table")
    if not isinstance(value, Mapping):
        raise BadExperiment(f"table: expected the options of a group of devices, found {describe(value)}")
    return value
