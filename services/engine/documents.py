"""The documents that frame a run, and the identity of the run itself."""

import itertools
import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from reafference import plain
from reafference.digest import of_run
from reafference.errors import BadExperiment, ReafferenceError, StepCancelled, TransferFailed
from reafference.frames import PROTOCOL, Halted, Message, Outcome, Plan, Port, Ports, RunStart, RunStop
from reafference.process import peak_rss_mb, usable_cores

from . import profile
from .experiment import Experiment

RECORDER = "recorder"
CPROFILE = "cprofile.pstats"
"""Beside a recording, where the engine ran under Python's cProfile."""


def new_run_id() -> str:
    """A short name for topics; several runs may share one bus."""
    return secrets.token_hex(4)


def make_run_folder(out: Path | None, runs: Path) -> Path:
    """The folder of this run, made and proven to be writable.

    Raises BadExperiment when it cannot be written, or holds a recording already.
    """
    folder = out or _stamped(runs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"?")
        probe.unlink()
    except OSError as error:
        raise BadExperiment(
            f"the run folder {folder} cannot be written ({error.strerror}): name another one with --out"
        ) from None
    if any(folder.glob("recording.mcap*")):
        raise BadExperiment(
            f"the run folder {folder} holds a recording already: name another one with --out, or move it away"
        )
    return folder.resolve()


def _stamped(runs: Path) -> Path:
    first = runs / datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    return first if not first.exists() else _numbered(first)


def make_next_run_folder(first: Path) -> Path:
    """The folder of another run after a reset: that of the first with a number behind it. Raises BadExperiment."""
    return make_run_folder(_numbered(first), first.parent)


def _numbered(first: Path) -> Path:
    """The next free name, from `first-2` on."""
    numbers = (first.with_name(f"{first.name}-{n}") for n in itertools.count(2))
    return next(folder for folder in numbers if not folder.exists())


def remove_if_unused(folder: Path) -> None:
    """Take back a run folder in which nothing was recorded."""
    for name in ("recording.mcap", ".reserve"):
        file = folder / name
        if file.exists() and file.stat().st_size == 0:
            file.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def plans(experiment: Experiment, run: str, devices: Mapping[str, Mapping[str, Any]] = {}) -> dict[str, Plan]:
    """What each participant is to build; seeds are spawned from the master seed in name order.

    `devices` are `sources` and `sinks` that transfer functions need beside those of [brain]. Raises BadExperiment where
    both have one of the same name.
    """
    names = sorted(experiment.participants)
    children = np.random.SeedSequence(experiment.general.seed).spawn(len(names))
    return {
        name: Plan(
            run=run,
            name=name,
            seed=int(child.generate_state(1, np.uint32)[0]),
            dt_ns=experiment.dt_ns * experiment.every(name),
            every=experiment.every(name),
            threads=experiment.threads if name == "brain" else 1,
            ranks=experiment.ranks if name == "brain" else 1,
            folder=str(experiment.folder),
            settings=_with_devices(_own_settings(experiment.participants[name]), devices if name == "brain" else {}),
            files=experiment.files,
            step_timeout_s=experiment.general.step_timeout_s,
        )
        for name, child in zip(names, children, strict=True)
    }


def recorder_plan(experiment: Experiment, run: str, folder: Path) -> Plan:
    """What the recorder needs to know."""
    return Plan(
        run=run,
        name=RECORDER,
        seed=0,
        dt_ns=experiment.dt_ns,
        folder=str(folder),
        settings={"window_steps": experiment.document.record.window_steps},
    )


def _own_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    """A participant's table without the keys that are the business of the engine and the launcher."""
    return {key: value for key, value in table.items() if key not in ("step_ms", "ranks", "mpi")}


def _with_devices(table: dict[str, Any], devices: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    for place, groups in devices.items():
        own = table.get(place, {})
        twice = sorted(set(own) & set(groups))
        if twice:
            text = f"brain.{place}.{twice[0]}: a transfer function makes a group of this name: rename yours"
            raise BadExperiment(text, detail={"key": f"brain.{place}.{twice[0]}"})
        table[place] = {**own, **groups}
    return table


def engine_ports(ports: Mapping[str, Ports]) -> Ports:
    """The streams the engine itself publishes, described like everybody's."""
    inputs = tuple(
        Port(
            name=f"inputs/{name}.{port.name}",
            shape=port.shape,
            dtype=port.dtype,
            unit=port.unit,
            labels=port.labels,
        )
        for name, declared in sorted(ports.items())
        for port in declared.inputs
    )
    return Ports(outputs=(*inputs, profile.PORT))


def all_ports(ports: Mapping[str, Ports]) -> dict[str, Ports]:
    """The ports of the simulators and of the engine, as they stand in the documents of a run."""
    return {**ports, "engine": engine_ports(ports)}


def start_document(
    experiment: Experiment, run: str, ports: Mapping[str, Ports], *, steps: int, parameters: Mapping[str, Any]
) -> RunStart:
    """Who, what, with which seed and versions. After a reset `steps` and `parameters` may not be those of the file."""
    general = experiment.general
    return RunStart(
        run=run,
        experiment=general.name,
        title=general.title or general.name,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        seed=general.seed,
        dt_ns=experiment.dt_ns,
        steps=steps,
        parameters=parameters,
        settings=experiment.settings,
        files=experiment.files,
        ports=all_ports(ports),
        versions=_versions(),
        machine={
            "host": platform.node(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "cores": usable_cores(),
        },
    )


def _versions() -> dict[str, str]:
    found = {"protocol": ".".join(map(str, PROTOCOL))}
    for package in (
        "reafference",
        "nest-simulator",
        "pybullet",
        "numba",
        "numpy",
        "pyzmq",
        "msgpack",
        "mcap",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


_COUNTS = ("neurons", "synapses", "devices", "processes", "threads", "build_s", "nest_version", "have_mpi")


def counts(ports: Mapping[str, Ports]) -> dict[str, Any]:
    """The facts of the simulators that belong into every summary."""
    facts = {key: value for declared in ports.values() for key, value in declared.facts.items()}
    return {key: facts[key] for key in _COUNTS if key in facts}


def stop_document(
    experiment: Experiment,
    rows: profile.Profile,
    halted: Mapping[str, Halted],
    *,
    outcome: Outcome,
    cancelled: int,
    error: ReafferenceError | None,
    culprit: str,
    seqs: Mapping[str, int],
    measures: Mapping[str, Any],
    facts: Mapping[str, Any],
    messages: Sequence[Message],
) -> RunStop:
    """How the run ended, and what was measured. The digest is over those of all participants, and empty if one
    of them could not give its own.

    `cancelled` is the step that was given up, or -1; who had made it already has it in its digest, which is left out.
    """
    digests = {name: halted[name].digest for name in sorted(halted) if halted[name].digest and cancelled < 0}
    if error is not None:
        outcome = "halted" if isinstance(error, TransferFailed) else "fault"
    elif cancelled >= 0:
        error = StepCancelled(f"step {cancelled} was cancelled before its end")
    return RunStop(
        step=len(rows) - 1,
        t_ns=len(rows) * experiment.dt_ns,
        outcome=outcome,
        code=error.code if error else "",
        text=error.text if error else "",
        service=culprit,
        steps=len(rows),
        exit_status=error.exit_status if error else 0,
        seqs=dict(seqs),
        digest=of_run(digests) if set(digests) == set(experiment.participants) else "",
        digests=digests,
        real_time_factor=round(rows.real_time_factor(experiment.dt_ns), 6),
        timing=rows.summary(),
        measures=measures,
        facts={**facts, "first_step_ms": round(rows.first_step_ms(), 3)},
        messages=tuple(plain.dump(message) for message in messages),
        peak_rss_mb={
            "engine": peak_rss_mb(),
            **{name: note.facts.get("peak_rss_mb", 0.0) for name, note in halted.items()},
        },
    )
