"""reafference.keys: files that say who is who."""

import os
import stat
import subprocess
import sys

import pytest

from reafference import cli, keys
from reafference.errors import BadExperiment, NoKeys
from reafference.keys import AllowList, KeyRing, may_enter


@pytest.fixture
def folder(tmp_path):
    keys.make(tmp_path / "keys", ranks=3, monitors=["lab"])
    return tmp_path / "keys"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_servers_and_clients_have_a_pair_each_and_clients_are_allowed(folder):
    clients = {"brain", "brain.1", "brain.2", "body", "monitor-lab"}
    assert {path.stem for path in folder.glob("*.key_secret")} == clients | set(keys.SERVERS)
    assert {path.stem for path in (folder / "allowed").iterdir()} == clients


def test_nobody_else_can_read_them(folder):
    assert mode(folder) == mode(folder / "allowed") == 0o700
    assert {mode(path) for path in folder.rglob("*.key*")} == {0o600}


def test_what_is_there_stays_and_what_is_missing_is_added(folder):
    before = {path.name: path.read_bytes() for path in folder.glob("*.key_secret")}
    assert keys.make(folder, ranks=4, monitors=["monitor-wall"]) == ["brain.3", "monitor-wall"]
    after = {path.name: path.read_bytes() for path in folder.glob("*.key_secret")}
    assert before.items() < after.items()


def test_a_client_is_given_its_own_keys_and_the_public_ones_of_the_servers(folder, tmp_path):
    keys.give(folder, "monitor-lab", tmp_path / "lab")
    assert {path.name for path in (tmp_path / "lab").iterdir()} == {
        "monitor-lab.key",
        "monitor-lab.key_secret",
        *(f"{server}.key" for server in keys.SERVERS),
    }
    assert KeyRing.of_only(tmp_path / "lab").pair() == KeyRing(folder, "monitor-lab").pair()
    with pytest.raises(NoKeys, match=r"make it with reaf keys"):
        keys.give(folder, "monitor-nobody", tmp_path / "nobody")


def test_the_brain_is_given_those_of_its_ranks(folder, tmp_path):
    keys.give(folder, "brain", tmp_path / "far")
    secrets = {path.stem for path in (tmp_path / "far").glob("*.key_secret")}
    assert secrets == {"brain", "brain.1", "brain.2"}


@pytest.mark.parametrize("opened", ["", "engine.key_secret"])
def test_keys_that_others_can_read_are_refused(folder, opened):
    path = folder / opened
    path.chmod(mode(path) | 0o040)
    with pytest.raises(NoKeys, match=r"open to others.*chmod -R go="):
        KeyRing(folder, "engine")


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_text("x")])
def test_a_folder_that_is_none_is_named(tmp_path, make):
    make(tmp_path / "keys")
    os.umask(os.umask(0o077))
    with pytest.raises(NoKeys, match=str(tmp_path / "keys")):
        KeyRing(tmp_path / "keys", "brain")


@pytest.mark.parametrize("text", ["", "rubbish", "public-key"])
def test_a_key_that_cannot_be_read_is_named(folder, text):
    (folder / "engine.key").write_text(text)
    with pytest.raises(NoKeys, match=r"engine.key cannot be read"):
        KeyRing(folder, "brain").public("engine")


def test_a_secret_key_without_a_secret_is_named(folder):
    (folder / "brain.key_secret").write_bytes((folder / "brain.key").read_bytes())
    with pytest.raises(NoKeys, match=r"brain.key_secret holds no secret key"):
        KeyRing(folder, "brain").pair()


def test_it_must_be_clear_who_one_is(folder, tmp_path):
    with pytest.raises(NoKeys, match="8 secret keys"):
        KeyRing.of_only(folder)
    (tmp_path / "empty").mkdir(mode=0o700)
    with pytest.raises(NoKeys, match="no secret key"):
        KeyRing.of_only(tmp_path / "empty")


def test_a_name_that_is_a_path_is_refused(tmp_path):
    with pytest.raises(BadExperiment, match="cannot be the name of a key"):
        keys.make(tmp_path / "keys", monitors=["../out"])
    assert not (tmp_path / "out.key").exists()


def test_the_list_of_who_is_allowed_follows_its_folder(folder):
    known = AllowList(folder)
    public, _ = KeyRing(folder, "body").pair()
    assert known.name_of(public) == "body"
    assert known.name_of(b"?" * 40) == ""
    (folder / "allowed" / "body.key").unlink()
    assert known.name_of(public) == ""
    keys.make(folder, monitors=["late"])
    assert known.name_of(public) == "body"
    assert known.name_of(KeyRing(folder, "monitor-late").pair()[0]) == "monitor-late"


def test_a_list_that_is_gone_allows_nobody(folder):
    known = AllowList(folder)
    public, _ = KeyRing(folder, "body").pair()
    (folder / "allowed").rename(folder / "elsewhere")
    assert known.name_of(public) == ""
    (folder / "elsewhere").rename(folder / "allowed")
    (folder / "allowed" / "body.key").write_text("half a ke")
    assert known.name_of(public) == ""


def test_who_may_use_which_wire():
    wires = ("step", "pulse", "bus-in", "bus-out", "tap")
    assert {wire for wire in wires if may_enter("brain", wire)} == set(wires)
    assert {wire for wire in wires if may_enter("brain.12", wire)} == {"pulse"}
    assert {wire for wire in wires if may_enter("monitor-brain", wire)} == {"bus-out"}


def test_the_command_makes_and_gives(tmp_path, capsys):
    made, given = str(tmp_path / "keys"), str(tmp_path / "lab")
    assert cli.main(["keys", made, "--monitor", "lab", "--give", "monitor-lab", "--to", given]) == 0
    assert "made 6 keys" in capsys.readouterr().out
    assert cli.main(["keys", made]) == 0
    assert "all keys are there" in capsys.readouterr().out
    assert cli.main(["keys", made, "--give", "brain"]) == 2
    assert cli.main(["keys", made, "--ranks", "0"]) == 2


def test_the_module_is_a_command_too(tmp_path):
    tmp_path.chmod(0o755)
    command = [sys.executable, "-m", "reafference.keys", str(tmp_path)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "open to others" in refused.stderr
    tmp_path.chmod(0o700)
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).returncode == 0
