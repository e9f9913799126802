"""Who holds which token."""

import json
import stat

import pytest

from reafference.errors import BadExperiment
from services.gateway.people import People, Person
from services.gateway.problems import Problem


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.json"


@pytest.fixture
def people(path):
    return People(path)


def test_a_token_is_known_by_its_secret_and_by_nothing_else(people):
    token, secret = people.make("ada", "admin")
    assert people.find(secret) == Person("ada", "admin")
    for wrong in ("", secret[:-1], secret + "x", token.sha256, token.id, "bearer", "\ud800"):
        assert people.find(wrong) is None


def test_tokens_outlive_the_server(people, path):
    _, secret = people.make("ada", "owner")
    assert People(path).find(secret) == Person("ada", "owner")


def test_the_file_holds_no_secret_and_is_for_its_owner_only(people, path):
    secrets = [people.make(name, "viewer")[1] for name in ("ada", "ben")]
    kept = path.read_text()
    assert not any(secret in kept for secret in secrets)
    assert len({token["sha256"] for token in json.loads(kept)["tokens"]}) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["tokens.json"]


def test_a_file_that_others_can_read_is_refused(people, path):
    people.make("ada", "admin")
    path.chmod(0o644)
    with pytest.raises(BadExperiment, match="chmod 600"):
        People(path)


@pytest.mark.parametrize("text", ["", "[]", '{"tokens": [{"id": 1}]}', "{"])
def test_a_file_that_is_no_list_of_tokens_is_refused(path, text):
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(BadExperiment, match="cannot be understood"):
        People(path)


def test_a_revoked_token_is_worth_nothing(people):
    people.make("ada", "admin")
    token, secret = people.make("ben", "owner")
    people.revoke(token.id)
    assert people.find(secret) is None
    with pytest.raises(Problem) as refused:
        people.revoke(token.id)
    assert refused.value.status == 404


def test_the_last_administrator_cannot_be_revoked(people):
    token, secret = people.make("ada", "admin")
    people.make("ben", "owner")
    with pytest.raises(Problem) as refused:
        people.revoke(token.id)
    assert refused.value.status == 409
    assert people.find(secret)


def test_owners_change_what_is_theirs_and_administrators_everything():
    assert Person("ada", "owner").may_change("ada")
    assert not Person("ada", "owner").may_change("ben")
    assert not Person("ada", "viewer").may_change("ada")
    assert Person("root", "admin").may_change("ben")


def test_the_administrators_token_may_be_given_in_a_file(people, path, tmp_path):
    given = tmp_path / "admin_token"
    given.write_text("a" * 32 + "\n")
    people.admit(given)
    assert people.find("a" * 32) == Person("admin", "admin")
    people.admit(given)
    assert len(people.all()) == 1
    given.write_text("b" * 32)
    People(path).admit(given)
    assert People(path).find("b" * 32) == Person("admin", "admin")
    assert People(path).find("a" * 32) is None


@pytest.mark.parametrize("content", [b"", b"short", b"two words " * 10, b"\xff" * 40])
def test_a_given_token_that_could_be_guessed_is_refused(people, tmp_path, content):
    given = tmp_path / "admin_token"
    given.write_bytes(content)
    with pytest.raises(BadExperiment, match="admin_token"):
        people.admit(given)
    assert people.empty


def test_a_given_token_that_cannot_be_read_is_named(people, tmp_path):
    with pytest.raises(BadExperiment, match="nowhere cannot be read"):
        people.admit(tmp_path / "nowhere")
