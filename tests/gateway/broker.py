"""A Mosquitto of one's own, on a free port of this machine and with a password file, and clients of it."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.gateway.doors import ROOT
from tests.ports import free_port

PATIENCE_S = 90
SHIPPED = ROOT / "deploy" / "mosquitto"
# Debian keeps it where not everybody looks for programs.
PROGRAM = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
USERS = ("platform", "laboratory")
OLD, NEW = 4, 5
"""How the versions 3.1.1 and 5 call themselves."""


class Mosquitto:
    """A broker that keeps its port and its users over any number of starts; a context manager."""

    def __init__(self, folder, *, tls=None, shipped=False):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.tls = folder, tls
        self.process = None
        self.passwords = {user: secrets.token_hex(8) for user in USERS}
        self.port = free_port()
        for number, (user, password) in enumerate(self.passwords.items()):
            make = ["mosquitto_passwd", "-b", *([] if number else ["-c"]), str(folder / "users"), user, password]
            subprocess.run(make, check=True, capture_output=True)
        lines = self._shipped() if shipped else self._plain()
        (folder / "mosquitto.conf").write_text("\n".join([*lines, *(["user root"] if os.getuid() == 0 else [])]) + "\n")

    def _plain(self):
        return [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {self.folder / 'users'}",
            "persistence false",
            "max_queued_messages 0",
            *([f"certfile {self.tls / 'server.pem'}", f"keyfile {self.tls / 'server.key'}"] if self.tls else []),
        ]

    def _shipped(self):
        """The configuration of deploy/, with our port, our users, and the prefix of tests."""
        rights = (SHIPPED / "acl").read_text().replace("reafference/", "alone/")
        (self.folder / "acl").write_text(rights)
        text = (SHIPPED / "mosquitto.conf").read_text()
        changes = {
            "listener 1883": f"listener {self.port} 127.0.0.1",
            "/mosquitto/secrets/users": str(self.folder / "users"),
            "/mosquitto/config/acl": str(self.folder / "acl"),
        }
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        return text.splitlines()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    @property
    def url(self):
        return f"mqtt{'s' if self.tls else ''}://platform@localhost:{self.port}"

    def password_file(self):
        """As `reaf serve` wants it."""
        path = self.folder / "password"
        path.touch(mode=0o600)
        path.write_text(self.passwords["platform"] + "\n")
        return path

    def start(self):
        with (self.folder / "log").open("ab") as log:
            command = [PROGRAM, "-c", str(self.folder / "mosquitto.conf")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(PATIENCE_S)

    def freeze(self):
        """It is there, and takes nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)


class Door:
    """A way to a broker that can be shut; a context manager. Behind it nobody needs to know version 5: `knows` is OLD
    then, as it is with brokers of 3.1.1 only."""

    def __init__(self, broker, *, knows=NEW):
        self._broker, self._knows = broker, knows
        self.refused = 0
        self._sockets = []
        self._door = None
        self._port = free_port()

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *exception):
        self.shut()

    @property
    def url(self):
        return f"mqtt://platform@127.0.0.1:{self._port}"

    def open(self):
        self._door = socket.create_server(("127.0.0.1", self._port))
        self._sockets = [self._door]
        threading.Thread(target=self._accept, args=(self._door,), daemon=True).start()

    def shut(self):
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self, door):
        with contextlib.suppress(OSError):
            while True:
                client = door.accept()[0]
                self._sockets.append(client)
                with contextlib.suppress(OSError):
                    self._let_in(client)

    def _let_in(self, client):
        head = client.recv(4096)
        if head and head[head.index(b"MQTT") + 4] > self._knows:
            self.refused += 1
            client.sendall(bytes([0x20, 2, 0, 1]))
            client.close()
            return
        inner = socket.create_connection(("127.0.0.1", self._broker.port))
        self._sockets.append(inner)
        inner.sendall(head)
        for source, target in ((client, inner), (inner, client)):
            threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


class Client:
    """Somebody at the broker who keeps what comes in; a context manager.

    `version` is OLD or NEW; `ready` counts its connections.
    """

    def __init__(self, broker, *topics, version=NEW, user="laboratory"):
        self.version, self.topics = version, topics
        self.came = []
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=version)
        self._client.username_pw_set(user, broker.passwords[user])
        if broker.tls:
            self._client.tls_set(str(broker.tls / "ca.pem"))
        self._client.reconnect_delay_set(0.1, 0.5)
        self.ready = 0
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = lambda client, data, message: self.came.append(message)
        self._client.connect_async("localhost", broker.port, keepalive=60)

    def _on_connect(self, client, data, flags, code, properties):
        if self.topics:
            client.subscribe([(topic, 1) for topic in self.topics])
        else:
            self.ready += 1

    def _on_subscribe(self, client, data, mid, codes, properties):
        self.ready += 1

    def __enter__(self):
        self._client.loop_start()
        return self.until(lambda: self.ready)

    def __exit__(self, *exception):
        self._client.disconnect()
        self._client.loop_stop()

    def until(self, true, seconds=PATIENCE_S):
        """Wait until `true()`."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, [(one.topic, one.payload[:200]) for one in self.came[-5:]]
            time.sleep(0.02)
        return self

    def of(self, topic):
        """What came on it, as JSON; empty messages left out."""
        return [json.loads(one.payload) for one in list(self.came) if one.topic == topic and one.payload]

    def texts(self, topic):
        return [one.payload.decode() for one in list(self.came) if one.topic == topic]

    def seen(self, topic, count=1):
        """The last message on a topic, once so many have come."""
        self.until(lambda: len(self.of(topic)) >= count)
        return self.of(topic)[-1]

    def say(self, topic, message, *, retain=False, **properties):
        """Publish, and wait until the broker has it. `properties` are those of version 5."""
        payload = message if isinstance(message, (bytes, str)) else json.dumps(message)
        told = Properties(PacketTypes.PUBLISH) if properties else None
        for name, value in properties.items():
            setattr(told, name, value)
        self._client.publish(topic, payload, 1, retain, properties=told).wait_for_publish(PATIENCE_S)
