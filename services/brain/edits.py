"""Changes to a built network between two steps: parameters, silence, lesion, stimulation.

All of them are made outside NEST's Prepare/Cleanup context, because inside it NEST ignores some settings without a
word. Every rank makes the same calls; what lives on another rank is left to that one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reafference.errors import BadExperiment
from reafference.plain import Misfit, describe, nearest
from services.brain import additions, free_kernel, questions
from services.brain.kernel import nest, set_each, shortest_delay_ns
from services.brain.network import collection
from services.brain.selection import Population, Selection, resolve_one
from services.brain.together import Together

MOST_SYNAPSES = 5_000_000
"""More would not fit into a message anybody could use."""

Result = dict[str, Any]
Finish = Callable[[Together], Result]
"""What is left to do when no rank has failed: bring the ranks' parts together."""

Act = Callable[["Edits", Mapping[str, Any]], Result | Finish]


@dataclass(frozen=True, slots=True)
class _Silenced:
    """What a population was before it was silenced."""

    ids: npt.NDArray[np.int64]
    thresholds: npt.NDArray[np.float64]


class Edits:
    """The edits of one network. They are called outside the context."""

    def __init__(self, populations: Mapping[str, Population], extra: Mapping[str, Selection]) -> None:
        self._populations, self._extra = populations, extra
        self._silenced: dict[str, _Silenced] = {}
        self._lesioned: set[str] = set()
        self._stimulators: dict[tuple[str, str, float], Any] = {}

    def act(self, what: str, arguments: Mapping[str, Any]) -> Finish:
        """Carry out `what` on this rank; whoever called it calls the result, when all ranks have come so far.

        Raises BadExperiment; then everything is as before.
        """
        result = _ACTS[what](self, arguments)
        return result if callable(result) else lambda together: result

    # --- parameters -------------------------------------------------------------------------------------

    def set_parameters(self, arguments: Mapping[str, Any]) -> Result:
        """`population`; `parameters` by name: one value for all its neurons, or a list with one for each."""
        chosen, parameters = self._chosen(arguments, "population"), _map(arguments, "parameters")
        orders = _orders(parameters, len(chosen))
        local, places = self._local(chosen)
        if len(places):
            before = _values(local, list(parameters))
            try:
                set_each(local, [orders[place] for place in places])
            except nest.NESTError as error:
                set_each(local, [{name: values[n] for name, values in before.items()} for n in range(len(places))])
                raise BadExperiment(f"NEST refuses these parameters for {chosen.label}: {error}") from None
        return {"neurons": len(chosen)}

    def get_parameters(self, arguments: Mapping[str, Any]) -> Finish:
        """`population` and `names`: by name, the values of its neurons in their order."""
        chosen, names = self._chosen(arguments, "population"), _names(arguments)
        local, places = self._local(chosen)
        values = _values(local, names) if len(places) else {}

        def finish(together: Together) -> Result:
            parts = together.each({"places": places, "values": values})
            found: dict[str, Any] = {}
            for name in names:
                ordered: list[Any] = [None] * len(chosen)
                for part in parts:
                    for n, place in enumerate(part["places"]):
                        ordered[place] = part["values"][name][n]
                found[name] = _plain(ordered)
            return found

        return finish

    def set_synapses(self, arguments: Mapping[str, Any]) -> Finish:
        """`source` and `target` populations, `parameters` of the synapses between them: one value for all."""
        found = self._synapses(arguments)
        parameters = _map(arguments, "parameters")
        if len(found):
            before = found.get(list(parameters))
            try:
                found.set(**parameters)
            except nest.NESTError as error:
                columns = {name: np.atleast_1d(values).tolist() for name, values in before.items()}
                # Lists of values NEST refuses where there are several processes.
                found.set([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])
                raise BadExperiment(f"NEST refuses these parameters for the synapses: {error}") from None
        return lambda together: {"synapses": together.total(len(found))}

    def get_synapses(self, arguments: Mapping[str, Any]) -> Finish:
        """`source`, `target`, `names`: an array each, and the node ids of `source` and `target`, by target, source."""
        found = self._synapses(arguments)
        names = ["source", "target", *_names(arguments)]
        if len(found) > MOST_SYNAPSES:
            raise BadExperiment(
                f"{len(found):,} synapses are too many to send: name smaller parts, as source = 'A[0:100]'"
            )
        own = {name: np.atleast_1d(values) for name, values in found.get(names).items()} if len(found) else {}

        def finish(together: Together) -> Result:
            parts = [part for part in together.each(own) if part]
            merged = {name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0) for name in names}
            order = np.lexsort((merged["source"], merged["target"]))
            return {name: values[order] for name, values in merged.items()}

        return finish

    # --- lesion studies -----------------------------------------------------------------------------------

    def silence(self, arguments: Mapping[str, Any]) -> Result:
        """No neuron of `population` fires any more: its threshold is infinite."""
        chosen = self._chosen(arguments, "population")
        if chosen.label in self._silenced:
            return {"neurons": len(chosen)}
        local, places = self._local(chosen)
        before = np.zeros(len(chosen))
        if len(places):
            try:
                before[places] = _values(local, ["V_th"])["V_th"]
            except BadExperiment:
                raise BadExperiment(
                    f"{chosen.label} cannot be silenced, since its neurons have no V_th: lesion it instead"
                ) from None
            set_each(local, [{"V_th": np.inf}] * len(places))
        self._silenced[chosen.label] = _Silenced(chosen.ids, before)
        return {"neurons": len(chosen)}

    def lesion(self, arguments: Mapping[str, Any]) -> Result:
        """The neurons of `population` are updated no more: they neither fire nor change until the brain is reset."""
        chosen = self._chosen(arguments, "population")
        local, places = self._local(chosen)
        if len(places):
            set_each(local, [{"frozen": True}] * len(places))
        self._lesioned.add(chosen.label)
        return {"neurons": len(chosen)}

    def restore(self, arguments: Mapping[str, Any]) -> Result:
        """Take the silence of `population` back."""
        chosen = self._chosen(arguments, "population")
        silenced = self._silenced.pop(chosen.label, None)
        if silenced is None:
            # What has reached frozen neurons lies in their buffers and would all arrive at once.
            text = "a lesion stays until the brain is reset" if chosen.label in self._lesioned else "it is not silenced"
            raise BadExperiment(f"{chosen.label} cannot be restored: {text}")
        local, places = self._local(chosen)
        if len(places):
            set_each(local, [{"V_th": float(silenced.thresholds[place])} for place in places])
        return {"neurons": len(chosen)}

    def stimulate(self, arguments: Mapping[str, Any]) -> Result:
        """Drive `population` for `duration_ms` from now on, by `rate_hz` and `weight`, or by `amplitude_pA`."""
        chosen = self._chosen(arguments, "population")
        duration_ms = _number(arguments, "duration_ms")
        by_rate = "rate_hz" in arguments
        if by_rate == ("amplitude_pA" in arguments):
            raise BadExperiment("stimulate takes either rate_hz (with weight) or amplitude_pA: give one of the two")
        now_ms = float(nest.biological_time)
        window = {"start": now_ms, "stop": now_ms + duration_ms}
        if by_rate:
            if "weight" not in arguments:
                raise BadExperiment(
                    "stimulate with rate_hz needs the weight of its synapses: nS for conductance-based neurons (some "
                    "0.1 to 10), pA for current-based ones (some 10 to 1000)"
                )
            weight = _number(arguments, "weight")
            generator = self._stimulator("poisson_generator", chosen, weight)
            generator.set({"rate": _number(arguments, "rate_hz"), **window})
        else:
            generator = self._stimulator("dc_generator", chosen, 1.0)
            generator.set({"amplitude": _number(arguments, "amplitude_pA", -np.inf), **window})
        return {"neurons": len(chosen), "until_ms": window["stop"]}

    # --- within -------------------------------------------------------------------------------------------

    def _stimulator(self, model: str, chosen: Selection, weight: float) -> Any:
        """The generator of this population and weight. NEST cannot take one away, so it is used again."""
        key = (model, chosen.label, weight)
        if key not in self._stimulators:
            generator = nest.Create(model)
            synapse = {"weight": weight, "delay": shortest_delay_ns() / 1e6}
            try:
                nest.Connect(generator, collection(chosen.ids), "all_to_all", synapse)
            except nest.NESTError as error:
                raise BadExperiment(f"NEST refuses to stimulate {chosen.label}: {error}") from None
            self._stimulators[key] = generator
        return self._stimulators[key]

    def _chosen(self, arguments: Mapping[str, Any], key: str) -> Selection:
        text = arguments.get(key)
        if not isinstance(text, str):
            raise BadExperiment(f"{key}: expected the name of a population, found {describe(text)}")
        try:
            return resolve_one(text, self._populations, self._extra)
        except Misfit as misfit:
            raise BadExperiment(f"{key}: expected {misfit.expected}, found {misfit.found}{misfit.hint}") from None

    def _local(self, chosen: Selection) -> tuple[Any, npt.NDArray[np.intp]]:
        """The nodes of a selection that live on this rank, and their places in it."""
        order = np.argsort(chosen.ids)
        nodes = collection(chosen.ids)
        here = np.flatnonzero(np.atleast_1d(nodes.local))
        if not len(here):
            return None, order[here]
        return (nodes if len(here) == len(nodes) else nodes[here.tolist()]), order[here]

    def _synapses(self, arguments: Mapping[str, Any]) -> Any:
        source, target = (collection(self._chosen(arguments, key).ids) for key in ("source", "target"))
        return nest.GetConnections(source, target)


_ACTS: dict[str, Act] = {
    "set_parameters": Edits.set_parameters,
    "get_parameters": Edits.get_parameters,
    "set_synapses": Edits.set_synapses,
    "get_synapses": Edits.get_synapses,
    "silence": Edits.silence,
    "lesion": Edits.lesion,
    "restore": Edits.restore,
    "stimulate": Edits.stimulate,
}

REBUILDING = ("reset", "replace_brain", "set_populations")
KNOWN = (*_ACTS, "switch", *additions.KNOWN, *questions.KNOWN, *free_kernel.KNOWN, *REBUILDING)


def check_known(what: str) -> None:
    """Raises BadExperiment for an edit that no brain has."""
    if what not in KNOWN:
        hint = nearest(what, KNOWN) or f" (it has {', '.join(KNOWN)})"
        raise BadExperiment(f"the brain has no edit {what!r}{hint}")


def _values(nodes: Any, names: list[str]) -> dict[str, list[Any]]:
    """Values by name, in the order of the nodes."""
    if not names:
        return {}
    try:
        found = nodes.get(names)
    except (nest.NESTError, KeyError) as error:
        known = sorted(nest.GetDefaults(nodes[:1].get("model")))
        unknown = [name for name in names if name not in known]
        hint = nearest(unknown[0], known) if unknown else f" ({error})"
        raise BadExperiment(f"{nodes[:1].get('model')} has no parameter {(unknown or names)[0]!r}{hint}") from None
    return {name: list(found[name]) if len(nodes) > 1 else [_only(found[name])] for name in names}


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _orders(parameters: Mapping[str, Any], size: int) -> list[dict[str, Any]]:
    """What each neuron is to be given."""
    columns = {}
    for name, value in parameters.items():
        if (isinstance(value, np.ndarray) and value.ndim) or isinstance(value, (list, tuple)):
            if len(value) != size:
                raise BadExperiment(f"parameters.{name}: expected one value, or {size} (one each), found {len(value)}")
            columns[name] = [item.item() if isinstance(item, np.generic) else item for item in value]
        else:
            columns[name] = [value.item() if isinstance(value, (np.generic, np.ndarray)) else value] * size
    return [{name: column[n] for name, column in columns.items()} for n in range(size)]


def _plain(values: list[Any]) -> Any:
    """An array where the values are numbers, else the list."""
    numbers = all(isinstance(value, (bool, int, float)) for value in values)
    return np.array(values) if numbers else values


def _map(arguments: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = arguments.get(key)
    if not isinstance(value, Mapping) or not value:
        raise BadExperiment(f"{key}: expected a map of names to values, found {describe(value)}")
    return value


def _names(arguments: Mapping[str, Any]) -> list[str]:
    names = arguments.get("names")
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise BadExperiment(f"names: expected a list of names of parameters, found {describe(names)}")
    return list(names)


def _number(arguments: Mapping[str, Any], key: str, least: float = 0.0) -> float:
    value = arguments.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (np.isfinite(value) and value >= least):
        bound = f" of {least:g} or more" if np.isfinite(least) else ""
        raise BadExperiment(f"{key}: expected a finite number{bound}, found {describe(value)}")
    return float(value)
