"""The bus on MQTT: with a real broker, real simulations, and clients of both versions of the protocol."""

import shutil
import subprocess
import time

import pytest

from reafference import codec
from reafference.frames import Stream
from tests.gateway.broker import NEW, OLD, Client, Door, Mosquitto
from tests.gateway.on_mqtt import Beginning, Platform, settings
from tests.gateway.runs import PATIENCE_S, Run
from tests.gateway.test_serve import Served


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Mosquitto(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture(scope="module")
def platform(broker, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    more = ("--mqtt", broker.url, "--mqtt-password", str(broker.password_file()), "--places", "3")
    platform = Platform(Served(home, *more))
    yield platform
    platform.end()


@pytest.fixture
def own_broker(tmp_path):
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def begin(tmp_path):
    with Beginning(tmp_path / "home") as beginning:
        yield beginning


# --- what goes to the broker ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [OLD, NEW])
def test_who_comes_late_hears_where_a_run_stands_and_then_its_streams(platform, broker, version):
    with platform.run() as run, Client(broker, f"reafference/{run.id}/#", "reafference/status", version=version) as one:
        at = f"reafference/{run.id}"
        run.built()
        assert one.seen(f"{at}/run/start")["experiment"] == "limb"
        one.until(lambda: one.seen(f"{at}/engine/state")["state"] == "ready")
        one.until(lambda: one.seen(f"{at}/simulation")["state"] == "paused")
        assert one.texts("reafference/status")[-1] == "online"
        run.put("/state", state="started")
        joints = one.seen(f"{at}/body/joints", 2)
        assert len(joints["arrays"]["position"]) == 6
        assert joints["kind"] == "stream"
        assert joints["t_s"] == pytest.approx((joints["step"] + 1) * 0.02)
        with Client(broker, f"reafference/{run.id}/#", version=version) as late:
            assert late.seen(f"{at}/run/start") == one.of(f"{at}/run/start")[-1]
            kept = {f"{at}/{name}" for name in ("run/start", "engine/state", "engine/functions", "simulation")}
            late.until(lambda: {message.topic for message in list(late.came) if message.retain} >= kept)
        run.put("/state", state="stopped")
        assert one.seen(f"{at}/run/stop")["outcome"] == "stopped"
        one.until(lambda: one.of(f"{at}/simulation")[-1]["state"] == "stopped")


def test_streams_are_thinned_in_time_and_messages_are_not(platform, broker):
    with platform.run(pace=0.0) as run, Client(broker, f"reafference/{run.id}/#") as one:
        at = f"reafference/{run.id}"
        run.built().put("/state", state="started")
        one.until(lambda: len(one.of(f"{at}/engine/log")) >= 150 and one.of(f"{at}/body/joints"))
        logged = [message["seq"] for message in one.of(f"{at}/engine/log")]
        assert logged == list(range(len(logged)))
        assert len(one.of(f"{at}/body/joints")) <= len(logged) / 2


def test_a_simulation_that_is_deleted_is_forgotten_by_the_broker(platform, broker):
    with platform.run() as run:
        run.built()
    with Client(broker, f"reafference/{run.id}/#") as one:
        one.seen(f"reafference/{run.id}/run/stop")
        assert run.request("DELETE").status_code == 204
        one.until(lambda: one.texts(f"reafference/{run.id}/simulation")[-1:] == [""])
        one.until(lambda: one.texts(f"reafference/{run.id}/run/stop")[-1:] == [""])
    with Client(broker, f"reafference/{run.id}/#", "reafference/status") as late:
        late.until(lambda: late.texts("reafference/status"))
        assert not late.of(f"reafference/{run.id}/simulation")


def test_after_a_full_reset_the_documents_are_those_of_the_new_run(platform, broker):
    with platform.run(start=True) as run, Client(broker, f"reafference/{run.id}/run/#") as one:
        run.built()
        first = one.seen(f"reafference/{run.id}/run/start")["run"]
        assert run.post("/reset", what="full").status_code == 200
        one.until(lambda: one.of(f"reafference/{run.id}/run/start")[-1]["run"] != first)
        with Client(broker, f"reafference/{run.id}/run/#") as late:
            assert late.seen(f"reafference/{run.id}/run/start")["run"] != first
            assert not late.of(f"reafference/{run.id}/run/stop")


def test_frames_may_go_as_they_are(own_broker, begin):
    with Client(own_broker, "alone/#") as one:
        platform = begin(settings(own_broker, format="frame", topics=["body/#", "run/#"], without=["body/links"]))
        with platform.run(start=True) as run:
            at = f"alone/{run.id}"
            one.until(lambda: f"{at}/body/joints" in {message.topic for message in one.came})
            bound = next(message.payload for message in one.came if message.topic == f"{at}/body/joints")
            (parts,) = codec.open_batch(codec.batch(1, [bound]))[1]
            frame = codec.decode(parts).frame
            assert isinstance(frame, Stream)
            assert frame.arrays["position"].shape == (6,)
            own = {f"{at}/simulation"}
            names = {message.topic for message in one.came if message.topic.startswith(at)} - own
            assert {name.removeprefix(f"{at}/").split("/")[0] for name in names} == {"body", "run"}
            assert f"{at}/body/links" not in names


# --- a broker that comes and goes -------------------------------------------------------------------------


def test_a_broker_may_be_stopped_and_started_while_nest_runs(own_broker, begin):
    with Door(own_broker) as door:
        platform = begin(settings(own_broker, url=door.url))
        client = platform.client
        id = client.post("/experiments", json={"source": "mouse_reach"}).json()["id"]
        with (
            Client(own_broker, "alone/#") as one,
            Run(client, id, set={"area_mm2": 0.02}, limit={"kind": "simulated", "s": 100.0}) as run,
        ):
            at = f"alone/{run.id}"
            run.built()
            run.put("/state", state="started")
            assert "sender" in one.seen(f"{at}/brain/spikes", 3)["arrays"]
            own_broker.stop()
            door.shut()
            before = run.get()["step"]
            run.until(lambda now: now["step"] >= before + 40)
            edited = run.put("/limit", extend_s=1.0)
            assert edited.status_code == 200, edited.text
            own_broker.start()
            one.until(lambda: one.ready == 2)
            one.came.clear()
            door.open()
            one.until(lambda: one.texts("alone/status") == ["online"])
            # What everybody must know was kept for the broker, and what it has missed is counted.
            assert one.seen(f"{at}/engine/edits")["what"] == "set_limit"
            assert one.seen(f"{at}/run/start")["run"] == run.get()["run"]
            assert one.seen(f"{at}/brain/sinks", 3)["step"] > before
            one.until(lambda: one.of("alone/bridge") and one.of("alone/bridge")[-1]["connections"] == 2)
            missed = one.of("alone/bridge")[-1]["missed"]
            assert 0 < missed[f"{run.id}/brain/sinks"] <= one.of(f"{at}/brain/sinks")[-1]["seq"]
            assert not {f"{run.id}/engine/edits", f"{run.id}/body/tip"} & missed.keys()
            run.put("/state", state="paused")
            one.until(lambda: one.of(f"{at}/engine/state")[-1]["state"] == "paused")
            assert one.of(f"{at}/engine/state")[-1]["step"] == run.get()["step"]
        assert platform.end()[0] == 0


def test_a_broker_that_takes_nothing_holds_nobody_up(own_broker, begin):
    platform = begin(settings(own_broker))
    with platform.run(start=True, pace=0.0) as run, Client(own_broker, f"alone/{run.id}/#") as one:
        one.seen(f"alone/{run.id}/body/joints", 3)
        own_broker.freeze()
        before = run.get()["step"]
        run.until(lambda now: now["step"] >= before + 200)
        own_broker.thaw()
        one.until(lambda: one.of(f"alone/{run.id}/engine/clock")[-1]["step"] >= before + 200)
        run.put("/state", state="stopped")
        own_broker.freeze()
    assert platform.end()[0] == 0


def test_a_server_starts_without_its_broker_and_finds_it_later(own_broker, begin):
    with Door(own_broker) as door:
        door.shut()
        own_broker.stop()
        platform = begin(settings(own_broker, url=door.url))
        with platform.run(start=True) as run:
            run.built()
            own_broker.start()
            with Client(own_broker, f"alone/{run.id}/#") as one:
                door.open()  # only now: logs are not kept for who comes late
                assert one.seen(f"alone/{run.id}/run/start")["experiment"] == "limb"
                one.seen(f"alone/{run.id}/engine/log")
                assert one.of(f"alone/{run.id}/engine/log")[0]["seq"] == 0
        assert "no broker" in platform.end()[1]


def test_the_last_will_says_that_the_platform_is_gone_and_the_next_one_clears_away(own_broker, begin):
    with Client(own_broker, "alone/#") as one:
        platform = begin(settings(own_broker))
        run = platform.run(start=True)
        sid = run.id
        one.seen(f"alone/{sid}/body/joints")
        one.until(lambda: one.texts("alone/status")[-1:] == ["online"])
        platform.kill()
        one.until(lambda: one.texts("alone/status")[-1] == "offline")
        platform.end()
        again = begin(settings(own_broker))
        one.until(lambda: one.texts("alone/status")[-1] == "online")
        one.until(lambda: one.texts(f"alone/{sid}/engine/state")[-1] == "")
        one.until(lambda: one.texts(f"alone/{sid}/simulation")[-1] == "")
        again.end()
        one.until(lambda: one.texts("alone/status")[-1] == "offline")


def test_a_broker_of_the_older_version_is_spoken_to_in_it(own_broker, begin):
    with Door(own_broker, knows=OLD) as door:
        platform = begin(settings(own_broker, url=door.url))
        with platform.run() as run, Client(own_broker, f"alone/{run.id}/#", version=OLD) as one:
            run.built()
            one.say(f"alone/{run.id}/order", {"order": "start", "token": platform.tokens["admin"]})
            assert one.seen(f"alone/{run.id}/order/answer")["done"]
            assert one.seen(f"alone/{run.id}/body/joints")
        assert door.refused == 1
        platform.end()


def test_a_broker_is_reached_with_encryption_and_its_certificate_is_looked_at(tmp_path, begin):
    make_certificates(tmp_path / "tls")
    with Mosquitto(tmp_path / "broker", tls=tmp_path / "tls") as broker, Client(broker, "alone/#") as one:
        stranger = begin(settings(broker))
        deadline = time.monotonic() + PATIENCE_S
        while "alert" not in (broker.folder / "log").read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "CERTIFICATE_VERIFY_FAILED" in stranger.end()[1]
        assert not one.texts("alone/status")
        begin(settings(broker, ca_file=str(tmp_path / "tls" / "ca.pem")))
        one.until(lambda: one.texts("alone/status") == ["online"])


def make_certificates(folder):
    """An authority of our own, and the certificate of localhost that it signs."""
    folder.mkdir()
    openssl = shutil.which("openssl")
    assert openssl, "this test needs openssl"

    def call(*arguments):
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    authority = ("-addext", "keyUsage=critical,keyCertSign")
    call("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ours", *authority)
    call("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    call("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")


def test_the_shipped_configuration_lets_everybody_do_their_part_and_no_more(tmp_path, begin):
    with Mosquitto(tmp_path / "broker", shipped=True) as broker, Client(broker, "#", "laboratory/#") as one:
        platform = begin(settings(broker))
        with platform.run() as run:
            run.built()
            at = f"alone/{run.id}"
            token = {"UserProperty": ("authorization", platform.tokens["admin"])}
            one.say(f"{at}/order", {"order": "start"}, ResponseTopic="laboratory/answers", **token)
            assert one.seen("laboratory/answers")["done"]
            assert one.seen(f"{at}/run/start")
            one.seen(f"{at}/body/joints")
            one.say("alone/status", "offline")
            one.say(f"{at}/run/stop", "{}")
            one.say(f"{at}/order", {"order": "pause"})
            assert one.seen(f"{at}/order/answer")["code"] == "unauthorized"
        assert one.seen(f"{at}/run/stop")["outcome"] == "stopped"
        assert one.texts("alone/status") == ["online"]
        assert not one.texts(f"{at}/order")


def test_a_wrong_password_is_said_and_the_server_works_on(own_broker, begin):
    lines = settings(own_broker)
    own_broker.password_file().write_text("wrong\n")
    platform = begin(lines)
    assert platform.client.get("/health").status_code == 200
    deadline = time.monotonic() + PATIENCE_S
    while "not authorised" not in (own_broker.folder / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    status, words = platform.end()
    assert status == 0
    assert "Not authorized" in words
