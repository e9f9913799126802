"""The live stream of one simulation: a WebSocket in a thread of its own, which comes back when it is cut."""

import ssl
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .. import codec, jsontext
from ..codec import Received
from ..errors import ReafferenceError
from ..frames import Array, Frame, Stream
from ..topics import Topic
from .door import loaded
from .resources import Status

KEPT = ("run/start", "run/ports", "run/stop", "engine/state", "engine/log", "engine/edits", "engine/functions")
"""Topics that are complete for everybody, whenever they come."""

_WAITING = 256
"""Frames that a feed keeps for a reader that is busy; then the oldest give way and are counted."""

_REMEMBERED = 1000
_BREATH_S = 1.0
"""How long to listen on after a simulation has ended, for frames that were on their way."""

_FINAL = {4000: "the simulation was deleted", 4401: "the token is not accepted", 4404: "there is no such simulation"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame of a stream: its step, its simulated time, and its arrays by name."""

    topic: str
    frame: Frame

    def __repr__(self) -> str:
        return f"<Sample {self.topic} step {self.step}, {self.t_s:g} s: {', '.join(self.arrays) or self.frame.kind}>"

    @property
    def step(self) -> int:
        return int(getattr(self.frame, "step", -1))

    @property
    def t_s(self) -> float:
        """Simulated time at the end of the step, in seconds."""
        return float(getattr(self.frame, "t_ns", 0)) / 1e9

    @property
    def arrays(self) -> Mapping[str, Array]:
        return self.frame.arrays if isinstance(self.frame, Stream) else {}

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a topic: `hz` frames a second of wall time at most; 0 is every frame."""

    hz: float = 0.0
    points: int = 0
    most_per_s: int = 0

    def along(self, other: "Wish") -> "Wish":
        """A wish that serves both."""
        return Wish(
            0.0 if not (self.hz and other.hz) else max(self.hz, other.hz),
            0 if not (self.points and other.points) else max(self.points, other.points),
            max(self.most_per_s, other.most_per_s),
        )

    def message(self, topic: str) -> dict[str, Any]:
        given = {"hz": self.hz, "points": self.points, "most_per_s": self.most_per_s}
        return {"topic": topic} | {key: value for key, value in given.items() if value}


class Feed:
    """The samples of one topic as they come, until the simulation has ended or the feed is closed.

    A reader that is slower than the stream loses the oldest of 256 waiting samples; `missed` counts them.
    """

    def __init__(self, live: "Live", topic: str, wish: Wish) -> None:
        self.topic, self.wish, self.missed = topic, wish, 0
        self._live = live
        self._samples: deque[Sample] = deque()
        self._news = threading.Condition()
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Sample]:
        try:
            while (sample := self.next()) is not None:
                yield sample
        finally:
            self.close()

    def next(self, timeout_s: float | None = None) -> Sample | None:
        """The next sample; None when none has come in time, or none will come any more."""
        with self._news:
            self._news.wait_for(lambda: self._samples or self._over, timeout_s)
            return self._samples.popleft() if self._samples else None

    def put(self, sample: Sample) -> None:
        with self._news:
            if len(self._samples) >= _WAITING:
                self._samples.popleft()
                self.missed += 1
            self._samples.append(sample)
            self._news.notify_all()

    def end(self) -> None:
        """No more will come; what is waiting can still be read."""
        with self._news:
            self._over = True
            self._news.notify_all()

    def close(self) -> None:
        self.end()
        self._live.leave(self)


@dataclass(slots=True)
class _Known:
    """What has arrived so far, for those who ask later."""

    run: str = ""
    since: dict[str, int] = field(default_factory=dict)
    kept: dict[str, deque[Sample]] = field(default_factory=dict)
    newest: dict[str, Sample] = field(default_factory=dict)

    def take(self, topic: str, received: Received) -> Sample:
        if received.envelope.run != self.run:  # a full reset: another run, which counts from 0
            self.run = received.envelope.run
            self.since, self.kept, self.newest = {}, {}, {}
        sample = Sample(topic, received.frame)
        self.newest[topic] = sample
        if topic in KEPT:
            self.since[topic] = received.envelope.seq
            self.kept.setdefault(topic, deque(maxlen=_REMEMBERED)).append(sample)
        return sample


StatusCallback = Callable[[Status], object]
SampleCallback = Callable[[Sample], object]


class Live:
    """One connection for all feeds and callbacks of a simulation. It is made when somebody wants to listen."""

    def __init__(self, url: str, token: str, simulation: str, tls: ssl.SSLContext | None = None) -> None:
        base = url.replace("http", "ws", 1)
        self._address = f"{base}/api/simulations/{simulation}/stream"
        self._token = token
        self._tls = tls if base.startswith("wss") else None
        self._lock = threading.RLock()
        self._feeds: list[Feed] = []
        self._callbacks: list[StatusCallback] = []
        self._listeners: list[tuple[str, SampleCallback]] = []
        self._constant: dict[str, Wish] = {}
        self._known = _Known()
        self._socket: ClientConnection | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._ended = False
        self._finished = False
        self.missed: dict[str, int] = {}

    # --- for the script's thread --------------------------------------------------------------------------

    def feed(self, topic: str, wish: Wish) -> Feed:
        """A feed of its own for one reader; of a kept topic it begins with what has been before."""
        with self._lock:
            feed = Feed(self, topic, wish)
            for sample in self._known.kept.get(topic, ()):
                feed.put(sample)
            if self._finished:
                feed.end()
            self._feeds.append(feed)
            self._listen()
        return feed

    def newest(self, topic: str, timeout_s: float) -> Sample | None:
        """The newest sample of a topic; None where none has come within the time."""
        with self._lock:
            found = self._known.newest.get(topic)
            if topic not in self._constant:
                self._constant[topic] = Wish(hz=20.0)
                self._listen()
        if found is not None or self._finished:
            return found
        with self.feed(topic, Wish(hz=20.0)) as feed:
            return feed.next(timeout_s)

    def on_status(self, callback: StatusCallback) -> Callable[[], None]:
        """Call it with every status, a last time when the simulation has ended; the result takes it back."""
        with self._lock:
            self._callbacks.append(callback)
            self._listen()
            self._say({"do": "status"})

        def forget() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return forget

    def on_sample(self, topic: str, callback: SampleCallback) -> Callable[[], None]:
        """Call it with every sample of a topic, of a kept one from the first; the result takes it back."""
        listener = (topic, callback)
        with self._lock:
            before = [*self._known.kept.get(topic, ())]
            self._listeners.append(listener)
            self._constant.setdefault(topic, Wish())
            self._listen()
        for sample in before:
            _call(callback, sample)

        def forget() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return forget

    def leave(self, feed: Feed) -> None:
        with self._lock:
            if feed in self._feeds:
                self._feeds.remove(feed)
                self._subscribe()

    def close(self) -> None:
        self._closing.set()
        socket, thread = self._socket, self._thread
        if socket is not None:
            socket.close()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5.0)
        self._finish()

    def _listen(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="reafference live", daemon=True)
            self._thread.start()
        else:
            self._subscribe()

    def _subscribe(self) -> None:
        """Tell the server what is wanted by now; what it has sent of the kept topics it need not send again."""
        if self._socket is None:
            return
        with self._lock:
            wishes = dict(self._constant)
            for feed in self._feeds:
                wishes[feed.topic] = feed.wish.along(wishes[feed.topic]) if feed.topic in wishes else feed.wish
            streams = [wish.message(topic) for topic, wish in wishes.items()]
            self._say({"do": "subscribe", "streams": streams, "since": self._known.since})

    def _say(self, message: Mapping[str, Any]) -> None:
        try:
            if self._socket is not None:
                self._socket.send(jsontext.dumps(message))
        except (ConnectionClosed, OSError):
            pass  # the listener notices as well, and says it again after it has come back

    # --- in the thread that listens -------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = 0.1
        while not self._closing.is_set():
            try:
                with self._connected() as socket:
                    pause_s = 0.1
                    self._socket = socket
                    self._subscribe()
                    self._say({"do": "status"})
                    if self._hear(socket):
                        break
            except InvalidStatus as error:
                if error.response.status_code in (401, 403, 404):
                    self._give_up(f"the server refuses the stream with the status {error.response.status_code}")
                    break
            except ConnectionClosed as error:
                if error.rcvd and error.rcvd.code in _FINAL:
                    self._give_up(_FINAL[error.rcvd.code])
                    break
            except (OSError, TimeoutError, InvalidHandshake):
                pass
            finally:
                self._socket = None
            self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, 5.0)
        self._finish()

    def _connected(self) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return connect(
            self._address,
            additional_headers=headers,
            subprotocols=["reafference.1"],  # type: ignore[list-item]
            compression=None,
            max_size=None,
            open_timeout=10.0,
            close_timeout=1.0,
            proxy=None,
            ssl=self._tls,
        )

    def _hear(self, socket: ClientConnection) -> bool:
        """Until the connection ends, which raises, or the simulation does: then True."""
        quiet_since = time.monotonic()
        while not self._closing.is_set():
            try:
                message = socket.recv(timeout=0.25)
            except TimeoutError:
                if self._ended and time.monotonic() - quiet_since > _BREATH_S:
                    return True
                continue
            if isinstance(message, bytes):
                quiet_since = time.monotonic()
                self._take_batch(message)
            elif self._take_text(jsontext.loads(message)):
                return True
        return True

    def _take_batch(self, message: bytes) -> None:
        number, frames = codec.open_batch(message)
        self._say({"do": "drawn", "batch": number})
        for parts in frames:
            try:
                received = codec.decode(parts)
                topic = Topic.parse(received.topic).name
            except ReafferenceError:
                continue  # of a kind that a newer server has
            with self._lock:
                sample = self._known.take(topic, received)
                for feed in self._feeds:
                    if feed.topic == topic:
                        feed.put(sample)
                called = [callback for wanted, callback in self._listeners if wanted == topic]
            for callback in called:
                _call(callback, sample)

    def _take_text(self, message: Mapping[str, Any]) -> bool:
        match message:
            case {"type": "simulation", "simulation": status}:
                self._tell(loaded(Status, status))
            case {"type": "missed", "topics": topics}:
                for topic, count in topics.items():
                    self.missed[topic] = self.missed.get(topic, 0) + count
            case {"type": "gone"}:
                return True
        return False

    def _tell(self, status: Status) -> None:
        if self._ended:
            return  # the last time has been
        self._ended = status.ended
        for callback in [*self._callbacks]:
            _call(callback, status)

    def _give_up(self, text: str) -> None:
        warnings.warn(f"the live stream has ended: {text}", stacklevel=2)

    def _finish(self) -> None:
        with self._lock:
            self._finished = True
            for feed in self._feeds:
                feed.end()


def _call(callback: Callable[[Any], object], value: Any) -> None:
    """One callback's error shall not end the stream for the others."""
    try:
        callback(value)
    except Exception as error:
        warnings.warn(f"a callback failed: {error!r}", stacklevel=2)
