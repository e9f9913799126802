"""What stands only when it is asked for: the broker, and the door for tunnels of cluster jobs."""

import asyncio
import http.server
import json
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest
from deployment import SMALL, Deployment, deployed, docker, free_port, image, until

pytestmark = [pytest.mark.containers, pytest.mark.campaign, pytest.mark.timeout(400)]

_INSIDE = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:{}/', timeout=5).read().decode())"


def need(service: str) -> None:
    if not docker("image", "ls", "-q", image(service)).strip():
        pytest.fail(f"there is no image {image(service)}: make images IMAGES={service}", pytrace=False)


@pytest.fixture(scope="module")
def with_broker(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    need("mqtt")
    folder = tmp_path_factory.mktemp("mqtt")
    settings = {
        "COMPOSE_PROFILES": "mqtt",
        "REAF_MQTT": "mqtt://platform@mqtt:1883",
        "REAF_MQTT_PORT": str(free_port()),
    }
    for name in ("platform", "laboratory"):
        (folder / name).write_text(secrets.token_hex(16))
        (folder / name).chmod(0o644)
        settings[f"REAF_MQTT_{name.upper()}_FILE"] = str(folder / name)
    with deployed(folder, **settings) as made:
        yield made


def subscribed(site: Deployment, password: str) -> list[str]:
    """The topics that come to the laboratory within the first steps of a run."""

    async def listen() -> list[str]:
        found: list[str] = []
        port = int(site.environment["REAF_MQTT_PORT"])
        async with aiomqtt.Client("127.0.0.1", port, username="laboratory", password=password, timeout=10) as client:
            await client.subscribe("reafference/#")
            clone = await asyncio.to_thread(site.ask, "POST", "experiments", {"source": "mouse_reach"})
            await asyncio.to_thread(site.ask, "POST", "simulations", {"experiment": clone["id"], "set": SMALL})
            async with asyncio.timeout(90):
                async for message in client.messages:
                    found.append(str(message.topic))
                    if any(topic.endswith("/simulation") for topic in found):
                        return found
        raise AssertionError("the broker has ended the conversation")

    return asyncio.run(listen())


def test_a_run_is_told_on_the_broker_to_who_knows_the_password(with_broker: Deployment) -> None:
    until(lambda: with_broker.health("mqtt") == "healthy", "the broker is healthy")
    assert subscribed(with_broker, (with_broker.folder / "laboratory").read_text())
    with pytest.raises(aiomqtt.MqttError, match=r"(?i)not authori"):
        subscribed(with_broker, "wrong")


def test_a_broker_without_passwords_says_what_to_do(engine: None, tmp_path: Path) -> None:
    need("mqtt")
    made = Deployment(tmp_path, {"COMPOSE_PROFILES": "mqtt", "REAF_MQTT_PORT": str(free_port())})
    try:
        made.compose("up", "-d", "--no-build", "mqtt")
        until(lambda: "REAF_MQTT_PLATFORM_FILE" in made.logs(), "it says so")
    finally:
        made.clean_up()


@pytest.fixture(scope="module")
def with_tunnel(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    need("tunnel")
    folder = tmp_path_factory.mktemp("tunnel")
    for name in ("right", "wrong"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, timeout=30)
    keys = folder / "keys"
    keys.write_text('restrict,port-forwarding,permitlisten="127.0.0.1:45001" ' + (folder / "right.pub").read_text())
    keys.chmod(0o644)
    settings = {"COMPOSE_PROFILES": "cluster", "REAF_TUNNEL_KEYS_FILE": str(keys), "REAF_TUNNEL_PORT": str(free_port())}
    with deployed(folder, **settings) as made:
        until(lambda: made.health("tunnel") == "healthy", "the door for tunnels is open")
        yield made


def ssh(site: Deployment, *arguments: str, key: str = "right") -> "subprocess.Popen[str]":
    command = [
        *("ssh", "-F", "none", "-i", str(site.folder / key), "-p", site.environment["REAF_TUNNEL_PORT"]),
        *("-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"),
        *("-o", f"UserKnownHostsFile={site.folder / 'known_hosts'}", "-o", "ExitOnForwardFailure=yes"),
        *("-o", "ConnectTimeout=10", *arguments, "reaf@127.0.0.1"),
    ]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def refused(site: Deployment, *arguments: str, key: str = "right") -> str:
    process = ssh(site, *arguments, key=key)
    try:
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode != 0
    return said


def through(site: Deployment) -> str:
    """What the gateway's container reads at the end of the tunnel."""
    return site.inside("gateway", "python", "-c", _INSIDE.format(45001), check=False).strip()


@pytest.fixture
def job() -> Iterator[int]:
    """What listens on a node, as the gateway of a job does; its port."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"the job")

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_job_opens_a_tunnel_to_the_gateway_also_after_that_was_restarted(with_tunnel: Deployment, job: int) -> None:
    process = ssh(with_tunnel, "-N", "-R", f"127.0.0.1:45001:127.0.0.1:{job}")
    try:
        until(lambda: through(with_tunnel) == "the job", "the gateway reaches the job", 60)
    finally:
        process.kill()
        process.wait()
    before = with_tunnel.started_at("tunnel")
    with_tunnel.kill_container("gateway")
    with_tunnel.await_healthy("gateway")
    # Its network is another one now: the door is opened anew there.
    until(lambda: with_tunnel.started_at("tunnel") != before, "the door is opened anew", 120)
    end = time.monotonic() + 90
    while True:
        process = ssh(with_tunnel, "-N", "-R", f"127.0.0.1:45001:127.0.0.1:{job}")
        try:
            until(
                lambda process=process: process.poll() is not None or through(with_tunnel) == "the job", "it is up", 30
            )
            if process.poll() is None:
                break
        finally:
            process.kill()
            process.wait()
        assert time.monotonic() < end, "the job does not come through again"


def test_the_door_for_tunnels_is_for_nothing_else(with_tunnel: Deployment) -> None:
    assert "Permission denied" in refused(with_tunnel, "-N", key="wrong")
    assert refused(with_tunnel, "-T")  # a shell
    assert "failed" in refused(with_tunnel, "-N", "-R", "127.0.0.1:45002:127.0.0.1:1")
    listed = json.loads(docker("inspect", with_tunnel.container("tunnel")))[0]
    assert listed["HostConfig"]["ReadonlyRootfs"]
