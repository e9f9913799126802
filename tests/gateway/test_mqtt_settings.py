"""The settings of MQTT: one sentence with file and key for everything that cannot be meant."""

import pytest

from reafference.errors import BadExperiment
from services.gateway.mqtt.settings import Broker, MqttSettings, load

URL = "mqtt://us@broker.example:1884"


def of(home, text, **given):
    (home / "mqtt.toml").write_text(text)
    return load(home, **given)


def secret(home, text="opensesame\n", mode=0o600, name="mqtt-password"):
    path = home / name
    path.write_text(text)
    path.chmod(mode)
    return path


def test_without_a_broker_there_is_no_mqtt(tmp_path):
    assert load(tmp_path) is None
    assert of(tmp_path, '[mqtt]\nprefix = "x"\n') is None


def test_the_command_line_has_the_last_word(tmp_path):
    secret(tmp_path)
    settings, broker = of(tmp_path, '[mqtt]\nurl = "mqtts://other@nowhere"\nhz = 5\n', url=URL)
    assert settings.hz == 5
    assert broker == Broker(host="broker.example", port=1884, user="us", password="opensesame")
    assert "opensesame" not in repr(broker)


def test_a_named_password_file_and_the_usual_ports(tmp_path):
    path = secret(tmp_path, name="elsewhere")
    _, broker = load(tmp_path, "mqtts://us@broker.example", str(path))
    assert (broker.port, broker.tls, broker.password) == (8883, True, "opensesame")
    _, broker = load(tmp_path, "mqtt://[::1]")
    assert (broker.host, broker.port, broker.user, broker.near) == ("::1", 1883, None, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[mqtt]\nurll = 'x'\n", "did you mean 'url'"),
        ("[mqtt\n", "cannot be read"),
        ("url = 'x'\n", r"belongs into the table \[mqtt\]"),
        ("[mqtt]\nhz = -1\n", "mqtt.hz"),
        ("[mqtt]\nhz = 1000\n", "mqtt.hz"),
        ("[mqtt]\nrates = {'brain/#' = nan}\n", "mqtt.rates.brain/#"),
        ("[mqtt]\nrates = {'brain#' = 1}\n", "mqtt.rates"),
        ("[mqtt]\ntopics = ['a/#/b']\n", "mqtt.topics"),
        ("[mqtt]\nwithout = ['']\n", "mqtt.without"),
        ("[mqtt]\nprefix = 'a/+'\n", "mqtt.prefix"),
        ("[mqtt]\nprefix = ''\n", "mqtt.prefix"),
        ("[mqtt]\nprefix = '$SYS'\n", "mqtt.prefix"),
        ("[mqtt]\nmost_values = 0\n", "mqtt.most_values"),
        ("[mqtt]\nmost_bytes = 10\n", "mqtt.most_bytes"),
        ("[mqtt]\nversion = '4'\n", "mqtt.version"),
        ("[mqtt]\nformat = 'xml'\n", "mqtt.format"),
        ("[mqtt]\norders = ['paus']\n", "did you mean 'pause'"),
        ("[mqtt]\norders = ['moon.silence']\n", "mqtt.orders"),
        ("[mqtt]\norders = ['brain.']\n", "mqtt.orders"),
    ],
)
def test_what_cannot_be_meant_is_said_with_its_key(tmp_path, text, words):
    with pytest.raises(BadExperiment, match=words) as raised:
        of(tmp_path, text, url=URL)
    assert "mqtt.toml" in raised.value.text


@pytest.mark.parametrize(
    "url",
    [
        "broker",
        "http://broker",
        "mqtt://",
        "mqtt://broker:0x",
        "mqtt://broker:99999",
        "mqtt://broker/topic",
        "mqtt://b?c",
    ],
)
def test_an_address_has_its_form(tmp_path, url):
    with pytest.raises(BadExperiment, match="mqtt://USER@HOST:PORT"):
        load(tmp_path, url)


def test_a_password_stands_neither_in_the_address_nor_where_others_read_it(tmp_path):
    with pytest.raises(BadExperiment, match="must not stand in its address") as raised:
        load(tmp_path, "mqtt://us:opensesame@broker")
    assert "opensesame" not in raised.value.text
    secret(tmp_path, mode=0o640)
    with pytest.raises(BadExperiment, match="chmod 600"):
        load(tmp_path, URL)
    secret(tmp_path, "\n")
    with pytest.raises(BadExperiment, match="is empty"):
        load(tmp_path, URL)
    with pytest.raises(BadExperiment, match="cannot be read"):
        load(tmp_path, URL, str(tmp_path / "nowhere"))


def test_whom_to_trust_must_be_there_and_be_of_use(tmp_path):
    with pytest.raises(BadExperiment, match="mqtts://"):
        of(tmp_path, "[mqtt]\nca_file = 'ca.pem'\n", url="mqtt://broker")
    with pytest.raises(BadExperiment, match=r"ca\.pem cannot be read"):
        of(tmp_path, "[mqtt]\nca_file = 'ca.pem'\n", url="mqtts://broker")


def test_lists_and_rates_are_looked_at_in_their_order():
    settings = MqttSettings(
        topics=("brain/#", "run/+"), without=("brain/camera/#",), rates={"brain/spikes": 1.0, "brain/#": 2.0}
    )
    wanted = ["brain/spikes", "brain/sinks", "brain/camera/eye", "run/start", "engine/state"]
    assert [settings.wants(name) for name in wanted] == [True, True, False, True, False]
    assert [settings.rate_hz(name) for name in wanted] == [1.0, 2.0, 2.0, 10.0, 10.0]
