"""The door of the step wire: connections from other machines, each known by its key.

Names of routing are not trusted here, for whoever connects may claim any. The key says who it is; the connection
from which the last hello of that name came is where frames for it go.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import structlog
import zmq

from . import codec
from .doorkeeper import Seldom
from .errors import NotAllowed, OutOfOrder, ReafferenceError
from .frames import ErrorFrame, Frame, Hello

_HELLO = Hello.kind.encode()


def received(socket: zmq.Socket[bytes]) -> Iterator[tuple[str, bytes, list[bytes]]]:
    """What has arrived at a ROUTER: whose key it was ("" where there are no keys), connection, parts."""
    with contextlib.suppress(zmq.Again):
        while True:
            route = socket.recv(zmq.NOBLOCK, copy=False)
            parts = socket.recv_multipart() if route.more else []
            yield _owner(route), route.bytes, parts


def _owner(frame: zmq.Frame) -> str:
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


class StepDoor:
    """The second end of the step wire. `sign` makes the parts of a frame that goes out."""

    def __init__(self, socket: zmq.Socket[bytes], sign: Callable[[Frame], list[Any]]) -> None:
        self.socket, self._sign = socket, sign
        self._routes: dict[str, bytes] = {}
        self._seldom = Seldom()

    def route(self, name: str) -> bytes | None:
        """Where frames for `name` go, if it came by this door."""
        return self._routes.get(name)

    def forget(self, name: str) -> None:
        """It is gone, or has come by the other door."""
        self._routes.pop(name, None)

    def receive(self) -> Iterator[tuple[str, list[bytes]]]:
        """What has arrived from those who said hello, by the name of their key; the others are told, and no more."""
        for owner, route, parts in received(self.socket):
            # Without keys (on a bench) a connection is who it says it is, as on one machine.
            name = owner or route.decode("latin-1")
            try:
                if parts and parts[0] == _HELLO:
                    _check_name(parts, name)
                    self._routes[name] = route
                elif self._routes.get(name) != route:
                    raise OutOfOrder("say hello first: this connection is not, or no more, the one of its name")
            except ReafferenceError as error:
                self._refuse(name, route, error)
                continue
            yield name, parts

    def _refuse(self, name: str, route: bytes, error: ReafferenceError) -> None:
        if self._seldom.due((name, error.code)):
            structlog.get_logger().warning("refused", peer=name, code=error.code, text=error.text)
        with contextlib.suppress(zmq.ZMQError):  # gone, or it does not read what we say
            parts = [route, *self._sign(ErrorFrame(code=error.code, text=error.text))]
            self.socket.send_multipart(parts, zmq.NOBLOCK)


def _check_name(parts: list[bytes], name: str) -> None:
    """Raises NotAllowed if the hello is in another name than the key; and what is wrong with a broken frame."""
    frame = codec.decode(parts).frame
    if isinstance(frame, Hello) and frame.name != name:
        raise NotAllowed(f"{frame.name!r} cannot speak with the key of {name!r}")
