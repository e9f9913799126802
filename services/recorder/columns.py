"""Streams as tables: the columns of one, and the cells of a row."""

import re
from collections.abc import Iterator, Mapping

import numpy as np

from reafference.frames import Array, Port, Ports

_WIDEST = 4096
_PROFILE = "profile.parts"
_AXES: dict[tuple[int, ...], str] = {(3,): "xyz", (4,): "wxyz"}


def is_spikes(ports: Mapping[str, Port]) -> bool:
    """Whether the rows of this stream are spikes, not steps."""
    return "sender" in ports and "time_ns" in ports


def is_table(ports: Mapping[str, Port]) -> bool:
    """Whether these arrays have a form as a table: a fixed width, and not too large a one (pictures are)."""
    if "sender" in ports:
        return True
    return all(-1 not in port.shape for port in ports.values()) and sum(map(width, ports.values())) <= _WIDEST


def header(ports: Mapping[str, Port]) -> list[str]:
    """The names of the columns."""
    if is_spikes(ports):
        return ["time_s", "sender", "population"]
    return ["step", "t_s", *(name for port in ports.items() for name in _columns(*port))]


def step_row(step: int, t_ns: int, arrays: Mapping[str, Array], ports: Mapping[str, Port]) -> list[str]:
    """The row of one step; an array that was not sent leaves its cells empty."""
    row = [str(step), f"{t_ns / 1e9:.9g}"]
    for name, port in ports.items():
        array = arrays.get(name)
        row.extend([""] * width(port) if array is None else _cells(array, port))
    return row


def spike_rows(arrays: Mapping[str, Array], populations: Mapping[int, str]) -> Iterator[list[str]]:
    """The rows of the spikes of one step."""
    for sender, time_ns in zip(arrays["sender"], arrays["time_ns"], strict=True):
        yield [f"{int(time_ns) / 1e9:.7f}", str(int(sender)), populations.get(int(sender), "")]


def populations_in(ports: Mapping[str, Ports]) -> dict[int, str]:
    """The population of every recorded neuron, by node id."""
    brain = ports.get("brain")
    recorders = brain.facts.get("recorders", {}) if brain else {}
    names: dict[int, str] = {}
    for labels in recorders.values():
        for label, ranges in labels.items():
            for first, last in ranges:
                names.update(dict.fromkeys(range(first, last + 1), label))
    return names


def width(port: Port) -> int:
    """How many columns an array has; 0 where that changes from step to step."""
    return int(np.prod(port.shape, dtype=np.int64)) if -1 not in port.shape else 0


def _columns(array: str, port: Port) -> Iterator[str]:
    if port.name == _PROFILE:
        yield from port.labels
        return
    unit = re.sub(r"[^A-Za-z0-9]+", "_", port.unit.replace("/", " per ")).strip("_")
    ending = f"_{unit}" if unit and unit != "1" else ""
    first = [f"_{label}" for label in port.labels] or [f"_{i}" for i in range(port.shape[0] if port.shape else 0)]
    if not port.shape:
        yield f"{array}{ending}"
        return
    for label in first:
        for rest in np.ndindex(*port.shape[1:]):
            axes = _AXES.get(port.shape[1:])
            inner = "".join(f"_{axes[i] if axes else i}" for i in rest)
            yield f"{array}{label}{inner}{ending}"


def _cells(array: Array, port: Port) -> list[str]:
    flat = np.asarray(array).reshape(-1)
    if port.name == _PROFILE:  # in seconds, as in the profile the engine writes
        return [f"{value / 1e9:.9f}" for value in flat]
    return [repr(value.item()) for value in flat]
