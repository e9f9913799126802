"""The bytes of every frame of every released protocol, kept as files.

    python tests/proto/golden.py --write

writes the files that are missing for the present protocol. A file that is there was released: it is never
overwritten, for somebody's program speaks it. A frame that needs other bytes needs another version.

Each file holds the parts of one frame, every part behind its length (8 bytes, little-endian).
"""

import argparse
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from reafference import codec
from reafference.frames import (
    PROTOCOL,
    Beat,
    Bye,
    Change,
    Clock,
    Edit,
    Edited,
    ErrorFrame,
    Frame,
    FunctionsNote,
    Gone,
    Halt,
    Halted,
    Hello,
    Message,
    Order,
    Packed,
    Plan,
    Port,
    Ports,
    PortsNote,
    Prepare,
    Progress,
    Ready,
    Recorded,
    RunStart,
    RunStop,
    StateNote,
    StepDone,
    StepGrant,
    Stream,
    Values,
    Welcome,
)
from reafference.testing import HandClock

HOME = Path(__file__).parent / "golden"
SENT_NS = 1_700_000_000_123_456_789
RUN = "7f3a90c2"
_LENGTH = struct.Struct("<Q")


@contextmanager
def pinned(version: tuple[int, int] = PROTOCOL) -> Iterator[None]:
    """What stands in every header: the wall clock, at rest, and the version."""
    before = codec.time, codec.PROTOCOL  # type: ignore[attr-defined]
    codec.time, codec.PROTOCOL = HandClock(SENT_NS), version  # type: ignore[attr-defined]
    try:
        yield
    finally:
        codec.time, codec.PROTOCOL = before  # type: ignore[attr-defined]


def encoded(frame: Frame) -> Packed:
    """A sample as its golden file has it."""
    topic = f"{RUN}/brain/sinks/".encode() if isinstance(frame, Stream) else None
    with pinned():
        return codec.encode(frame, run=RUN, src="brain", seq=41, topic=topic)


def read(path: Path) -> list[bytes]:
    """The parts of a frame in a golden file."""
    blob, parts, at = path.read_bytes(), [], 0
    while at < len(blob):
        (size,) = _LENGTH.unpack_from(blob, at)
        at += _LENGTH.size
        parts.append(blob[at : at + size])
        at += size
    return parts


def write(path: Path, packed: Packed) -> None:
    """Put the parts of a frame into a new file; raises FileExistsError for one that is there."""
    with path.open("xb") as file:
        for part in packed.parts():
            file.write(_LENGTH.pack(memoryview(part).nbytes) + bytes(part))


def folder(version: tuple[int, int] = PROTOCOL) -> Path:
    return HOME / ".".join(map(str, version))


# --- one sample of each kind ---------------------------------------------------------------------------


def _every_dtype() -> Mapping[str, np.ndarray]:
    whole = np.array([0, 1, 100], np.int8)
    arrays = {dtype.strip("<|"): whole.astype(dtype) for dtype in sorted(codec.DTYPES)}
    return arrays | {
        "scalar": np.array(-0.25),
        "nothing": np.zeros((0, 2)),
        "not_finite": np.array([np.nan, np.inf, -np.inf]),
        "table": np.arange(6, dtype=np.float32).reshape(2, 3),
    }


def _large() -> np.ndarray:
    """Just large enough for a part of its own."""
    array = np.zeros(codec.INLINE_BELOW, np.uint8)
    array[[0, -1]] = 1, 255
    return array


def _packed(name: str, seq: int, arrays: Mapping[str, np.ndarray], version: tuple[int, int]) -> Packed:
    stream = Stream(step=812, t_ns=16_260_000_000, arrays=arrays)
    with pinned(version):
        return codec.encode(stream, run=RUN, src=name.split("/")[0], seq=seq, topic=f"{RUN}/{name}/".encode())


def samples(version: tuple[int, int] = PROTOCOL) -> dict[str, Frame]:
    """A frame of every kind of this version, with something in every field that it has."""
    frames = _of_1_0(version)
    if version >= (1, 1):
        frames |= _new_in_1_1(frames)
    if version >= (1, 2):
        frames |= _new_in_1_2(frames)
    if version >= (1, 3):
        frames |= _new_in_1_3(frames)
    return frames


def _new_in_1_3(old: Mapping[str, Frame]) -> dict[str, Frame]:
    """Those that have new values."""
    frames: tuple[Frame, ...] = (
        replace(old["hello"], highest=(1, 3)),  # type: ignore[type-var]
        replace(old["welcome"], version=(1, 3)),  # type: ignore[type-var]
        Order(what="tell", reason="I come late"),
    )
    return {frame.kind: frame for frame in frames}


def _new_in_1_2(old: Mapping[str, Frame]) -> dict[str, Frame]:
    """Kinds that are new, and those that have new fields or values."""
    source = '@transfer(writes="body.Foot2")\ndef motor_drive(step):\n    return 1 / 0\n'
    problem = {"type": "runtime", "text": "ZeroDivisionError", "line": 3, "line_text": "return 1 / 0", "since_s": 0.14}
    function = {
        "name": "motor_drive",
        "source": source,
        "line": 31,
        "active": False,
        "priority": 1,
        "direction": "brain to body",
        "reads": [],
        "writes": ["body.excitation.Foot2"],
        "problem": problem,
    }
    frames: tuple[Frame, ...] = (
        replace(old["hello"], highest=(1, 2)),  # type: ignore[type-var]
        replace(old["welcome"], version=(1, 2)),  # type: ignore[type-var]
        Order(what="step", reason="look closely", steps=3),
        Edit(id=7, to="engine", what="replace_function", arguments={"name": "f", "source": source}, by="ada"),
        Message(step=7, t_ns=160_000_000, severity="info", source="transfer function", type="runtime", text="hello"),
        FunctionsNote(step=7, t_ns=140_000_000, functions=(function, function | {"active": True, "problem": None})),
        Values(step=7, t_ns=160_000_000, values={"motor_drive": 0.25, "motor_drive.sum": -np.inf}),
    )
    return {frame.kind: frame for frame in frames}


def _new_in_1_1(old: Mapping[str, Frame]) -> dict[str, Frame]:
    """Kinds that are new, and those that have new fields."""
    prepare, ready = old["prepare"], old["ready"]
    assert isinstance(prepare, Prepare)
    assert isinstance(ready, Ready)
    plan = replace(prepare.plan, ranks=2, t_ns=160_000_000, step_timeout_s=120.0)
    what = {"population": "M1_L5A_CS", "parameters": {"V_th": np.array([-50.0, np.inf])}}
    frames: tuple[Frame, ...] = (
        Hello(name="brain", role="participant", lowest=(1, 0), highest=(1, 1), pid=4321, ranks=(1, 2)),
        replace(old["welcome"], version=(1, 1)),  # type: ignore[type-var]
        Prepare(plan=plan),
        Order(what="reset", reason="once more", scope="full"),
        replace(old["gone"], code="script_error"),  # type: ignore[type-var]
        Edit(id=7, to="brain", what="set_parameters", arguments=what, timeout_s=2.5),
        Edited(step=812, id=7, result={"neurons": 71, "least": -np.inf}, ports=ready.ports),
        Change(
            step=812,
            t_ns=16_240_000_000,
            by="console",
            to="brain",
            what="set_parameters",
            arguments=what,
            result={"neurons": 71},
            code="bad_experiment",
            text="V_th must be above V_reset",
            took_ns=1_500_000,
        ),
        PortsNote(step=812, t_ns=16_240_000_000, ports={"brain": ready.ports}),
    )
    return {frame.kind: frame for frame in frames}


def _of_1_0(version: tuple[int, int]) -> dict[str, Frame]:
    port = Port(
        name="sinks.voltage",
        shape=(2,),
        dtype="<f8",
        unit="mV",
        labels=("M1_L1", "M1_L2"),
        rest=np.array([0.5, -1.0]),
        digest=False,
        low=-100.0,
        high=100.0,
        description="membrane voltage",
    )
    ports = Ports(inputs=(Port(name="drive", shape=(3,), dtype="<f8", unit="Hz"),), outputs=(port,), facts={"n": 6017})
    plan = Plan(
        run=RUN,
        name="brain",
        seed=4_294_967_295,
        dt_ns=40_000_000,
        every=2,
        threads=4,
        folder="experiments/mouse_reach",
        settings={"model": "cbct", "parameters": {"area_mm2": 0.1, "regions": ["M1", "S1"], "quick": True}},
        files={"experiment.toml": 'name = "mouse_reach"\n'},
    )
    message = Message(
        step=7,
        t_ns=160_000_000,
        severity="error",
        source="transfer function",
        type="runtime",
        text="ZeroDivisionError: division by zero",
        function="motor_drive",
        file="transfer.py",
        line=12,
        column=4,
        line_text="return 1 / 0",
    )
    frames: tuple[Frame, ...] = (
        Hello(name="brain", role="participant", lowest=(1, 0), highest=(1, 0), pid=4321),
        Welcome(
            run=RUN,
            version=(1, 0),
            bus="ipc:///run/reaf/bus-in",
            tap="ipc:///run/reaf/tap",
            pulse_beat="ipc:///run/reaf/pulse-beat",
            pulse_echo="ipc:///run/reaf/pulse-echo",
            tap_window_steps=32,
            run_folder="/data/runs/2026-01-01T12-00-00",
        ),
        Prepare(plan=plan),
        Progress(service="brain", task="connecting", done=40, total=100, detail="M1_L23"),
        Ready(ports=ports),
        StepGrant(
            step=812,
            t_ns=16_240_000_000,
            dt_ns=20_000_000,
            want=("sinks", "timing"),
            inputs=(_packed("engine/inputs/brain", 812, {"drive": np.array([5000.0, 0.0, 0.0])}, version),),
        ),
        StepDone(
            step=812,
            t_ns=16_260_000_000,
            busy_ns=123_456_789,
            timing={"run": 100_000_000, "write": 1_000_000, "readout": 20_000_000},
            seqs={"sinks": 812, "spikes": 811},
            outputs=(
                _packed("brain/sinks", 812, {"voltage": np.array([0.25, 0.5])}, version),
                _packed("brain/camera/eye", 3, {"before": _large(), "after": _large()[::-1].copy()}, version),
            ),
        ),
        Halt(step=812, begun=True),
        Halted(step=812, digest="9f" * 32, seqs={"sinks": 812}, facts={"peak_rss_mb": 512.5}),
        Bye(),
        Order(what="pause", reason="lunch"),
        StateNote(
            step=812,
            t_ns=16_240_000_000,
            state="running",
            steps=1000,
            text="all is well",
            cle_step_ns=21_000_000,
            mean_step_ns=20_500_000,
            recorded=803,
            facts={"neurons": 6017},
        ),
        Recorded(step=800, bytes_written=1_048_576),
        Gone(name="body", how="its process was killed by SIGKILL"),
        ErrorFrame(
            step=812,
            code="simulator_failed",
            text="the brain failed in step 812",
            retry=True,
            detail={"trace": "Traceback", "line": 3},
        ),
        Beat(number=99),
        Stream(step=812, t_ns=16_260_000_000, arrays={**_every_dtype(), "image": _large(), "rest": np.ones(2)}),
        Clock(step=812, t_ns=16_260_000_000, seqs={"brain/sinks": 812, "engine/inputs/brain": 812}),
        message,
        RunStart(
            run=RUN,
            experiment="mouse_reach",
            title="A mouse's arm",
            started_at="2026-01-01T12:00:00.000+00:00",
            seed=123456,
            dt_ns=20_000_000,
            steps=1000,
            parameters={"drive_hz": 5000.0},
            settings={"experiment": {"name": "mouse_reach", "steps": 1000}},
            files={"transfer.py": "pass\n"},
            ports={"brain": ports},
            versions={"protocol": "1.0", "numpy": "2.0.0"},
            machine={"cores": 2},
        ),
        RunStop(
            step=811,
            t_ns=16_240_000_000,
            outcome="fault",
            code="peer_lost",
            text="the body was lost in step 812",
            service="body",
            steps=812,
            exit_status=5,
            seqs={"brain/sinks": 811},
            digest="ab" * 32,
            digests={"brain": "cd" * 32},
            real_time_factor=0.08,
            timing={"step_ms": {"median": 250.0, "p99": 300.0, "mean": 251.5}},
            measures={"tip_y_mm": None, "work_mj": 1.5},
            facts={"neurons": 6017, "switched_off": ["motor_drive"]},
            messages=({"step": 7, "text": "ZeroDivisionError"},),
            peak_rss_mb={"engine": 80.5},
        ),
    )
    return {frame.kind: frame for frame in frames}


def main() -> int:
    """Write what is missing; 1 if a sample does not have the bytes that were released."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the files that are missing")
    given = parser.parse_args()
    here, differing = folder(), []
    for kind, frame in samples().items():
        path, packed = here / f"{kind}.parts", encoded(frame)
        if path.exists():
            if read(path) != [bytes(part) for part in packed.parts()]:
                differing.append(kind)
        elif given.write:
            here.mkdir(parents=True, exist_ok=True)
            write(path, packed)
            print(f"written {path.relative_to(HOME)}")
        else:
            print(f"missing {path.relative_to(HOME)}")
    for kind in differing:
        print(f"{kind} has other bytes than protocol {here.name} was released with: this is a new version")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
