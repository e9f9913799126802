"""A recorded run, read back: its documents, its streams, its complete steps.

Frames of a step without commit mark are left out: the run never saw them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from mcap.reader import make_reader

from reafference import codec
from reafference.errors import BadExperiment
from reafference.frames import Array, Clock, Frame, Port, RunStart, RunStop, Stream

from . import mend
from .store import recording_of


@dataclass(frozen=True, slots=True)
class Sample:
    """One stream of one step."""

    topic: str
    step: int
    t_ns: int
    arrays: Mapping[str, Array]


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
    def ports(self) -> dict[str, dict[str, Port]]:
        """The ports of each stream: topic → array name → port."""
        topics: dict[str, dict[str, Port]] = {}
        for service, declared in self.start.ports.items():
            for port in declared.outputs:
                stream, _, array = port.name.partition(".")
                topics.setdefault(f"{service}/{stream}", {})[array] = port
        return topics

    def samples(self, topics: list[str] | None = None) -> Iterator[Sample]:
        """Streams of complete steps in the order of writing; of all topics if none are named."""
        wanted = list(self.ports) if topics is None else topics
        with self.path.open("rb") as file:
            reader = make_reader(file)
            for _, channel, message in reader.iter_messages(topics=wanted, log_time_order=False):
                frame = _decoded(channel.topic, message.data)
                if isinstance(frame, Stream) and frame.step < self.steps:
                    yield Sample(channel.topic, frame.step, frame.t_ns, frame.arrays)

    def series(self, topic: str, array: str) -> tuple[Array, Array]:
        """One array over all steps: times in seconds, shape (n,), and values, shape (n, …)."""
        times, values = [], []
        for sample in self.samples([topic]):
            if array in sample.arrays:
                times.append(sample.t_ns / 1e9)
                values.append(sample.arrays[array])
        return np.array(times), np.array(values)

    def _frames(self, topics: list[str]) -> Iterator[Frame]:
        with self.path.open("rb") as file:
            for _, channel, message in make_reader(file).iter_messages(topics=topics, log_time_order=False):
                yield _decoded(channel.topic, message.data)


def _decoded(topic: str, data: bytes) -> Frame:
    return codec.decode(codec.split(f"-/{topic}/".encode("ascii"), data).parts()).frame
