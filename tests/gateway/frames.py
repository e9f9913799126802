"""Frames of a bus, made by hand."""

import numpy as np

from reafference import codec
from reafference.frames import Message, StateNote, Stream
from reafference.topics import Topic


def parts(topic, frame, *, seq=0, run="7f3a"):
    """The parts of a frame as they come over the bus; `topic` without the run."""
    service, _, stream = topic.partition("/")
    wire = Topic(run, service, stream).wire()
    return [bytes(part) for part in codec.encode(frame, run=run, src=service, seq=seq, topic=wire).parts()]


def tip(seq, *, run="7f3a", **arrays):
    """A step of body/tip, 20 ms after the one before."""
    made = Stream(step=seq, t_ns=(seq + 1) * 20_000_000, arrays=arrays or {"position": np.full(3, float(seq))})
    return parts("body/tip", made, seq=seq, run=run)


def spikes(seq, senders, times_ns, *, run="7f3a"):
    """A step of brain/spikes."""
    arrays = {"sender": np.array(senders, np.int64), "time_ns": np.array(times_ns, np.int64)}
    return parts("brain/spikes", Stream(step=seq, t_ns=(seq + 1) * 20_000_000, arrays=arrays), seq=seq, run=run)


def said(seq, text, *, run="7f3a"):
    """A message on engine/log."""
    return parts("engine/log", Message(source="engine", type="runtime", text=text), seq=seq, run=run)


def state(seq, *, run="7f3a", **more):
    return parts("engine/state", StateNote(step=seq, t_ns=seq * 20_000_000, state="running", **more), seq=seq, run=run)


def opened(bounds):
    """What a listener reads of frames that stand in a batch: topic without run, seq, frame."""
    number, frames = codec.open_batch(codec.batch(1, bounds))
    assert number == 1
    received = [codec.decode(frame) for frame in frames]
    return [(Topic.parse(one.topic).name, one.envelope.seq, one.frame) for one in received]
