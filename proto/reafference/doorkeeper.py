"""Lets clients in at a service's doors, or not, and tells who was refused.

A thread of its own: it answers the library's question who bears a key (ZAP, RFC 27), and hears of connections that
never came so far as to show one.
"""

import contextlib
import os
import queue
import resource
import socket as net
import struct
import threading
import time
from collections.abc import Hashable
from typing import Any

import structlog
import zmq
from zmq.utils import z85

from .keys import AllowList, KeyRing, may_enter

_ZAP = "inproc://zeromq.zap.01"  # where the library asks
_EVENTS = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
_FAILED = (zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
# The library cannot tell these apart: it depends on who hangs up first.
WITHOUT = "it has no key, does not know our public one, or said nothing"
_EVENT = struct.Struct("=Hi")  # which, and a file descriptor or the like
_GONE = "unknown: it was gone at once"
_JOIN_S = 2.0


class Seldom:
    """Whether to say something again: once in `every_s` seconds for each thing, of `most` things at most."""

    def __init__(self, every_s: float = 60.0, most: int = 256) -> None:
        self._every_s, self._most = every_s, most
        self._said: dict[Hashable, float] = {}

    def due(self, thing: Hashable) -> bool:
        now = time.monotonic()
        if now - self._said.get(thing, -self._every_s) < self._every_s:
            return False
        if len(self._said) >= self._most:
            self._said = {kept: at for kept, at in self._said.items() if now - at < self._every_s}
            if len(self._said) >= self._most:
                return False
        self._said.pop(thing, None)
        self._said[thing] = now
        return True


class Doorkeeper:
    """Stands at all doors of one context until it is closed; close the doors before."""

    def __init__(self, context: "zmq.Context[Any]", ring: KeyRing) -> None:
        self._context, self._service = context, ring.name
        self._allowed = AllowList(ring.folder)
        self._seldom = Seldom()
        self._peers: dict[int, str] = {}
        self._new: queue.SimpleQueue[tuple[zmq.Socket[bytes], str]] = queue.SimpleQueue()
        self._asked = self._opened(zmq.REP, _ZAP, bind=True)
        inside = f"inproc://doorkeeper-{id(self)}"
        told = self._opened(zmq.PAIR, inside, bind=True)
        self._bell = self._opened(zmq.PAIR, inside, bind=False)
        _allow_many_connections()
        self._thread = threading.Thread(target=self._stand, args=(told,), name="doorkeeper", daemon=True)
        self._thread.start()

    def watch(self, door: zmq.Socket[bytes], wire: str) -> None:
        """Hear of connections to `door` that fail; say `door.disable_monitor()` before closing it."""
        where = f"inproc://door-{id(self)}-{wire}-{id(door)}"
        door.monitor(where, _EVENTS)
        # It changes hands through the queue, and is never used here again.
        self._new.put((self._opened(zmq.PAIR, where, bind=False), wire))
        self._bell.send(b"new")

    def close(self) -> None:
        if self._thread.is_alive():
            self._bell.send(b"end")
            self._thread.join(_JOIN_S)
        self._bell.close(linger=0)

    def _opened(self, kind: int, where: str, *, bind: bool) -> zmq.Socket[bytes]:
        opened: zmq.Socket[bytes] = self._context.socket(kind)
        opened.setsockopt(zmq.LINGER, 0)
        (opened.bind if bind else opened.connect)(where)
        return opened

    def _stand(self, told: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        ears: dict[Any, str] = {}
        failed: set[Any] = set()
        for waiting in (told, self._asked):
            poller.register(waiting, zmq.POLLIN)
        try:
            while True:
                for awake, _ in poller.poll():
                    if awake is told:
                        if told.recv() == b"end":
                            return
                        with contextlib.suppress(queue.Empty):
                            ear, wire = self._new.get_nowait()
                            ears[ear] = wire
                            poller.register(ear, zmq.POLLIN)
                    elif awake is self._asked:
                        self._answer()
                    else:
                        self._hear(awake, ears[awake], failed)
        except zmq.ContextTerminated:
            pass
        finally:
            for mine in (told, self._asked, *ears):
                mine.close(linger=0)

    def _answer(self) -> None:
        """Say whose key it is, and whether that one may come in."""
        question = self._asked.recv_multipart()
        if len(question) < 6:
            self._asked.send_multipart([b"1.0", b"", b"500", b"not a question", b"", b""])
            return
        version, number, domain, address, _, mechanism, *credentials = question
        wire, where = domain.decode("ascii", "replace"), address.decode("ascii", "replace")
        name = self._allowed.name_of(z85.encode(credentials[0])) if mechanism == b"CURVE" and credentials else ""
        if name and may_enter(name, wire):
            self._asked.send_multipart([version, number, b"200", b"", name.encode("ascii"), b""])
            return
        self._tell(wire, where, f"{name!r} has no business there" if name else "its key is not among those allowed")
        self._asked.send_multipart([version, number, b"400", b"not allowed", b"", b""])

    def _hear(self, ear: zmq.Socket[bytes], wire: str, failed: set[Any]) -> None:
        """The library names the peer when it accepts a connection, and says later that the handshake failed, then
        that this connection has gone."""
        what, value = _EVENT.unpack(ear.recv_multipart()[0])
        if what == zmq.EVENT_ACCEPTED:
            self._peers[value] = _address_of(value)
        elif what in _FAILED:
            failed.add(ear)
        elif what == zmq.EVENT_DISCONNECTED:
            peer = self._peers.pop(value, _GONE)
            if ear in failed:
                failed.remove(ear)
                self._tell(wire, peer, WITHOUT)

    def _tell(self, wire: str, peer: str, why: str) -> None:
        if self._seldom.due((wire, peer, why)):
            log = structlog.get_logger(service=self._service)
            log.warning("refused at the door", wire=wire, peer=peer, text=why)


def _address_of(descriptor: int) -> str:
    """Of the peer behind a connection that the library holds, if it has not gone already."""
    try:
        with net.socket(fileno=os.dup(descriptor)) as copy:
            return str(copy.getpeername()[0])
    except (OSError, IndexError):
        return _GONE


def _allow_many_connections() -> None:
    """Strangers who connect and say nothing hold a descriptor each until they are sent away."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
