"""A listener of the live stream, for tests: keeps everything that comes."""

import json
import time
from contextlib import ExitStack

from websockets.sync.client import connect

from reafference import codec
from reafference.topics import Topic

PATIENCE_S = 60
KEPT = ("run/start", "run/ports", "run/stop", "engine/state", "engine/log", "engine/edits", "engine/functions")


class Listener:
    """Connected to a simulation, or to what else is at `path`; a context manager.

    `drawing` is whether it says that it has used a batch.
    """

    def __init__(self, url, sid, token="", *, drawing=True, path=""):
        head = {"Authorization": f"Bearer {token}"} if token else {}
        where = f"{url.replace('http', 'ws', 1).rstrip('/')}/api/{path or f'simulations/{sid}'}/stream"
        self._stack = ExitStack()
        self.socket = self._stack.enter_context(
            connect(where, additional_headers=head, compression=None, max_size=None, subprotocols=["reafference.1"])
        )
        self.drawing, self.batches = drawing, []
        self.parts, self.frames, self.texts = [], [], []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stack.close()

    def say(self, **message):
        self.socket.send(json.dumps(message))

    def subscribe(self, *topics, since=None, run=""):
        streams = [topic if isinstance(topic, dict) else {"topic": topic} for topic in topics]
        self.say(do="subscribe", streams=streams, since=since or {}, run=run)
        return self

    def draw(self):
        if self.batches:
            self.say(do="drawn", batch=self.batches[-1])

    def listen(self, seconds):
        """Take what comes in this time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.take(left):
            pass
        return self

    def take(self, seconds):
        """Take one message; whether one came."""
        try:
            message = self.socket.recv(seconds)
        except TimeoutError:
            return False
        if isinstance(message, str):
            self.texts.append(json.loads(message))
            return True
        number, frames = codec.open_batch(message)
        self.batches.append(number)
        self.parts += frames
        self.frames += [codec.decode(parts) for parts in frames]
        if self.drawing:
            self.draw()
        return True

    def until(self, true, seconds=PATIENCE_S):
        """Listen until `true()`."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, (self.topics(), self.texts[-1:])
            self.take(0.5)
        return self

    def of(self, topic):
        """(seq, frame) of a topic, in the order of coming."""
        return [(one.envelope.seq, one.frame) for one in self.frames if Topic.parse(one.topic).name == topic]

    def topics(self):
        return [Topic.parse(one.topic).name for one in self.frames]

    @property
    def simulation(self):
        """The simulation as it was told of last."""
        told = [text["simulation"] for text in self.texts if text["type"] == "simulation"]
        return told[-1] if told else None
