"""services.recorder.export: a recorded run as CSV and HDF5."""

import csv
import json

import h5py
import numpy as np
import pytest

from reafference.errors import BadExperiment
from reafference.frames import Ports
from services.recorder import export as export_module
from services.recorder.export import export, population_of
from services.recorder.reader import Run
from services.recorder.sink import Sink
from services.recorder.store import read_summary, write_summary
from tests.recorder import tape as tape_module
from tests.recorder.tape import Tape, give, port, record

STEPS = 12


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run and the folder it was exported to."""
    folder = tmp_path_factory.mktemp("run")
    record(folder, STEPS)
    run = Run(folder)
    paths = export(run, folder / "export")
    return run, folder / "export", paths


def table(folder, name):
    with (folder / name).open(newline="") as file:
        rows = list(csv.reader(file))
    return rows[0], rows[1:]


def test_there_is_a_table_per_stream_and_one_book(exported):
    _, folder, paths = exported
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in paths)
    assert {path.name for path in paths} == {
        "sinks.csv",
        "spikes.csv",
        "brain_timing.csv",
        "joints.csv",
        "pose.csv",
        "inputs_body.csv",
        "profile.csv",
        "run.h5",
    }


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        (
            "sinks.csv",
            ["voltage_M1_L1_mV", "voltage_M1_L23_mV", "voltage_M1_L5_mV", "active_0", "active_1"],
        ),
        (
            "joints.csv",
            [
                "position_elbow_rad",
                "position_wrist_rad",
                "velocity_elbow_rad_per_s",
                "velocity_wrist_rad_per_s",
            ],
        ),
        (
            "pose.csv",
            [
                *(f"place_{what}_{axis}_m" for what in ("hand", "stick") for axis in "xyz"),
                *(f"turn_{what}_{axis}" for what in ("hand", "stick") for axis in "wxyz"),
            ],
        ),
        ("inputs_body.csv", ["drive_a", "drive_b"]),
        ("brain_timing.csv", ["run_ns"]),
        ("profile.csv", ["cle_step", "send"]),
    ],
)
def test_columns_have_the_labels_and_units_of_the_ports(exported, name, columns):
    _, folder, _ = exported
    head, rows = table(folder, name)
    assert head == ["step", "t_s", *columns]
    assert [row[:2] for row in rows] == [[str(n), f"{(n + 1) * 0.02:.9g}"] for n in range(STEPS)]
    assert all(len(row) == len(head) for row in rows)


def test_numbers_are_written_so_that_they_read_back_exactly(exported):
    run, folder, _ = exported
    _, rows = table(folder, "sinks.csv")
    _, voltage = run.series("brain/sinks", "voltage")
    assert [[float(cell) for cell in row[2:5]] for row in rows] == voltage.tolist()
    assert rows[0][5:] == ["True", "True"]
    assert rows[1][5:] == ["False", "True"]


def test_spikes_have_a_row_each_with_their_population(exported):
    run, folder, _ = exported
    head, rows = table(folder, "spikes.csv")
    assert head == ["time_s", "sender", "population"]
    samples = list(run.samples(["brain/spikes"]))
    senders = [int(s) for sample in samples for s in sample.arrays["sender"]]
    times = [int(t) / 1e9 for sample in samples for t in sample.arrays["time_ns"]]
    assert [int(row[1]) for row in rows] == senders
    assert [float(row[0]) for row in rows] == pytest.approx(times, abs=1e-7)
    names = {1: "M1_L1", 2: "M1_L1", 3: "M1_L1", 4: "M1_L23", 7: "M1_L23", 8: "M1_L23", 9: "M1_L23"}
    assert [row[2] for row in rows] == [names.get(sender, "") for sender in senders]
    assert population_of(run) == names
    assert len(rows) > 0


def test_the_profile_is_in_seconds_under_its_published_names(exported):
    run, folder, _ = exported
    _, rows = table(folder, "profile.csv")
    _, parts = run.series("engine/profile", "parts")
    assert [[round(float(cell) * 1e9) for cell in row[2:]] for row in rows] == parts.tolist()


def test_the_book_equals_the_tables(exported):
    run, folder, _ = exported
    with h5py.File(folder / "run.h5") as book:
        for name, topic in (("sinks", "brain/sinks"), ("joints", "body/joints"), ("pose", "body/pose")):
            head, rows = table(folder, f"{name}.csv")
            group = book[topic]
            columns = np.array([[float(cell == "True" or (cell != "False" and cell)) for cell in row] for row in rows])
            assert group["step"][:].tolist() == columns[:, 0].tolist()
            assert group["t_s"][:].tolist() == pytest.approx(columns[:, 1])
            at = 2
            for array in run.ports[topic]:
                values = group[array][:].reshape(STEPS, -1).astype(float)
                assert np.array_equal(values, columns[:, at : at + values.shape[1]]), (topic, array)
                at += values.shape[1]
            assert at == len(head)


def test_the_book_has_units_labels_and_the_story_of_the_run(exported):
    run, folder, _ = exported
    with h5py.File(folder / "run.h5") as book:
        voltage = book["brain/sinks/voltage"]
        assert (voltage.attrs["unit"], list(voltage.attrs["labels"])) == ("mV", ["M1_L1", "M1_L23", "M1_L5"])
        assert voltage.attrs["description"] == "membrane voltage"
        assert (book.attrs["experiment"], book.attrs["seed"], book.attrs["steps"]) == ("tape", 1, STEPS)
        assert json.loads(book.attrs["parameters"]) == {"gain": 2.0}
        assert json.loads(book.attrs["summary"])["digest"] == run.stop.digest


def test_pictures_are_in_the_book_only(exported):
    run, folder, _ = exported
    _, images = run.series("body/camera/eye", "image")
    with h5py.File(folder / "run.h5") as book:
        group = book["body/camera/eye"]
        assert np.array_equal(group["image"][:], images)
        assert group["step"][:].tolist() == [0, 3, 6, 9]
    assert not (folder / "camera_eye.csv").exists()


def test_rows_of_varying_number_are_joined_and_counted(exported):
    run, folder, _ = exported
    samples = list(run.samples(["brain/spikes"]))
    with h5py.File(folder / "run.h5") as book:
        group = book["brain/spikes"]
        assert group["sender_count"][:].tolist() == [len(sample.arrays["sender"]) for sample in samples]
        assert np.array_equal(group["sender"][:], np.concatenate([sample.arrays["sender"] for sample in samples]))
        assert np.array_equal(group["time_ns"][:], np.concatenate([s.arrays["time_ns"] for s in samples]))


def test_batches_make_no_difference(tmp_path, monkeypatch):
    record(tmp_path, 11, flush_every=3)
    export(Run(tmp_path), tmp_path / "a")
    monkeypatch.setattr(export_module, "_BATCH", 2)
    export(Run(tmp_path), tmp_path / "b")
    with h5py.File(tmp_path / "a" / "run.h5") as a, h5py.File(tmp_path / "b" / "run.h5") as b:
        found = []
        a.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in found:
            assert np.array_equal(a[name][...], b[name][...]), name
    assert "brain/spikes/sender" in found


def test_only_complete_steps_are_exported(tmp_path):
    tape, sink = Tape(), Sink(tmp_path, 4)
    give(sink, [tape.start(), *tape.step(), *tape.step(), *tape.streams()])
    sink.finish()
    export(Run(tmp_path), tmp_path / "export")
    assert len(table(tmp_path / "export", "sinks.csv")[1]) == 2
    with h5py.File(tmp_path / "export" / "run.h5") as book:
        assert len(book["brain/sinks/step"]) == 2


def test_a_run_in_which_nothing_ever_fired_is_exported(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "_BATCH", 2)
    tape, sink = Tape(camera=False), Sink(tmp_path, 4)
    tape.random = type("Silent", (), {name: getattr(tape.random, name) for name in ("normal",)})()
    tape.random.integers = lambda low, high, size=None, *_: np.zeros(size, np.int64) if size is not None else 0
    give(sink, [tape.start(), *(frame for _ in range(5) for frame in tape.step())])
    sink.finish()
    export(Run(tmp_path), tmp_path / "export")
    assert table(tmp_path / "export", "spikes.csv")[1] == []
    with h5py.File(tmp_path / "export" / "run.h5") as book:
        assert book["brain/spikes/sender"].shape == (0,)
        assert book["brain/spikes/sender_count"][:].tolist() == [0] * 5


def test_a_port_with_very_many_labels_can_be_exported(tmp_path, monkeypatch):
    many = 9000
    wide = port("wide.v", (many,), labels=tuple(f"population_{n}" for n in range(many)))
    monkeypatch.setitem(tape_module.SIMULATORS, "brain", Ports(outputs=(wide,)))
    tape, sink = Tape(camera=False), Sink(tmp_path, 4)
    give(sink, [tape.start()])
    give(sink, [tape.stream("brain/wide", 0, v=np.arange(float(many))), tape.mark()])
    sink.finish()
    export(Run(tmp_path), tmp_path / "export")
    with h5py.File(tmp_path / "export" / "run.h5") as book:
        assert list(book["brain/wide/v"].attrs["labels"])[-1] == "population_8999"
    assert not (tmp_path / "export" / "wide.csv").exists()  # too wide for a table


def test_more_than_ten_values_of_an_element_are_numbered(tmp_path, monkeypatch):
    rows = port("moments.s", (1, 12), unit="s", labels=("tap",))
    monkeypatch.setitem(tape_module.SIMULATORS, "brain", Ports(outputs=(rows,)))
    tape, sink = Tape(camera=False), Sink(tmp_path, 4)
    give(sink, [tape.start()])
    give(sink, [tape.stream("brain/moments", 0, s=np.arange(12.0).reshape(1, 12)), tape.mark()])
    sink.finish()
    export(Run(tmp_path), tmp_path / "export")
    head, _ = table(tmp_path / "export", "moments.csv")
    assert head[2:] == [f"s_tap_{n}_s" for n in range(12)]


def test_infinite_numbers_leave_as_texts_that_every_reader_takes(tmp_path):
    record(tmp_path, 1)
    write_summary(tmp_path, {"measures": {"threshold": float("inf")}})
    written = (tmp_path / "summary.json").read_text()
    assert json.loads(written) == {"measures": {"threshold": "Infinity"}}
    assert read_summary(tmp_path) == {"measures": {"threshold": float("inf")}}
    export(Run(tmp_path), tmp_path / "export")
    with h5py.File(tmp_path / "export" / "run.h5") as book:
        assert json.loads(book.attrs["summary"]) == {"measures": {"threshold": "Infinity"}}


def test_a_run_with_a_very_long_summary_can_be_exported(tmp_path):
    record(tmp_path, 1)
    write_summary(tmp_path, {"messages": ["it broke again " * 10_000]})
    export(Run(tmp_path), tmp_path / "export")
    with h5py.File(tmp_path / "export" / "run.h5") as book:
        assert len(json.loads(book.attrs["summary"])["messages"][0]) == 150_000


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    record(tmp_path, 1)
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(BadExperiment, match="cannot be written"):
            export(Run(tmp_path), place)
