"""What an experiment measures of itself: single numbers taken from the values at the end of steps."""

from collections.abc import Mapping

import numpy as np

from reafference.clock import NS_PER_S
from reafference.errors import PortMismatch
from reafference.frames import Ports

from . import ports as addresses
from .experiment import Measure
from .ports import Place
from .transfer import Values

_NS_OF_A_MEASURE_TIME = 1


class Measures:
    """All measures of a run; `results` has None where a run ended before the time of a measure.

    Raises PortMismatch when a measure reads something that is not a number.
    """

    def __init__(self, measures: Mapping[str, Measure], ports: Mapping[str, Ports]) -> None:
        readable = addresses.outputs(ports)
        self._measures = measures
        self._places = {
            name: addresses.find(measure.reads, readable, f"measure {name!r} reads")
            for name, measure in measures.items()
        }
        for name, place in self._places.items():
            if place.shape != ():
                raise PortMismatch(
                    f"measure {name!r} reads {place.name}, which has shape {place.shape}: name one element of it"
                )
        self._series: dict[str, list[float]] = {name: [] for name in measures}

    def want(self, participant: str) -> set[str]:
        """Output ports of `participant` that must ride in its answers."""
        return {p.port.name for p in self._places.values() if p.participant == participant}

    def take(self, values: Values, t_ns: int) -> None:
        """Take what the end of a step at `t_ns` has to offer."""
        for name, measure in self._measures.items():
            if measure.at_s is None or abs(measure.at_s * NS_PER_S - t_ns) <= _NS_OF_A_MEASURE_TIME:
                self._series[name].append(measure.scale * _number(values, self._places[name]))

    def results(self) -> dict[str, float | None]:
        return {name: _reduced(self._measures[name], series) for name, series in self._series.items()}


def _number(values: Values, place: Place) -> float:
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
