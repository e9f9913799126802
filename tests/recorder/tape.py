"""A made-up run as its frames come on the tap, and a recording of it."""

from unittest import mock

import numpy as np

from reafference import codec
from reafference.digest import Digest, of_run
from reafference.frames import Clock, Packed, Port, Ports, RunStart, RunStop, Stream
from reafference.testing import HandClock
from services.recorder.sink import Sink

RUN = "7f3a"
DT_NS = 20_000_000
EYE = (96, 96, 12)  # 108 KiB: a part of its own


def port(name, shape=(), *, dtype="<f8", unit="1", **more):
    return Port(name=name, shape=shape, dtype=dtype, unit=unit, **more)


BRAIN = Ports(
    outputs=(
        port("sinks.voltage", (3,), unit="mV", labels=("M1_L1", "M1_L23", "M1_L5"), description="membrane voltage"),
        port("sinks.active", (2,), dtype="|b1"),
        port("spikes.sender", (-1,), dtype="<i8"),
        port("spikes.time_ns", (-1,), dtype="<i8", unit="ns"),
        port("timing.run", dtype="<i8", unit="ns", digest=False),
    ),
    facts={"recorders": {"raster": {"M1_L1": [[1, 3]], "M1_L23": [[4, 4], [7, 9]]}}},
)
BODY = Ports(
    outputs=(
        port("joints.position", (2,), unit="rad", labels=("elbow", "wrist")),
        port("joints.velocity", (2,), unit="rad/s", labels=("elbow", "wrist")),
        port("pose.place", (2, 3), unit="m", labels=("hand", "stick")),
        port("pose.turn", (2, 4), labels=("hand", "stick")),
        port("camera/eye.image", EYE, dtype="|u1", digest=False),
    )
)
ENGINE = Ports(
    outputs=(
        port("inputs/body.drive", (2,), labels=("a", "b")),
        port("profile.parts", (2,), dtype="<i8", unit="ns", labels=("cle_step", "send"), digest=False),
    )
)
SIMULATORS = {"brain": BRAIN, "body": BODY}


class Tape:
    """Gives frames in order, numbered per stream; `seqs` has the last number of each stream."""

    def __init__(self, *, seed=1, noise=0, camera=True, wanted=None):
        self.random = np.random.default_rng(seed)
        self.noise, self.camera = noise, camera
        self.wanted = wanted or {}  # the table [record]
        self.seqs: dict[str, int] = {}
        self.steps = 0
        self.digests = {name: Digest(ports.outputs) for name, ports in SIMULATORS.items()}

    def frame(self, topic, frame):
        """One frame as it comes on the tap."""
        service = topic.split("/")[0]
        seq = self.seqs[topic] = self.seqs.get(topic, -1) + 1
        with mock.patch.object(codec, "time", HandClock(seq)):  # the same bytes every time
            return codec.encode(frame, run=RUN, src=service, seq=seq, topic=f"{RUN}/{topic}/".encode())

    def stream(self, topic, step, **arrays):
        service, _, stream = topic.partition("/")
        if service in self.digests:
            self.digests[service].update(stream, step, arrays)
        return self.frame(topic, Stream(step=step, t_ns=(step + 1) * DT_NS, arrays=arrays))

    def start(self, steps=100):
        return self.frame(
            "run/start",
            RunStart(
                run=RUN,
                experiment="tape",
                title="A made-up run",
                started_at="2026-01-01T00:00:00.000+00:00",
                seed=1,
                dt_ns=DT_NS,
                steps=steps,
                parameters={"gain": 2.0},
                settings={"record": self.wanted} if self.wanted else {},
                files={},
                ports={**SIMULATORS, "engine": ENGINE},
                versions={"protocol": "1.0"},
                machine={"cores": 2},
            ),
        )

    def streams(self):
        """The frames of the next step, without its mark."""
        step, random = self.steps, self.random
        spikes = int(random.integers(0, 4))
        frames = [
            self.stream(
                "brain/sinks",
                step,
                voltage=random.normal(size=3),
                active=np.array([step % 2 == 0, True]),
            ),
            self.stream(
                "brain/spikes",
                step,
                sender=random.integers(1, 10, spikes),
                time_ns=step * DT_NS + np.sort(random.integers(1, DT_NS, spikes)),
            ),
            self.stream("brain/timing", step, run=np.array(int(random.integers(1, 10**9)))),
            self.stream("body/joints", step, position=random.normal(size=2), velocity=random.normal(size=2)),
            self.stream("body/pose", step, place=random.normal(size=(2, 3)), turn=random.normal(size=(2, 4))),
            self.stream("engine/inputs/body", step, drive=random.normal(size=2)),
            self.stream("engine/profile", step, parts=random.integers(1, 10**9, 2)),
        ]
        if self.camera and step % 3 == 0:
            frames.append(self.stream("body/camera/eye", step, image=random.integers(0, 255, EYE, np.uint8)))
        if self.noise:
            frames.append(self.stream("brain/noise", step, bytes=random.integers(0, 255, self.noise, np.uint8)))
        return frames

    def mark(self):
        """The commit mark of the step whose frames were given last."""
        seqs = {topic: seq for topic, seq in self.seqs.items() if topic != "engine/clock"}
        clock = Clock(step=self.steps, t_ns=(self.steps + 1) * DT_NS, seqs=seqs)
        self.steps += 1
        return self.frame("engine/clock", clock)

    def step(self):
        """A whole step."""
        return [*self.streams(), self.mark()]

    def stop(self):
        digests = {name: digest.hexdigest() for name, digest in self.digests.items()}
        return self.frame(
            "run/stop",
            RunStop(
                step=self.steps - 1,
                t_ns=self.steps * DT_NS,
                outcome="finished",
                steps=self.steps,
                seqs=dict(self.seqs),
                digest=of_run(digests),
                digests=digests,
            ),
        )


def copied(packed: Packed) -> list[bytes]:
    """The parts as they arrive: bytes of their own."""
    return [bytes(part) for part in packed.parts()]


def give(sink, frames):
    for packed in frames:
        sink.take(copied(packed))


def record(folder, steps, *, flush_every=5, **settings):
    """A whole recording of so many steps in `folder`; its tape."""
    tape = Tape(**settings)
    sink = Sink(folder, window_steps=4 * flush_every)
    give(sink, [tape.start(steps)])
    for _ in range(steps):
        give(sink, tape.step())
        sink.credit()
    give(sink, [tape.stop()])
    sink.finish()
    return tape
