"""Stretches of a recording as a recording of its own, also while it is being recorded.

What frames the run and what is told of it is kept whole. Of steps those are kept that end within one of the stretches.
"""

import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcap.exceptions import McapError
from mcap.records import Channel, Message
from mcap.stream_reader import StreamReader
from zstandard import ZstdError

from reafference import codec
from reafference.errors import BadExperiment
from reafference.frames import Packed, RunStart, RunStop
from reafference.summary import summary_of

from .replay import KEPT
from .store import Recording, recording_of, write_summary

_CLOCK = "engine/clock"
_AWAIT_S = 10.0
_LOOK_S = 0.1
_FLUSH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stretch:
    """From one simulated time to a later one, in nanoseconds: the steps that end after the first, up to the second."""

    from_ns: int
    to_ns: int

    def __contains__(self, t_ns: int) -> bool:
        return self.from_ns < t_ns <= self.to_ns


def stretches_in(text: str) -> list[Stretch]:
    """`FROM:TO,FROM:TO…` in nanoseconds. Raises BadExperiment."""
    try:
        pairs = [part.split(":") for part in text.split(",")]
        found = [Stretch(int(first), int(last)) for first, last in pairs]
    except ValueError:
        raise BadExperiment(f"{text!r} are no stretches: write FROM:TO,FROM:TO in nanoseconds") from None
    if any(stretch.from_ns >= stretch.to_ns for stretch in found):
        raise BadExperiment(f"{text!r}: a stretch ends after it begins")
    return found


def cut(run: Path, stretches: Sequence[Stretch], folder: Path) -> int:
    """Write what lies in these stretches into `folder`, as a recording with its summary; the number of steps.

    Raises BadExperiment where there is no such step, or the folder cannot be written.
    """
    source = recording_of(run)
    _await(source, max(stretch.to_ns for stretch in stretches))
    recording = Recording(folder)
    steps = pending = 0
    first, last = None, None
    for name, message in _messages(source):
        packed = codec.split(name.encode("ascii"), message.data)
        place = codec.place(packed.parts())
        if name not in KEPT and not any(place.t_ns in stretch for stretch in stretches):
            continue
        steps += name == _CLOCK
        if name == "run/start":
            first = codec.decode(packed.parts()).frame
        elif name == "run/stop":
            last = codec.decode(packed.parts()).frame
        topic = f"{place.run}/{name}/".encode("ascii")
        recording.add(Packed(topic, packed.header, packed.large), place.seq, place.t_ns, message.publish_time)
        pending += len(message.data)
        if pending >= _FLUSH_BYTES:
            recording.flush()
            pending = 0
    if not steps:
        recording.discard()
        raise BadExperiment("no step of the run ended in what was to be saved: let it run in between")
    recording.finish()
    _summarise(folder, first, last, stretches, steps)
    return steps


def _await(source: Path, t_ns: int) -> None:
    """Wait until the recording has come so far: what was simulated a moment ago may not have been written yet."""
    began = time.monotonic()
    while (looked := time.monotonic()) - began < _AWAIT_S:
        if any(name == _CLOCK and message.log_time >= t_ns for name, message in _messages(source)):
            return
        # A long recording takes long to be looked through: it shall not be done all the time.
        time.sleep(max(_LOOK_S, 2 * (time.monotonic() - looked)))


def _messages(path: Path) -> Iterator[tuple[str, Message]]:
    """Topic and message, in the order of writing, up to the last whole chunk."""
    channels: dict[int, str] = {}
    with path.open("rb") as file:
        try:
            for record in StreamReader(file).records:
                match record:
                    case Channel():
                        channels[record.id] = record.topic
                    case Message():
                        yield channels[record.channel_id], record
        except (McapError, ZstdError, EOFError, ValueError, struct.error):
            return  # the rest is still being written


def _summarise(folder: Path, first: object, last: object, stretches: Sequence[Stretch], steps: int) -> None:
    if not isinstance(first, RunStart):
        return
    stop = last if isinstance(last, RunStop) else RunStop(step=-1, t_ns=0, outcome="stopped", steps=0, exit_status=0)
    told = summary_of(stop, first) | {
        "outcome": "stopped",
        "text": "stretches of a run",
        "digest": "",
        "steps": steps,
        "simulated_s": steps * first.dt_ns / 1e9,
        "stretches_s": [[one.from_ns / 1e9, one.to_ns / 1e9] for one in stretches],
    }
    write_summary(folder, told)
