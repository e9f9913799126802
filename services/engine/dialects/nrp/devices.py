"""Devices as published functions hold them: attributes that set sources and read sinks.

A group is one object, in brackets it gives its devices. What is set goes to the brain when the function has returned.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reafference import plain
from reafference.errors import PortMismatch
from reafference.frames import Ports
from services.engine.stage import Stage

from .kinds import INJECTOR_PORT, Kind

Places = npt.NDArray[np.intp]
Warn = Callable[[str], None]

_NEVER_S = -1.0


@dataclass(frozen=True, slots=True)
class Device:
    """The devices of one mapping: one for each of `selections`, of which the brain has the group `group`.

    `unit` turns the currents of the function into pA; `by_id` says that rows of `times` begin with node ids, not with
    places in the recorder.
    """

    kind: Kind
    group: str
    selections: tuple[str, ...]
    grouped: bool
    unit: float
    by_id: bool = True

    @property
    def reads(self) -> list[str]:
        """Addresses of what is read."""
        return [f"brain.{stream}.{self.group}" for stream in self.kind.reads.values()]

    @property
    def writes(self) -> list[str]:
        """Addresses of what is written."""
        return [f"brain.{self.group}{suffix}" for suffix in self.suffixes]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What follows on the name of the group in the names of its input ports."""
        values = [INJECTOR_PORT] if self.kind.injects else [quantity.suffix for quantity in self.kind.sets.values()]
        return (*dict.fromkeys(values), "_on")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The neurons of one entry of a recorder: their places among all of its group, and the numbers that stand in the
    rows of `times`."""

    places: Places
    numbers: npt.NDArray[np.int64]


class Live:
    """Devices in a run: what holds of them, and what has been set in the present call."""

    def __init__(self, device: Device, stage: Stage, ports: Mapping[str, Ports], warn: Warn) -> None:
        """Raises PortMismatch where the brain has no such devices."""
        self.device, self.warn = device, warn
        self._stage = stage
        self._recorded = _recorded(device, ports) if "spiked" in device.kind.reads else ()
        highs = {port.name: port.high for port in ports["brain"].inputs}
        self._high = highs.get(device.group) if device.kind.clips else None
        self._set: dict[str, npt.NDArray[Any]] = {}
        self._kept: dict[str, Any] = {}
        self._t_s = 0.0

    @property
    def argument(self) -> "Handle":
        """What the function is given."""
        return Handle(self, np.arange(len(self.device.selections)), single=not self.device.grouped)

    def begin(self, t_s: float) -> None:
        """The function is called at this time."""
        self._set, self._t_s = {}, t_s

    def results(self) -> dict[str, Any]:
        """By address: what was set since then."""
        return {f"brain.{port}": values for port, values in self._set.items()}

    def get(self, name: str, places: Places, *, single: bool) -> Any:
        kind, group = self.device.kind, self.device.group
        if name == "active":
            return _given(self._input(f"{group}_on")[places] != 0, single)
        if name in kind.sets:
            values = self._input(group + kind.sets[name].suffix)[places]
            return _given(values / self._factor(name), single)
        if name == "spiked" and self._recorded:
            fired = self._output(f"spiked.{group}")
            return _given(np.array([bool(fired[self._recorded[place].places].any()) for place in places]), single)
        if name == "times" and self._recorded:
            rows = [self._times(self._recorded[place]) for place in places]
            return rows[0] if single else rows
        if name in kind.reads:
            return _given(self._output(f"{kind.reads[name]}.{group}")[places], single)
        if name in self._kept:
            return self._kept[name]
        raise AttributeError(self._unknown(name))

    def set(self, name: str, value: Any, places: Places) -> None:
        """Raises ValueError for a value that the devices cannot take, AttributeError for one that is only read."""
        kind, group = self.device.kind, self.device.group
        if name == "active":
            self._write(f"{group}_on", places, _each(value, len(places), bool))
        elif name in kind.sets:
            numbers = _each(value, len(places), float) * self._factor(name)
            low = kind.sets[name].low
            # Written so that a NaN fails it too.
            if not ((numbers >= low) & (np.abs(numbers) < math.inf)).all():
                least = f" of {low:g} or more" if low > -math.inf else ""
                raise ValueError(f"the {name} of {kind!r} is a finite number{least}, not {value!r:.60}")
            most = math.inf if self._high is None else self._high
            self._write(group + kind.sets[name].suffix, places, np.minimum(numbers, most))
        elif name in kind.reads:
            raise AttributeError(f"the {name} of {kind!r} can be read, but not set")
        else:
            if name not in self._kept:
                self.warn(f"{self._unknown(name)}; what is set is kept, and does nothing")
            self._kept[name] = value

    def inject(self, times: Any, places: Places) -> None:
        """Send spikes in the next step: one at its beginning, or those so many ms after it. Raises ValueError."""
        if not self.device.kind.injects:
            raise AttributeError(self._unknown("inject_spikes"))
        after_ms = np.atleast_1d(np.asarray(0.0 if times is None else times, float))
        most = self._input(self.device.group).shape[1]
        if len(after_ms) > most:
            raise ValueError(f"{len(after_ms)} spikes at once: {most} is the most in one step")
        if not ((after_ms >= 0) & (after_ms < math.inf)).all():
            raise ValueError("spikes are injected so many ms after the beginning of the next step, 0 or more")
        row = np.full(most, _NEVER_S)
        row[: len(after_ms)] = self._t_s + after_ms / 1000.0
        self._write(self.device.group, places, row)

    def _times(self, own: Recorded) -> npt.NDArray[np.float64]:
        """Rows of neuron and ms."""
        rows = self._output(f"times.{self.device.group}")
        return np.array(rows[np.isin(rows[:, 0], own.numbers)])

    def _factor(self, name: str) -> float:
        return self.device.unit if self.device.kind.sets[name].in_unit else 1.0

    def _input(self, port: str) -> npt.NDArray[Any]:
        """What holds: set in this call, or before."""
        return self._set[port] if port in self._set else self._stage.inputs["brain"][port]

    def _output(self, port: str) -> npt.NDArray[Any]:
        return self._stage.values["brain"][port]

    def _write(self, port: str, places: Places, values: npt.NDArray[Any]) -> None:
        if port not in self._set:
            self._set[port] = np.array(self._stage.inputs["brain"][port])
        self._set[port][places] = values

    def _unknown(self, name: str) -> str:
        kind = self.device.kind
        known = sorted({*kind.sets, *kind.reads, "active", *(["inject_spikes"] if kind.injects else [])})
        return f"{kind!r} has no {name!r}{plain.nearest(name, known)}: it has {', '.join(known)}"


class Handle:
    """One device, or several as one vector."""

    __slots__ = ("_live", "_places", "_single")

    def __init__(self, live: Live, places: Places, *, single: bool) -> None:
        # Any other name is an attribute of the devices.
        object.__setattr__(self, "_live", live)
        object.__setattr__(self, "_places", places)
        object.__setattr__(self, "_single", single)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._live.get(name, self._places, single=self._single)

    def __setattr__(self, name: str, value: Any) -> None:
        self._live.set(name, value, self._places)

    def inject_spikes(self, times: Any = None) -> None:
        """One spike at the beginning of the next step, or several so many ms after it."""
        self._live.inject(times, self._places)

    def get(self, name: str) -> Any:
        """As the attribute."""
        return getattr(self, name)

    def set(self, name: str, value: Any) -> None:
        """As the attribute."""
        setattr(self, name, value)

    def __len__(self) -> int:
        if self._single:
            raise TypeError(f"a single {self._live.device.kind!r} has no length: only groups have one")
        return len(self._places)

    def __getitem__(self, index: Any) -> "Handle":
        if self._single:
            raise TypeError(f"a single {self._live.device.kind!r} has no parts: only groups have brackets")
        chosen = self._places[index]
        return Handle(self._live, np.atleast_1d(chosen), single=np.ndim(chosen) == 0)

    def __iter__(self) -> Iterator["Handle"]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<{self._live.device.kind!r} of {', '.join(self._live.device.selections)}>"


def _recorded(device: Device, ports: Mapping[str, Ports]) -> tuple[Recorded, ...]:
    """The neurons of each entry, as the brain tells which ones it records."""
    facts = ports["brain"].facts.get("recorders", {}).get(device.group)
    if facts is None:
        raise PortMismatch(f"the brain has no recorder {device.group!r} yet")
    if len(facts) != len(device.selections):
        raise PortMismatch(f"the recorder {device.group!r} has neurons that are chosen twice: name each entry once")
    # The ranges of each entry are ascending, as are its neurons among those of the group.
    ids = [np.concatenate([np.arange(first, last + 1) for first, last in ranges]) for ranges in facts.values()]
    ends = np.cumsum([len(own) for own in ids])
    return tuple(
        Recorded(places, own if device.by_id else places)
        for own, places in zip(ids, np.split(np.arange(ends[-1]), ends[:-1]), strict=True)
    )


def _given(values: npt.NDArray[Any], single: bool) -> Any:
    return values[0].item() if single else np.array(values)


def _each(value: Any, n: int, dtype: type) -> npt.NDArray[Any]:
    """A value for each of `n` devices. Raises ValueError."""
    try:
        values: npt.NDArray[Any] = np.asarray(value, dtype)
    except (TypeError, ValueError):
        raise ValueError(f"expected a number, or one for each of {n} devices, found {value!r:.60}") from None
    if values.size == 1:
        return np.full(n, values.reshape(-1)[0])
    # Published groups take the first values of a longer list.
    if values.ndim != 1 or len(values) < n or n == 1:
        raise ValueError(f"expected a number, or one for each of {n} devices, found shape {values.shape}")
    return values[:n]
