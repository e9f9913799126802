"""Recordings on their way home: gone on with, never more than was there, never elsewhere."""

import asyncio
import contextlib
import io

import pytest

from services.gateway.experiment_copy import contents_of
from services.gateway.jobs.serving_job import ServingJob
from services.gateway.problems import Problem
from services.gateway.remote.arrivals import Arrivals
from services.gateway.remote.recording_transfer import FromFolder, bring
from services.gateway.storage import About, Storage

from .doors import SMALL, zip_of


class Scripted:
    """A source of one recording; it may break off, or grow."""

    def __init__(self, files, *, break_at=None, growing=False):
        self.files_, self.break_at, self.growing = files, break_at, growing
        self.asked = []

    async def recordings(self, experiment):
        return ["r"]

    async def files(self, experiment, recording):
        if self.growing:
            self.files_["a"] += b"x"
        return {path: len(data) for path, data in self.files_.items()}

    @contextlib.asynccontextmanager
    async def reading(self, experiment, recording, path, begin):
        self.asked.append((path, begin))

        async def chunks():
            for at in range(begin, len(self.files_[path]), 10):
                if self.break_at is not None and at >= self.break_at:
                    raise Problem(503, "unavailable", "cut")
                yield self.files_[path][at : at + 10]

        yield chunks()


def brought(source, into, told=lambda have, total: None):
    asyncio.run(bring(source, "e", "r", into, told))


def held(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_all_files_come_and_it_is_told_how_far(tmp_path):
    files = {"a": b"1" * 35, "b/c": b"2" * 20, "empty": b""}
    told = []
    brought(Scripted(files), tmp_path / "r", lambda have, total: told.append((have, total)))
    assert held(tmp_path / "r") == files
    assert told == sorted(told)
    assert told[-1] == (55, 55)


def test_what_was_broken_off_goes_on_where_it_was(tmp_path):
    files = {"a": b"0123456789" * 5}
    with pytest.raises(Problem, match="cut"):
        brought(Scripted(files, break_at=30), tmp_path / "r")
    source = Scripted(files)
    brought(source, tmp_path / "r")
    assert source.asked == [("a", 30)]
    assert held(tmp_path / "r") == files


def test_what_lies_there_from_another_try_and_does_not_belong_goes(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "old").write_bytes(b"x")
    (tmp_path / "r" / "a").write_bytes(b"longer than it is there")
    brought(Scripted({"a": b"short"}), tmp_path / "r")
    assert held(tmp_path / "r") == {"a": b"short"}


def test_one_that_is_still_being_written_is_not_taken_for_whole(tmp_path):
    with pytest.raises(Problem) as problem:
        brought(Scripted({"a": b""}, growing=True), tmp_path / "r")
    assert problem.value.code == "busy"


@pytest.mark.parametrize("path", ["../a", "/etc/a", "b/../../a", "./a", "x\x00y", "a/" * 20 + "a"])
def test_no_file_lies_outside(tmp_path, path):
    with pytest.raises(Problem) as problem:
        brought(Scripted({path: b"x"}), tmp_path / "r")
    assert problem.value.status == 422
    assert held(tmp_path) == {}


def test_hidden_files_stay_where_they_are(tmp_path):
    brought(Scripted({".reserve": b"x", "b/.hidden/c": b"x", "a": b"y"}), tmp_path / "r")
    assert held(tmp_path / "r") == {"a": b"y"}


def test_no_link_is_followed(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "b").symlink_to(tmp_path)
    with pytest.raises(Problem):
        brought(Scripted({"b/a": b"x"}), tmp_path / "r")
    assert not (tmp_path / "a").exists()


def test_there_must_be_room_for_it(tmp_path):
    class Huge(Scripted):
        async def files(self, experiment, recording):
            return {"a": 10**18}

    with pytest.raises(Problem) as problem:
        brought(Huge({}), tmp_path / "r")
    assert problem.value.code == "disk_full"


def test_a_folder_is_a_source_too(tmp_path):
    there = tmp_path / "root" / "e" / "recordings" / "r"
    (there / "export").mkdir(parents=True)
    (there / "summary.json").write_text("{}")
    (there / "export" / "a.csv").write_bytes(b"x" * 3_000_000)
    (there / "link").symlink_to("/etc/hostname")
    source = FromFolder(tmp_path / "root")
    assert asyncio.run(source.recordings("e")) == ["r"]
    (tmp_path / "here").mkdir()
    brought(source, tmp_path / "here" / "r")
    assert held(tmp_path / "here" / "r") == {"summary.json": b"{}", "export/a.csv": b"x" * 3_000_000}


class TestArrivals:
    job = ServingJob(id="j4", title="", url="http://127.0.0.1:1", token="secret", shown="cluster:/scratch/j4")

    def test_what_is_expected_and_settled_survives_a_new_start(self, tmp_path):
        first = Arrivals(tmp_path / "a.json")
        first.expect(self.job, "limb-1")
        first.settle("j4", "limb-1", "r1")
        again = Arrivals(tmp_path / "a.json")
        assert again.settled("j4", "limb-1", "r1")
        assert not again.settled("j4", "limb-1", "r2")
        assert not again.settled("j5", "limb-1", "r1")
        assert again.jobs()["j4"].shown == "cluster:/scratch/j4"
        assert "secret" not in (tmp_path / "a.json").read_text()
        again.forget("j4")
        assert Arrivals(tmp_path / "a.json").jobs() == {}

    def test_a_file_that_cannot_be_read_is_begun_anew(self, tmp_path):
        for text in ("{", "[]", '{"j4": 5}', '{"j4": {"colour": 1}}'):
            (tmp_path / "a.json").write_text(text)
            assert Arrivals(tmp_path / "a.json").jobs() == {}

    def test_nothing_is_written_where_there_are_no_jobs(self, tmp_path):
        Arrivals(tmp_path / "a.json").forget("j4")
        assert not (tmp_path / "a.json").exists()


def zipped(files):
    return io.BytesIO(zip_of({f"small/{path}": text for path, text in files.items()}))


class TestCopies:
    about = About("small", "otto", "", "A small one", "2026-11-22T01:00:00+00:00")

    def test_a_copy_is_equal_and_keeps_its_recordings(self, tmp_path):
        here = Storage(tmp_path / "home")
        here.put("small-7", zipped(SMALL | {"deep/er/a.txt": "a", "b": "b"}), self.about)
        first = contents_of(here, "small-7")
        (here.recordings("small-7") / "r1").mkdir()
        here.put("small-7", zipped(SMALL | {"deep": "a file now", "b/c.txt": "a folder now"}), self.about)
        second = contents_of(here, "small-7")
        assert set(second.files) == {*SMALL, "deep", "b/c.txt"}
        assert first.digest != second.digest
        assert (here.recordings("small-7") / "r1").is_dir()
        assert here.about("small-7") == self.about

    def test_two_storages_with_the_same_have_the_same_digest(self, tmp_path):
        one, other = Storage(tmp_path / "one"), Storage(tmp_path / "other")
        for storage in (one, other):
            storage.put("small-7", zipped(SMALL), self.about)
        assert contents_of(one, "small-7").digest == contents_of(other, "small-7").digest
        other.describe("small-7", title="Another")
        assert contents_of(one, "small-7").digest != contents_of(other, "small-7").digest
