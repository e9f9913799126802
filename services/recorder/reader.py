"""A recorded run, read back: its documents, its streams, its complete steps.

Frames of a step without commit mark are left out: the run never saw them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mcap.reader import make_reader

from reafference import codec
from reafference.errors import BadExperiment
from reafference.frames import Array, Change, Clock, Frame, Port, Ports, PortsNote, RunStart, RunStop, Stream

from . import mend
from .store import recording_of


@dataclass(frozen=True, slots=True)
class Sample:
    """One stream of one step. `since` is the step from which on its ports have been what they are."""

    topic: str
    step: int
    t_ns: int
    arrays: Mapping[str, Array]
    since: int = 0


class Run:
    """A recording opened for reading; a file that was cut is mended first.

    Raises BadExperiment if there is no recording, or no first document in it.
    """

    def __init__(self, where: Path) -> None:
        self.path = recording_of(where)
        self.folder = self.path.parent
        mend.mend(self.path)

    @cached_property
    def start(self) -> RunStart:
        """The first document."""
        for frame in self._frames(["run/start"]):
            if isinstance(frame, RunStart):
                return frame
        raise BadExperiment(f"{self.path} has no first document: nothing of its run was recorded")

    @cached_property
    def stop(self) -> RunStop | None:
        """The last document; None if the run broke off."""
        found = [frame for frame in self._frames(["run/stop"]) if isinstance(frame, RunStop)]
        return found[-1] if found else None

    @cached_property
    def steps(self) -> int:
        """How many steps are complete."""
        marks = [frame.step for frame in self._frames(["engine/clock"]) if isinstance(frame, Clock)]
        return marks[-1] + 1 if marks else 0

    @cached_property
    def changes(self) -> list[Change]:
        """What was changed in the course of the run, and what was refused."""
        return [frame for frame in self._frames(["engine/edits"]) if isinstance(frame, Change)]

    @cached_property
    def ports(self) -> dict[str, dict[str, Port]]:
        """The ports of each stream: topic → array name → port. Of one that changed, those it had first."""
        return {topic: forms[0][1] for topic, forms in self._forms.items()}

    def ports_of(self, sample: Sample) -> Mapping[str, Port]:
        """The ports of this stream as they were in this step."""
        return next(ports for since, ports in self._forms[sample.topic] if since == sample.since)

    @cached_property
    def port_changes(self) -> list[tuple[int, Mapping[str, Ports]]]:
        """The ports of all services, and the step from which on they held."""
        notes = [frame for frame in self._frames(["run/ports"]) if isinstance(frame, PortsNote)]
        return [(0, self.start.ports), *((note.step, note.ports) for note in notes)]

    @cached_property
    def _forms(self) -> dict[str, list[tuple[int, dict[str, Port]]]]:
        """Of each topic the steps from which on its arrays had another form, and their ports then."""
        forms: dict[str, list[tuple[int, dict[str, Port]]]] = {}
        for since, declared in self.port_changes:
            for topic, ports in _by_topic(declared).items():
                known = forms.setdefault(topic, [])
                if not known or _table_of(known[-1][1]) != _table_of(ports):
                    known.append((since, ports))
        return forms

    def samples(self, topics: list[str] | None = None) -> Iterator[Sample]:
        """Streams of complete steps in the order of writing; of all topics if none are named."""
        wanted = list(self.ports) if topics is None else topics
        with self.path.open("rb") as file:
            reader = make_reader(file)
            for _, channel, message in reader.iter_messages(topics=wanted, log_time_order=False):
                frame = _decoded(channel.topic, message.data)
                if isinstance(frame, Stream) and frame.step < self.steps:
                    since = self._since(channel.topic, frame.step)
                    yield Sample(channel.topic, frame.step, frame.t_ns, frame.arrays, since)

    def series(self, topic: str, array: str) -> tuple[Array, Array]:
        """One array over all steps: times in seconds, shape (n,), and values, shape (n, …).

        Of an array that has changed its form the steps in which it had its first one.
        """
        times, values = [], []
        shape = self.ports[topic][array].shape
        for sample in self.samples([topic]):
            known = self.ports_of(sample).get(array)
            if array in sample.arrays and known is not None and known.shape == shape:
                times.append(sample.t_ns / 1e9)
                values.append(sample.arrays[array])
        return np.array(times), np.array(values)

    def _since(self, topic: str, step: int) -> int:
        """The step from which on this topic has had the form it has in `step`."""
        forms = self._forms[topic]
        return forms[0][0] if len(forms) == 1 else [since for since, _ in forms if since <= step][-1]

    def _frames(self, topics: list[str]) -> Iterator[Frame]:
        with self.path.open("rb") as file:
            for _, channel, message in make_reader(file).iter_messages(topics=topics, log_time_order=False):
                yield _decoded(channel.topic, message.data)


def _by_topic(declared: Mapping[str, Ports]) -> dict[str, dict[str, Port]]:
    topics: dict[str, dict[str, Port]] = {}
    for service, ports in declared.items():
        for port in ports.outputs:
            stream, _, array = port.name.partition(".")
            topics.setdefault(f"{service}/{stream}", {})[array] = port
    return topics


def _table_of(ports: Mapping[str, Port]) -> list[tuple[Any, ...]]:
    """What decides how the arrays of a stream are laid out in a table."""
    return [(name, port.shape, port.dtype, port.unit, port.labels) for name, port in ports.items()]


def _decoded(topic: str, data: bytes) -> Frame:
    return codec.decode(codec.split(f"-/{topic}/".encode("ascii"), data).parts()).frame
