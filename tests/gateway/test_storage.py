"""Experiments on the disk: whole or not at all, inside their folder, one writer after another."""

import io
import os
import threading
import zipfile

import pytest

from reafference.errors import BadExperiment
from services.gateway import experiment_copy
from services.gateway import storage as storage_module
from services.gateway.people import Person
from services.gateway.problems import Problem
from services.gateway.storage import MIB, Storage, StoredFile, changed_ns
from tests.gateway.doors import ROOT, SMALL, TOML, zip_of

OTTO = Person("otto", "owner")
TEMPLATE = ROOT / "experiments" / "mouse_reach"


@pytest.fixture
def storage(tmp_path):
    return Storage(tmp_path / "home")


@pytest.fixture
def small(storage):
    """The id of a small experiment."""
    return storage.receive(io.BytesIO(zip_of(SMALL)), OTTO)


def refused(status, action, *arguments):
    with pytest.raises(Problem) as problem:
        action(*arguments)
    assert problem.value.status == status
    return problem.value.detail


def test_a_clone_has_the_files_of_its_template_and_an_id_of_its_own(storage):
    ids = [storage.clone(TEMPLATE, "mouse_reach", OTTO) for _ in range(3)]
    assert ids == ["mouse_reach-1", "mouse_reach-2", "mouse_reach-3"]
    for file in storage.files(ids[1]):
        assert storage.read(ids[1], file.path).data == (TEMPLATE / file.path).read_bytes()
    assert storage.about(ids[1]).owner == "otto"


def test_a_clone_of_a_clone_counts_on_and_leaves_recordings_behind(storage):
    first = storage.clone(TEMPLATE, "mouse_reach", OTTO)
    (storage.recordings(first) / "2026-01-01T00-00-00").mkdir()
    second = storage.clone(storage.folder(first), "mouse_reach", OTTO)
    assert second == "mouse_reach-2"
    assert not (storage.folder(second) / "recordings").exists()


def test_a_name_makes_the_id_and_stays_when_the_id_cannot_have_it(storage):
    id = storage.clone(TEMPLATE, "mouse_reach", OTTO, "Müller's arm / 2")
    assert storage.about(id).name == "Müller's arm / 2"
    assert id.isascii()
    assert "/" not in id


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b", "\u202e"])
def test_a_name_that_cannot_be_shown_is_refused(storage, name):
    refused(422, storage.clone, TEMPLATE, "mouse_reach", OTTO, name)
    assert storage.ids() == []


def test_a_name_is_changed_and_the_id_stays(storage, small):
    storage.describe(small, name="another", title="Another title")
    about = Storage(storage.home).about(small)
    assert (about.name, about.title, about.owner) == ("another", "Another title", "otto")


def test_an_upload_needs_an_experiment_file_and_leaves_nothing_behind_without(storage):
    detail = refused(422, storage.receive, io.BytesIO(zip_of({"transfer.py": ""})), OTTO)
    assert "experiment.toml" in detail
    assert storage.ids() == []
    assert list((storage.home / "experiments" / ".incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [("a.py", b"\xff\xfe", 422), ("a.py", b"x\0y", 422), ("a.toml", b"#" * (5 * MIB + 1), 413)],
)
def test_what_is_no_text_or_too_large_is_refused_in_a_zip_and_alone(storage, small, path, content, status):
    refused(status, storage.write, small, path, content)
    refused(status, storage.receive, io.BytesIO(zip_of(SMALL | {path: content})), OTTO)
    assert [file.path for file in storage.files(small)] == sorted(SMALL)
    assert storage.ids() == [small]


def test_a_file_is_written_read_and_removed(storage, small):
    etag, new = storage.write(small, "data/in.csv", b"1,2\n")
    assert new
    assert storage.read(small, "data/in.csv").etag == etag
    assert storage.write(small, "data/in.csv", b"3\n", etag)[1] is False
    storage.remove(small, "data/in.csv")
    refused(404, storage.read, small, "data/in.csv")
    assert not (storage.folder(small) / "data").exists()


def test_a_change_of_what_has_changed_meanwhile_is_refused(storage, small):
    seen = storage.read(small, "transfer.py").etag
    storage.write(small, "transfer.py", b"# hers\n", seen)
    refused(412, storage.write, small, "transfer.py", b"# his\n", seen)
    refused(412, storage.remove, small, "transfer.py", seen)
    assert storage.read(small, "transfer.py").data == b"# hers\n"


def test_of_many_who_have_seen_the_same_one_writes(storage, small):
    seen, results, refusals = storage.read(small, "transfer.py").etag, [], []

    def write(number):
        try:
            storage.write(small, "transfer.py", f"# {number}\n".encode() * 1000, seen)
            results.append(number)
        except Problem as problem:
            refusals.append(problem.status)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 1
    assert refusals == [412] * 11
    assert storage.read(small, "transfer.py").data == f"# {results[0]}\n".encode() * 1000


def test_a_reader_never_sees_half_a_file(storage, small):
    texts = [bytes([sign]) * 200_000 for sign in b"abc"]
    storage.write(small, "big.txt", texts[0])
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for text in texts:
                storage.write(small, "big.txt", text)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            assert storage.read(small, "big.txt").data in texts
    finally:
        stop.set()
        writer.join()


def test_clones_made_at_once_have_different_ids(storage):
    ids = []
    threads = [
        threading.Thread(target=lambda: ids.append(storage.clone(TEMPLATE, "mouse_reach", OTTO))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 8
    assert set(storage.ids()) == set(ids)


def test_the_experiment_file_cannot_be_removed(storage, small):
    refused(409, storage.remove, small, "experiment.toml")
    assert storage.read(small, "experiment.toml").data == TOML.encode()


def test_links_and_hidden_files_are_neither_shown_nor_read_nor_copied(storage, small, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    folder = storage.folder(small)
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "outside").symlink_to(tmp_path)
    assert [file.path for file in storage.files(small)] == sorted(SMALL)
    refused(422, storage.read, small, "link.txt")
    refused(422, storage.read, small, "outside/secret.txt")
    refused(422, storage.write, small, "outside/secret.txt", b"x")
    refused(422, storage.read, small, ".reafference.json")
    clone = storage.clone(folder, "", OTTO)
    assert not (storage.folder(clone) / "link.txt").exists()
    assert (tmp_path / "secret.txt").read_text() == "secret"


@pytest.mark.parametrize("id", ["..", ".", "", ".incoming", "a/b", "../experiments", "x\0", "nobody"])
def test_what_is_no_experiment_is_not_found(storage, small, id):
    refused(404, storage.folder, id)
    refused(404, storage.delete, id)
    assert storage.ids() == [small]


@pytest.mark.parametrize("rec", ["..", ".", "", "a/b", "nothing"])
def test_what_is_no_recording_is_not_found(storage, small, rec):
    storage.recordings(small)
    refused(404, storage.recording, small, rec)
    refused(404, storage.delete_recording, small, rec)


def test_a_deleted_experiment_is_gone_with_its_recordings(storage, small):
    (storage.recordings(small) / "one").mkdir()
    storage.delete(small)
    assert storage.ids() == []
    assert list((storage.home / "experiments" / ".incoming").iterdir()) == []


def test_a_download_can_be_uploaded_again(storage, small):
    storage.write(small, "data/in.csv", b"1\n")
    with storage.download(small) as zipped:
        again = storage.receive(zipped, OTTO)
    pairs = [{file.path: storage.read(id, file.path).data for file in storage.files(id)} for id in (small, again)]
    assert pairs[0] == pairs[1]


def test_what_was_being_received_when_the_server_fell_is_cleared_away(storage):
    (storage.home / "experiments" / ".incoming" / "half").mkdir()
    assert list((Storage(storage.home).home / "experiments" / ".incoming").iterdir()) == []


def test_a_home_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadExperiment, match="cannot hold experiments"):
        Storage(tmp_path / "file")


def test_recordings_may_lie_on_a_volume_of_their_own(tmp_path):
    held = tmp_path / "volume"
    storage = Storage(tmp_path / "home", held)
    id = storage.receive(io.BytesIO(zip_of(SMALL)), OTTO, "small")
    recording = storage.recordings(id) / "2026-01-01T00-00-00"
    recording.mkdir()
    (recording / "recording.mcap").write_bytes(b"x")
    assert recording == held / id / recording.name == storage.recording(id, recording.name)
    assert not (storage.folder(id) / "recordings").exists()
    assert [file.path for file in storage.files(id)] == ["experiment.toml", "transfer.py"]
    storage.delete_recording(id, recording.name)
    assert not recording.exists()
    (storage.recordings(id) / "another").mkdir()
    storage.delete(id)
    assert not (held / id).exists()
    # An id whose recordings have stayed behind is not given to another experiment.
    (held / id).mkdir()
    assert storage.receive(io.BytesIO(zip_of(SMALL)), OTTO, "small") != id


class TestWhatGoesWhileSomebodyReads:
    @pytest.fixture
    def listed(self, storage, small, monkeypatch):
        """The small experiment, in every folder of which a file is listed that is there no more."""
        walk = os.walk

        def listing(folder):
            for where, folders, names in walk(folder):
                yield where, folders, [*names, ".writing-abcd", "gone.py"]

        monkeypatch.setattr(storage_module.os, "walk", listing)
        return small

    @pytest.fixture
    def known(self, storage, small, monkeypatch):
        """The small experiment; a file goes as soon as its size has been looked at."""
        files_in, gone = storage_module.files_in, StoredFile("gone.py", 1, "", True)
        for module in (storage_module, experiment_copy):
            monkeypatch.setattr(module, "files_in", lambda folder: [*files_in(folder), gone])
        return small

    def test_it_is_not_listed(self, storage, listed):
        assert [file.path for file in storage.files(listed)] == sorted(SMALL)
        assert storage.ids() == [listed]
        refused(404, storage.folder, "another")

    def test_it_is_not_copied(self, storage, known):
        clone = storage.clone(storage.folder(known), "", OTTO)
        assert not (storage.folder(clone) / "gone.py").exists()
        with storage.download(known) as zipped:
            assert len(zipfile.ZipFile(zipped).namelist()) == len(SMALL)
        assert sorted(experiment_copy.tags_in(storage.folder(known))) == sorted(SMALL)
        assert storage.ids() == [clone, known]

    def test_an_experiment_that_goes_as_a_whole_is_not_found(self, storage, small, monkeypatch):
        folder, files_in = storage.folder(small), storage_module.files_in

        def listing(one):
            found = files_in(one)
            if one == folder and folder.is_dir():
                storage.delete(small)
            return found

        monkeypatch.setattr(storage_module, "files_in", listing)
        refused(404, storage.clone, folder, "", OTTO)
        assert changed_ns(folder) == 0
        assert storage.ids() == []
