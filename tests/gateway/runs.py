"""Experiments that are launched in tests, and waiting for them."""

import time

import httpx

from .doors import zip_of

PATIENCE_S = 90

# A body without a brain: it is built in a second.
TOML = """\
[experiment]
name = "limb"
title = "A limb alone"
steps = 100000
pace = 1.0

[parameters]
strength = 0.25

[body]
model = "mouse_forelimb"

[transfer]
file = "transfer.py"
"""
TRANSFER = '''\
"""Moves a limb."""

from reafference import transfer

FACTOR = 1.0  # of everything


@transfer(writes="body.Foot1")
def hold(params):
    return FACTOR * params.strength


@transfer(writes="body.Foot2", priority=1)
def tell(step, log):
    log.info(f"step {step}")
    return 0.5
'''
LIMB = {"experiment.toml": TOML, "transfer.py": TRANSFER}


def uploaded(client, files=None, name="limb"):
    """The id of an experiment made of these files."""
    answer = client.post("/experiments/upload", params={"name": name}, content=zip_of(files or LIMB))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


class Run:
    """A simulation, and who has launched it."""

    def __init__(self, client: httpx.Client, experiment, **wish):
        answer = client.post("/simulations", json={"experiment": experiment, **wish})
        assert answer.status_code == 201, answer.text
        self.client, self.experiment = client, experiment
        self.launched = answer.json()
        self.id = self.launched["id"]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.get().get("state"):
            self.put("/state", state="stopped")
            self.until(lambda now: now["ended_at"])

    def request(self, method, path="", **more):
        return self.client.request(method, f"/simulations/{self.id}{path}", **more)

    def get(self, path="", **params):
        return self.request("GET", path, params=params).json()

    def put(self, path, **body):
        return self.request("PUT", path, json=body)

    def post(self, path, **body):
        return self.request("POST", path, json=body)

    def until(self, true, seconds=PATIENCE_S):
        """The simulation, once this is true of it."""
        end = time.monotonic() + seconds
        while not true(now := self.get()):
            assert time.monotonic() < end, now
            time.sleep(0.05)
        return now

    def built(self):
        """Wait until it is built, or cannot be."""
        now = self.until(lambda now: now["state"] not in ("created", "initialised"))
        assert now["state"] in ("paused", "started"), now
        return self

    def ended(self):
        return self.until(lambda now: now["state"] in ("stopped", "halted", "failed"))

    def written(self):
        """The simulation, once it has ended and its recording is closed."""
        now = self.ended()
        answer = self.client.get(f"/experiments/{self.experiment}/recordings/{now['recording']}")
        assert answer.json()["outcome"], answer.text
        return now

    def functions(self):
        return {one["name"]: one for one in self.get("/transfer-functions")}
