"""What an experiment measures of itself: single numbers taken from the values at the end of steps."""

from collections.abc import Mapping, Sequence

import numpy as np

from reafference.clock import NS_PER_S
from reafference.errors import PortMismatch
from reafference.frames import Port, Ports

from . import ports as addresses
from .experiment import Measure
from .ports import Place
from .transfer import Arrays

_NS_OF_A_MEASURE_TIME = 1


class Measures:
    """All measures of a run; `results` has None where a run ended before the time of a measure.

    Raises PortMismatch when a measure reads something that is not a number.
    """

    def __init__(self, measures: Mapping[str, Measure], ports: Mapping[str, Ports]) -> None:
        readable = addresses.outputs(ports)
        self._measures = measures
        self._places = {name: _place(name, measure, readable) for name, measure in measures.items()}
        self._series: dict[str, list[float]] = {name: [] for name in measures}

    def rewire(self, ports: Mapping[str, Ports]) -> list[str]:
        """Take the ports as they are now; what there is to say of each measure whose port is gone.

        Such a measure has no result any more: it could only be one of a part of the run.
        """
        readable, texts = addresses.outputs(ports), []
        for name in list(self._places):
            try:
                self._places[name] = _place(name, self._measures[name], readable)
            except PortMismatch as error:
                del self._places[name]
                self._series[name] = []
                texts.append(f"{error.text}; it has no result in this run")
        return texts

    def want(self, participant: str) -> set[str]:
        """Output ports of `participant` that must ride in its answers."""
        return {p.port.name for p in self._places.values() if p.participant == participant}

    def take(self, values: Arrays, t_ns: int) -> None:
        """Take what the end of a step at `t_ns` has to offer."""
        for name, place in self._places.items():
            measure = self._measures[name]
            if measure.at_s is None or abs(measure.at_s * NS_PER_S - t_ns) <= _NS_OF_A_MEASURE_TIME:
                self._series[name].append(measure.scale * _number(values, place))

    def results(self) -> dict[str, float | None]:
        return {name: _reduced(self._measures[name], series) for name, series in self._series.items()}


def _place(name: str, measure: Measure, readable: Mapping[str, Sequence[Port]]) -> Place:
    place = addresses.find(measure.reads, readable, f"measure {name!r} reads")
    if place.shape != ():
        raise PortMismatch(
            f"measure {name!r} reads {place.name}, which has shape {place.shape}: name one element of it"
        )
    return place


def _number(values: Arrays, place: Place) -> float:
    array = values[place.participant][place.port.name]
    return float(array if place.index is None else array[place.index])


def _reduced(measure: Measure, series: list[float]) -> float | None:
    if not series:
        return None
    match measure.over:
        case "mean":
            return float(np.mean(series))
        case "min":
            return min(series)
        case "max":
            return max(series)
        case "range":
            return max(series) - min(series)
    return series[-1]
