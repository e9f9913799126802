"""reafference.client against a real server: catalogue, storage, tokens."""

import shutil
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

import reafference.client
from reafference import client
from reafference.clock import Deadline

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
MOUSE = EXPERIMENTS / "mouse_reach"


@pytest.fixture(scope="module")
def session():
    with reafference.client.local() as opened:
        yield opened


@pytest.fixture
def experiment(session):
    made = session.clone("mouse_reach")
    yield made
    session.delete(made)


def is_there(process):
    return Path(f"/proc/{process}").exists()


class TestCatalogue:
    def test_the_shipped_experiments_are_the_templates(self, session):
        shipped = {path.parent.name for path in EXPERIMENTS.glob("*/experiment.toml")}
        assert {template.id for template in session.templates()} == shipped

    def test_a_clone_is_an_experiment_of_ones_own(self, session, experiment):
        assert experiment.template == "mouse_reach"
        assert experiment.owner == session.me().name
        assert session.experiment(experiment.id).title == experiment.title
        assert experiment.id in [found.id for found in session.experiments()]

    def test_servers_say_how_many_places_they_have(self, session):
        (server,) = session.servers()
        assert (server.id, server.places, server.busy) == ("local", 1, 0)

    def test_an_experiment_that_is_deleted_is_gone(self, session):
        made = session.clone("mouse_reach", name="short-lived")
        session.delete(made)
        with pytest.raises(client.NotFound, match=made.id):
            session.experiment(made)

    def test_a_title_can_be_changed(self, session, experiment):
        assert session.rename(experiment, title="Another one").title == "Another one"


class TestFiles:
    def test_a_file_is_read_as_it_was_written(self, session, experiment):
        session.write_file(experiment, "notes/first.md", "Größe\n")
        assert session.read_file(experiment, "notes/first.md").decode() == "Größe\n"
        assert "notes/first.md" in [file.path for file in session.files(experiment)]
        session.delete_file(experiment, "notes/first.md")
        with pytest.raises(client.NotFound):
            session.read_file(experiment, "notes/first.md")

    def test_nobody_overwrites_what_somebody_else_has_changed(self, session, experiment):
        session.write_file(experiment, "notes.md", "mine")
        session.write_file(experiment, "notes.md", "mine, better", instead_of="mine")
        with pytest.raises(client.Changed, match="read it again"):
            session.write_file(experiment, "notes.md", "mine, best", instead_of="mine")
        assert session.read_file(experiment, "notes.md") == b"mine, better"

    def test_a_path_outside_is_refused(self, session, experiment):
        with pytest.raises(client.ServerError) as refused:
            session.write_file(experiment, "../../escaped.txt", "out")
        assert 400 <= refused.value.status < 500

    def test_a_check_names_the_line(self, session, experiment):
        assert session.check(experiment) == ()
        session.write_file(experiment, "transfer.py", "x = 1\ndef f(:\n")
        (problem,) = session.check(experiment)
        assert (problem["file"], problem["line"]) == ("transfer.py", 2)


class TestUploads:
    def test_a_folder_goes_up_and_comes_down_as_a_zip(self, session, tmp_path):
        made = session.upload(MOUSE, name="from-folder")
        try:
            path = session.download(made, tmp_path)
            with zipfile.ZipFile(path) as archive:
                name = next(name for name in archive.namelist() if name.endswith("transfer.py"))
                assert archive.read(name) == (MOUSE / "transfer.py").read_bytes()
            again = session.upload(path, name="from-zip")
            assert session.read_file(again, "experiment.toml") == (MOUSE / "experiment.toml").read_bytes()
            session.delete(again)
        finally:
            session.delete(made)

    def test_bytes_that_are_no_zip_are_refused(self, session, tmp_path):
        path = tmp_path / "bad.zip"
        path.write_bytes(b"this is no zip")
        before = session.experiments()
        with pytest.raises(client.ServerError, match="zip"):
            session.upload(path)
        assert session.experiments() == before


class TestTokens:
    def test_a_wrong_token_is_refused(self, session):
        with pytest.raises(client.Unauthorized):
            client.connect(session.url, "wrong")

    def test_the_token_may_stand_in_the_environment(self, session, monkeypatch):
        monkeypatch.setenv("REAF_TOKEN", session.token)
        with client.connect(session.url) as other:
            assert other.me() == session.me()

    def test_a_token_can_be_remembered(self, session, monkeypatch, tmp_path):
        monkeypatch.delenv("REAF_TOKEN", raising=False)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        client.connect(session.url, session.token, remember=True).close()
        with client.connect(session.url) as other:
            assert other.me().role == "admin"


class TestServersOfOnesOwn:
    def test_a_home_keeps_experiments_from_one_time_to_the_next(self, tmp_path):
        with client.local(tmp_path / "home") as first:
            made = first.clone("braitenberg_husky")
        with client.local(tmp_path / "home") as second:
            assert second.experiment(made).template == "braitenberg_husky"

    def test_two_servers_cannot_share_a_home(self, tmp_path):
        with client.local(tmp_path), pytest.raises(client.ServerError, match="another server"):
            client.local(tmp_path)

    def test_it_ends_with_a_script_that_is_killed(self):
        script = """
            import os, signal
            from reafference.client.place import Place
            place = Place(None)
            print(place._process.pid, place.home, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
        )
        process, home = done.stdout.split()
        deadline = Deadline.after_s(20.0)
        while is_there(process) and not deadline.passed():
            time.sleep(0.05)
        assert not is_there(process)
        shutil.rmtree(home)
