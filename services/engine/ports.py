"""Addresses of ports: what a transfer function or a measure means by `body.Foot2`.

An address is the participant's name and any unique ending of `<stream>.<array>` or `<stream>.<array>.<label>`.
Letters match exactly, or without regard to case where that is unique.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reafference import plain
from reafference.errors import PortMismatch
from reafference.frames import Port, Ports


@dataclass(frozen=True, slots=True)
class Place:
    """A port of a participant, or one element of it (`index` along the first axis)."""

    participant: str
    port: Port
    index: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.port.shape if self.index is None else self.port.shape[1:]

    @property
    def name(self) -> str:
        label = "" if self.index is None else f".{self.port.labels[self.index]}"
        return f"{self.participant}.{self.port.name}{label}"


def outputs(ports: Mapping[str, Ports]) -> dict[str, tuple[Port, ...]]:
    """What can be read, by participant."""
    return {name: declared.outputs for name, declared in ports.items()}


def inputs(ports: Mapping[str, Ports]) -> dict[str, tuple[Port, ...]]:
    """What can be written, by participant."""
    return {name: declared.inputs for name, declared in ports.items()}


def find(address: str, known: Mapping[str, Sequence[Port]], who: str) -> Place:
    """The place that `address` names among `known`; `who` begins the complaint ("… reads").

    Raises PortMismatch when nothing or more than one thing has that name.
    """
    participant, _, ending = address.partition(".")
    if participant not in known or not ending:
        wanted = " or ".join(f"{name}.…" for name in sorted(known))
        raise PortMismatch(f"{who} {address!r}: expected {wanted}{plain.nearest(participant, known)}")
    candidates = list(_candidates(participant, known[participant]))
    for fold in (str, str.casefold):
        found = [place for name, place in candidates if _ends(fold(name), fold(ending))]
        # A whole name wins over an ending of a longer one.
        whole = [place for name, place in candidates if fold(name) == fold(ending)]
        if len(whole or found) == 1:
            return (whole or found)[0]
        if found:
            several = ", ".join(place.name for place in found[:4])
            raise PortMismatch(f"{who} {address!r}, which could be {several}: name more of it")
    endings = {name.split(".", cut)[-1] for name, _ in candidates for cut in range(name.count(".") + 1)}
    raise PortMismatch(
        f"{who} {address!r}, but the {participant} has no such port{plain.nearest(ending, endings)}; "
        f"it has {_listed(known[participant])}"
    )


def _candidates(participant: str, ports: Sequence[Port]) -> Iterator[tuple[str, Place]]:
    for port in ports:
        yield port.name, Place(participant, port)
        for index, label in enumerate(port.labels):
            yield f"{port.name}.{label}", Place(participant, port, index)


def _ends(name: str, ending: str) -> bool:
    return name == ending or name.endswith("." + ending)


def _listed(ports: Sequence[Port]) -> str:
    names = [port.name for port in ports]
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return (", ".join(names[:12]) + more) or "none at all"
