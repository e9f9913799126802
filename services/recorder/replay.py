"""A recorded run, given out again: its frames as they were on the bus, step by step, from any moment on.

Whoever wants them writes lines of JSON, `{"mark": 3, "since_ns": 2000000000}`: from that time on, until another line
comes. What is written back are batches (codec.py), each behind its length in four bytes, the most significant first.
The number of a batch is the mark that asked for it. One without frames ends what was asked for.

Mark 0 is not asked for and comes first: the last commit mark, then the frames of the topics that are kept.
"""

import itertools
import json
import os
import select
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from mcap.reader import make_reader

from reafference import codec
from reafference.errors import BadExperiment

from .reader import Run

KEPT = ("run/start", "run/ports", "run/stop", "engine/log", "engine/edits", "engine/functions")
"""Topics that come first, whole. What functions there are also comes in its step."""

_CLOCK = "engine/clock"
_LENGTH = struct.Struct(">I")
_BATCH_BYTES = 1_000_000
_LONGEST_LINE = 1000


@dataclass(frozen=True, slots=True)
class Wish:
    """All steps that end after `since_ns`; `mark` says to which wish a batch belongs."""

    mark: int
    since_ns: int


class Wishes:
    """Wishes as they come in, a line each. Only the newest counts."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._rest = b""

    def waiting(self) -> bool:
        """Whether there is something to read, a wish or the end."""
        return bool(select.select([self._source], [], [], 0)[0])

    def newest(self) -> Wish | None:
        """Wait for a wish; None when there will be no more. Raises BadExperiment if it cannot be understood."""
        while True:
            piece = os.read(self._source, _LONGEST_LINE)
            if not piece:
                return None
            *lines, self._rest = (self._rest + piece).split(b"\n")
            if lines and not self.waiting():
                return _wish_in(lines[-1])


def give_out(run: Run, wishes: Wishes, out: BinaryIO) -> None:
    """Write what is kept, then what is wished for, until there are no more wishes.

    Raises BrokenPipeError when nobody reads any more, BadExperiment for a recording that has no complete step.
    """
    first = itertools.chain([_last_mark(run)], _frames(run, topics=list(KEPT)))
    for batch in _of_a_size(bound for _, bound in first):
        _write(out, 0, batch)
    _write(out, 0, [])
    while (wish := wishes.newest()) is not None:
        _write_steps(run, wish, wishes.waiting, out)


def _write_steps(run: Run, wish: Wish, interrupted: Callable[[], bool], out: BinaryIO) -> None:
    for step in steps_since(run, wish.since_ns):
        if interrupted():
            return
        _write(out, wish.mark, step)
    _write(out, wish.mark, [])


def steps_since(run: Run, since_ns: int) -> Iterator[list[bytes]]:
    """The frames of each complete step that ends after `since_ns`, with its commit mark as the last."""
    step: list[bytes] = []
    for place, bound in _frames(run, since_ns=since_ns):
        step.append(bound)
        if place.kind == "clock":
            if place.t_ns > since_ns:
                yield step
            step = []


def _frames(
    run: Run, topics: list[str] | None = None, since_ns: int | None = None
) -> Iterator[tuple[codec.Place, bytes]]:
    """Frames in the order of writing, as they stand in a batch; without the kept topics, if none are named."""
    with run.path.open("rb") as file:
        messages = make_reader(file).iter_messages(topics=topics, starting_at=since_ns, log_time_order=False)
        for _, channel, message in messages:
            if topics is None and channel.topic in KEPT[:-1]:
                continue
            yield _bound(channel.topic, message.data)


def _last_mark(run: Run) -> tuple[codec.Place, bytes]:
    with run.path.open("rb") as file:
        for _, channel, message in make_reader(file).iter_messages(topics=[_CLOCK], reverse=True):
            return _bound(channel.topic, message.data)
    raise BadExperiment(f"{run.path} has no complete step: there is nothing to play")


def _bound(topic: str, data: bytes) -> tuple[codec.Place, bytes]:
    """A recorded frame as it was on the bus."""
    packed = codec.split(topic.encode("ascii"), data)
    place = codec.place(packed.parts())
    parts = (f"{place.run}/{topic}/".encode("ascii"), packed.header, *packed.large)
    return place, codec.bound(parts)


def _of_a_size(frames: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for frame in frames:
        batch.append(frame)
        size += len(frame)
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _write(out: BinaryIO, mark: int, frames: list[bytes]) -> None:
    batch = codec.batch(mark, frames)
    out.write(_LENGTH.pack(len(batch)) + batch)
    out.flush()


def _wish_in(line: bytes) -> Wish:
    try:
        asked: dict[str, Any] = json.loads(line)
        return Wish(mark=int(asked["mark"]), since_ns=int(asked["since_ns"]))
    except (ValueError, TypeError, KeyError) as error:
        raise BadExperiment(
            f'{line[:80]!r} is no wish ({error}): send lines like {{"mark": 1, "since_ns": 0}}'
        ) from None
