"""The asyncio face of the step wire, for the gateway: where many slow conversations meet."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import zmq.asyncio

from . import codec, outcome
from .config import ServiceConfig
from .errors import EngineLost, PeerLate, ReafferenceError
from .frames import Bye, Edit, Edited, ErrorFrame, Frame, Hello, Order, OrderKind, Scope, Welcome
from .keys import KeyRing
from .locks import check_address, lock_options
from .outcome import Outcome
from .sockets import OPTIONS, Sender

_SEND_S = 5.0
_CLOSED = "the conversation with the engine was closed"


@dataclass(frozen=True, slots=True)
class _Request:
    """Somebody waits for this outcome."""

    outcome: Outcome
    future: "asyncio.Future[Any]"

    def settle(self, frame: Frame) -> None:
        """Tell who waits, if this frame is the answer."""
        if self.future.done():
            return
        try:
            found = self.outcome(frame)
        except ReafferenceError as error:
            self.future.set_exception(error)
        else:
            if found is not None:
                self.future.set_result(found)


class AioOperator:
    """An operator's conversation with the engine. It outlives engines: who comes later is greeted then.

    One task has to go through `frames` all the time: only then do `edit` and `reset` hear of their outcome.
    """

    def __init__(self, config: ServiceConfig) -> None:
        address, keys = config.addresses.step, config.ring()
        check_address(address, insecure=config.insecure or keys is not None)
        locks = lock_options("step peer", address, keys)
        self._sender = Sender(config.name)
        socket_type, options = OPTIONS["step peer"]
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(socket_type)
        for option, value in {**options, **locks}.items():
            self._socket.setsockopt(option, value)
        if keys is None or not address.startswith("tcp://"):
            self._socket.setsockopt(zmq.ROUTING_ID, config.name.encode("ascii"))
        self._socket.connect(address)
        self._requests: dict[int, _Request] = {}
        self._number = 0
        self._closed = False
        self.on_copy: Callable[[list[bytes]], None] | None = None
        """Is given the parts of each frame of the bus that the engine sends again after the order "tell"."""

    @property
    def run(self) -> str:
        """The id of the run, "-" before the engine has answered."""
        return self._sender.run

    async def frames(self) -> AsyncIterator[Frame]:
        """Say hello, then yield what the engine sends, but for the outcomes of edits that somebody here waits for."""
        await self._send(Hello(name=self._sender.src, role="operator", pid=os.getpid()))
        try:
            while True:
                parts = await self._socket.recv_multipart()
                if b"/" in parts[0]:
                    if self.on_copy is not None:
                        self.on_copy(parts)
                    continue
                try:
                    frame = codec.decode(parts).frame
                except ReafferenceError as error:
                    await self._send(ErrorFrame(code=error.code, text=error.text))
                    continue
                if isinstance(frame, Welcome):
                    self._sender.run = frame.run
                if not self._settled(frame):
                    yield frame
        finally:
            self._give_up("nobody listens to the engine any more")

    def _settled(self, frame: Frame) -> bool:
        """Show the frame to all who wait; whether it was the outcome of an edit of theirs."""
        mine = _edit_of(frame) in self._requests
        for request in tuple(self._requests.values()):
            request.settle(frame)
        return mine

    async def order(self, what: OrderKind, reason: str = "", scope: Scope = "", steps: int = 1) -> None:
        """Ask the engine for something; the answer comes as a `state` or `error` frame."""
        await self._send(Order(what=what, reason=reason, scope=scope, steps=steps))

    async def edit(
        self,
        to: str,
        what: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        by: str = "",
        timeout_s: float = 0.0,
        patience_s: float = 3600.0,
    ) -> dict[str, Any]:
        """Change something of a participant, or of the engine, between two steps; what is said about it, by name.

        `by` is the person for whom it is done. `timeout_s` is how long the edit itself may take before the run is
        given up: 0 for as long as a step may (or building, where the edit builds anew). Raises the error of who
        refused it, and PeerLate when there is no outcome after `patience_s`.
        """
        number = self._next()
        frame = Edit(id=number, to=to, what=what, arguments=arguments or {}, timeout_s=timeout_s, by=by)
        told = outcome.of_edit(number, what)
        result: dict[str, Any] = await self._await(number, frame, told, f"the edit {what!r}", patience_s)
        return result

    async def reset(self, scope: Scope = "full", *, by: str = "", patience_s: float = 3600.0) -> None:
        """Put one simulator back to its start, or begin the whole run anew: it is then ready, and waits for `start`.

        Raises as `edit`. A full reset waits for the end of the step; order "cancel" meanwhile if that never comes.
        """
        if scope in ("brain", "body"):
            await self.edit(scope, "reset", by=by, patience_s=patience_s)
            return
        order = Order(what="reset", scope=scope, reason=f"asked for by {by}" if by else "")
        await self._await(self._next(), order, outcome.of_full_reset(self.run), "the reset", patience_s)

    async def leave(self) -> None:
        await self._send(Bye())

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Let go of the engine; whoever waits for it, or asks for something later, is told so by EngineLost."""
        self._closed = True
        self._give_up(_CLOSED)
        self._context.destroy(linger=0)

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _await(self, number: int, frame: Frame, told: Outcome, what: str, patience_s: float) -> Any:
        """Send a request and wait for its outcome."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._requests[number] = _Request(told, future)
        try:
            await self._send(frame)
            return await asyncio.wait_for(future, patience_s)
        except TimeoutError:
            raise PeerLate(f"{what} had no outcome within {patience_s:g} s") from None
        finally:
            del self._requests[number]

    def _give_up(self, why: str) -> None:
        for request in self._requests.values():
            if not request.future.done():
                request.future.set_exception(EngineLost(why))

    async def _send(self, frame: Frame) -> None:
        if self._closed:
            raise EngineLost(_CLOSED)
        parts = self._sender.sign(frame).parts()
        sending = asyncio.ensure_future(self._socket.send_multipart(parts))
        try:
            sent, _ = await asyncio.wait((sending,), timeout=_SEND_S)
            if self._closed:  # and with it the socket, which cancels what waits there
                raise EngineLost(_CLOSED)
            if not sent:
                raise EngineLost(f"the engine has taken no message for {_SEND_S:g} s")
            sending.result()
        finally:
            sending.cancel()


class AioBus:
    """A listener on the bus, to everything of every run. What it is too slow for is dropped, and seen as a gap.

    Frames come in handfuls: one waking for many of them costs a fraction of one for each.
    """

    def __init__(self, address: str, *, insecure: bool = False, keys: KeyRing | None = None) -> None:
        check_address(address, insecure=insecure or keys is not None)
        locks = lock_options("bus in", address, keys)
        socket_type, options = OPTIONS["bus in"]
        self._context = zmq.Context()
        self._socket = self._context.socket(socket_type)
        for option, value in {**options, **locks}.items():
            self._socket.setsockopt(option, value)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.connect(address)

    async def handfuls(self, gather_s: float = 0.02, most: int = 2000) -> AsyncIterator[list[list[bytes]]]:
        """The parts of the frames that have come, at most `most` at once, as long as the listener lives."""
        descriptor = int(self._socket.getsockopt(zmq.FD))
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def arrived() -> None:
            # It stays readable until the frames are taken: that would keep the loop busy while we gather.
            loop.remove_reader(descriptor)
            news.set()

        try:
            while True:
                while frames := list(itertools.islice(self._waiting(), most)):
                    yield frames
                    await asyncio.sleep(0)
                # The descriptor tells of a change only; it is quiet again when everything has been taken.
                if not int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                    news.clear()
                    loop.add_reader(descriptor, arrived)
                    await news.wait()
                await asyncio.sleep(gather_s)
        finally:
            loop.remove_reader(descriptor)

    def _waiting(self) -> Iterator[list[bytes]]:
        with contextlib.suppress(zmq.Again):
            while True:
                yield self._socket.recv_multipart(flags=zmq.NOBLOCK)

    def close(self) -> None:
        self._context.destroy(linger=0)


def _edit_of(frame: Frame) -> int:
    """The number of the edit whose outcome this is, -1 for other frames."""
    match frame:
        case Edited():
            return frame.id
        case ErrorFrame(detail={"edit": int(number)}):
            return number
    return -1
