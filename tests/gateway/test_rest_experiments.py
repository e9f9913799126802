"""Templates, experiments, files and recordings, as seen from a client."""

import http.client
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from tests.gateway.doors import PATIENCE_S, ROOT, SMALL, Door, zip_of

MIB = 2**20


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    with Door(tmp_path_factory.mktemp("home")) as door:
        yield door


@pytest.fixture
def small(door):
    """The id of a small experiment that belongs to otto."""
    answer = door.otto.post("/experiments/upload", content=zip_of(SMALL))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def problem(answer, status, code):
    """The sentence of a problem, after a look at its shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["status"], told["code"], told["type"]) == (status, code, "about:blank")
    assert told["title"]
    assert 10 < len(told["detail"]) < 400
    return told["detail"]


def test_the_templates_are_the_shipped_experiments(door):
    found = {one["id"]: one for one in door.vera.get("/templates").json()}
    assert set(found) == {path.parent.name for path in (ROOT / "experiments").glob("*/experiment.toml")}
    assert found["mouse_reach"]["title"] == "A motor cortex moves a mouse's arm"
    assert found["mouse_reach"]["facts"]["functions"] == 3
    assert found["mouse_reach"]["limit"] == {"kind": "simulated", "s": 1.0}
    assert door.vera.get("/templates/mouse_reach").json() == found["mouse_reach"]


def test_the_files_of_a_template_can_be_read(door):
    listed = door.vera.get("/templates/mouse_reach/files").json()
    for file in listed:
        content = door.vera.get(f"/templates/mouse_reach/files/{file['path']}").content
        assert content == (ROOT / "experiments/mouse_reach" / file["path"]).read_bytes()
    assert door.ada.put("/templates/mouse_reach/files/x.py", content=b"").status_code == 405


@pytest.mark.parametrize("template", ["mouse_reach", "braitenberg_husky"])
def test_every_template_has_a_picture(door, template):
    answer = door.vera.get(f"/templates/{template}/picture")
    kind = answer.headers["content-type"]
    assert answer.content.startswith({"image/png": b"\x89PNG", "image/svg+xml": b"<svg"}[kind])


def test_a_clone_is_listed_described_and_deleted(door):
    made = door.otto.post("/experiments", json={"source": "mouse_reach", "name": "my arm"})
    assert made.status_code == 201
    card = made.json()
    assert (card["name"], card["owner"], card["template"]) == ("my arm", "otto", "mouse_reach")
    assert card["last_run"] is None
    assert card in door.vera.get("/experiments").json()
    renamed = door.otto.patch(f"/experiments/{card['id']}", json={"name": "his arm"}).json()
    assert (renamed["id"], renamed["name"]) == (card["id"], "his arm")
    assert door.otto.delete(f"/experiments/{card['id']}").status_code == 204
    assert card["id"] in problem(door.vera.get(f"/experiments/{card['id']}"), 404, "not_found")


def test_a_clone_of_an_unknown_experiment_changes_nothing(door):
    before = door.tree()
    assert "mous_reach" in problem(door.otto.post("/experiments", json={"source": "mous_reach"}), 404, "not_found")
    assert door.tree() == before


def test_only_owner_and_administrator_change_an_experiment(door, small):
    before = door.tree()
    for answer in (
        door.olga.patch(f"/experiments/{small}", json={"name": "hers"}),
        door.olga.put(f"/experiments/{small}/files/transfer.py", content=b"# hers"),
        door.olga.delete(f"/experiments/{small}/files/transfer.py"),
        door.olga.delete(f"/experiments/{small}"),
    ):
        assert "otto" in problem(answer, 403, "forbidden")
    assert door.tree() == before
    assert door.ada.patch(f"/experiments/{small}", json={"name": "theirs"}).status_code == 200
    clone = door.olga.post("/experiments", json={"source": small}).json()
    assert clone["owner"] == "olga"


def test_a_file_is_written_with_the_tag_that_was_read(door, small):
    path = f"/experiments/{small}/files/transfer.py"
    tag = door.otto.get(path).headers["etag"]
    assert door.otto.put(path, content=b"# one\n", headers={"If-Match": tag}).status_code == 200
    late = door.otto.put(path, content=b"# two\n", headers={"If-Match": tag})
    assert "somebody else" in problem(late, 412, "conflict")
    assert door.vera.get(path).content == b"# one\n"
    assert late.headers["etag"] == door.vera.get(path).headers["etag"]
    new = door.otto.put(f"/experiments/{small}/files/sub/new.md", content="Ä".encode())
    assert new.status_code == 201
    listed = {file["path"]: file for file in door.vera.get(f"/experiments/{small}/files").json()}
    assert listed["sub/new.md"]["bytes"] == 2
    assert listed["sub/new.md"]["text"]


def test_a_script_of_a_hundred_megabytes_is_refused_and_the_storage_untouched(door, small):
    before = door.tree()
    answer = door.otto.put(f"/experiments/{small}/files/transfer.py", content=b"#" * (100 * 10**6))
    assert "MiB" in problem(answer, 413, "too_large")

    def drops():  # nobody says beforehand how much it will be
        for _ in range(100):
            yield b"#" * 10**6

    answer = door.otto.put(f"/experiments/{small}/files/transfer.py", content=drops())
    assert "5 MiB" in problem(answer, 413, "too_large")
    assert door.tree() == before


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0", b"def f():\0", b"\xff"])
def test_binary_is_no_script(door, small, content):
    before = door.tree()
    answer = door.otto.put(f"/experiments/{small}/files/transfer.py", content=content)
    assert "must be text" in problem(answer, 422, "invalid")
    assert door.tree() == before


@pytest.mark.parametrize("path", ["..%2f..%2ftokens.json", "%2fetc%2fpasswd", "a%00b", ".reafference.json", "a%5cb"])
def test_a_path_that_leads_elsewhere_is_refused(door, small, path):
    before = door.tree()
    for method, content in (("GET", None), ("PUT", b"x"), ("DELETE", None)):
        answer = door.ada.request(method, f"/experiments/{small}/files/{path}", content=content)
        assert "cannot be the path" in problem(answer, 422, "invalid")
    assert door.tree() == before


def test_an_upload_is_what_a_download_gave(door, small):
    packed = door.vera.get(f"/experiments/{small}/download")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as zipped:
        names = zipped.namelist()
    assert sorted(names) == sorted(f"{door.storage.about(small).name}/{path}" for path in SMALL)
    again = door.olga.post("/experiments/upload?name=again", content=packed.content).json()
    assert (again["name"], again["owner"], again["title"]) == ("again", "olga", "A small one")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"no zip file", 422),
        (zip_of({"a.py": "1"}), 422),
        (zip_of(SMALL | {"../evil.py": "1"}), 422),
        (zip_of(SMALL | {"/evil.py": "1"}), 422),
        (zip_of(SMALL | {"bomb.bin": b"\0" * 50 * MIB}), 413),
    ],
    ids=["empty", "text", "no experiment", "dots", "absolute", "bomb"],
)
def test_a_bad_zip_file_leaves_the_storage_as_it_was(door, content, status):
    before = door.tree()
    answer = door.otto.post("/experiments/upload", content=content)
    problem(answer, status, "too_large" if status == 413 else "invalid")
    assert door.tree() == before


def test_a_zip_file_that_says_it_is_too_large_is_refused_before_it_is_sent(door):
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=5)
    connection.putrequest("POST", "/api/experiments/upload")
    connection.putheader("Authorization", f"Bearer {door.secrets['otto']}")
    connection.putheader("Content-Length", str(10**10))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert "200 MiB" in json.loads(answer.read())["detail"]
    connection.close()


def test_an_upload_that_breaks_off_leaves_nothing_behind(door):
    before, packed = door.tree(), zip_of(SMALL)
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=5)
    connection.putrequest("POST", "/api/experiments/upload")
    connection.putheader("Authorization", f"Bearer {door.secrets['otto']}")
    connection.putheader("Content-Length", str(len(packed)))
    connection.endheaders()
    connection.send(packed[:-10])
    connection.close()
    assert door.vera.get("/me").status_code == 200
    assert door.tree() == before


def test_a_full_disk_is_told_as_one(tmp_path):
    with Door(tmp_path / "home") as door:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        before, handler = door.tree(), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
            answers = [
                door.otto.post("/experiments", json={"source": "mouse_reach"}),
                door.otto.post("/experiments/upload", content=zip_of(SMALL | {"x.bin": os.urandom(200_000)})),
            ]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        for answer in answers:
            problem(answer, 507, "disk_full")
        assert door.tree() == before


def test_a_check_finds_what_is_wrong_and_where(door, small):
    checked = f"/experiments/{small}/check"
    assert door.otto.post(checked).json() == {"problems": []}
    toml = SMALL["experiment.toml"].replace("steps = 10", "steps = 'ten'")
    door.otto.put(f"/experiments/{small}/files/experiment.toml", content=toml.encode())
    door.otto.put(f"/experiments/{small}/files/transfer.py", content=b"x = 1\ndef f(:\n")
    first, second = door.otto.post(checked).json()["problems"]
    assert (first["file"], first["line"], first["key"]) == ("experiment.toml", 4, "experiment.steps")
    assert (second["file"], second["line"], second["column"]) == ("transfer.py", 2, 7)
    assert second["line_text"] == "def f(:"


def test_a_check_runs_nothing(door, small, tmp_path):
    script = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    door.otto.put(f"/experiments/{small}/files/transfer.py", content=script.encode())
    assert door.otto.post(f"/experiments/{small}/check").json() == {"problems": []}
    assert not (tmp_path / "ran").exists()


def test_a_recording_is_shown_exported_and_deleted(door, small, recorded):
    shutil.copytree(recorded, door.storage.recordings(small) / "2026-11-21T10-00-00")
    where = f"/experiments/{small}/recordings"
    (one,) = door.vera.get(where).json()
    assert (one["outcome"], one["steps"]) == ("finished", 3)
    card = door.vera.get(f"/experiments/{small}").json()
    assert card["last_run"]["steps"] == 3
    assert card["recordings"] == {"count": 1, "bytes": one["bytes"]}
    where += f"/{one['id']}"
    problem(door.olga.post(f"{where}/export"), 403, "forbidden")
    exported = door.otto.post(f"{where}/export")
    assert exported.status_code == 200, exported.text
    files = {file["path"]: file["bytes"] for file in exported.json()["files"]}
    tables = [path for path in files if path.endswith(".csv") and path.startswith("export/")]
    assert tables
    assert any(path.endswith(".h5") for path in files)
    table = door.vera.get(f"{where}/files/{tables[0]}")
    assert len(table.content) == files[tables[0]]
    part = door.vera.get(f"{where}/files/recording.mcap", headers={"Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, b"\x89MCAP0\r\n")
    assert door.vera.get(f"/experiments/{small}/picture").content.startswith((b"\x89PNG", b"<svg"))
    problem(door.vera.get(f"{where}/files/nothing"), 404, "not_found")
    problem(door.vera.get(f"{where}/files/..%2f..%2fexperiment.toml"), 422, "invalid")
    assert door.otto.delete(where).status_code == 204
    assert door.vera.get(f"/experiments/{small}/recordings").json() == []


def test_what_a_simulation_uses_is_not_deleted(door, small):
    simulation = door.otto.post("/simulations", json={"experiment": small, "start": False}).json()
    where = f"/simulations/{simulation['id']}"
    assert door.vera.get("/servers").json()[0]["busy"] == 1
    deadline = time.monotonic() + PATIENCE_S
    while (now := door.vera.get(where).json())["state"] != "paused":
        assert now["state"] in ("created", "initialised"), now
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for path in (f"/experiments/{small}", f"/experiments/{small}/recordings/{now['recording']}"):
        assert simulation["id"] in problem(door.otto.delete(path), 409, "conflict")
    assert door.otto.put(f"{where}/state", json={"state": "stopped"}).status_code == 200
    while door.otto.delete(f"/experiments/{small}").status_code == 409:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    problem(door.vera.get(f"/experiments/{small}"), 404, "not_found")


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """The folder of a short run of the arm."""
    folder = tmp_path_factory.mktemp("experiment")
    for path, text in SMALL.items():
        (folder / path).write_text(text)
    out = tmp_path_factory.mktemp("runs") / "run"
    command = [sys.executable, "-m", "services.engine.launch", str(folder), "--steps=3", f"--out={out}"]
    subprocess.run(command, cwd=ROOT, env=os.environ, check=True, timeout=120, stdout=subprocess.DEVNULL)
    return out


def test_servers_and_jobs_can_be_asked_for(door):
    (here,) = door.vera.get("/servers").json()
    assert (here["id"], here["busy"]) == ("local", 0)
    assert here["cores"] >= 1
    assert door.vera.get("/jobs").json() == []
