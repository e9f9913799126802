"""A recorded run as CSV and HDF5.

CSV: one file per stream (`sinks.csv`, `joints.csv`, `muscles.csv`, `spikes.csv`, `profile.csv`, …), one row per step
(per spike in `spikes.csv`), columns `<array>_<label>_<unit>`. HDF5: one group per stream, one dataset per array with
the steps along the first axis, units and labels as attributes. Pictures are in the HDF5 file only. What a stream has
after an edit has given it other arrays stands apart, as `sinks_from_step_500`; `edits.csv` tells of the edits.
"""

import csv
import json
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

import h5py
import numpy as np

from reafference import jsontext, plain
from reafference.errors import BadExperiment
from reafference.frames import Array, Port

from . import columns
from .reader import Run, Sample
from .store import read_summary

HDF5 = "run.h5"
_BATCH = 256


def export(run: Run, folder: Path) -> list[Path]:
    """Write everything into `folder`; the files that were made.

    Raises BadExperiment if the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            tables = _Tables(run, folder, stack)
            # The oldest format, which h5py would choose, has no room for the labels of a wide port.
            book = _Book(run, stack.enter_context(h5py.File(folder / HDF5, "w", libver=("v108", "latest"))))
            for sample in run.samples():
                tables.add(sample)
                book.add(sample)
            book.close()
            return [*tables.paths, *_edits(run, folder), folder / HDF5]
    except OSError as error:
        raise BadExperiment(f"{folder} cannot be written: {error}") from None


def _edits(run: Run, folder: Path) -> list[Path]:
    """edits.csv, if anything was changed in the course of the run."""
    if not run.changes:
        return []
    path = folder / "edits.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "t_s", "by", "to", "what", "arguments", "refused_because"])
        for change in run.changes:
            arguments = json.dumps(plain.dump(change.arguments), default=_size_of)
            t_s = f"{change.t_ns / 1e9:.9g}"
            writer.writerow([change.step, t_s, change.by, change.to, change.what, arguments, change.text])
    return [path]


def _size_of(raw: bytes) -> str:
    """Bytes have no place in a table."""
    return f"{len(raw)} bytes"


# --- CSV -----------------------------------------------------------------------------------------------


class _Tables:
    """The CSV files, opened as their streams come by."""

    def __init__(self, run: Run, folder: Path, stack: ExitStack) -> None:
        self._run, self._folder, self._stack = run, folder, stack
        self._populations: dict[int, str] = {}
        self._port_changes = deque(run.port_changes)
        self._files: dict[str, TextIO] = {}
        self._writers: dict[tuple[str, int], Any] = {}
        self.paths: list[Path] = []

    def add(self, sample: Sample) -> None:
        ports = self._run.ports_of(sample)
        if not columns.is_table(ports):
            return
        writer = self._writers.get((sample.topic, sample.since)) or self._open(sample, ports)
        if columns.is_spikes(ports):
            self._follow_populations(sample.step)
            writer.writerows(columns.spike_rows(sample.arrays, self._populations))
        else:
            writer.writerow(columns.step_row(sample.step, sample.t_ns, sample.arrays, ports))

    def _follow_populations(self, step: int) -> None:
        """Which neurons belong where may change with the brain."""
        while self._port_changes and self._port_changes[0][0] <= step:
            self._populations = columns.populations_in(self._port_changes.popleft()[1])

    def _open(self, sample: Sample, ports: Mapping[str, Port]) -> Any:
        path = self._folder / f"{_file_name(sample.topic)}{_from_step(sample)}.csv"
        file = self._stack.enter_context(path.open("w", newline="", encoding="utf-8"))
        writer = self._writers[sample.topic, sample.since] = csv.writer(file)
        self.paths.append(path)
        writer.writerow(columns.header(ports))
        return writer


def population_of(run: Run) -> dict[int, str]:
    """The population of every recorded neuron, by node id, as it was when the run began."""
    return columns.populations_in(run.start.ports)


def _from_step(sample: Sample) -> str:
    """What is put behind the name of a stream whose ports have become others in the course of the run."""
    return f"_from_step_{sample.since}" if sample.since else ""


def _file_name(topic: str) -> str:
    """`brain/sinks` → `sinks`; the engine's inputs and a stream that two services have keep their service."""
    service, _, stream = topic.partition("/")
    name = f"{service}_{stream}" if stream in ("timing", "log") else stream
    return name.replace("/", "_")


# --- HDF5 ----------------------------------------------------------------------------------------------


class _Book:
    """The HDF5 file; arrays are gathered and appended in batches."""

    def __init__(self, run: Run, file: h5py.File) -> None:
        self._run, self._file = run, file
        self._pending: dict[tuple[str, int], list[Sample]] = {}
        start = run.start
        file.attrs.update(
            {
                "run": start.run,
                "experiment": start.experiment,
                "title": start.title,
                "started_at": start.started_at,
                "seed": start.seed,
                "dt_ns": start.dt_ns,
                "steps": run.steps,
                "parameters": jsontext.dumps(plain.dump(start.parameters)),
                "versions": jsontext.dumps(plain.dump(start.versions)),
                "summary": jsontext.dumps(read_summary(run.folder)),
            }
        )

    def add(self, sample: Sample) -> None:
        batch = self._pending.setdefault((sample.topic, sample.since), [])
        batch.append(sample)
        if len(batch) >= _BATCH:
            self._append(sample.topic, sample.since)

    def close(self) -> None:
        for topic, since in list(self._pending):
            self._append(topic, since)

    def _append(self, topic: str, since: int) -> None:
        samples = self._pending.pop((topic, since))
        group = self._file.require_group(f"{topic}{_from_step(samples[0])}")
        for name, port in self._run.ports_of(samples[0]).items():
            there = [sample for sample in samples if name in sample.arrays]
            if not there:
                continue
            rows = -1 in port.shape
            values = [sample.arrays[name] for sample in there]
            self._extend(group, name, np.concatenate(values) if rows else np.stack(values), port)
            if rows:
                counts = np.array([len(value) for value in values], np.int64)
                self._extend(group, f"{name}_count", counts, None)
        self._extend(group, "step", np.array([sample.step for sample in samples], np.int64), None)
        self._extend(group, "t_s", np.array([sample.t_ns / 1e9 for sample in samples]), None)

    @staticmethod
    def _extend(group: h5py.Group, name: str, values: Array, port: Port | None) -> None:
        if name not in group:
            made = group.create_dataset(
                name, data=values, maxshape=(None, *values.shape[1:]), chunks=True, compression="gzip"
            )
            if port is not None:
                made.attrs["unit"] = port.unit
                made.attrs["description"] = port.description
                if port.labels:
                    made.attrs["labels"] = list(port.labels)
            return
        dataset = group[name]
        before = len(dataset)
        dataset.resize(before + len(values), axis=0)
        dataset[before:] = values
