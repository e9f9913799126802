"""Servers whose bus goes to a broker, and the people who have tokens of them."""

import json
import os
import signal

from tests.gateway.runs import Run, uploaded
from tests.gateway.test_serve import Served, children_of

SETTINGS = """\
[mqtt]
url = "{url}"
password_file = "{password}"
orders = ["pause", "start", "step", "engine.set_parameters"]
rates = {{ "body/tip" = 0 }}
"""


def settings(broker, *, url="", **more):
    """A text for `mqtt.toml`."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    return "\n".join([SETTINGS.format(url=url or broker.url, password=broker.password_file()), *lines]) + "\n"


class Platform:
    """A server, and a token for each of some people where it has tokens and is new."""

    def __init__(self, served):
        self.served = served
        self.client = served.client()
        self.tokens = {"admin": served.told["token"]}
        if self.tokens["admin"]:
            for name, role in (("otto", "owner"), ("olga", "owner"), ("vera", "viewer")):
                self.tokens[name] = self.client.post("/tokens", json={"name": name, "role": role}).json()["token"]

    def run(self, by="admin", **wish):
        """A limb that belongs to this person."""
        client = self.served.client()
        if self.tokens[by]:
            client.headers["Authorization"] = f"Bearer {self.tokens[by]}"
        return Run(client, uploaded(client), **wish)

    def kill(self):
        """The server itself dies, and cannot say anything."""
        os.kill(children_of(self.served.process.pid)[0], signal.SIGKILL)

    def end(self):
        self.client.close()
        return self.served.end()


class Beginning:
    """Call it with the text of `mqtt.toml` to start a server; ends those that it has started."""

    def __init__(self, home):
        self._home, self._begun = home, []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for one in self._begun:
            if one.served.process.returncode is None:
                one.end()

    def __call__(self, lines, *more):
        self._home.mkdir(exist_ok=True)
        (self._home / "mqtt.toml").write_text(lines + 'prefix = "alone"\n')
        self._begun.append(Platform(Served(self._home, *more)))
        return self._begun[-1]
