"""One stream of a recording as CSV, also while it is being recorded: as far as whole chunks reach.

Where an edit has given the stream other arrays in the course of the run, the rows from there on.
"""

import csv
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from mcap.exceptions import McapError
from mcap.records import Channel, Message
from mcap.stream_reader import StreamReader
from zstandard import ZstdError

from reafference import codec
from reafference.errors import BadExperiment
from reafference.frames import Frame, Port, Ports, PortsNote, RunStart, Stream, Values
from reafference.plain import nearest

from . import columns
from .store import recording_of

_VALUES = "engine/values"


def write(run: Path, topic: str, since_s: float, out: TextIO) -> None:
    """Write the rows from `since_s` of simulated time on. Raises BadExperiment where there are none to be had."""
    path = recording_of(run)
    writer = csv.writer(out)
    if topic == _VALUES:
        _write_values(path, since_s, writer)
        return
    since_step, ports, every = _newest_form(path, topic)
    populations = columns.populations_in(every)
    writer.writerow(columns.header(ports))
    for frame in _frames(path, (topic,)):
        if not isinstance(frame, Stream) or frame.step < since_step or frame.t_ns < since_s * 1e9:
            continue
        if columns.is_spikes(ports):
            writer.writerows(columns.spike_rows(frame.arrays, populations))
        else:
            writer.writerow(columns.step_row(frame.step, frame.t_ns, frame.arrays, ports))


def _write_values(path: Path, since_s: float, writer: Any) -> None:
    """The numbers of transfer functions; a column is empty where a function had none."""
    names: dict[str, None] = {}
    for frame in _frames(path, (_VALUES,)):
        if isinstance(frame, Values):
            names |= dict.fromkeys(frame.values)
    if not names:
        raise BadExperiment(f"{path} has no values of transfer functions")
    writer.writerow(["step", "t_s", *names])
    for frame in _frames(path, (_VALUES,)):
        if isinstance(frame, Values) and frame.t_ns >= since_s * 1e9:
            cells = [repr(frame.values[name]) if name in frame.values else "" for name in names]
            writer.writerow([frame.step, f"{frame.t_ns / 1e9:.9g}", *cells])


def _newest_form(path: Path, topic: str) -> tuple[int, Mapping[str, Port], Mapping[str, Ports]]:
    """The step from which on the stream has the arrays it has now, these arrays, and all ports then."""
    found: tuple[int, Mapping[str, Port]] | None = None
    newest: Mapping[str, Ports] = {}
    for frame in _frames(path, ("run/start", "run/ports")):
        if not isinstance(frame, RunStart | PortsNote):
            continue
        newest = frame.ports
        ports = _ports_of(newest, topic)
        if ports and (found is None or columns.header(found[1]) != columns.header(ports)):
            found = (frame.step if isinstance(frame, PortsNote) else 0, ports)
    if found is None:
        known = _streams(newest)
        raise BadExperiment(f"{path} has no stream {topic!r}{nearest(topic, known)}; it has {', '.join(known)}")
    if not columns.is_table(found[1]):
        raise BadExperiment(f"{topic} has no form as a table: export the recording to HDF5 instead")
    return *found, newest


def _ports_of(declared: Mapping[str, Ports], topic: str) -> dict[str, Port]:
    service, _, stream = topic.partition("/")
    outputs = declared[service].outputs if service in declared else ()
    return {port.name.partition(".")[2]: port for port in outputs if port.stream == stream}


def _streams(declared: Mapping[str, Ports]) -> list[str]:
    return sorted({f"{service}/{port.stream}" for service, ports in declared.items() for port in ports.outputs})


def _frames(path: Path, topics: tuple[str, ...]) -> Iterator[Frame]:
    """Frames of these topics in the order of writing, up to the last whole chunk."""
    channels: dict[int, str] = {}
    with path.open("rb") as file:
        try:
            for record in StreamReader(file).records:
                match record:
                    case Channel() if record.topic in topics:
                        channels[record.id] = record.topic
                    case Message() if record.channel_id in channels:
                        wire = f"-/{channels[record.channel_id]}/".encode("ascii")
                        yield codec.decode(codec.split(wire, record.data).parts()).frame
        except (McapError, ZstdError, EOFError, ValueError, struct.error):
            return  # the rest is still being written
