"""`reaf import`, and what the storage does with an experiment in the published form. That such experiments run is shown
in tests/compat."""

import json
import subprocess
import sys

import pytest

from reafference.errors import BadExperiment
from services.gateway.people import Person
from services.gateway.published import complete
from services.gateway.storage import Storage

from .doors import SMALL as OURS
from .doors import zip_of

PUBLISHED = {
    "a.exc": '<ExD><name>A limb</name><timeout>10</timeout><bibiConf src="a.bibi"/></ExD>',
    "a.bibi": '<bibi><bodyModel robotId="robot">mouse_forelimb/model.sdf</bodyModel></bibi>',
}


def brought(cwd, *arguments):
    command = [sys.executable, "-m", "services.gateway.published", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def left(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_zip_file_becomes_a_folder_of_its_name(tmp_path):
    (tmp_path / "limb.zip").write_bytes(zip_of({f"top/{path}": text for path, text in PUBLISHED.items()}))
    done = brought(tmp_path, "limb.zip")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["folder"], told["files"]) == ("limb", ["experiment.toml"])
    assert left(tmp_path / "limb") == ["a.bibi", "a.exc", "experiment.toml"]
    assert told["remarks"][0].startswith("the forelimb is the shipped one")


def test_a_folder_may_be_copied_to_another(tmp_path):
    (tmp_path / "old").mkdir()
    for path, text in PUBLISHED.items():
        (tmp_path / "old" / path).write_text(text)
    assert brought(tmp_path, "old", "--to", "new").returncode == 0
    assert left(tmp_path / "old") == ["a.bibi", "a.exc"]
    assert left(tmp_path / "new") == ["a.bibi", "a.exc", "experiment.toml"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (OURS, "has an experiment.toml already: run it"),
        ({"notes.txt": "nothing"}, "has no experiment in the published form"),
        ({"../a.exc": "x"}, "it leads out of the experiment's folder"),
        (
            PUBLISHED | {"a.bibi": "<bibi><bodyModel>icub.sdf</bodyModel></bibi>"},
            "a.bibi, line 1, <bodyModel>: the robot",
        ),
        (None, "no zip file"),
    ],
)
def test_what_cannot_be_brought_leaves_nothing(tmp_path, files, words):
    (tmp_path / "it.zip").write_bytes(b"no zip" if files is None else zip_of(files))
    done = brought(tmp_path, "it.zip")
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert left(tmp_path) == ["it.zip"]


def test_a_folder_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "limb.zip").write_bytes(zip_of(PUBLISHED))
    (tmp_path / "limb").mkdir()
    (tmp_path / "limb" / "mine.txt").write_text("mine")
    done = brought(tmp_path, "limb.zip")
    assert done.returncode == 2
    assert "limb is there already" in done.stderr
    assert left(tmp_path / "limb") == ["mine.txt"]
    assert "there is no such file or folder" in brought(tmp_path, "none.zip").stderr


def test_our_own_experiments_are_left_alone(tmp_path):
    for path, text in (OURS | PUBLISHED).items():
        (tmp_path / path).write_text(text)
    assert complete(tmp_path) is None
    assert (tmp_path / "experiment.toml").read_text() == OURS["experiment.toml"]


def test_nothing_is_written_where_something_cannot_be_understood(tmp_path):
    for path, text in (PUBLISHED | {"a.bibi": "<bibi>"}).items():
        (tmp_path / path).write_text(text)
    with pytest.raises(BadExperiment, match="this is not XML"):
        complete(tmp_path)
    assert left(tmp_path) == ["a.bibi", "a.exc"]


def test_the_storage_takes_a_published_zip_file_under_its_name(tmp_path):
    storage = Storage(tmp_path)
    zipped = tmp_path / "limb.zip"
    zipped.write_bytes(zip_of(PUBLISHED))
    with zipped.open("rb") as file:
        id = storage.receive(file, Person("otto", "owner"))
    assert id == "A_limb-1"
    assert {file.path for file in storage.files(id)} == {"a.exc", "a.bibi", "experiment.toml"}
