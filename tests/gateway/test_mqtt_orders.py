"""Orders over MQTT: who may give which, and that all others change nothing."""

import pytest

from tests.gateway.broker import NEW, OLD, Client, Mosquitto
from tests.gateway.on_mqtt import Beginning, settings

ANSWER = "order/answer"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Mosquitto(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture(scope="module")
def platform(broker, tmp_path_factory):
    with Beginning(tmp_path_factory.mktemp("home")) as begin:
        yield begin(settings(broker))


@pytest.fixture
def begin(tmp_path):
    with Beginning(tmp_path / "home") as beginning:
        yield beginning


@pytest.fixture
def own_broker(tmp_path):
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.mark.parametrize("version", [OLD, NEW])
def test_an_order_of_the_owner_is_carried_out_and_answered(platform, broker, version):
    with platform.run(by="otto") as run, Client(broker, f"alone/{run.id}/{ANSWER}", version=version) as one:
        run.built()
        for number, (order, state) in enumerate((("start", "started"), ("pause", "paused"), ("pause", "paused"))):
            one.say(f"alone/{run.id}/order", {"order": order, "token": platform.tokens["otto"], "id": number})
            answer = one.seen(f"alone/{run.id}/{ANSWER}", number + 1)
            assert answer == {
                "simulation": run.id,
                "order": order,
                "id": number,
                "done": True,
                "by": "otto",
                "state": state,
                "result": {},
            }
            assert run.get()["state"] == state


def test_version_5_has_places_for_the_token_and_the_answer(platform, broker):
    with platform.run() as run, Client(broker, "mine/#", f"alone/{run.id}/{ANSWER}") as one:
        run.built()
        places = {
            "UserProperty": ("authorization", f"Bearer {platform.tokens['admin']}"),
            "ResponseTopic": "mine/answers",
            "CorrelationData": b"17",
        }
        change = {"order": "engine.set_parameters", "arguments": {"parameters": {"strength": 0.5}}}
        one.say(f"alone/{run.id}/order", change, **places)
        assert one.seen("mine/answers")["result"]["parameters"]["strength"] == 0.5
        assert one.came[-1].properties.CorrelationData == b"17"
        assert run.get("/parameters")["strength"] == 0.5
        # We say nothing on our own topics because somebody asks for it, and nothing elsewhere for strangers.
        one.say(f"alone/{run.id}/order", change, **places | {"ResponseTopic": "alone/status"})
        one.seen(f"alone/{run.id}/{ANSWER}")
        one.say(f"alone/{run.id}/order", change, **places | {"UserProperty": ("authorization", "wrong")})
        assert one.seen(f"alone/{run.id}/{ANSWER}", 2)["code"] == "unauthorized"
        assert len(one.of("mine/answers")) == 1


def test_an_order_that_comes_twice_is_carried_out_and_answered_once(platform, broker):
    with platform.run() as run, Client(broker, f"alone/{run.id}/{ANSWER}") as one:
        run.built()
        for id in ("a", "a", "b"):
            one.say(f"alone/{run.id}/order", {"order": "step", "token": platform.tokens["admin"], "id": id, "steps": 3})
        one.seen(f"alone/{run.id}/{ANSWER}", 2)
        assert [answer["id"] for answer in one.of(f"alone/{run.id}/{ANSWER}")] == ["a", "b"]
        assert run.get()["step"] == 6


def test_whatever_is_not_allowed_is_refused_with_a_sentence_logged_and_changes_nothing(own_broker, begin):
    platform = begin(settings(own_broker))
    token = platform.tokens
    start = {"order": "start", "token": token["otto"]}
    edit = {"order": "engine.add_function", "token": token["otto"], "arguments": {"source": "import os"}}
    cases = [
        (start | {"order": "stop"}, "forbidden", "'stop' is not on the list"),
        (start | {"order": "resume"}, "forbidden", "not on the list"),
        (start | {"order": "no such order"}, "forbidden", "not on the list"),
        (edit, "forbidden", "'engine.add_function' is not on the list"),
        ({"order": "start"}, "unauthorized", "no token"),
        (start | {"token": ""}, "unauthorized", "no token"),
        (start | {"token": "x" * 43}, "unauthorized", "not known"),
        (start | {"token": "\ud800"}, "invalid", "token"),
        (start | {"token": token["vera"]}, "forbidden", "vera may not steer"),
        (start | {"token": token["olga"]}, "forbidden", "belongs to otto"),
        (start | {"order": "step", "steps": 0}, "invalid", "steps"),
        (start | {"order": "step", "steps": "3"}, "invalid", "steps"),
        (start | {"order": 3}, "invalid", "order"),
        (start | {"more": 1}, "invalid", "more"),
        ({}, "invalid", "order"),
        ([start], "invalid", "cannot be understood"),
        ("start", "invalid", "no JSON"),
        (b"\xff\x00", "invalid", "no JSON"),
        ("[" * 60_000, "invalid", "no JSON"),
        (start | {"arguments": {"a": "b" * 70_000}}, "too_large", "65536 bytes"),
    ]
    with platform.run(by="otto") as run, Client(own_broker, "alone/+/order/answer") as one:
        before = run.built().get()
        for number, (message, code, words) in enumerate(cases):
            one.say(f"alone/{run.id}/order", message)
            answer = one.seen(f"alone/{run.id}/{ANSWER}", number + 1)
            assert (answer["done"], answer["code"]) == (False, code), (message, answer)
            assert words in answer["text"]
        one.say(f"alone/{run.id}/order", start, retain=True)
        assert "retain" in one.seen(f"alone/{run.id}/{ANSWER}", len(cases) + 1)["text"]
        one.say("alone/s99/order", start)
        assert one.seen("alone/s99/order/answer")["code"] == "not_found"
        # A broker that was away brings back what it was asked to keep: no reason to start.
        after = run.get()
        assert (after["state"], after["step"]) == ("paused", before["step"])
        assert run.get("/history")["edits"] == []
        assert set(run.functions()) == {"hold", "tell"}
        one.say(f"alone/{run.id}/order", start | {"id": "at last"})
        assert one.seen(f"alone/{run.id}/{ANSWER}", len(cases) + 2)["done"]
    status, words = platform.end()
    assert status == 0
    assert words.count('"order refused"') == len(cases) + 2
    assert not any(secret in words.replace(f"token        {secret}", "") for secret in token.values())


def test_an_order_that_the_broker_has_kept_is_refused_by_a_server_that_comes_later(own_broker, begin):
    with Client(own_broker, "alone/+/order/answer") as one:
        one.say("alone/s1/order", {"order": "start"}, retain=True)
        begin(settings(own_broker, version="3.1.1"))
        assert "retain" in one.seen("alone/s1/order/answer")["text"]


def test_an_order_that_fails_says_why(platform, broker):
    with platform.run() as run, Client(broker, f"alone/{run.id}/{ANSWER}") as one:
        run.built()
        wrong = {"order": "engine.set_parameters", "arguments": {"parameters": {"strenght": 0.5}}}
        one.say(f"alone/{run.id}/order", wrong | {"token": platform.tokens["admin"]})
        assert "strength" in one.seen(f"alone/{run.id}/{ANSWER}")["text"]
        run.put("/state", state="stopped")
        run.ended()
        one.say(f"alone/{run.id}/order", {"order": "start", "token": platform.tokens["admin"]})
        assert "launch another" in one.seen(f"alone/{run.id}/{ANSWER}", 2)["text"]


def test_a_server_without_tokens_takes_no_orders(own_broker, begin):
    platform = begin(settings(own_broker), "--no-tokens")
    with platform.run() as run, Client(own_broker, f"alone/{run.id}/{ANSWER}") as one:
        run.built()
        one.say(f"alone/{run.id}/order", {"order": "start", "token": "anything"})
        answer = one.seen(f"alone/{run.id}/{ANSWER}")
        assert (answer["done"], answer["code"]) == (False, "forbidden")
        assert run.get()["state"] == "paused"
